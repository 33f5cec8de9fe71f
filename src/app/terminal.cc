#include "app/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

namespace k2 {
namespace {

constexpr int64_t kDrawIntervalUs = 100'000;
constexpr int64_t kNoteTroubleUs = 500'000;

void put(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

/// The alternate screen without a cursor, for as long as it lives.
class Screen {
 public:
  Screen() { put("\033[?1049h\033[?25l"); }
  ~Screen() { put("\033[?25h\033[?1049l"); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
};

WatchView::Style style_now(bool color) {
  winsize size{};
  WatchView::Style style{.color = color, .columns = 80, .lines = 24};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 1) {
    style.columns = size.ws_col;
    style.lines = size.ws_row;
  }
  return style;
}

void draw(WatchView& view, const TerminalOptions& options) {
  if (options.on_draw) options.on_draw(view);
  std::string frame = "\033[H";
  for (const std::string& line : view.render(style_now(options.color), system_clock().now(), system_clock().monotonic_ns()))
    frame += line + "\033[K\r\n";
  put(frame + "\033[J");
}

Status watch_lines(WatchSource& source, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    K2_TRY(const auto trades, source.next(kDrawIntervalUs));
    std::string text;
    for (const WatchTrade& trade : trades) text += watch_line(trade) + "\n";
    put(text);
  }
  return {};
}

}  // namespace

bool can_draw() {
  const char* term = std::getenv("TERM");
  return isatty(STDOUT_FILENO) != 0 && term != nullptr && std::string_view(term) != "dumb";
}

Status watch(WatchSource& source, WatchView& view, const TerminalOptions& options, std::stop_token stop) {
  if (!options.is_screen) return watch_lines(source, stop);
  const Screen screen;
  int64_t next_draw_ns = 0;
  while (!stop.stop_requested()) {
    const auto trades = source.next(kDrawIntervalUs / 2);
    const int64_t now = system_clock().monotonic_ns();
    if (trades) {
      for (const WatchTrade& trade : *trades) view.add(trade, now);
    } else {
      view.set_notes({"  " + trades.error().message});
      next_draw_ns = 0;
    }
    if (now < next_draw_ns) continue;
    draw(view, options);
    next_draw_ns = now + kDrawIntervalUs * 1000;
    if (!trades) {
      std::mutex mutex;
      std::unique_lock lock(mutex);
      std::condition_variable_any().wait_for(lock, stop, std::chrono::microseconds(kNoteTroubleUs), [] { return false; });
    }
  }
  return {};
}

}  // namespace k2
