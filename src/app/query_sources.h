// QuerySources: what a command's question is asked of: log, lake and engine of the data directory, and a cut.
//
// Thread rule: main thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/command.h"
#include "base/result.h"
#include "log/local_log.h"
#include "query/engine.h"
#include "table/lake.h"

namespace k2 {

/// Opened in order and closed in reverse.
struct QuerySources {
  std::unique_ptr<LocalLog> log;
  std::unique_ptr<Lake> lake;
  std::unique_ptr<Engine> engine;
  Cut cut;

  /// With `read_token`, that answer's cut; without, one taken now. NotFound: there is no data directory.
  [[nodiscard]] static Result<QuerySources> open(const CommandContext& context, const std::string& read_token);
};

/// What a command ends with whose sources could not be opened: a read token that is none of this log's is the caller's mistake (kExitUsage).
[[nodiscard]] Result<int> not_opened(const Error& error);

/// Those of `symbols` of which there never was a trade, in words for people. What cannot be found out is not said.
[[nodiscard]] std::vector<std::string> absent_in_words(const QuerySources& sources, const std::vector<std::string>& symbols,
                                                       const std::string& exchange);

}  // namespace k2
