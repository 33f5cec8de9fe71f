#include "api/watch.h"

#include <algorithm>
#include <cstdio>

namespace k2 {
namespace {

constexpr const char* kReset = "\033[0m";
constexpr const char* kBold = "\033[1m";
constexpr const char* kDim = "\033[2m";
constexpr const char* kGreen = "\033[32m";
constexpr const char* kRed = "\033[31m";

constexpr size_t kSymbolWidth = 12;
constexpr size_t kPriceWidth = 18;
constexpr size_t kQuantityWidth = 18;

std::string painted(std::string_view text, const char* color, bool use_color) {
  if (!use_color || color == nullptr) return std::string(text);
  return std::string(color).append(text).append(kReset);
}

const char* side_color(Side side) {
  if (side == Side::kBuy) return kGreen;
  return side == Side::kSell || side == Side::kSellShort ? kRed : nullptr;
}

/// Cuts or fills to `width`, counting code points: symbols may be any UTF-8.
std::string fit(std::string_view text, size_t width, bool right) {
  size_t points = 0;
  size_t bytes = 0;
  while (bytes < text.size() && points < width) {
    ++bytes;
    while (bytes < text.size() && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) ++bytes;
    ++points;
  }
  const std::string padding(width - points, ' ');
  return right ? padding + std::string(text.substr(0, bytes)) : std::string(text.substr(0, bytes)) + padding;
}

std::string trimmed(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

std::string change_text(Decimal18_8 first, Decimal18_8 last) {
  if (first.units() == 0) return "";
  char text[32];
  std::snprintf(text, sizeof text, "%+.2f%%",
                100.0 * static_cast<double>(last.units() - first.units()) / static_cast<double>(first.units()));
  return text;
}

/// Control characters would let a venue's symbol move the cursor; they are shown as a point.
std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '.';
  return out;
}

std::string tape_line(const WatchTrade& trade, const WatchView::Style& style) {
  const std::string middle = fit(side_name(trade.side), 11, false) + fit(decimal_text(trade.price, 2), kPriceWidth, true) + "  " +
                             fit(decimal_text(trade.quantity, 0), kQuantityWidth, true);
  const std::string left = "  " + time_of_day_text(trade.timestamp) + "  " + fit(printable(trade.symbol), kSymbolWidth, false);
  const std::string plain = left + middle;
  if (plain.size() > style.columns) return fit(plain, style.columns, false);
  return left + painted(middle, side_color(trade.side), style.color);
}

}  // namespace

WatchTrade WatchTrade::of(const Trade& trade) {
  return {trade.symbol, trade.exchange, trade.timestamp, trade.price, trade.quantity, trade.side};
}

std::string decimal_text(Decimal18_8 value, int places_min) {
  std::string text = value.to_string();
  const size_t point = text.find('.');
  while (text.size() > point + 1 + static_cast<size_t>(places_min) && text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  const size_t first = text.front() == '-' ? 1 : 0;
  for (size_t at = point; at > first + 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string time_of_day_text(TimestampUs ts) { return format_rfc3339(ts).substr(11, 12); }

std::string watch_line(const WatchTrade& trade) {
  return format_rfc3339(trade.timestamp) + " " + printable(trade.exchange) + " " + printable(trade.symbol) + " " +
         std::string(side_name(trade.side)) + " " + trade.price.to_string() + " " + trade.quantity.to_string();
}

void WatchView::add(const WatchTrade& trade, int64_t now_ns) {
  ++trades_;
  auto [place, is_new] = symbols_.try_emplace(trade.symbol);
  Symbol& symbol = place->second;
  if (is_new) symbol.first = trade.price;
  symbol.last = trade.price;
  symbol.side = trade.side;
  ++symbol.trades;
  const int64_t second = now_ns / 1'000'000'000;
  if (symbol.per_second.empty() || symbol.per_second.back().first != second) symbol.per_second.emplace_back(second, 0);
  ++symbol.per_second.back().second;
  tape_.push_front(trade);
  if (tape_.size() > kTapeMax) tape_.pop_back();
}

double WatchView::rate(Symbol& symbol, int64_t now_ns) {
  const int64_t second = now_ns / 1'000'000'000;
  while (!symbol.per_second.empty() && symbol.per_second.front().first <= second - kRateSeconds) symbol.per_second.pop_front();
  int64_t trades = 0;
  for (const auto& [when, count] : symbol.per_second) trades += count;
  return static_cast<double>(trades) / static_cast<double>(kRateSeconds);
}

std::string WatchView::header_line(const std::string& name, Symbol& symbol, const Style& style, int64_t now_ns) {
  const bool up = symbol.last >= symbol.first;
  const char* arrow = symbol.last == symbol.first ? " " : up ? "▲" : "▼";
  const char* color = symbol.last == symbol.first ? nullptr : up ? kGreen : kRed;
  char right[64];
  std::snprintf(right, sizeof right, "%10.1f/s %12lld trades", rate(symbol, now_ns), static_cast<long long>(symbol.trades));
  const std::string left = "  " + fit(printable(name), kSymbolWidth, false);
  const std::string middle =
      fit(decimal_text(symbol.last, 2), kPriceWidth, true) + " " + arrow + " " + fit(change_text(symbol.first, symbol.last), 8, true);
  if (left.size() + kPriceWidth + 11 + 26 > style.columns) return fit(left + middle, style.columns, false);
  return painted(left, kBold, style.color) + painted(middle, color, style.color) + right;
}

std::vector<std::string> WatchView::render(const Style& style, TimestampUs now, int64_t now_ns) {
  std::vector<std::string> out;
  const auto room = [&] { return out.size() + 1 < style.lines; };
  out.push_back(
      painted(trimmed(fit(title_ + "   " + time_of_day_text(now).substr(0, 8) + " UTC", style.columns, false)), kBold, style.color));
  for (const std::string& note : notes_)
    if (room()) out.push_back(painted(trimmed(fit(note, style.columns, false)), kDim, style.color));
  out.emplace_back();
  for (auto& [name, symbol] : symbols_)
    if (room()) out.push_back(header_line(name, symbol, style, now_ns));
  if (!symbols_.empty() && room()) out.emplace_back();
  if (tape_.empty() && room()) out.push_back(painted("  waiting for the first trade ...", kDim, style.color));
  for (const WatchTrade& trade : tape_) {
    if (!room()) break;
    out.push_back(tape_line(trade, style));
  }
  return out;
}

}  // namespace k2
