#include "log/database.h"

#include <sqlite3.h>

namespace k2::log_db {
namespace {

constexpr int kBusyTimeoutMs = 1000;

std::unexpected<Error> sqlite_error(sqlite3* handle, int code, std::string_view what) {
  std::string message = std::string(what) + ": " + (handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code)) + " (SQLite code " +
                        std::to_string(code) + ")";
  return make_error(kind_of(code), std::move(message));
}

}  // namespace

ErrorKind kind_of(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:  // Two batches at one offset, or the like.
    case SQLITE_ERROR:       // A table is missing.
    case SQLITE_SCHEMA:
    case SQLITE_MISMATCH: return ErrorKind::kCorrupt;
    case SQLITE_TOOBIG: return ErrorKind::kInvalidInput;
    default: return sqlite_code == SQLITE_IOERR_CORRUPTFS ? ErrorKind::kCorrupt : ErrorKind::kUnavailable;
  }
}

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
void Statement::Finalize::operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }

Result<Database> Database::open(const std::string& path, Access access, const std::string& vfs) {
  const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | (access == Access::kRead ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                    (access == Access::kCreate ? SQLITE_OPEN_CREATE : 0);
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, vfs.empty() ? nullptr : vfs.c_str());
  Database database;
  database.handle_.reset(handle);
  if (code != SQLITE_OK) return sqlite_error(handle, code, "open " + path);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  sqlite3_wal_autocheckpoint(handle, 0);
  if (const int set = sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr); set != SQLITE_OK)
    return sqlite_error(handle, set, "forbid checkpoints on close of " + path);
  return database;
}

Status Database::execute(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code, sql);
  return {};
}

Result<int64_t> Database::integer(const char* sql) {
  K2_TRY(const Statement statement, Statement::prepare(*this, sql));
  Query query(statement);
  K2_TRY(const bool found, query.step());
  if (!found) return make_error(ErrorKind::kCorrupt, std::string(sql) + ": no row");
  return query.integer(0);
}

std::unexpected<Error> Database::error(int code, std::string_view what) const { return sqlite_error(handle_.get(), code, what); }

Result<Statement> Statement::prepare(Database& database, const char* sql) {
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(database.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  Statement statement;
  statement.handle_.reset(handle);
  if (code != SQLITE_OK) return database.error(code, sql);
  return statement;
}

Query::~Query() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Query::bind(int index, int64_t value) {
  if (const int code = sqlite3_bind_int64(statement_, index, value); code != SQLITE_OK) bind_code_ = code;
}

// An empty view may hold a null pointer, which SQLite would bind as NULL.
void Query::bind(int index, std::string_view text) {
  const char* data = text.empty() ? "" : text.data();
  if (const int code = sqlite3_bind_text64(statement_, index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8); code != SQLITE_OK)
    bind_code_ = code;
}

void Query::bind(int index, const Blob& blob) {
  const char* data = blob.bytes.empty() ? "" : blob.bytes.data();
  if (const int code = sqlite3_bind_blob64(statement_, index, data, blob.bytes.size(), SQLITE_STATIC); code != SQLITE_OK) bind_code_ = code;
}

Result<bool> Query::step() {
  code_ = bind_code_ != SQLITE_OK ? bind_code_ : sqlite3_step(statement_);
  if (code_ == SQLITE_ROW) return true;
  if (code_ == SQLITE_DONE) return false;
  return sqlite_error(sqlite3_db_handle(statement_), code_, sqlite3_sql(statement_));
}

Status Query::run() {
  K2_TRY([[maybe_unused]] const bool row, step());
  return {};
}

int64_t Query::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view Query::bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? std::string_view() : std::string_view(data, static_cast<size_t>(size));
}

}  // namespace k2::log_db
