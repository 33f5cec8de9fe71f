// Which symbols there are, for telling somebody who asked for another one.
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "market/event.h"
#include "query/engine.h"

namespace k2 {

struct KnownSymbol {
  std::string symbol;
  std::string exchange;
  int64_t count = 0;
  TimestampUs first;  // of its events at the venue
  TimestampUs last;
};

/// Every symbol of the cut, by symbol and exchange. Errors of Engine::symbols(), whose cost it has: all rows' symbols are looked at.
[[nodiscard]] Result<std::vector<KnownSymbol>> known_symbols(Engine& engine, Channel channel, const Cut& cut);

/// Those of `symbols` of which the cut has no event at all, whatever the time. Cheap: one row is read of each.
[[nodiscard]] Result<std::vector<std::string>> absent_symbols(Engine& engine, Channel channel, std::span<const std::string> symbols,
                                                              const std::string& exchange, const Cut& cut);

/// Why there is nothing of `symbol` on `exchange` (empty: any), in words for people, with the nearest that there is: "no trades of bhp; did you
/// mean BHP?". An empty symbol asks about the exchange alone. Empty where there is something.
[[nodiscard]] std::string why_absent(std::span<const KnownSymbol> known, Channel channel, std::string_view symbol,
                                     std::string_view exchange);

}  // namespace k2
