#include "query/sql_sandbox.h"

#include <arrow/api.h>

#include <utility>

#include "codec/columns.h"
#include "query/duck.h"
#include "query/sql_gate.h"
#include "query/sql_text.h"
#include "query/tail_scan.h"

namespace k2 {
namespace {

using Handles = std::vector<std::unique_ptr<TailSources::Handle>>;

/// Rows with the connection and the sources they stand on, let go of in that order.
class HeldRows final : public QueryResult {
 public:
  HeldRows(std::unique_ptr<DuckConnection> connection, Handles sources, std::unique_ptr<QueryResult> rows)
      : connection_(std::move(connection)), sources_(std::move(sources)), rows_(std::move(rows)) {}
  [[nodiscard]] const std::shared_ptr<arrow::Schema>& schema() const override { return rows_->schema(); }
  Result<std::shared_ptr<arrow::RecordBatch>> next() override { return rows_->next(); }

 private:
  std::unique_ptr<DuckConnection> connection_;
  Handles sources_;
  std::unique_ptr<QueryResult> rows_;
};

std::vector<TailPiece> pieces_of(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
  std::vector<TailPiece> pieces;
  for (const auto& batch : batches) {
    TailPiece piece;
    piece.from = Offset{0};
    piece.to = Offset{batch->num_rows()};
    piece.batch = batch;
    if (batch->num_rows() > 0) pieces.push_back(std::move(piece));
  }
  return pieces;
}

std::string view_text(const TableRows& rows, const std::string& tail) {
  const std::string columns = select_list(column_names(table_of(rows.channel)));
  std::string text = "CREATE TEMP VIEW " + std::string(channel_name(rows.channel)) + " AS ";
  if (!rows.files.empty())
    text += "SELECT " + columns + " FROM read_parquet(" + text_list(rows.files) + ", hive_partitioning = false)" +
            (rows.condition.empty() ? "" : " WHERE " + rows.condition) + " UNION ALL ";
  return text + "SELECT " + columns + " FROM " + tail;
}

}  // namespace

struct SqlSandbox::Impl {
  TailSources sources;  // outlive the database
  std::unique_ptr<DuckDatabase> database;

  Status make_views(DuckConnection& connection, const std::vector<TableRows>& tables, Handles& handles) {
    for (const TableRows& rows : tables) {
      auto source = std::make_shared<TailSource>(table_of(rows.channel), nullptr, pieces_of(rows.tail), RowFilter{});
      handles.push_back(std::make_unique<TailSources::Handle>(sources, std::move(source)));
      K2_RETURN_IF_ERROR(connection.run(view_text(rows, handles.back()->sql())));
    }
    return {};
  }
};

SqlSandbox::SqlSandbox(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqlSandbox::~SqlSandbox() = default;

Result<std::unique_ptr<SqlSandbox>> SqlSandbox::open(const SandboxOptions& options) {
  auto impl = std::make_unique<Impl>();
  K2_TRY(impl->database, DuckDatabase::open({.memory_limit = options.memory_limit,
                                             .threads = options.threads,
                                             .spill_dir = "",
                                             .spill_bytes_max = "0KB",
                                             .readable_dirs = {options.warehouse}}));
  K2_TRY(const auto connection, impl->database->connect());
  K2_RETURN_IF_ERROR(impl->sources.install(*connection));
  return std::unique_ptr<SqlSandbox>(new SqlSandbox(std::move(impl)));
}

SqlResult<std::unique_ptr<QueryResult>> SqlSandbox::run(std::string_view text, const std::vector<SqlParameter>& parameters,
                                                        const FetchRows& fetch) {
  auto connection = impl_->database->connect();
  if (!connection) return std::unexpected(sql_failure(std::move(connection).error()));
  auto gated = gate_sql(**connection, text, parameters, ParameterUse::kFill);
  if (!gated) return std::unexpected(std::move(gated).error());
  Handles handles;
  if (!gated->tables.empty()) {
    const auto tables = fetch(gated->tables);
    if (!tables) return std::unexpected(sql_failure(tables.error()));
    if (Status made = impl_->make_views(**connection, *tables, handles); !made)
      return std::unexpected(sql_failure(std::move(made).error()));
  }
  auto rows = (*connection)->query(gated->text, {}, StatementAuthor::kUser);
  if (!rows) return std::unexpected(sql_failure(std::move(rows).error(), text));
  return std::make_unique<HeldRows>(*std::move(connection), std::move(handles), *std::move(rows));
}

SqlResult<SqlDescription> SqlSandbox::describe(std::string_view text, const std::vector<SqlParameter>& parameters) {
  auto connection = impl_->database->connect();
  if (!connection) return std::unexpected(sql_failure(std::move(connection).error()));
  auto gated = gate_sql(**connection, text, parameters, ParameterUse::kDeclare);
  if (!gated) return std::unexpected(std::move(gated).error());
  std::vector<TableRows> tables;  // without rows: only their columns matter
  for (const Channel channel : kChannels) tables.push_back({.channel = channel});
  Handles handles;
  if (Status made = impl_->make_views(**connection, tables, handles); !made) return std::unexpected(sql_failure(std::move(made).error()));
  auto described = (*connection)->describe(gated->text);
  if (!described) return std::unexpected(sql_failure(std::move(described).error(), text));
  described->parameter_types.resize(static_cast<size_t>(gated->parameter_count));
  return SqlDescription{std::move(described->columns), std::move(described->parameter_types)};
}

}  // namespace k2
