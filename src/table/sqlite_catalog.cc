#include <sqlite3.h>

#include <filesystem>

#include "market/columns.h"
#include "table/catalog.h"

namespace k2 {
namespace {

constexpr int kBusyTimeoutMs = 10'000;

// PyIceberg 0.12's SqlCatalog tables, as it creates them.
constexpr const char* kLayout = R"sql(
CREATE TABLE IF NOT EXISTS iceberg_tables (
  catalog_name VARCHAR(255) NOT NULL,
  table_namespace VARCHAR(255) NOT NULL,
  table_name VARCHAR(255) NOT NULL,
  metadata_location VARCHAR(1000),
  previous_metadata_location VARCHAR(1000),
  iceberg_type VARCHAR(5),
  PRIMARY KEY (catalog_name, table_namespace, table_name)
);
CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
  catalog_name VARCHAR(255) NOT NULL,
  namespace VARCHAR(255) NOT NULL,
  property_key VARCHAR(255) NOT NULL,
  property_value VARCHAR(1000) NOT NULL,
  PRIMARY KEY (catalog_name, namespace, property_key)
);
INSERT OR IGNORE INTO iceberg_namespace_properties VALUES ('k2', 'market_data', 'exists', 'true');
)sql";

class Connection {
 public:
  static Result<Connection> open(const std::string& file, bool create) {
    Connection connection(file);
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
    std::error_code ignored;
    if (sqlite3_open_v2(file.c_str(), &connection.handle_, flags, nullptr) != SQLITE_OK)
      // A file that is there and can't be opened (no descriptor left, no permission) is not a catalog that isn't there.
      return connection.failed("open", create || std::filesystem::exists(file, ignored) ? ErrorKind::kUnavailable : ErrorKind::kNotFound);
    sqlite3_busy_timeout(connection.handle_, kBusyTimeoutMs);
    // EXTRA: with a rollback journal, FULL leaves the journal's removal unsynced, and a power cut could bring it back and undo the commit.
    K2_RETURN_IF_ERROR(connection.run("PRAGMA synchronous=EXTRA"));
    return connection;
  }
  Connection(Connection&& other) noexcept : file_(std::move(other.file_)), handle_(std::exchange(other.handle_, nullptr)) {}
  ~Connection() { sqlite3_close(handle_); }

  Status run(const char* sql) {
    if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failed(sql, ErrorKind::kUnavailable);
    return {};
  }

  std::unexpected<Error> failed(std::string_view what, ErrorKind kind) const {
    const int code = sqlite3_errcode(handle_);
    if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT) kind = ErrorKind::kCorrupt;
    return make_error(kind, "catalog " + file_ + ": cannot " + std::string(what.substr(0, 60)) + ": " + sqlite3_errmsg(handle_));
  }

  [[nodiscard]] sqlite3* get() const { return handle_; }

 private:
  explicit Connection(std::string file) : file_(std::move(file)) {}

  std::string file_;
  sqlite3* handle_ = nullptr;
};

// A statement with its texts bound; SQLite copies none of them, so they outlive it.
class Statement {
 public:
  Statement(const Connection& connection, const char* sql, std::initializer_list<std::string_view> texts) {
    if (sqlite3_prepare_v2(connection.get(), sql, -1, &statement_, nullptr) != SQLITE_OK) return;
    int place = 0;
    for (const std::string_view text : texts)
      sqlite3_bind_text(statement_, ++place, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  int step() { return statement_ ? sqlite3_step(statement_) : SQLITE_ERROR; }
  [[nodiscard]] std::string text(int column) const {
    const auto* const bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes ? std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column))) : std::string();
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

class SqliteCatalog final : public Catalog {
 public:
  explicit SqliteCatalog(std::string file) : file_(std::move(file)) {}

  Result<std::string> metadata_location(std::string_view table) override {
    K2_TRY(const Connection connection, Connection::open(file_, false));
    Statement select(connection,
                     "SELECT metadata_location FROM iceberg_tables"
                     " WHERE catalog_name = 'k2' AND table_namespace = ?1 AND table_name = ?2 AND metadata_location IS NOT NULL",
                     {kNamespace, table});
    const int got = select.step();
    if (got == SQLITE_ROW) return select.text(0);
    if (got == SQLITE_DONE)
      return make_error(ErrorKind::kNotFound, "catalog " + file_ + ": no table " + std::string(kNamespace) + "." + std::string(table));
    return connection.failed("look up " + std::string(table), ErrorKind::kUnavailable);
  }

  Status create_table(std::string_view table, const std::string& location) override {
    return change("create " + std::string(table), [&](const Connection& connection) {
      Statement insert(connection, "INSERT OR IGNORE INTO iceberg_tables VALUES ('k2', ?1, ?2, ?3, NULL, 'TABLE')",
                       {kNamespace, table, location});
      return insert.step();
    });
  }

  Status swap(std::string_view table, const std::string& base, const std::string& next) override {
    return change("commit to " + std::string(table), [&](const Connection& connection) {
      Statement update(connection,
                       "UPDATE iceberg_tables SET metadata_location = ?4, previous_metadata_location = ?3"
                       " WHERE catalog_name = 'k2' AND table_namespace = ?1 AND table_name = ?2 AND metadata_location = ?3",
                       {kNamespace, table, base, next});
      return update.step();
    });
  }

 private:
  // Runs one changing statement in a transaction. No row changed is a Conflict.
  template <class Run>
  Status change(const std::string& what, Run run) {
    K2_TRY(Connection connection, Connection::open(file_, false));
    K2_RETURN_IF_ERROR(connection.run("BEGIN IMMEDIATE"));
    if (run(connection) != SQLITE_DONE) {
      const auto error = connection.failed(what, ErrorKind::kUnavailable);
      (void)connection.run("ROLLBACK");
      return error;
    }
    if (sqlite3_changes(connection.get()) == 0) {
      (void)connection.run("ROLLBACK");
      return make_error(ErrorKind::kConflict, "catalog " + file_ + ": cannot " + what + ": another commit was first");
    }
    if (sqlite3_exec(connection.get(), "COMMIT", nullptr, nullptr, nullptr) == SQLITE_OK) return {};
    // Busy is the one failure that is known to have changed nothing; after any other the journal may or may not roll back.
    const bool busy = sqlite3_errcode(connection.get()) == SQLITE_BUSY;
    const auto error = connection.failed(what, busy ? ErrorKind::kUnavailable : ErrorKind::kUnknownOutcome);
    (void)connection.run("ROLLBACK");
    return error;
  }

  std::string file_;
};

}  // namespace

Result<std::unique_ptr<Catalog>> open_sqlite_catalog(const std::filesystem::path& file, bool create) {
  K2_TRY(Connection connection, Connection::open(file.string(), create));
  if (create) K2_RETURN_IF_ERROR(connection.run(kLayout));
  Statement probe(connection, "SELECT count(*) FROM iceberg_tables", {});
  if (probe.step() != SQLITE_ROW) return connection.failed("read", ErrorKind::kNotFound);
  return std::unique_ptr<Catalog>(std::make_unique<SqliteCatalog>(file.string()));
}

}  // namespace k2
