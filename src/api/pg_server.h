// PgServer: the PostgreSQL wire protocol, so that psql, drivers and BI tools can ask. docs/formats/pgwire.md.
//
// Only SELECT over trades, quotes and coverage, run by OutsideSql in locked workers; BEGIN, COMMIT, SET, SHOW and their like are answered as clients
// expect, and BEGIN pins one cut until COMMIT. Nobody is asked for a password, so it listens on loopback only.
// Thread rule: any thread. A thread per connection, "k2-pg".
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "query/engine.h"
#include "query/outside_sql.h"

namespace k2 {

struct PgOptions {
  std::string listen = "127.0.0.1:8812";
  int connections_max = 100;
  int64_t query_timeout_us = 30'000'000;
};

class PgServer {
 public:
  /// `engine` (for the cut) and `sql` outlive it. InvalidInput: an address that is not loopback; Unavailable: it cannot be bound.
  [[nodiscard]] static Result<std::unique_ptr<PgServer>> start(Engine& engine, OutsideSql& sql, PgOptions options);
  ~PgServer();

  [[nodiscard]] uint16_t port() const;

 private:
  struct Impl;
  explicit PgServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
