#include "app/dump_name.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace k2 {
namespace {

constexpr std::array<std::string_view, 24> kKinds{
    "trades",    "aggTrades", "bookTicker", "bookDepth", "metrics", "fundingRate", "liquidationSnapshot",
    "BVOLIndex", "1s",        "1m",         "3m",        "5m",      "15m",         "30m",
    "1h",        "2h",        "4h",         "6h",        "8h",      "12h",         "1d",
    "3d",        "1w",        "1mo"};

/// Binance lists symbols with letters of other scripts, too.
bool is_symbol_byte(unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c >= 0x80; }

std::string in_capitals(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

}  // namespace

std::optional<DumpName> dump_name(std::string_view path) {
  const std::string_view name = path.substr(path.find_last_of("/\\") + 1);
  const size_t symbol_end = name.find('-');
  if (symbol_end == std::string_view::npos || symbol_end == 0) return std::nullopt;
  const std::string_view symbol = name.substr(0, symbol_end);
  const size_t kind_end = name.find_first_of("-.", symbol_end + 1);
  const std::string_view kind = name.substr(symbol_end + 1, kind_end - symbol_end - 1);
  if (!std::ranges::all_of(symbol, is_symbol_byte) || std::ranges::find(kKinds, kind) == kKinds.end()) return std::nullopt;
  return DumpName{in_capitals(symbol), std::string(kind)};
}

}  // namespace k2
