#include "codec/fields.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace k2 {
namespace {

constexpr size_t kQuotedBytesMax = 64;
constexpr int64_t kMicrosecondsFrom = 100'000'000'000'000;
constexpr int64_t kYear9999EndUs = 253'402'300'799'999'999;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

void assign_pair(std::pair<std::string, std::string>& pair, std::string_view key, bool value) {
  pair.first.assign(key);
  pair.second.assign(value ? "true" : "false");
}

}  // namespace

std::unexpected<Error> refuse_field(std::string_view what, std::string_view field, std::string_view why) {
  std::string message(what);
  message.append(": field ").append(field).append(": ").append(why);
  return make_error(ErrorKind::kInvalidInput, std::move(message));
}

std::string shown(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kQuotedBytesMax)) {
    if (c >= 0x20 && c < 0x7f) {
      out += c;
      continue;
    }
    char escaped[8];
    std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += escaped;
  }
  out += text.size() > kQuotedBytesMax ? "...\"" : "\"";
  return out;
}

bool parse_unsigned_decimal(std::string_view text, Decimal18_8& out) {
  // The usual case, "39432.48000000": up to 10 digits, a point, up to 8 digits; its value always fits.
  uint64_t integral = 0;
  uint64_t fraction = 0;
  size_t i = 0;
  for (; i < text.size() && i < 10 && is_digit(text[i]); ++i) integral = integral * 10 + static_cast<uint64_t>(text[i] - '0');
  const size_t integral_digits = i;
  size_t fraction_digits = 0;
  if (i < text.size() && text[i] == '.')
    for (++i; i < text.size() && fraction_digits < 8 && is_digit(text[i]); ++i, ++fraction_digits)
      fraction = fraction * 10 + static_cast<uint64_t>(text[i] - '0');
  if (i == text.size() && integral_digits + fraction_digits > 0) [[likely]] {
    constexpr uint64_t kPowers[] = {100'000'000, 10'000'000, 1'000'000, 100'000, 10'000, 1'000, 100, 10, 1};
    const uint64_t units = integral * Decimal18_8::kUnitsPerOne + fraction * kPowers[fraction_digits];
    out = Decimal18_8::from_units_checked(static_cast<int64_t>(units));
    return true;
  }
  // The rest: many zeros before or after, or no decimal at all.
  if (!std::ranges::all_of(text, [](char c) { return is_digit(c) || c == '.'; })) return false;
  const auto parsed = Decimal18_8::parse(text);
  if (!parsed) return false;
  out = *parsed;
  return true;
}

std::string decimal_refusal(std::string_view text) {
  if (std::ranges::all_of(text, [](char c) { return is_digit(c) || c == '.'; }))
    if (const auto parsed = Decimal18_8::parse(text); !parsed) return parsed.error().message;
  return shown(text) + " is not a plain decimal (digits and a point)";
}

bool parse_integer(std::string_view text, int64_t& out) {
  const bool negative = text.starts_with('-');
  const std::string_view digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || !is_digit(digits.front()) || (digits.front() == '0' && digits.size() > 1)) return false;
  const auto [after, status] = std::from_chars(text.data(), text.data() + text.size(), out);
  return status == std::errc() && after == text.data() + text.size();
}

bool binance_time(int64_t value, TimestampUs& out) {
  if (value < 0 || value > kYear9999EndUs) return false;
  out.us = value < kMicrosecondsFrom ? value * 1000 : value;
  return true;
}

void set_binance_vendor_data(bool is_buyer_maker, const bool* is_best_match, std::optional<VendorData>& out) {
  if (!out) out.emplace();
  out->resize(is_best_match != nullptr ? 2 : 1);
  if (is_best_match != nullptr) assign_pair(out->front(), "is_best_match", *is_best_match);
  assign_pair(out->back(), "is_buyer_maker", is_buyer_maker);
}

bool split_row(std::string_view row, std::span<std::string_view> out) {
  size_t from = 0;
  for (size_t i = 0; i + 1 < out.size(); ++i) {
    const size_t comma = row.find(',', from);
    if (comma == std::string_view::npos) return false;
    out[i] = row.substr(from, comma - from);
    from = comma + 1;
  }
  out.back() = row.substr(from);
  return out.back().find(',') == std::string_view::npos;
}

std::string split_refusal(std::string_view row, size_t fields_wanted) {
  const auto fields = std::ranges::count(row, ',') + 1;
  return "has " + std::to_string(fields) + " fields, not " + std::to_string(fields_wanted) + ": " + shown(row);
}

}  // namespace k2
