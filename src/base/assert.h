// K2_ASSERT: a bug check that stays on in release builds. Never for bad input, which gets a Result.
#pragma once

namespace k2 {

/// Prints the failed condition with its place on standard error and aborts.
[[noreturn]] void assert_failed(const char* condition, const char* file, int line);

}  // namespace k2

#define K2_ASSERT(condition)                               \
  do {                                                     \
    if (!(condition)) [[unlikely]]                         \
      ::k2::assert_failed(#condition, __FILE__, __LINE__); \
  } while (false)
