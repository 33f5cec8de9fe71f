// Market: where the simulated exchange's trades of one symbol come from: a recorded file or a seeded random walk.
//
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "exchange/sim.h"

namespace k2 {

struct MarketStep {
  SimTrade trade;
  int64_t wait_us = 0;  // after the trade before it, at the market's own speed
};

class Market {
 public:
  virtual ~Market() = default;
  /// The next trade; nullopt at the end.
  virtual std::optional<MarketStep> next() = 0;
};

/// A row of a public dump: id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch; time in ms or us by magnitude. InvalidInput otherwise.
[[nodiscard]] Result<SimTrade> parse_dump_row(std::string_view line);

struct PlayedMarketOptions {
  std::string file;
  bool loop = false;         // again and again, ids and times going on where they ended
  double rate = 0;           // this many trades a second; 0: the recorded intervals
  int64_t trades_max = 0;    // 0: all
};
/// Reads the whole file. NotFound: no such file. InvalidInput: a row that cannot be read (with its number), ids that do not rise, no row.
[[nodiscard]] Result<std::unique_ptr<Market>> make_played_market(const PlayedMarketOptions& options);

struct RandomMarketOptions {
  std::string symbol;
  uint64_t seed = 1;
  double rate = 10;          // trades a second on average; intervals are exponential
  TimestampUs start;         // of the market: the first trade is its interval later
  int64_t trades_max = 0;    // 0: no end
};
/// Ids 1, 2, 3, ...; the same options give the same trades.
[[nodiscard]] std::unique_ptr<Market> make_random_market(const RandomMarketOptions& options);

}  // namespace k2
