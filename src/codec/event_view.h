// EventView and CoverageView: decoded bodies whose texts still point into the message. Inside codec only: what decode_trade(), its
// siblings and ColumnsBuilder have in common, so that there is one decoder.
//
// Thread rule: values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "market/coverage.h"
#include "market/event.h"

namespace k2 {

struct EventView {
  MessageId message_id;
  std::string_view event_id;  // trade_id or quote_id
  std::string_view symbol;
  std::string_view exchange;
  AssetClass asset_class = AssetClass::kEquities;
  TimestampUs timestamp;
  // Trades: price, quantity. Quotes: bid_price, bid_quantity, ask_price, ask_quantity.
  std::array<Decimal18_8, 4> decimals;
  std::string_view currency;
  Side side = Side::kUnknown;                      // trades
  std::vector<std::string_view> trade_conditions;  // trades
  std::optional<int64_t> source_sequence;
  TimestampUs ingestion_timestamp;
  bool has_vendor_data = false;
  std::string_view vendor_data_bytes;  // as encoded: equal bytes mean equal vendor_data
  std::vector<std::pair<std::string_view, std::string_view>> vendor_data;  // sorted by key, keys unique
};

/// Reads a body of our own schema of that channel, trades or quotes. Corrupt as decode_trade() says. The vectors' memory is used again.
[[nodiscard]] Status decode_event(Channel channel, std::string_view body, EventView& out);

struct CoverageView {
  std::string_view exchange;
  std::string_view symbol;
  std::string_view channel;  // as written: perhaps one that this program does not know
  int64_t first_sequence = 0;
  int64_t last_sequence = 0;
  TimestampUs timestamp;
  TimestampUs end_timestamp;
  CoverageStatus status = CoverageStatus::kObserved;
  std::optional<std::string_view> reason;
  TimestampUs ingestion_timestamp;
};

/// Reads a body of our own CoverageV2. Corrupt as decode_coverage() says.
[[nodiscard]] Status decode_coverage_view(std::string_view body, CoverageView& out);

}  // namespace k2
