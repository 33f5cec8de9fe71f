// QuerySources: what a command's question is asked of: log, lake and engine of the data directory, and a cut.
//
// Thread rule: main thread.
#pragma once

#include <memory>
#include <string>

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

}  // namespace k2
