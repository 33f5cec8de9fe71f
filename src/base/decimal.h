// Decimal18_8: an exact decimal(18,8), the type of every price and quantity.
//
// 18 digits in all, 8 after the point: |value| <= 9'999'999'999.99999999. Held as an integer count of 1e-8 units.
// A value that does not fit exactly is an error; nothing is ever rounded.
// Thread rule: a value type.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace k2 {

class Decimal18_8 {
 public:
  static constexpr int kPrecision = 18;
  static constexpr int kScale = 8;
  static constexpr int64_t kUnitsPerOne = 100'000'000;
  static constexpr int64_t kUnitsMax = 999'999'999'999'999'999;  // 10^18 - 1

  constexpr Decimal18_8() = default;

  /// From a count of 1e-8 units. InvalidInput if |units| > kUnitsMax.
  [[nodiscard]] static Result<Decimal18_8> from_units(int64_t units);

  /// From units already known to be in range (a stored column, a checked sum). Asserts the range.
  [[nodiscard]] static Decimal18_8 from_units_checked(int64_t units);

  /// From text: [+-] digits [. digits] [(e|E) [+-] digits], no spaces, at least one digit in the mantissa.
  /// InvalidInput if it is not such text or if the value needs more than 8 fractional or 10 integral digits.
  [[nodiscard]] static Result<Decimal18_8> parse(std::string_view text);

  [[nodiscard]] constexpr int64_t units() const { return units_; }

  /// Always 8 fractional digits, "-0.00000001", "39432.48000000": the shape of decimal(18,8) in SQL engines.
  [[nodiscard]] std::string to_string() const;

  /// Writes to_string()'s text at `out`, which has room for kTextMax characters; returns the end.
  char* write(char* out) const;
  static constexpr int kTextMax = 20;  // sign, 10 digits, point, 8 digits

  constexpr auto operator<=>(const Decimal18_8&) const = default;

 private:
  constexpr explicit Decimal18_8(int64_t units) : units_(units) {}

  int64_t units_ = 0;
};

}  // namespace k2
