// Bars: trades summed up per symbol, exchange and interval, exactly. What each column means, and every rounding: docs/formats/analytics.md.
//
// One pass over Engine::events() in the order of rows, so an answer stands on one cut of tables and log as events() does.
// Memory: one open bar for each symbol seen, besides what events() takes.
// Thread rule: any thread; a result as every QueryResult.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "query/engine.h"

namespace k2 {

struct BarQuery {
  std::vector<std::string> symbols;  // empty: all
  std::string exchange;  // empty: all
  std::optional<TimestampUs> start;  // trades at or after it, inside a bar too
  std::optional<TimestampUs> end;  // trades before it
  int64_t interval_us = 60 * kUsPerSecond;  // one of parse_bar_interval()'s
  std::optional<int64_t> limit;  // at most so many bars, the first
};

/// "1s", "5s", "10s", "15s", "30s", "1m", "5m", "15m", "30m", "1h", "4h", "1d", in microseconds. InvalidInput otherwise.
[[nodiscard]] Result<int64_t> parse_bar_interval(std::string_view text);

/// Bars that have a trade, by timestamp, exchange, symbol: symbol, exchange, timestamp (the bar's begin), open, high, low, close, quantity, notional,
/// vwap (null where quantity is 0), twap, trade_count, buy_quantity, first_timestamp, last_timestamp.
/// Errors as Engine::events(), and InvalidInput: a sum of one bar has more than 38 digits.
[[nodiscard]] Result<std::unique_ptr<QueryResult>> bars(Engine& engine, const BarQuery& query, const Cut& cut,
                                                        const QueryLimits& limits = {});

}  // namespace k2
