#include "codec/schemas.h"

#include "base/assert.h"

// The texts between the markers are schemas/v2/<name>.avsc byte for byte; schemas_test fails where they differ.

namespace k2 {
namespace {

constexpr std::string_view kTradeSchema = R"avsc({
  "type": "record",
  "name": "TradeV2",
  "namespace": "com.k2.marketdata",
  "doc": "One trade at a venue. Times in microseconds UTC; price and quantity exact decimals.",
  "fields": [
    {"name": "message_id", "type": {"type": "string", "logicalType": "uuid"}, "doc": "Deterministic identity, UUIDv8 (docs/formats/message-id.md)."},
    {"name": "trade_id", "type": "string", "doc": "The venue's trade id, or <symbol>-<date>-<ordinal> where it has none."},
    {"name": "symbol", "type": "string", "doc": "The venue's spelling."},
    {"name": "exchange", "type": "string", "doc": "Lowercase venue name."},
    {"name": "asset_class", "type": {"type": "enum", "name": "AssetClass", "symbols": ["equities", "crypto", "futures", "options"]}},
    {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-micros"}, "doc": "When it happened at the venue."},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 8}, "doc": "In currency per unit."},
    {"name": "quantity", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 8}, "doc": "Units traded."},
    {"name": "currency", "type": "string", "doc": "What price is quoted in."},
    {"name": "side", "type": {"type": "enum", "name": "TradeSide", "symbols": ["BUY", "SELL", "SELL_SHORT", "UNKNOWN"]}, "doc": "The aggressor's."},
    {"name": "trade_conditions", "type": {"type": "array", "items": "string"}, "default": [], "doc": "The venue's codes, as sent."},
    {"name": "source_sequence", "type": ["null", "long"], "default": null, "doc": "The venue's sequence, or the row's ordinal."},
    {"name": "ingestion_timestamp", "type": {"type": "long", "logicalType": "timestamp-micros"}, "doc": "When it reached k2."},
    {"name": "vendor_data", "type": ["null", {"type": "map", "values": "string"}], "default": null, "doc": "What the venue sent beside the standard fields."}
  ]
}
)avsc";

constexpr std::string_view kQuoteSchema = R"avsc({
  "type": "record",
  "name": "QuoteV2",
  "namespace": "com.k2.marketdata",
  "doc": "Best bid and ask at a venue. Times in microseconds UTC; prices and quantities exact decimals; a price of 0: that side is empty.",
  "fields": [
    {"name": "message_id", "type": {"type": "string", "logicalType": "uuid"}, "doc": "Deterministic identity, UUIDv8 (docs/formats/message-id.md)."},
    {"name": "quote_id", "type": "string", "doc": "The venue's quote id, or <symbol>-<date>-<ordinal> where it has none."},
    {"name": "symbol", "type": "string", "doc": "The venue's spelling."},
    {"name": "exchange", "type": "string", "doc": "Lowercase venue name."},
    {"name": "asset_class", "type": {"type": "enum", "name": "AssetClass", "symbols": ["equities", "crypto", "futures", "options"]}},
    {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-micros"}, "doc": "When it happened at the venue."},
    {"name": "bid_price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 8}, "doc": "In currency per unit."},
    {"name": "bid_quantity", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 8}, "doc": "Units bid."},
    {"name": "ask_price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 8}, "doc": "In currency per unit."},
    {"name": "ask_quantity", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 8}, "doc": "Units offered."},
    {"name": "currency", "type": "string", "doc": "What prices are quoted in."},
    {"name": "source_sequence", "type": ["null", "long"], "default": null, "doc": "The venue's sequence, or the row's ordinal."},
    {"name": "ingestion_timestamp", "type": {"type": "long", "logicalType": "timestamp-micros"}, "doc": "When it reached k2."},
    {"name": "vendor_data", "type": ["null", {"type": "map", "values": "string"}], "default": null, "doc": "What the venue sent beside the standard fields."}
  ]
}
)avsc";

constexpr std::string_view kReferenceDataSchema = R"avsc({
  "type": "record",
  "name": "ReferenceDataV2",
  "namespace": "com.k2.marketdata",
  "doc": "What is known of one instrument at a venue.",
  "fields": [
    {"name": "message_id", "type": {"type": "string", "logicalType": "uuid"}, "doc": "Deterministic identity, UUIDv8 (docs/formats/message-id.md)."},
    {"name": "symbol", "type": "string", "doc": "The venue's spelling."},
    {"name": "exchange", "type": "string", "doc": "Lowercase venue name."},
    {"name": "asset_class", "type": {"type": "enum", "name": "AssetClass", "symbols": ["equities", "crypto", "futures", "options"]}},
    {"name": "name", "type": ["null", "string"], "default": null, "doc": "The company's or the instrument's name."},
    {"name": "isin", "type": ["null", "string"], "default": null, "doc": "ISO 6166."},
    {"name": "base_currency", "type": ["null", "string"], "default": null, "doc": "What is traded, for currency pairs."},
    {"name": "currency", "type": "string", "doc": "What prices are quoted in."},
    {"name": "status", "type": ["null", "string"], "default": null, "doc": "The venue's word."},
    {"name": "start_date", "type": ["null", {"type": "int", "logicalType": "date"}], "default": null, "doc": "First day listed, local to the venue."},
    {"name": "end_date", "type": ["null", {"type": "int", "logicalType": "date"}], "default": null, "doc": "Last day listed, local to the venue."},
    {"name": "ingestion_timestamp", "type": {"type": "long", "logicalType": "timestamp-micros"}, "doc": "When it reached k2."},
    {"name": "vendor_data", "type": ["null", {"type": "map", "values": "string"}], "default": null, "doc": "What the venue sent beside the standard fields."}
  ]
}
)avsc";

constexpr std::string_view kCoverageSchema = R"avsc({
  "type": "record",
  "name": "CoverageV2",
  "namespace": "com.k2.marketdata",
  "doc": "A statement about a range of one source's sequence numbers (docs/formats/coverage.md). Of two about the same number the later one holds.",
  "fields": [
    {"name": "exchange", "type": "string", "doc": "Lowercase venue name."},
    {"name": "symbol", "type": "string", "doc": "The venue's spelling."},
    {"name": "channel", "type": "string", "doc": "Of the events spoken of: trades or quotes."},
    {"name": "first_sequence", "type": "long", "doc": "The range's first source sequence."},
    {"name": "last_sequence", "type": "long", "doc": "The range's last source sequence, inclusive."},
    {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-micros"}, "doc": "Event time at the range's start, as near as known."},
    {"name": "end_timestamp", "type": {"type": "long", "logicalType": "timestamp-micros"}, "doc": "Event time at the range's end, as near as known."},
    {"name": "status", "type": {"type": "enum", "name": "CoverageStatus", "symbols": ["observed", "backfilled", "not_issued", "open", "lost"]}},
    {"name": "reason", "type": ["null", "string"], "default": null, "doc": "Why, where not simply observed."},
    {"name": "ingestion_timestamp", "type": {"type": "long", "logicalType": "timestamp-micros"}, "doc": "When k2 stated it."}
  ]
}
)avsc";

constexpr std::string_view kDeadLetterSchema = R"avsc({
  "type": "record",
  "name": "DeadLetter",
  "namespace": "com.k2.marketdata",
  "doc": "One input that could not become an event (docs/formats/dead-letter.md).",
  "fields": [
    {"name": "source", "type": "string", "doc": "Where it came from: a file with its line, or a stream."},
    {"name": "reason", "type": "string", "doc": "Why it was refused."},
    {"name": "raw", "type": "bytes", "doc": "The input as it came."},
    {"name": "ingestion_timestamp", "type": {"type": "long", "logicalType": "timestamp-micros"}, "doc": "When it reached k2."}
  ]
}
)avsc";

}  // namespace

std::string_view trade_schema() { return kTradeSchema; }
std::string_view quote_schema() { return kQuoteSchema; }
std::string_view reference_data_schema() { return kReferenceDataSchema; }
std::string_view coverage_schema() { return kCoverageSchema; }
std::string_view dead_letter_schema() { return kDeadLetterSchema; }

std::string_view event_schema(Channel channel) {
  switch (channel) {
    case Channel::kTrades: return kTradeSchema;
    case Channel::kQuotes: return kQuoteSchema;
    case Channel::kCoverage: return kCoverageSchema;
  }
  K2_ASSERT(!"a channel without a schema");
}

}  // namespace k2
