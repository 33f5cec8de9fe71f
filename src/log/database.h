// Database, Statement, Query: SQLite's C interface with owners and Result. For this folder only.
//
// Thread rule: a Database and its statements belong to one thread at a time (SQLITE_OPEN_NOMUTEX).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace k2::log_db {

/// What SQLite's (extended) result code asks of the caller: Corrupt for damaged or contradicting data, Unavailable for a full disk, I/O
/// errors and locks, InvalidInput for a value too big.
[[nodiscard]] ErrorKind kind_of(int sqlite_code);

class Database {
 public:
  enum class Access { kRead, kWrite, kCreate };

  Database() = default;

  /// Opens the file through SQLite's VFS `vfs` (empty: the default). The connection never checkpoints by itself, not on commit and not on
  /// close, and waits at most a second for SQLite's own locks. Unavailable if it cannot be opened.
  [[nodiscard]] static Result<Database> open(const std::string& path, Access access, const std::string& vfs);

  /// Runs one statement or several, results dropped.
  [[nodiscard]] Status execute(const char* sql);
  /// The first column of the first row.
  [[nodiscard]] Result<int64_t> integer(const char* sql);

  [[nodiscard]] sqlite3* handle() const { return handle_.get(); }
  /// The error of the last call, for a failed `code`.
  [[nodiscard]] std::unexpected<Error> error(int code, std::string_view what) const;

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  std::unique_ptr<sqlite3, Close> handle_;
};

/// A prepared statement, run by a Query. Must not outlive its database.
class Statement {
 public:
  Statement() = default;
  [[nodiscard]] static Result<Statement> prepare(Database& database, const char* sql);
  [[nodiscard]] sqlite3_stmt* handle() const { return handle_.get(); }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

struct Blob {
  std::string_view bytes;
};

/// One run of a statement: binds the arguments in order, gives row after row, resets the statement at the end of its life. Text and blobs
/// are bound without a copy and must live as long as the Query.
class Query {
 public:
  template <class... Arguments>
  explicit Query(const Statement& statement, const Arguments&... arguments) : statement_(statement.handle()) {
    int index = 0;
    (bind(++index, arguments), ...);
  }
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  /// True: there is a row. Errors by kind_of.
  [[nodiscard]] Result<bool> step();
  /// Steps once; for statements without rows.
  [[nodiscard]] Status run();
  /// SQLite's extended code of the last step().
  [[nodiscard]] int code() const { return code_; }

  [[nodiscard]] int64_t integer(int column) const;
  /// Valid until the next step().
  [[nodiscard]] std::string_view bytes(int column) const;

 private:
  void bind(int index, int64_t value);
  void bind(int index, std::string_view text);
  void bind(int index, const Blob& blob);

  sqlite3_stmt* statement_;
  int code_ = 0;
  int bind_code_ = 0;
};

}  // namespace k2::log_db
