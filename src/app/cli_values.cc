#include "app/cli_values.h"

#include <charconv>
#include <optional>
#include <string>

namespace k2 {
namespace {

template <class Number>
std::optional<Number> read(const std::string& text) {
  Number value{};
  const auto [after, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || after != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string text_of(int64_t number) { return std::to_string(number); }

/// The shortest that reads back the same, without an exponent.
std::string text_of(double number) {
  char text[512];
  const auto done = std::to_chars(text, text + sizeof text, number, std::chars_format::fixed);
  return {text, done.ptr};
}

template <class Number>
CLI::Validator in_range(const char* what, Number at_least, Number at_most) {
  const bool is_open = at_most == std::numeric_limits<Number>::max();
  const std::string wanted = std::string("want ") + what +
                             (is_open ? ", " + text_of(at_least) + " or more" : " from " + text_of(at_least) + " to " + text_of(at_most));
  return {[=](std::string& text) {
            const auto value = read<Number>(text);
            return value && *value >= at_least && *value <= at_most ? std::string() : wanted + ", not \"" + text + "\"";
          },
          "", "number"};
}

}  // namespace

CLI::Validator whole_number(int64_t at_least, int64_t at_most) { return in_range("a whole number", at_least, at_most); }
CLI::Validator number(double at_least, double at_most) { return in_range("a number", at_least, at_most); }

}  // namespace k2
