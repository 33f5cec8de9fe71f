// WatchSource: where the live terminal gets its trades: the log in a data directory, or a server asked again and again.
//
// Thread rule: one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/watch.h"
#include "base/result.h"
#include "log/log.h"
#include "market/schema_store.h"
#include "query/known_symbols.h"

namespace k2 {

class WatchSource {
 public:
  virtual ~WatchSource() = default;
  /// New trades since the last call, oldest first; waits up to `timeout_us` for some. May return none.
  [[nodiscard]] virtual Result<std::vector<WatchTrade>> next(int64_t timeout_us) = 0;
};

/// The tail of the log, beginning `past` trades before its end. `log` and `schemas` outlive it. No symbols: all.
[[nodiscard]] Result<std::unique_ptr<WatchSource>> watch_log(const Log& log, const SchemaStore& schemas, std::vector<std::string> symbols,
                                                             int64_t past);

/// A server's /v1/trades, asked four times a second. `url`: "http://127.0.0.1:8080".
[[nodiscard]] std::unique_ptr<WatchSource> watch_server(std::string url, std::vector<std::string> symbols);

/// What that server has trades of: symbol and exchange alone. Errors of the request; Unavailable: another answer than expected.
[[nodiscard]] Result<std::vector<KnownSymbol>> symbols_of_server(std::string url);

}  // namespace k2
