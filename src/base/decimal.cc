#include "base/decimal.h"

#include <charconv>

#include "base/assert.h"

namespace k2 {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::unexpected<Error> not_decimal(std::string_view text, std::string_view why) {
  constexpr size_t kShown = 64;
  std::string message = "decimal(18,8): cannot hold \"";
  message.append(text.substr(0, kShown));
  if (text.size() > kShown) message += "...";
  message += "\": ";
  message += why;
  return make_error(ErrorKind::kInvalidInput, std::move(message));
}

}  // namespace

Result<Decimal18_8> Decimal18_8::from_units(int64_t units) {
  if (units > kUnitsMax || units < -kUnitsMax)
    return make_error(ErrorKind::kInvalidInput, "decimal(18,8): " + std::to_string(units) + " units of 1e-8 are out of range");
  return Decimal18_8(units);
}

Decimal18_8 Decimal18_8::from_units_checked(int64_t units) {
  K2_ASSERT(units <= kUnitsMax && units >= -kUnitsMax);
  return Decimal18_8(units);
}

Result<Decimal18_8> Decimal18_8::parse(std::string_view text) {
  const char* p = text.data();
  const char* const end = p + text.size();
  const bool negative = p != end && *p == '-';
  if (p != end && (*p == '-' || *p == '+')) ++p;

  // The mantissa is gathered without its trailing fractional zeros, so that "1.500000000000" still fits.
  uint64_t mantissa = 0;
  int64_t exponent = 0;       // value = mantissa * 10^exponent
  int64_t pending_zeros = 0;  // zeros read since the last nonzero digit, not yet multiplied in
  bool any_digit = false;
  bool in_fraction = false;
  for (; p != end; ++p) {
    if (*p == '.' && !in_fraction) {
      in_fraction = true;
      continue;
    }
    if (!is_digit(*p)) break;
    any_digit = true;
    if (in_fraction) --exponent;
    if (*p == '0') {
      if (mantissa != 0) ++pending_zeros;
      continue;
    }
    for (; pending_zeros > 0; --pending_zeros) {
      if (mantissa > static_cast<uint64_t>(kUnitsMax)) return not_decimal(text, "more than 18 digits");
      mantissa *= 10;
    }
    if (mantissa > static_cast<uint64_t>(kUnitsMax) / 10) return not_decimal(text, "more than 18 digits");
    mantissa = mantissa * 10 + static_cast<uint64_t>(*p - '0');
  }
  if (!any_digit) return not_decimal(text, "not a decimal number");
  exponent += pending_zeros;

  if (p != end && (*p == 'e' || *p == 'E')) {
    ++p;
    if (p != end && *p == '+' && p + 1 != end && is_digit(p[1])) ++p;
    int64_t written = 0;
    const auto [after, status] = std::from_chars(p, end, written);
    if (after == p || status == std::errc::invalid_argument) return not_decimal(text, "not a decimal number");
    if (status == std::errc::result_out_of_range || written > 1000 || written < -1000)
      return mantissa == 0 && after == end ? Result<Decimal18_8>(Decimal18_8()) : not_decimal(text, "exponent out of range");
    exponent += written;
    p = after;
  }
  if (p != end) return not_decimal(text, "not a decimal number");
  if (mantissa == 0) return Decimal18_8();

  int64_t shift = exponent + kScale;
  if (shift < 0) return not_decimal(text, "more than 8 fractional digits");
  for (; shift > 0; --shift) {
    if (mantissa > static_cast<uint64_t>(kUnitsMax) / 10) return not_decimal(text, "more than 10 integral digits");
    mantissa *= 10;
  }
  const auto units = static_cast<int64_t>(mantissa);
  if (units > kUnitsMax) return not_decimal(text, "more than 10 integral digits");
  return Decimal18_8(negative ? -units : units);
}

char* Decimal18_8::write(char* out) const {
  uint64_t magnitude = units_ < 0 ? static_cast<uint64_t>(-units_) : static_cast<uint64_t>(units_);
  if (units_ < 0) *out++ = '-';
  out = std::to_chars(out, out + 10, magnitude / kUnitsPerOne).ptr;
  *out++ = '.';
  uint64_t fraction = magnitude % kUnitsPerOne;
  for (int i = kScale - 1; i >= 0; --i, fraction /= 10) out[i] = static_cast<char>('0' + fraction % 10);
  return out + kScale;
}

std::string Decimal18_8::to_string() const {
  char text[kTextMax];
  return std::string(text, write(text));
}

}  // namespace k2
