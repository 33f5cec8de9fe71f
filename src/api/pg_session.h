// PgSession: one connection of the PostgreSQL wire protocol, from its first byte to its last. docs/formats/pgwire.md.
//
// Thread rule: its connection's thread, but for what PgSessions::enter() is given.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "api/pg_message.h"
#include "api/pg_statement.h"
#include "net/stream_server.h"
#include "query/engine.h"
#include "query/outside_sql.h"
#include "query/pg_rows.h"

namespace k2 {

/// By what a session is named in a CancelRequest.
struct PgKey {
  int32_t process = 0;
  int32_t secret = 0;
};

/// The sessions there are, for cancelling. Any thread.
class PgSessions {
 public:
  virtual ~PgSessions() = default;
  [[nodiscard]] virtual PgKey enter(std::function<void()> cancel) = 0;
  virtual void leave(const PgKey& key) = 0;
  virtual void cancel(const PgKey& key) = 0;
};

class PgSession {
 public:
  PgSession(StreamConnection& connection, Engine& engine, OutsideSql& sql, PgSessions& sessions, int64_t timeout_us)
      : connection_(connection), engine_(engine), sql_(sql), sessions_(sessions), timeout_us_(timeout_us) {}

  /// Returns when the connection has ended.
  void run();

 private:
  struct Prepared {
    std::string sql;
    PgStatement statement;
    std::vector<int32_t> parameter_oids;  // as declared; 0: not
    std::optional<std::vector<int32_t>> described_oids;
    std::shared_ptr<arrow::Schema> columns;  // once described, of a query
  };
  struct Portal {
    Prepared prepared;
    std::vector<SqlParameter> parameters;
    std::vector<PgFormat> formats;  // as given: none, one for all, or one each
    std::unique_ptr<SqlRows> rows;  // once executed
    std::shared_ptr<arrow::RecordBatch> batch;
    int64_t batch_row = 0;
    int64_t sent = 0;
  };

  Status start_up();
  Status converse(const PgKey& key);
  Status one_message(char type, std::string_view body);
  Status ready();
  Status flush();

  Status simple_query(std::string_view sql);
  Status parse(PgReader& reader);
  Status bind(PgReader& reader);
  Status describe(PgReader& reader);
  Status execute(PgReader& reader);
  Status close(PgReader& reader);

  /// Runs what is no query and answers with its tag.
  void run_statement(const PgStatement& statement);
  SqlResult<void> start_rows(Portal& portal);
  SqlResult<bool> send_rows(Portal& portal, int64_t rows_max);
  SqlResult<Cut> cut();
  SqlResult<void> describe_statement(Prepared& prepared);
  static std::vector<PgFormat> formats_of(const Portal& portal, size_t columns);
  void row_description(const arrow::Schema& schema, const std::vector<PgFormat>& formats);
  void parameter_status(std::string_view name, std::string_view value);
  void complete(std::string_view tag);
  void fail(const SqlFailure& failure, std::string_view sql = {});
  std::string show(const std::string& name) const;

  StreamConnection& connection_;
  Engine& engine_;
  OutsideSql& sql_;
  PgSessions& sessions_;
  const int64_t timeout_us_;
  PgWriter out_;
  std::map<std::string, std::string> settings_;
  std::map<std::string, Prepared, std::less<>> prepared_;
  std::map<std::string, Portal, std::less<>> portals_;
  char transaction_ = 'I';  // 'I' none, 'T' in one, 'E' in one that has failed
  std::optional<Cut> pinned_;
  bool is_skipping_ = false;  // after an error of the extended protocol, until Sync
  std::mutex mutex_;
  std::stop_source stop_;  // of the statement that runs
};

}  // namespace k2
