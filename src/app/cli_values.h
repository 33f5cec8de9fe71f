// Values of flags: what is allowed for them, said in words that people use.
//
// Thread rule: pure functions.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>

namespace k2 {

/// For CLI::Option::check(): "--limit: want a whole number, 0 or more, not \"abc\"".
[[nodiscard]] CLI::Validator whole_number(int64_t at_least, int64_t at_most = std::numeric_limits<int64_t>::max());
/// Likewise, with a fraction: "--speed: want a number from 0 to 1000000000, not \"fast\"".
[[nodiscard]] CLI::Validator number(double at_least, double at_most);

}  // namespace k2
