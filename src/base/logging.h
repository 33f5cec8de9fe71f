// Logging to standard error: one event with named values per line.
//
//   log_info("feed_connected", {{"url", url}, {"attempt", 3}});
//
//   on a terminal      12:00:01.250  info  feed_connected  url=wss://... attempt=3
//   elsewhere          {"ts":"2021-01-08T12:00:01.250000Z","level":"info","event":"feed_connected","url":"wss://...","attempt":3}
//
// An event is a fixed snake_case word, so that it can be searched for and counted; what varies is in the fields. Control characters in
// values are escaped in both forms. No payloads and no secrets at info level or above.
// Thread rule: any thread; a line is written whole.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "base/result.h"

namespace k2 {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

struct LogField {
  using Value = std::variant<int64_t, uint64_t, double, bool, std::string_view>;

  LogField(std::string_view name, std::string_view text) : key(name), value(text) {}
  LogField(std::string_view name, const char* text) : key(name), value(std::string_view(text)) {}
  LogField(std::string_view name, const std::string& text) : key(name), value(std::string_view(text)) {}
  LogField(std::string_view name, bool truth) : key(name), value(truth) {}
  LogField(std::string_view name, double number) : key(name), value(number) {}
  template <class Integer>
    requires(std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>)
  LogField(std::string_view name, Integer number) : key(name), value(widen(number)) {}

  std::string_view key;  // snake_case
  Value value;           // views live as long as the call

 private:
  template <class Integer>
  static Value widen(Integer number) {
    if constexpr (std::is_signed_v<Integer>) return static_cast<int64_t>(number);
    else return static_cast<uint64_t>(number);
  }
};

using LogFields = std::initializer_list<LogField>;

void log_debug(std::string_view event, LogFields fields = {});
void log_info(std::string_view event, LogFields fields = {});
void log_warning(std::string_view event, LogFields fields = {});
void log_error(std::string_view event, LogFields fields = {});

/// Events below it are not written. Default kInfo.
void set_log_level(LogLevel level);
/// "debug", "info", "warning", "error", "off"; InvalidInput otherwise.
[[nodiscard]] Result<LogLevel> parse_log_level(std::string_view text);

/// How lines look; kAuto looks at whether standard error is a terminal, and at NO_COLOR.
enum class LogFormat { kAuto, kHuman, kJson };
void set_log_format(LogFormat format);

}  // namespace k2
