// WatchView: the live terminal. What the last trades are, and how that looks on so many columns and lines.
//
// Knows no terminal: the caller feeds trades in and writes out what render() gives.
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "market/event.h"

namespace k2 {

/// A trade as people see it.
struct WatchTrade {
  std::string symbol;
  std::string exchange;
  TimestampUs timestamp;
  Decimal18_8 price;
  Decimal18_8 quantity;
  Side side = Side::kUnknown;

  [[nodiscard]] static WatchTrade of(const Trade& trade);
};

/// A decimal without needless zeros, at least `places_min` fractional digits, thousands separated: "39,432.48", "0.000263".
[[nodiscard]] std::string decimal_text(Decimal18_8 value, int places_min);

/// "14:02:33.123" UTC.
[[nodiscard]] std::string time_of_day_text(TimestampUs ts);

/// One trade as a plain line, for pipes: RFC 3339 time, exchange, symbol, side, price, quantity.
[[nodiscard]] std::string watch_line(const WatchTrade& trade);

class WatchView {
 public:
  struct Style {
    bool color = true;
    size_t columns = 80;
    size_t lines = 24;
  };

  /// `title` is shown in the first line: what is being watched.
  explicit WatchView(std::string title) : title_(std::move(title)) {}

  void set_title(std::string title) { title_ = std::move(title); }
  /// A second line under the title (URLs, a warning); empty for none. May have several lines.
  void set_notes(std::vector<std::string> notes) { notes_ = std::move(notes); }

  /// `now_ns` is monotonic time, for the rates.
  void add(const WatchTrade& trade, int64_t now_ns);

  /// The whole screen, at most style.lines lines, each at most style.columns wide (escape sequences not counted).
  [[nodiscard]] std::vector<std::string> render(const Style& style, TimestampUs now, int64_t now_ns);

  [[nodiscard]] int64_t trades() const { return trades_; }

 private:
  struct Symbol {
    Decimal18_8 first;
    Decimal18_8 last;
    Side side = Side::kUnknown;
    int64_t trades = 0;
    std::deque<std::pair<int64_t, int64_t>> per_second;  // (second, trades in it), the last kRateSeconds
  };
  static constexpr size_t kTapeMax = 256;
  static constexpr int64_t kRateSeconds = 10;

  static double rate(Symbol& symbol, int64_t now_ns);
  std::string header_line(const std::string& name, Symbol& symbol, const Style& style, int64_t now_ns);

  std::string title_;
  std::vector<std::string> notes_;
  std::map<std::string, Symbol> symbols_;
  std::deque<WatchTrade> tape_;  // newest first
  int64_t trades_ = 0;
};

}  // namespace k2
