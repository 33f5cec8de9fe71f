#include "app/output.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace k2 {
namespace {

Status write_stdout(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      return make_error(errno == EPIPE ? ErrorKind::kCancelled : ErrorKind::kUnavailable,
                        std::string("standard output: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace

Format output_format(const CommandContext& context) {
  if (context.output.empty()) return isatty(STDOUT_FILENO) != 0 ? Format::kTable : Format::kNdjson;
  return parse_format(context.output).value_or(Format::kNdjson);
}

Status check_output(const CommandContext& context) {
  const Format format = output_format(context);
  if ((format != Format::kArrow && format != Format::kParquet) || isatty(STDOUT_FILENO) == 0) return {};
  const std::string name(format_name(format));
  return make_error(ErrorKind::kInvalidInput,
                    "-o " + name + " is not for a terminal: send it into a file, k2 ... -o " + name + " > rows." + name);
}

Result<int64_t> print(QueryResult& result, const CommandContext& context, const FormatOptions& options) {
  return write(result, output_format(context), options, write_stdout);
}

void say(const CommandContext& context, std::string_view message) {
  if (!context.quiet) std::fprintf(stderr, "k2: %.*s\n", static_cast<int>(message.size()), message.data());
}

}  // namespace k2
