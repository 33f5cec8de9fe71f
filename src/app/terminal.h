// Terminal: draws a WatchView on standard output. A screen of its own on a terminal, plain lines elsewhere.
//
// Thread rule: one thread.
#pragma once

#include <functional>
#include <stop_token>

#include "api/watch.h"
#include "app/watch_source.h"
#include "base/result.h"

namespace k2 {

struct TerminalOptions {
  bool is_screen = true;  // false: a line for each trade
  bool color = true;
  std::function<void(WatchView&)> on_draw;  // before each drawing; may change title and notes
};

/// Whether standard output is a terminal that can be drawn on.
[[nodiscard]] bool can_draw();

/// Shows trades until `stop`. The terminal is as it was when this returns. An error of the source is shown and tried again on a screen, and
/// returned otherwise.
[[nodiscard]] Status watch(WatchSource& source, WatchView& view, const TerminalOptions& options, std::stop_token stop);

}  // namespace k2
