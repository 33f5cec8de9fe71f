// Health: what is wrong, in words, and the word for all of it.
//
//   ok         nothing is
//   degraded   it serves and records, but data is missing, was lost within the last hour, or does not come
//   failing    /readyz is red: a part has ended for good, all endpoints were tried in vain, or rows wait too long for their table
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/backfill.h"
#include "app/ingest.h"
#include "app/quote_outages.h"
#include "base/time.h"
#include "feed/binance_feed.h"

namespace k2 {

inline constexpr int64_t kLossRememberedUs = 3'600 * kUsPerSecond;

/// What a node knows of itself; a part that it does not run is absent.
struct HealthFacts {
  struct Table {
    std::string name;
    int64_t lag = 0;
    std::string error;
  };
  std::optional<std::string> not_ready;  // why
  std::optional<BinanceFeedStatus> feed;
  std::optional<BackfillStatus> gaps;
  std::optional<QuoteOutages::Counts> quotes;
  std::optional<Ingest::Counts> ingest;
  std::vector<Table> tables;
  TimestampUs now;
};

/// A sentence for each thing that is wrong, the worst first; empty: all is well.
[[nodiscard]] std::vector<std::string> health_problems(const HealthFacts& facts);
/// "ok", "degraded" or "failing".
[[nodiscard]] std::string_view health_word(const HealthFacts& facts);

}  // namespace k2
