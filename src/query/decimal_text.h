// decimal_text: a decimal128 with all its digits after the point, as SQL writes it.
//
// Arrow's own text turns to powers of ten below 1e-6 ("1E-8", "0E-16"), which neither PostgreSQL's clients nor ours read as a plain number.
// Thread rule: pure function.
#pragma once

#include <arrow/util/decimal.h>

#include <cstdint>
#include <string>

namespace k2 {

/// -123 of scale 2 is "-1.23"; of scale 0 "-123". `scale` is 0 to 38.
[[nodiscard]] inline std::string decimal_text(const arrow::Decimal128& value, int32_t scale) {
  std::string digits = value.ToIntegerString();
  const bool is_negative = digits.starts_with('-');
  if (is_negative) digits.erase(0, 1);
  const auto after = static_cast<size_t>(scale);
  if (digits.size() <= after) digits.insert(0, after + 1 - digits.size(), '0');
  if (after > 0) digits.insert(digits.size() - after, 1, '.');
  return is_negative ? "-" + digits : digits;
}

}  // namespace k2
