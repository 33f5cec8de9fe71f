#include "base/crash_point.h"

#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace k2 {
namespace detail {
// Constant-initialized, so that a point reached by another file's static initializer finds it.
std::atomic<bool> crash_point_armed{false};
}  // namespace detail

namespace {

std::string armed_name;
std::atomic<int64_t> times_left{0};

/// Reads K2_CRASH_AT before main starts. A malformed count stops the program: a crash test that never crashes would pass for nothing.
const bool armed_from_environment = [] {
  const char* text = std::getenv("K2_CRASH_AT");
  if (text == nullptr || *text == '\0') return false;
  const std::string_view setting = text;
  const size_t colon = setting.find(':');
  int64_t count = 1;
  if (colon != std::string_view::npos) {
    const auto [end, status] = std::from_chars(setting.data() + colon + 1, setting.data() + setting.size(), count);
    if (status != std::errc() || end != setting.data() + setting.size() || count < 1) {
      std::fprintf(stderr, "k2: K2_CRASH_AT=%s: expected name or name:count with count >= 1\n", text);
      std::abort();
    }
  }
  arm_crash_point(setting.substr(0, colon), count);
  return true;
}();

}  // namespace

void arm_crash_point(std::string_view name, int64_t count) {
  armed_name = std::string(name);
  times_left = count;
  detail::crash_point_armed = !name.empty();
}

namespace detail {

void crash_point_reached(const char* name) {
  if (armed_name != name) return;
  if (times_left.fetch_sub(1) != 1) return;
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();  // The signal may be delivered to another thread first.
}

}  // namespace detail
}  // namespace k2
