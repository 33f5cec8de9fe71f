#include "base/logging.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <mutex>

#include "base/time.h"

namespace k2 {
namespace {

std::atomic<LogLevel> g_level = LogLevel::kInfo;
std::atomic<LogFormat> g_format = LogFormat::kAuto;

struct LevelLook {
  LogLevel level;
  std::string_view name;
  std::string_view colour;
};
constexpr LevelLook kLevels[] = {
    {LogLevel::kDebug, "debug", "\x1b[2m"},
    {LogLevel::kInfo, "info", "\x1b[32m"},
    {LogLevel::kWarning, "warning", "\x1b[33m"},
    {LogLevel::kError, "error", "\x1b[31m"},
};

const LevelLook& look_of(LogLevel level) { return kLevels[static_cast<size_t>(level)]; }

using Buffer = fmt::memory_buffer;

void append(Buffer& out, std::string_view text) { out.append(text.data(), text.data() + text.size()); }

// Control characters are escaped, so that a value can't begin a line of its own or talk to the terminal.
void append_escaped(Buffer& out, std::string_view text) {
  for (const char c : text) {
    if (c == '"') append(out, "\\\"");
    else if (c == '\\') append(out, "\\\\");
    else if (c == '\n') append(out, "\\n");
    else if (c == '\r') append(out, "\\r");
    else if (c == '\t') append(out, "\\t");
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    else out.push_back(c);
  }
}

void append_quoted(Buffer& out, std::string_view text) {
  out.push_back('"');
  append_escaped(out, text);
  out.push_back('"');
}

bool needs_quotes(std::string_view text) {
  if (text.empty()) return true;
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '\\' || c == 0x7f) return true;
  return false;
}

struct AppendValue {
  Buffer& out;
  bool json;

  void operator()(std::string_view text) const {
    if (json || needs_quotes(text)) append_quoted(out, text);
    else append(out, text);
  }
  void operator()(bool truth) const { append(out, truth ? "true" : "false"); }
  void operator()(double number) const {
    if (json && !std::isfinite(number)) append(out, "null");
    else fmt::format_to(std::back_inserter(out), "{}", number);
  }
  void operator()(int64_t number) const { fmt::format_to(std::back_inserter(out), "{}", number); }
  void operator()(uint64_t number) const { fmt::format_to(std::back_inserter(out), "{}", number); }
};

void append_json(Buffer& out, LogLevel level, std::string_view event, LogFields fields) {
  fmt::format_to(std::back_inserter(out), "{{\"ts\":\"{}\",\"level\":\"{}\",\"event\":", format_rfc3339(system_clock().now()),
                 look_of(level).name);
  append_quoted(out, event);
  for (const LogField& field : fields) {
    out.push_back(',');
    append_quoted(out, field.key);
    out.push_back(':');
    std::visit(AppendValue{out, true}, field.value);
  }
  append(out, "}\n");
}

void append_human(Buffer& out, LogLevel level, std::string_view event, LogFields fields, bool colours) {
  const std::string ts = format_rfc3339(system_clock().now());
  const LevelLook& look = look_of(level);
  fmt::format_to(std::back_inserter(out), "{}  {}{:<7}{}  {}", std::string_view(ts).substr(11, 12), colours ? look.colour : "", look.name,
                 colours ? "\x1b[0m" : "", event);
  for (const LogField& field : fields) {
    fmt::format_to(std::back_inserter(out), "  {}=", field.key);
    std::visit(AppendValue{out, false}, field.value);
  }
  out.push_back('\n');
}

// One write per line keeps lines of several threads and processes whole; what standard error does not take is lost.
void write_line(const Buffer& line) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  size_t done = 0;
  while (done < line.size()) {
    const ssize_t written = ::write(STDERR_FILENO, line.data() + done, line.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    done += static_cast<size_t>(written);
  }
}

void log(LogLevel level, std::string_view event, LogFields fields) {
  if (level < g_level.load(std::memory_order_relaxed)) return;
  static const bool is_terminal = ::isatty(STDERR_FILENO) == 1;
  static const char* const no_colour = std::getenv("NO_COLOR");
  const LogFormat format = g_format.load(std::memory_order_relaxed);
  Buffer line;
  if (format == LogFormat::kJson || (format == LogFormat::kAuto && !is_terminal)) append_json(line, level, event, fields);
  else append_human(line, level, event, fields, is_terminal && (no_colour == nullptr || *no_colour == '\0'));
  write_line(line);
}

}  // namespace

void log_debug(std::string_view event, LogFields fields) { log(LogLevel::kDebug, event, fields); }
void log_info(std::string_view event, LogFields fields) { log(LogLevel::kInfo, event, fields); }
void log_warning(std::string_view event, LogFields fields) { log(LogLevel::kWarning, event, fields); }
void log_error(std::string_view event, LogFields fields) { log(LogLevel::kError, event, fields); }

void set_log_level(LogLevel level) { g_level.store(level, std::memory_order_relaxed); }
void set_log_format(LogFormat format) { g_format.store(format, std::memory_order_relaxed); }

Result<LogLevel> parse_log_level(std::string_view text) {
  for (const LevelLook& look : kLevels)
    if (text == look.name) return look.level;
  if (text == "off") return LogLevel::kOff;
  return make_error(ErrorKind::kInvalidInput,
                    "log level \"" + std::string(text.substr(0, 32)) + "\": want debug, info, warning, error or off");
}

}  // namespace k2
