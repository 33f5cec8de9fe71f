// Backfill: finds what the live feed missed, gets it from the venue's REST API, and states what is covered.
//
// About once a second it reads the positions of the symbols' sources from the log and tells GapFiller (feed/gap_filler.h), which says what to
// ask for. What comes goes through Ingest, as everything does. Statements (market/coverage.h) follow the log: a stretch that the feed
// received is "observed", and a hole "backfilled", when the positions have it; so what was shed or lost on the way is never called covered.
// What files brought between the first and the last trade of the feed is "backfilled" too, with the reason kLoadedFromFile; what lies beyond is
// not spoken of (docs/decisions/0016).
// At the start it reads the statements that the log still has, so that a gap that was open when the process before ended is closed, or goes on
// being open, and is not stated anew; and it states what feeds before it took and had not stated, unless another process that lives feeds the same
// source. While the log is away it waits.
// Metrics: k2_gaps_open, k2_gap_trades_missing, k2_gaps_total, k2_backfilled_trades_total, k2_backfill_requests_total{outcome},
// k2_backfill_weight_used, k2_not_issued_total, k2_lost_trades_total{reason}, k2_feed_clock_offset_seconds, all by exchange.
// Thread rule: all members from any thread; the work is done by one thread, "k2-backfill".
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/ingest.h"
#include "base/result.h"
#include "feed/gap_filler.h"
#include "log/log.h"
#include "market/instrument.h"
#include "net/http_client.h"

namespace k2 {

inline constexpr const char* kLoadedFromFile = "loaded from a file";

struct SymbolGaps {
  std::string exchange;
  std::string symbol;
  int64_t open = 0;
  int64_t missing = 0;
};

struct BackfillStatus {
  int64_t open = 0;  // gaps
  int64_t missing = 0;  // trades in them
  int64_t backfilled = 0;  // trades, since the start
  int64_t not_issued = 0;
  int64_t lost = 0;
  int64_t last_lost_us = 0;  // when that was learnt, wall clock; 0: never
  int64_t requests = 0;
  std::string last_error;
  std::vector<SymbolGaps> symbols;  // those with open gaps
};

class Backfill {
 public:
  struct Options {
    std::vector<std::string> symbols;
    std::vector<std::string> rest_endpoints;  // of any of Binance's exchanges; each is asked for its own trades
    HttpClientOptions http;
    std::shared_ptr<const InstrumentTable> instruments;
    bool is_wanted = true;  // false: gaps are found and stated, and not filled
    std::string lock_file;  // that tells processes of one data directory of each other (app/source_locks.h); empty: this one is alone
    GapPolicy policy = {};
    int64_t poll_us = 1'000'000;
    int64_t clock_check_us = 60'000'000;
  };

  /// `log` and `ingest` outlive it.
  Backfill(const Log& log, Ingest& ingest, Options options);
  /// stop().
  ~Backfill();
  Backfill(const Backfill&) = delete;
  Backfill& operator=(const Backfill&) = delete;

  /// A line that carries these symbols is up: what they did before is looked at. (Also where another line carried them; it may be replaced
  /// because it had fallen silent.)
  void line_up(std::string_view exchange, const std::vector<std::string>& symbols);
  /// The first trade of that symbol that a line delivered.
  void arrived(std::string_view exchange, std::string_view symbol, int64_t id);
  /// The feed received all of first..last and put them into ingest.
  void received(std::string_view exchange, std::string_view symbol, const SequenceRanges::Range& range, TimestampUs first_time,
                TimestampUs last_time);

  /// Ends a request that is under way, states what was received, and ends the thread. Call it when the feed has stopped, before ingest does.
  void stop();

  [[nodiscard]] BackfillStatus status() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
