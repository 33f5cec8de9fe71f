// Each table's columns, once: name, type, unit, nullability, Iceberg field id. The Iceberg schema, the Arrow schema, the SQL views and
// the JSON records are all made from these tables.
//
// Field ids are permanent: a column may be renamed or dropped, its id never means anything else.
// Thread rule: constants.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace k2 {

enum class ColumnType : uint8_t {
  kUuid,         // 16 bytes
  kString,       // UTF-8
  kTimestampUs,  // Iceberg timestamptz: microseconds since the epoch, UTC
  kDecimal18_8,
  kStringList,   // list<string>, elements required
  kLong,
  kInt,
};

struct Column {
  std::string_view name;
  ColumnType type;
  bool required;
  int32_t field_id;
  int32_t element_id;  // field id of the list's element; 0 for other types
  std::string_view doc;
};

inline constexpr Column kTradeColumns[] = {
    {"message_id", ColumnType::kUuid, true, 1, 0, "deterministic identity, UUIDv8"},
    {"trade_id", ColumnType::kString, true, 2, 0, "the venue's trade id"},
    {"symbol", ColumnType::kString, true, 3, 0, "the venue's spelling"},
    {"exchange", ColumnType::kString, true, 4, 0, "lowercase venue name"},
    {"asset_class", ColumnType::kString, true, 5, 0, "equities, crypto, futures or options"},
    {"timestamp", ColumnType::kTimestampUs, true, 6, 0, "when it happened at the venue"},
    {"price", ColumnType::kDecimal18_8, true, 7, 0, "in currency per unit"},
    {"quantity", ColumnType::kDecimal18_8, true, 8, 0, "units traded"},
    {"currency", ColumnType::kString, true, 9, 0, "what price is quoted in"},
    {"side", ColumnType::kString, true, 10, 0, "the aggressor's: BUY, SELL, SELL_SHORT or UNKNOWN"},
    {"trade_conditions", ColumnType::kStringList, true, 11, 12, "the venue's codes, as sent"},
    {"source_sequence", ColumnType::kLong, false, 13, 0, "the venue's sequence, or the row's ordinal"},
    {"ingestion_timestamp", ColumnType::kTimestampUs, true, 14, 0, "when it reached k2"},
    {"vendor_data", ColumnType::kString, false, 15, 0, "JSON object of strings, keys sorted"},
    {"log_topic", ColumnType::kString, true, 16, 0, "log topic the row came through"},
    {"log_partition", ColumnType::kInt, true, 17, 0, "log partition"},
    {"log_offset", ColumnType::kLong, true, 18, 0, "offset in that partition, each exactly once"},
};

inline constexpr Column kQuoteColumns[] = {
    {"message_id", ColumnType::kUuid, true, 1, 0, "deterministic identity, UUIDv8"},
    {"quote_id", ColumnType::kString, true, 2, 0, "the venue's quote id"},
    {"symbol", ColumnType::kString, true, 3, 0, "the venue's spelling"},
    {"exchange", ColumnType::kString, true, 4, 0, "lowercase venue name"},
    {"asset_class", ColumnType::kString, true, 5, 0, "equities, crypto, futures or options"},
    {"timestamp", ColumnType::kTimestampUs, true, 6, 0, "when it happened at the venue"},
    {"bid_price", ColumnType::kDecimal18_8, true, 7, 0, "in currency per unit; 0: no bid"},
    {"bid_quantity", ColumnType::kDecimal18_8, true, 8, 0, "units bid"},
    {"ask_price", ColumnType::kDecimal18_8, true, 9, 0, "in currency per unit; 0: no ask"},
    {"ask_quantity", ColumnType::kDecimal18_8, true, 10, 0, "units offered"},
    {"currency", ColumnType::kString, true, 11, 0, "what prices are quoted in"},
    {"source_sequence", ColumnType::kLong, false, 12, 0, "the venue's sequence, or the row's ordinal"},
    {"ingestion_timestamp", ColumnType::kTimestampUs, true, 13, 0, "when it reached k2"},
    {"vendor_data", ColumnType::kString, false, 14, 0, "JSON object of strings, keys sorted"},
    {"log_topic", ColumnType::kString, true, 15, 0, "log topic the row came through"},
    {"log_partition", ColumnType::kInt, true, 16, 0, "log partition"},
    {"log_offset", ColumnType::kLong, true, 17, 0, "offset in that partition, each exactly once"},
};

inline constexpr Column kCoverageColumns[] = {
    {"exchange", ColumnType::kString, true, 1, 0, "lowercase venue name"},
    {"symbol", ColumnType::kString, true, 2, 0, "the venue's spelling"},
    {"channel", ColumnType::kString, true, 3, 0, "trades or quotes"},
    {"first_sequence", ColumnType::kLong, true, 4, 0, "first source sequence of the range"},
    {"last_sequence", ColumnType::kLong, true, 5, 0, "last source sequence of the range, inclusive"},
    {"timestamp", ColumnType::kTimestampUs, true, 6, 0, "event time at the range's start, as near as known"},
    {"end_timestamp", ColumnType::kTimestampUs, true, 7, 0, "event time at the range's end, as near as known"},
    {"status", ColumnType::kString, true, 8, 0, "observed, backfilled, not_issued, open or lost"},
    {"reason", ColumnType::kString, false, 9, 0, "why, where not simply observed"},
    {"ingestion_timestamp", ColumnType::kTimestampUs, true, 10, 0, "when k2 recorded this"},
    {"log_topic", ColumnType::kString, true, 11, 0, "log topic the row came through"},
    {"log_partition", ColumnType::kInt, true, 12, 0, "log partition"},
    {"log_offset", ColumnType::kLong, true, 13, 0, "offset in that partition, each exactly once"},
};

// The v1 layout: read-only tables kept for readers of the old names. `volume` and `size` live on only here.
inline constexpr Column kTradeV1Columns[] = {
    {"symbol", ColumnType::kString, true, 1, 0, ""},
    {"exchange", ColumnType::kString, true, 2, 0, ""},
    {"exchange_timestamp", ColumnType::kTimestampUs, true, 3, 0, ""},
    {"price", ColumnType::kDecimal18_8, true, 4, 0, ""},
    {"volume", ColumnType::kLong, true, 5, 0, ""},
    {"qualifiers", ColumnType::kInt, false, 6, 0, ""},
    {"venue", ColumnType::kString, false, 7, 0, ""},
    {"buyer_id", ColumnType::kString, false, 8, 0, ""},
    {"ingestion_timestamp", ColumnType::kTimestampUs, true, 9, 0, ""},
    {"sequence_number", ColumnType::kLong, false, 10, 0, ""},
};

inline constexpr Column kQuoteV1Columns[] = {
    {"symbol", ColumnType::kString, true, 1, 0, ""},
    {"exchange", ColumnType::kString, true, 2, 0, ""},
    {"exchange_timestamp", ColumnType::kTimestampUs, true, 3, 0, ""},
    {"bid_price", ColumnType::kDecimal18_8, true, 4, 0, ""},
    {"bid_volume", ColumnType::kLong, true, 5, 0, ""},
    {"ask_price", ColumnType::kDecimal18_8, true, 6, 0, ""},
    {"ask_volume", ColumnType::kLong, true, 7, 0, ""},
    {"ingestion_timestamp", ColumnType::kTimestampUs, true, 8, 0, ""},
    {"sequence_number", ColumnType::kLong, false, 9, 0, ""},
};

/// One table of namespace market_data.
struct TableSpec {
  std::string_view name;
  std::span<const Column> columns;
  bool partitioned_by_day_and_exchange;  // day(timestamp), identity(exchange)
  bool read_only;
};

inline constexpr std::string_view kNamespace = "market_data";
inline constexpr TableSpec kTradesV2{"trades_v2", kTradeColumns, true, false};
inline constexpr TableSpec kQuotesV2{"quotes_v2", kQuoteColumns, true, false};
inline constexpr TableSpec kCoverage{"coverage", kCoverageColumns, false, false};
inline constexpr TableSpec kTradesV1{"trades", kTradeV1Columns, false, true};
inline constexpr TableSpec kQuotesV1{"quotes", kQuoteV1Columns, false, true};
inline constexpr TableSpec kTables[] = {kTradesV2, kQuotesV2, kCoverage, kTradesV1, kQuotesV1};

}  // namespace k2
