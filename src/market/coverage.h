// Coverage: a statement about a range of one source's sequence numbers: what k2 has of it, what it lacks, and why.
//
// Statements are recorded in order, in topics of their own (Channel::kCoverage); of two that speak of the same sequence number the one of
// higher rank holds (coverage_rank), and of the same rank the later one. What was taken is not decided by them but by the log's positions: event_source() names the position that lists the taken
// sequence numbers, settled_source() the one that lists those which will not come (not issued, or lost). A sequence number in neither,
// between the first and the last that the feed took (feed_source()), is an open gap.
// Thread rule: values and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "market/event.h"

namespace k2 {

enum class CoverageStatus : uint8_t {
  kObserved,  // received live
  kBackfilled,  // asked for afterwards, and received
  kNotIssued,  // the venue says that these numbers were never given to an event
  kOpen,  // missing; being looked for, or too much to look for (the reason says so)
  kLost,  // missing, and not to be had; the reason says why
};
inline constexpr size_t kCoverageStatusCount = 5;  // the enumerators' values are the Avro enum indexes of schemas/v2
/// "observed", "backfilled", "not_issued", "open", "lost".
[[nodiscard]] std::string_view coverage_status_name(CoverageStatus status);
/// Whether the events are there: observed or backfilled.
[[nodiscard]] constexpr bool is_received(CoverageStatus status) {
  return status == CoverageStatus::kObserved || status == CoverageStatus::kBackfilled;
}
/// How much a statement knows: 2 that the event was received (the log has it, and never loses one), 1 that it never comes, 0 that it is missing.
/// With several processes the slower one's statement may come after the better one.
[[nodiscard]] constexpr int coverage_rank(CoverageStatus status) {
  return is_received(status) ? 2 : (status == CoverageStatus::kOpen ? 0 : 1);
}
[[nodiscard]] Result<CoverageStatus> parse_coverage_status(std::string_view name);

struct Coverage {
  std::string exchange;
  std::string symbol;
  AssetClass asset_class = AssetClass::kCrypto;
  Channel channel = Channel::kTrades;  // of the events spoken of
  int64_t first_sequence = 0;  // inclusive
  int64_t last_sequence = 0;  // inclusive
  TimestampUs timestamp;  // event time at the range's start, as near as known
  TimestampUs end_timestamp;  // the same at its end
  CoverageStatus status = CoverageStatus::kObserved;
  std::string reason;  // why, where not simply observed
  TimestampUs ingestion_timestamp;  // when k2 stated it

  bool operator==(const Coverage&) const = default;
};

/// "binance/BTCUSDT/trades": the source whose position lists the sequence numbers taken.
[[nodiscard]] std::string event_source(std::string_view exchange, std::string_view symbol, Channel channel);
/// "settled/binance/BTCUSDT/trades": the source whose position lists those that will not come.
[[nodiscard]] std::string settled_source(std::string_view exchange, std::string_view symbol, Channel channel);
/// "feed/binance/BTCUSDT/trades": the source whose position lists those that a feed took, live or by backfill: a part of those taken, without
/// what only files brought. docs/decisions/0016.
[[nodiscard]] std::string feed_source(std::string_view exchange, std::string_view symbol, Channel channel);

}  // namespace k2
