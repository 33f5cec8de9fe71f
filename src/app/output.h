// Output: rows to standard output in the format asked for.
//
// Thread rule: main thread.
#pragma once

#include "app/command.h"
#include "base/result.h"
#include "query/format.h"

namespace k2 {

/// -o as given; else a table on a terminal and ndjson elsewhere, where a program is likely to read. Never fails: -o was checked.
[[nodiscard]] Format output_format(const CommandContext& context);

/// InvalidInput: a binary format, and standard output is a terminal.
[[nodiscard]] Status check_output(const CommandContext& context);

/// Writes all rows; returns their number. Cancelled: the reader has gone away.
[[nodiscard]] Result<int64_t> print(QueryResult& result, const CommandContext& context, const FormatOptions& options = {});

/// Talk for people, on standard error, unless --quiet: "k2: <message>".
void say(const CommandContext& context, std::string_view message);

}  // namespace k2
