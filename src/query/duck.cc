#include "query/duck.h"

#include <arrow/api.h>
#include <arrow/c/bridge.h>

#include <map>
#include <utility>

#include "base/assert.h"
#include "query/outside_sql.h"
#include "query/sql_text.h"

namespace k2 {
namespace {

std::string text_of(const char* text) { return text == nullptr ? "unknown error" : text; }

ErrorKind kind_of(duckdb_error_type type, StatementAuthor author) {
  switch (type) {
    case DUCKDB_ERROR_INTERRUPT: return ErrorKind::kCancelled;
    case DUCKDB_ERROR_OUT_OF_MEMORY:
    case DUCKDB_ERROR_IO:
    case DUCKDB_ERROR_HTTP:
    case DUCKDB_ERROR_CONNECTION:
    case DUCKDB_ERROR_NETWORK:
    case DUCKDB_ERROR_INTERNAL:
    case DUCKDB_ERROR_FATAL: return ErrorKind::kUnavailable;
    default: return author == StatementAuthor::kUser ? ErrorKind::kInvalidInput : ErrorKind::kCorrupt;
  }
}

// What the destroy functions of the C API want, as unique owners.
struct Prepared {
  duckdb_prepared_statement statement = nullptr;
  Prepared() = default;
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;
  ~Prepared() { duckdb_destroy_prepare(&statement); }
};

struct Pending {
  duckdb_pending_result result = nullptr;
  Pending() = default;
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  ~Pending() { duckdb_destroy_pending(&result); }
};

struct LogicalType {
  duckdb_logical_type type;
  explicit LogicalType(duckdb_logical_type type_in) : type(type_in) {}
  LogicalType(LogicalType&& other) noexcept : type(std::exchange(other.type, nullptr)) {}
  LogicalType& operator=(LogicalType&& other) noexcept {
    std::swap(type, other.type);
    return *this;
  }
  ~LogicalType() { duckdb_destroy_logical_type(&type); }
};

// A value the C API gives for an error, or nothing; taken apart and let go.
Status from_error_data(duckdb_error_data data, std::string_view what) {
  if (data == nullptr || !duckdb_error_data_has_error(data)) {
    if (data != nullptr) duckdb_destroy_error_data(&data);
    return {};
  }
  const std::string message = std::string(what) + ": " + text_of(duckdb_error_data_message(data));
  const duckdb_error_type type = duckdb_error_data_error_type(data);
  duckdb_destroy_error_data(&data);
  return make_error(type == DUCKDB_ERROR_OUT_OF_MEMORY ? ErrorKind::kUnavailable : ErrorKind::kInvalidInput, message);
}

// DuckDB's name of a type, of those that may be asked for; empty: any other.
std::string type_name(duckdb_logical_type type) {
  if (type == nullptr) return "";
  static const std::map<duckdb_type, std::string> names{{DUCKDB_TYPE_BOOLEAN, "BOOLEAN"},
                                                        {DUCKDB_TYPE_TINYINT, "TINYINT"},
                                                        {DUCKDB_TYPE_SMALLINT, "SMALLINT"},
                                                        {DUCKDB_TYPE_INTEGER, "INTEGER"},
                                                        {DUCKDB_TYPE_BIGINT, "BIGINT"},
                                                        {DUCKDB_TYPE_UTINYINT, "UTINYINT"},
                                                        {DUCKDB_TYPE_USMALLINT, "USMALLINT"},
                                                        {DUCKDB_TYPE_UINTEGER, "UINTEGER"},
                                                        {DUCKDB_TYPE_UBIGINT, "UBIGINT"},
                                                        {DUCKDB_TYPE_FLOAT, "FLOAT"},
                                                        {DUCKDB_TYPE_DOUBLE, "DOUBLE"},
                                                        {DUCKDB_TYPE_TIMESTAMP, "TIMESTAMP"},
                                                        {DUCKDB_TYPE_DATE, "DATE"},
                                                        {DUCKDB_TYPE_TIME, "TIME"},
                                                        {DUCKDB_TYPE_INTERVAL, "INTERVAL"},
                                                        {DUCKDB_TYPE_HUGEINT, "HUGEINT"},
                                                        {DUCKDB_TYPE_UHUGEINT, "UHUGEINT"},
                                                        {DUCKDB_TYPE_VARCHAR, "VARCHAR"},
                                                        {DUCKDB_TYPE_BLOB, "BLOB"},
                                                        {DUCKDB_TYPE_UUID, "UUID"},
                                                        {DUCKDB_TYPE_TIMESTAMP_TZ, "TIMESTAMPTZ"},
                                                        {DUCKDB_TYPE_TIME_TZ, "TIMETZ"},
                                                        {DUCKDB_TYPE_TIMESTAMP_S, "TIMESTAMP_S"},
                                                        {DUCKDB_TYPE_TIMESTAMP_MS, "TIMESTAMP_MS"},
                                                        {DUCKDB_TYPE_TIMESTAMP_NS, "TIMESTAMP_NS"},
                                                        {DUCKDB_TYPE_BIT, "BIT"}};
  if (char* alias = duckdb_logical_type_get_alias(type); alias != nullptr) {
    const std::string name = alias;
    duckdb_free(alias);
    if (name == "JSON") return name;
  }
  const duckdb_type id = duckdb_get_type_id(type);
  if (id == DUCKDB_TYPE_DECIMAL)
    return "DECIMAL(" + std::to_string(duckdb_decimal_width(type)) + "," + std::to_string(duckdb_decimal_scale(type)) + ")";
  const auto found = names.find(id);
  return found == names.end() ? "" : found->second;
}

// Columns as Arrow's schema, DuckDB's names of the types in the metadata.
Result<std::shared_ptr<arrow::Schema>> import_schema(duckdb_arrow_options options, std::vector<LogicalType>& owners,
                                                     std::vector<const char*>& names) {
  std::vector<duckdb_logical_type> types;
  for (const LogicalType& owner : owners) types.push_back(owner.type);
  ArrowSchema exported{};
  K2_RETURN_IF_ERROR(
      from_error_data(duckdb_to_arrow_schema(options, types.data(), names.data(), types.size(), &exported), "query: result columns"));
  auto schema = arrow::ImportSchema(&exported);
  if (!schema.ok()) return make_error(ErrorKind::kInvalidInput, "query: result columns: " + schema.status().ToString());
  arrow::FieldVector fields = (*schema)->fields();
  for (size_t i = 0; i < fields.size(); ++i)
    fields[i] = fields[i]->WithMergedMetadata(arrow::key_value_metadata({std::string(kSqlTypeKey)}, {type_name(types[i])}));
  return arrow::schema(std::move(fields));
}

class DuckResult final : public QueryResult {
 public:
  DuckResult(duckdb_result result, StatementAuthor author) : result_(result), author_(author) {
    options_ = duckdb_result_get_arrow_options(&result_);
  }
  ~DuckResult() override {
    duckdb_destroy_arrow_options(&options_);
    duckdb_destroy_result(&result_);
  }

  Status read_schema() {
    std::vector<LogicalType> owners;
    std::vector<const char*> names;
    for (idx_t i = 0; i < duckdb_column_count(&result_); ++i) {
      owners.emplace_back(duckdb_column_logical_type(&result_, i));
      names.push_back(duckdb_column_name(&result_, i));
    }
    K2_TRY(schema_, import_schema(options_, owners, names));
    return {};
  }

  [[nodiscard]] const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> next() override {
    while (!done_) {
      duckdb_data_chunk chunk = duckdb_fetch_chunk(result_);
      if (chunk == nullptr) {
        done_ = true;
        if (const char* error = duckdb_result_error(&result_); error != nullptr && *error != 0)
          return make_error(kind_of(duckdb_result_error_type(&result_), author_), "query: " + std::string(error));
        break;
      }
      auto batch = duckdb_data_chunk_get_size(chunk) == 0 ? nullptr : to_arrow(chunk);
      duckdb_destroy_data_chunk(&chunk);
      if (!status_) {
        done_ = true;
        return std::unexpected(status_.error());
      }
      if (batch) return batch;
    }
    return nullptr;
  }

 private:
  std::shared_ptr<arrow::RecordBatch> to_arrow(duckdb_data_chunk chunk) {
    ArrowArray exported{};
    status_ = from_error_data(duckdb_data_chunk_to_arrow(options_, chunk, &exported), "query: rows");
    if (!status_) return nullptr;
    auto batch = arrow::ImportRecordBatch(&exported, schema_);
    if (batch.ok()) return *std::move(batch);
    status_ = make_error(ErrorKind::kInvalidInput, "query: rows: " + batch.status().ToString());
    return nullptr;
  }

  duckdb_result result_;
  duckdb_arrow_options options_ = nullptr;
  StatementAuthor author_;
  std::shared_ptr<arrow::Schema> schema_;
  Status status_;
  bool done_ = false;
};

Status bind(duckdb_prepared_statement statement, idx_t index, const DuckValue& value) {
  duckdb_state state = DuckDBError;
  if (const auto* text = std::get_if<std::string>(&value)) state = duckdb_bind_varchar_length(statement, index, text->data(), text->size());
  else if (const auto* number = std::get_if<int64_t>(&value)) state = duckdb_bind_int64(statement, index, *number);
  else state = duckdb_bind_timestamp_tz(statement, index, {std::get<TimestampUs>(value).us});
  if (state != DuckDBSuccess)
    return make_error(ErrorKind::kInvalidInput, "query: cannot bind parameter " + std::to_string(index) + ": not UTF-8?");
  return {};
}

}  // namespace

Result<std::unique_ptr<DuckDatabase>> DuckDatabase::open(const DuckOptions& options) {
  auto database = std::unique_ptr<DuckDatabase>(new DuckDatabase);
  char* error = nullptr;
  if (duckdb_open_ext(nullptr, &database->database_, nullptr, &error) != DuckDBSuccess) {
    const std::string message = text_of(error);
    duckdb_free(error);
    return make_error(ErrorKind::kUnavailable, "query: cannot start DuckDB: " + message);
  }
  K2_TRY(const auto connection, database->connect());
  // The order matters: directories before access is shut, the lock last. Files of the lake never change, so what is cached of them needs
  // no looking again.
  for (const std::string& statement : {
           std::string("SET autoinstall_known_extensions = false"),
           std::string("SET autoload_known_extensions = false"),
           std::string("SET allow_community_extensions = false"),
           std::string("SET allow_persistent_secrets = false"),
           std::string("SET TimeZone = 'UTC'"),
           std::string("SET parquet_metadata_cache = true"),
           std::string("SET validate_external_file_cache = 'NO_VALIDATION'"),
           "SET memory_limit = " + quote_text(options.memory_limit),
           "SET threads = " + std::to_string(options.threads),
           "SET temp_directory = " + quote_text(options.spill_dir),
           "SET max_temp_directory_size = " + quote_text(options.spill_bytes_max),
           "SET allowed_directories = " + text_list(options.readable_dirs),
           std::string("SET enable_external_access = false"),
           std::string("SET lock_configuration = true"),
       }) {
    if (Status status = connection->run(statement); !status)
      return make_error(ErrorKind::kInvalidInput, status.error().with_context("DuckDB refuses \"" + statement + "\"").message);
  }
  return database;
}

DuckDatabase::~DuckDatabase() { duckdb_close(&database_); }

Result<std::unique_ptr<DuckConnection>> DuckDatabase::connect() {
  duckdb_connection connection = nullptr;
  if (duckdb_connect(database_, &connection) != DuckDBSuccess)
    return make_error(ErrorKind::kUnavailable, "query: cannot connect to DuckDB");
  return std::make_unique<DuckConnection>(connection);
}

DuckConnection::~DuckConnection() { duckdb_disconnect(&connection_); }

Status DuckConnection::run(const std::string& sql) {
  duckdb_result result;
  const duckdb_state state = duckdb_query(connection_, sql.c_str(), &result);
  Status status;
  if (state != DuckDBSuccess)
    status = make_error(kind_of(duckdb_result_error_type(&result), StatementAuthor::kOurselves),
                        "query: " + text_of(duckdb_result_error(&result)));
  duckdb_destroy_result(&result);
  return status;
}

Status DuckConnection::require_one_select(const std::string& sql) {
  duckdb_extracted_statements statements = nullptr;
  const idx_t count = duckdb_extract_statements(connection_, sql.c_str(), &statements);
  Status status;
  if (count == 0) {
    const char* error = duckdb_extract_statements_error(statements);
    status =
        make_error(ErrorKind::kInvalidInput, "SQL: " + (error == nullptr || *error == 0 ? "there is no statement" : std::string(error)));
  } else if (count > 1) {
    status = make_error(ErrorKind::kInvalidInput, "SQL: " + std::to_string(count) + " statements, where one SELECT is allowed");
  } else {
    Prepared prepared;
    if (duckdb_prepare_extracted_statement(connection_, statements, 0, &prepared.statement) != DuckDBSuccess) {
      status = make_error(ErrorKind::kInvalidInput, "SQL: " + text_of(duckdb_prepare_error(prepared.statement)));
    } else {
      if (duckdb_prepared_statement_type(prepared.statement) != DUCKDB_STATEMENT_TYPE_SELECT)
        status = make_error(ErrorKind::kInvalidInput, "SQL: only SELECT is allowed, and EXPLAIN of it as the first word");
    }
  }
  duckdb_destroy_extracted(&statements);
  return status;
}

Result<std::string> DuckConnection::one_text(const std::string& sql) {
  duckdb_result result;
  if (duckdb_query(connection_, sql.c_str(), &result) != DuckDBSuccess) {
    const auto error =
        make_error(kind_of(duckdb_result_error_type(&result), StatementAuthor::kUser), text_of(duckdb_result_error(&result)));
    duckdb_destroy_result(&result);
    return error;
  }
  std::string text;
  if (duckdb_data_chunk chunk = duckdb_fetch_chunk(result); chunk != nullptr) {
    duckdb_vector column = duckdb_data_chunk_get_vector(chunk, 0);
    auto* values = static_cast<duckdb_string_t*>(duckdb_vector_get_data(column));
    if (duckdb_validity_row_is_valid(duckdb_vector_get_validity(column), 0))
      text.assign(duckdb_string_t_data(values), duckdb_string_t_length(*values));
    duckdb_destroy_data_chunk(&chunk);
  }
  duckdb_destroy_result(&result);
  return text;
}

Result<DuckConnection::Description> DuckConnection::describe(const std::string& sql) {
  Prepared prepared;
  if (duckdb_prepare(connection_, sql.c_str(), &prepared.statement) != DuckDBSuccess)
    return make_error(ErrorKind::kInvalidInput, text_of(duckdb_prepare_error(prepared.statement)));
  Description description;
  for (idx_t i = 1; i <= duckdb_nparams(prepared.statement); ++i)
    description.parameter_types.push_back(type_name(LogicalType(duckdb_param_logical_type(prepared.statement, i)).type));
  std::vector<LogicalType> owners;
  std::vector<std::string> texts;
  for (idx_t i = 0; i < duckdb_prepared_statement_column_count(prepared.statement); ++i) {
    owners.emplace_back(duckdb_prepared_statement_column_logical_type(prepared.statement, i));
    const char* name = duckdb_prepared_statement_column_name(prepared.statement, i);
    texts.push_back(text_of(name));
    duckdb_free(const_cast<char*>(name));
    if (owners.back().type == nullptr ||
        duckdb_get_type_id(owners.back().type) == DUCKDB_TYPE_INVALID)  // not known before the parameters are
      owners.back() = LogicalType(duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR));
  }
  std::vector<const char*> names;
  for (const std::string& text : texts) names.push_back(text.c_str());
  duckdb_arrow_options options = nullptr;
  duckdb_connection_get_arrow_options(connection_, &options);
  auto schema = import_schema(options, owners, names);
  duckdb_destroy_arrow_options(&options);
  if (!schema) return std::unexpected(std::move(schema).error());
  description.columns = *std::move(schema);
  return description;
}

Result<std::unique_ptr<QueryResult>> DuckConnection::query(const std::string& sql, const std::vector<DuckValue>& values,
                                                           StatementAuthor author) {
  Prepared prepared;
  if (duckdb_prepare(connection_, sql.c_str(), &prepared.statement) != DuckDBSuccess) {
    const std::string message = "query: " + text_of(duckdb_prepare_error(prepared.statement));
    // The C API has no kind for errors of preparing; reading a file's footer is the one that is not about the statement.
    const bool io = message.find("IO Error") != std::string::npos;
    return make_error(io ? ErrorKind::kUnavailable : kind_of(DUCKDB_ERROR_BINDER, author), message);
  }
  for (size_t i = 0; i < values.size(); ++i) K2_RETURN_IF_ERROR(bind(prepared.statement, i + 1, values[i]));
  Pending pending;
  if (duckdb_pending_prepared_streaming(prepared.statement, &pending.result) != DuckDBSuccess)
    return make_error(kind_of(DUCKDB_ERROR_BINDER, author), "query: " + text_of(duckdb_pending_error(pending.result)));
  duckdb_result result;
  const duckdb_state state = duckdb_execute_pending(pending.result, &result);
  if (state != DuckDBSuccess) {
    const auto error = make_error(kind_of(duckdb_result_error_type(&result), author), "query: " + text_of(duckdb_result_error(&result)));
    duckdb_destroy_result(&result);
    return error;
  }
  auto rows = std::make_unique<DuckResult>(result, author);
  K2_RETURN_IF_ERROR(rows->read_schema());
  return rows;
}

}  // namespace k2
