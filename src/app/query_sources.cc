#include "app/query_sources.h"

#include "app/data_dir.h"

namespace k2 {

Result<QuerySources> QuerySources::open(const CommandContext& context, const std::string& read_token) {
  K2_RETURN_IF_ERROR(require_data(context.config));
  QuerySources sources;
  K2_TRY(sources.log, open_log(context.config));
  K2_TRY(sources.lake, open_lake(context.config));
  EngineOptions options;
  options.memory_limit = context.config.query.memory_limit;
  options.threads = static_cast<int>(context.config.query.threads);
  K2_TRY(sources.engine, Engine::open(*sources.lake, *sources.log, *sources.log, options));
  if (read_token.empty()) {
    K2_TRY(sources.cut, sources.engine->cut());
  } else {
    K2_TRY(sources.cut, sources.engine->cut_of(read_token));
  }
  return sources;
}

}  // namespace k2
