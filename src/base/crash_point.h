// K2_CRASH("C12"): a named place where a test can have the process die as by SIGKILL, with nothing flushed and no destructor run.
//
// Compiled into every build; the process dies only where it was started with K2_CRASH_AT=name or K2_CRASH_AT=name:count (at the
// count-th time the place is reached, counted from 1 over all threads), or a test called arm_crash_point. Names are "C01" ... "C47".
// Cost while not armed: one relaxed load of a bool. Thread rule: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace k2 {

/// Arms one crash point of this process, instead of the environment's; an empty name disarms. For tests, usually in a forked child,
/// before the threads that could reach the point are started.
void arm_crash_point(std::string_view name, int64_t count = 1);

namespace detail {
extern std::atomic<bool> crash_point_armed;
void crash_point_reached(const char* name);
}  // namespace detail

}  // namespace k2

#define K2_CRASH(name)                                                                \
  do {                                                                                \
    if (::k2::detail::crash_point_armed.load(std::memory_order_relaxed)) [[unlikely]] \
      ::k2::detail::crash_point_reached(name);                                        \
  } while (false)
