// DumpName: what the name of one of Binance's public dumps says of its contents.
//
//   BTCUSDT-trades-2021-01-08.zip   ETHUSDT-aggTrades-2021-01.csv   BTCUSDT-1m-2021-01-08.zip
//
// Source: binance-public-data README, 2025-01-09. The rows do not name their symbol, so the name is the only witness.
// Thread rule: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace k2 {

struct DumpName {
  std::string symbol;  // in capitals: "BTCUSDT"
  std::string kind;    // as Binance spells it: "trades", "aggTrades", "1m" (klines)

  bool operator==(const DumpName&) const = default;
};

/// Of a path, or a zip's member; directories before it do not matter. nullopt where the name has another form.
[[nodiscard]] std::optional<DumpName> dump_name(std::string_view path);

}  // namespace k2
