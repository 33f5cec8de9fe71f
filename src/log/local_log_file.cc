#include "log/local_log_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/bytes.h"

namespace k2::log_db {
namespace {

constexpr int64_t kApplicationId = 0x6b326c67;  // "k2lg"
constexpr int64_t kFormatVersion = 1;

// Page size and WAL mode must come before the first table. secure_delete is on in Debian's build and would write every trimmed page.
constexpr char kWriterSettings[] =
    "PRAGMA page_size = 4096; PRAGMA auto_vacuum = NONE; PRAGMA synchronous = FULL; PRAGMA secure_delete = OFF; PRAGMA mmap_size = 0;"
    "PRAGMA cache_size = -16384; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;";

constexpr char kReaderSettings[] = "PRAGMA query_only = ON; PRAGMA mmap_size = 0; PRAGMA cache_size = -4096; PRAGMA trusted_schema = OFF;";

constexpr char kTables[] = R"(
CREATE TABLE meta(key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE topics(topic_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL) STRICT;
CREATE TABLE partitions(
  partition_id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, partition INTEGER NOT NULL,
  begin_offset INTEGER NOT NULL, end_offset INTEGER NOT NULL, UNIQUE(topic_id, partition)) STRICT;
CREATE TABLE batches(
  batch_id INTEGER PRIMARY KEY, partition_id INTEGER NOT NULL, first_offset INTEGER NOT NULL, next_offset INTEGER NOT NULL,
  timestamp_max INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX batches_by_offset ON batches(partition_id, first_offset);
CREATE TABLE positions(source TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE schemas(schema_id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE subjects(
  subject TEXT NOT NULL, version INTEGER NOT NULL, schema_id INTEGER NOT NULL,
  PRIMARY KEY(subject, version), UNIQUE(subject, schema_id)) STRICT, WITHOUT ROWID;
)";

/// A version 4 UUID (RFC 9562) from the kernel's random source.
Result<std::string> random_uuid() {
  std::array<char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return make_error(ErrorKind::kUnavailable, std::string("random bytes for a log id: ") + std::strerror(errno));
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  std::string text = to_hex({bytes.data(), bytes.size()});
  for (const size_t at : {8u, 13u, 18u, 23u}) text.insert(at, 1, '-');
  return text;
}

/// Makes the entries of new files in their directory durable; SQLite does so for its journal only.
Status sync_directory_of(const std::string& path) {
  auto directory = std::filesystem::path(path).parent_path();
  if (directory.empty()) directory = ".";
  const int file = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = file >= 0 && ::fsync(file) == 0;
  const int reason = errno;
  if (file >= 0) ::close(file);
  if (!synced) return make_error(ErrorKind::kUnavailable, "sync directory " + directory.string() + ": " + std::strerror(reason));
  return {};
}

Status make_tables(Database& database, const LocalLogOptions& options) {
  std::string id = options.new_log_id;
  if (id.empty()) {
    K2_TRY(id, random_uuid());
  }
  K2_RETURN_IF_ERROR(database.execute("BEGIN IMMEDIATE"));
  K2_RETURN_IF_ERROR(database.execute(kTables));
  {
    K2_TRY(const Statement insert, Statement::prepare(database, "INSERT INTO meta(key, value) VALUES ('log_id', ?1), ('fence', '0')"));
    K2_RETURN_IF_ERROR(Query(insert, std::string_view(id)).run());
  }
  K2_RETURN_IF_ERROR(database.execute(("PRAGMA application_id = " + std::to_string(kApplicationId)).c_str()));
  K2_RETURN_IF_ERROR(database.execute(("PRAGMA user_version = " + std::to_string(kFormatVersion)).c_str()));
  return database.execute("COMMIT");
}

/// A file that was made but whose tables were not yet committed counts as new.
Result<bool> is_new(Database& database) {
  K2_TRY(const int64_t tables, database.integer("SELECT count(*) FROM sqlite_schema"));
  K2_TRY(const int64_t application_id, database.integer("PRAGMA application_id"));
  return tables == 0 && application_id == 0;
}

Status check_identity(Database& database, const std::string& path) {
  K2_TRY(const int64_t application_id, database.integer("PRAGMA application_id"));
  K2_TRY(const int64_t version, database.integer("PRAGMA user_version"));
  if (application_id != kApplicationId)
    return make_error(ErrorKind::kInvalidInput,
                      path + " is a database, but not a log of k2 (application id " + std::to_string(application_id) + ")");
  if (version != kFormatVersion)
    return make_error(ErrorKind::kInvalidInput, path + " is a log of format " + std::to_string(version) + ", this program writes format " +
                                                    std::to_string(kFormatVersion));
  return {};
}

}  // namespace

Result<Database> open_for_writing(const std::string& path, const LocalLogOptions& options, bool create) {
  K2_TRY(Database database, Database::open(path, create ? Database::Access::kCreate : Database::Access::kWrite, options.vfs));
  K2_RETURN_IF_ERROR(database.execute(kWriterSettings));
  K2_TRY(const bool fresh, is_new(database));
  if (fresh) {
    K2_RETURN_IF_ERROR(database.execute("PRAGMA journal_mode = WAL"));
    K2_RETURN_IF_ERROR(make_tables(database, options));
    K2_RETURN_IF_ERROR(sync_directory_of(path));
  }
  K2_RETURN_IF_ERROR(check_identity(database, path));
  return database;
}

Result<Database> open_for_reading(const std::string& path, const LocalLogOptions& options) {
  K2_TRY(Database database, Database::open(path, Database::Access::kRead, options.vfs));
  K2_RETURN_IF_ERROR(database.execute(kReaderSettings));
  return database;
}

Result<LogId> read_log_id(Database& database) {
  K2_TRY(const Statement select, Statement::prepare(database, "SELECT value FROM meta WHERE key = 'log_id'"));
  Query query(select);
  K2_TRY(const bool found, query.step());
  if (!found || query.bytes(0).empty()) return make_error(ErrorKind::kCorrupt, "the log has no id");
  return LogId{std::string(query.bytes(0))};
}

Status check_partitions(Database& database) {
  K2_TRY(const Statement select, Statement::prepare(database, R"(
    SELECT t.name, p.partition, p.begin_offset, p.end_offset,
           coalesce((SELECT min(first_offset) FROM batches b WHERE b.partition_id = p.partition_id), p.end_offset),
           coalesce((SELECT next_offset FROM batches b WHERE b.partition_id = p.partition_id ORDER BY first_offset DESC LIMIT 1), p.begin_offset)
    FROM partitions p LEFT JOIN topics t USING (topic_id))"));
  Query query(select);
  for (;;) {
    K2_TRY(const bool found, query.step());
    if (!found) return {};
    const int64_t begin = query.integer(2);
    const int64_t end = query.integer(3);
    const int64_t first = query.integer(4);
    const int64_t next = query.integer(5);
    if (begin < 0 || begin > end || first != begin || next != end)
      return make_error(ErrorKind::kCorrupt, std::string(query.bytes(0)) + "/" + std::to_string(query.integer(1)) +
                                                 " should hold offsets " + std::to_string(begin) + " to " + std::to_string(end) +
                                                 ", its batches go from " + std::to_string(first) + " to " + std::to_string(next));
  }
}

}  // namespace k2::log_db
