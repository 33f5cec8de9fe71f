// Trade and Quote: the nouns of schema v2 (schemas/v2/*.avsc), as the ingest path makes them.
//
// Thread rule: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/decimal.h"
#include "base/result.h"
#include "base/time.h"
#include "market/message_id.h"

namespace k2 {

// Enumerators' values are the Avro enum indexes of schemas/v2; their names are asset_class_name() and side_name().
enum class AssetClass : uint8_t { kEquities, kCrypto, kFutures, kOptions };
enum class Side : uint8_t { kBuy, kSell, kSellShort, kUnknown };  // the aggressor's side

inline constexpr size_t kAssetClassCount = 4;
inline constexpr size_t kSideCount = 4;

/// "equities", "crypto", "futures", "options".
[[nodiscard]] std::string_view asset_class_name(AssetClass asset_class);
/// "BUY", "SELL", "SELL_SHORT", "UNKNOWN".
[[nodiscard]] std::string_view side_name(Side side);
[[nodiscard]] Result<AssetClass> parse_asset_class(std::string_view name);
[[nodiscard]] Result<Side> parse_side(std::string_view name);

/// What the venue sent that has no standard field: (key, value), sorted by key, keys unique. UTF-8.
using VendorData = std::vector<std::pair<std::string, std::string>>;

/// VendorData as a JSON object of strings, keys in their order, no spaces: {"company_id":"7078","venue":"X"}.
[[nodiscard]] std::string vendor_data_json(const VendorData& data);

/// Appends `text` to `out` as a JSON string with its quotes (RFC 8259 section 7), escaping only what must be: vendor_data_json()'s way.
void append_json_string(std::string& out, std::string_view text);

struct Trade {
  MessageId message_id;
  std::string trade_id;   // the venue's own id, or "<symbol>-<date>-<ordinal>" where it has none
  std::string symbol;     // the venue's spelling: BTCUSDT, BHP
  std::string exchange;   // lowercase: binance, asx
  AssetClass asset_class = AssetClass::kEquities;
  TimestampUs timestamp;  // when it happened at the venue
  Decimal18_8 price;
  Decimal18_8 quantity;
  std::string currency;   // what price is quoted in: USDT, AUD
  Side side = Side::kUnknown;
  std::vector<std::string> trade_conditions;  // the venue's codes, as sent
  std::optional<int64_t> source_sequence;     // the venue's sequence or the row's ordinal
  TimestampUs ingestion_timestamp;            // when it reached us
  std::optional<VendorData> vendor_data;

  bool operator==(const Trade&) const = default;
};

struct Quote {
  MessageId message_id;
  std::string quote_id;
  std::string symbol;
  std::string exchange;
  AssetClass asset_class = AssetClass::kEquities;
  TimestampUs timestamp;
  Decimal18_8 bid_price;  // 0 means that side is empty, as venues send it
  Decimal18_8 bid_quantity;
  Decimal18_8 ask_price;
  Decimal18_8 ask_quantity;
  std::string currency;
  std::optional<int64_t> source_sequence;
  TimestampUs ingestion_timestamp;
  std::optional<VendorData> vendor_data;

  bool operator==(const Quote&) const = default;
};

/// What a topic carries: the two kinds of event, and statements about them (market/coverage.h). Also the word in topics, tables and message
/// ids.
enum class Channel : uint8_t { kTrades, kQuotes, kCoverage };
inline constexpr Channel kChannels[] = {Channel::kTrades, Channel::kQuotes, Channel::kCoverage};
/// "trades", "quotes", "coverage".
[[nodiscard]] std::string_view channel_name(Channel channel);
[[nodiscard]] Result<Channel> parse_channel(std::string_view name);

/// "market.<asset_class>.<trades|quotes|coverage>.<exchange>".
[[nodiscard]] std::string topic_name(AssetClass asset_class, Channel channel, std::string_view exchange);

/// Which channel a topic of that shape carries; nullopt for any other topic (dead letters).
[[nodiscard]] std::optional<Channel> topic_channel(std::string_view topic);

inline constexpr std::string_view kDeadLetterTopic = "market.dead_letter";

/// One input that could not become an event: kept whole, with why and where it came from.
struct DeadLetter {
  std::string source;  // "asx/trades/7078.csv:17", "wss://.../stream btcusdt@trade"
  std::string reason;
  std::string raw;  // the bytes as they came; may be any bytes
  TimestampUs ingestion_timestamp;

  bool operator==(const DeadLetter&) const = default;
};

}  // namespace k2
