#include "app/query_sources.h"

#include "app/data_dir.h"
#include "query/known_symbols.h"

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

Result<int> not_opened(const Error& error) {
  if (error.kind == ErrorKind::kInvalidInput) return usage_error(error.message);
  return std::unexpected(error);
}

std::vector<std::string> absent_in_words(const QuerySources& sources, const std::vector<std::string>& symbols,
                                         const std::string& exchange) {
  std::vector<std::string> words;
  const auto absent = absent_symbols(*sources.engine, Channel::kTrades, symbols, exchange, sources.cut);
  if (!absent || absent->empty()) return words;
  const auto known = known_symbols(*sources.engine, Channel::kTrades, sources.cut);
  if (!known) return words;
  for (const std::string& symbol : *absent) words.push_back(why_absent(*known, Channel::kTrades, symbol, exchange));
  return words;
}

}  // namespace k2
