#include "query/engine.h"

#include <arrow/api.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <functional>
#include <span>
#include <utility>

#include "base/assert.h"
#include "codec/columns.h"
#include "query/coverage_reader.h"
#include "query/duck.h"
#include "query/hybrid.h"
#include "query/limiter.h"
#include "query/ordered_rows.h"
#include "query/sql_text.h"
#include "query/tail_scan.h"
#include "query/window_reader.h"

namespace k2 {
namespace {

constexpr std::string_view kRowOrder[] = {"timestamp", "log_topic", "log_partition", "log_offset"};

// A result with everything it stands on, let go of in the right order: the rows, the limits, the sources, the connection.
class HeldResult final : public QueryResult {
 public:
  HeldResult(std::unique_ptr<DuckConnection> connection, std::vector<std::unique_ptr<TailSources::Handle>> sources,
             std::unique_ptr<QueryLimiter::Guard> guard)
      : connection_(std::move(connection)), sources_(std::move(sources)), guard_(std::move(guard)) {}
  ~HeldResult() override {
    rows_.reset();
    guard_.reset();
    sources_.clear();
  }

  Status start(const std::string& sql, const std::vector<DuckValue>& values, StatementAuthor author) {
    K2_RETURN_IF_ERROR(guard_->check());
    auto rows = connection_->query(sql, values, author);
    if (!rows) return std::unexpected(explain(std::move(rows).error()));
    rows_ = *std::move(rows);
    return {};
  }

  [[nodiscard]] const std::shared_ptr<arrow::Schema>& schema() const override { return rows_->schema(); }

  Result<std::shared_ptr<arrow::RecordBatch>> next() override {
    if (failed_) return std::unexpected(*failed_);
    if (Status status = guard_->check(); !status) return fail(std::move(status).error());
    auto batch = rows_->next();
    if (!batch) return fail(explain(std::move(batch).error()));
    return batch;
  }

 private:
  std::unexpected<Error> fail(Error error) {
    failed_ = std::move(error);
    return std::unexpected(*failed_);
  }

  // DuckDB passes on only the text of what went wrong in a source, and says "interrupted" for every reason.
  Error explain(Error error) const {
    for (const auto& source : sources_) {
      auto cause = source->source().error();
      if (!cause) continue;
      if (cause->kind == ErrorKind::kNotFound)  // it was there when the question began
        return {ErrorKind::kUnavailable, "query: records left the log while it ran, ask again: " + cause->message};
      return *std::move(cause);
    }
    if (error.kind == ErrorKind::kCancelled)
      if (Status status = guard_->check(); !status) return std::move(status).error();
    return error;
  }

  std::unique_ptr<DuckConnection> connection_;
  std::vector<std::unique_ptr<TailSources::Handle>> sources_;
  std::unique_ptr<QueryLimiter::Guard> guard_;
  std::unique_ptr<QueryResult> rows_;
  std::optional<Error> failed_;
};

// --- the text of questions --------------------------------------------------------------------------------------------

// Collects parameters and their places.
class Parameters {
 public:
  std::string add(DuckValue value) {
    values_.push_back(std::move(value));
    return "$" + std::to_string(values_.size());
  }
  [[nodiscard]] const std::vector<DuckValue>& values() const { return values_; }

 private:
  std::vector<DuckValue> values_;
};

void add_condition(std::string& all, const std::string& condition) {
  if (condition.empty()) return;
  all += all.empty() ? " WHERE " : " AND ";
  all += condition;
}

std::string event_conditions(const EventQuery& query, const std::string& restriction, Parameters& parameters) {
  std::string conditions;
  if (query.symbols.size() == 1) add_condition(conditions, "symbol = " + parameters.add(query.symbols[0]));
  if (query.symbols.size() > 1) {
    std::string list;
    for (const std::string& symbol : query.symbols) list += (list.empty() ? "" : ", ") + parameters.add(symbol);
    add_condition(conditions, "symbol IN (" + list + ")");
  }
  if (!query.exchange.empty()) add_condition(conditions, "exchange = " + parameters.add(query.exchange));
  if (query.start) add_condition(conditions, "\"timestamp\" >= " + parameters.add(*query.start));
  if (query.end) add_condition(conditions, "\"timestamp\" < " + parameters.add(*query.end));
  add_condition(conditions, restriction);
  return conditions;
}

// History and tail as one, with `columns`; `conditions` apply to the files only, the tail is filtered already.
std::string union_text(std::span<const DataFileInfo> files, const std::string& conditions, const std::string& tail,
                       const std::vector<std::string_view>& columns) {
  const std::string select = "SELECT " + select_list(columns) + " FROM ";
  if (files.empty()) return select + tail;
  const std::string history = select + parquet_scan(files) + conditions;
  if (tail.empty()) return history;
  return history + " UNION ALL " + select + tail;
}

std::string order_text(EventOrder order) {
  std::string text = " ORDER BY ";
  for (const std::string_view column : kRowOrder) {
    if (column != kRowOrder[0]) text += ", ";
    text += '"' + std::string(column) + '"' + (order == EventOrder::kNewestFirst ? " DESC" : "");
  }
  return text;
}

std::vector<std::string_view> with_order_columns(std::vector<std::string_view> columns) {
  for (const std::string_view column : kRowOrder)
    if (std::find(columns.begin(), columns.end(), column) == columns.end()) columns.push_back(column);
  return columns;
}

Status check_text(std::string_view what, std::string_view text) {
  if (text.find('\0') == std::string_view::npos) return {};
  return make_error(ErrorKind::kInvalidInput, "query: " + std::string(what) + " has a NUL character");
}

Status check_query(const EventQuery& query) {
  for (const std::string& symbol : query.symbols) K2_RETURN_IF_ERROR(check_text("symbol", symbol));
  K2_RETURN_IF_ERROR(check_text("exchange", query.exchange));
  if (query.start && query.end && *query.end < *query.start)
    return make_error(ErrorKind::kInvalidInput,
                      "query: end " + format_rfc3339(*query.end) + " lies before start " + format_rfc3339(*query.start));
  if (query.limit && *query.limit < 0)
    return make_error(ErrorKind::kInvalidInput, "query: limit " + std::to_string(*query.limit) + " is negative");
  return {};
}

Result<std::vector<std::string_view>> columns_of(const EventQuery& query) {
  const TableSpec& table = table_of(query.channel);
  if (query.columns.empty()) return column_names(table);
  std::vector<std::string_view> columns;
  for (const std::string& name : query.columns) {
    const auto found = std::find_if(table.columns.begin(), table.columns.end(), [&](const Column& column) { return column.name == name; });
    if (found == table.columns.end())
      return make_error(ErrorKind::kInvalidInput, "query: " + std::string(channel_name(query.channel)) + " have no column \"" + name +
                                                      "\"; they have " + select_list(column_names(table)));
    columns.push_back(found->name);
  }
  return columns;
}

PlanFilter plan_filter(const EventQuery& query) {
  PlanFilter filter{query.symbols, std::nullopt, query.start, query.end};
  if (!query.exchange.empty()) filter.exchange = query.exchange;
  return filter;
}

RowFilter row_filter(const EventQuery& query) { return {query.symbols, query.exchange, query.start, query.end}; }

// What EXPLAIN explains; nullopt where the text does not begin with that word.
std::optional<std::string> explained_statement(std::string_view text) {
  const auto take_word = [&](std::string_view word) {
    const size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos || text.size() - begin <= word.size()) return false;
    for (size_t i = 0; i < word.size(); ++i)
      if (std::tolower(static_cast<unsigned char>(text[begin + i])) != word[i]) return false;
    if (std::isspace(static_cast<unsigned char>(text[begin + word.size()])) == 0) return false;
    text.remove_prefix(begin + word.size());
    return true;
  };
  if (!take_word("explain")) return std::nullopt;
  take_word("analyze");
  return std::string(text);
}

// What QueryLimiter::Guard checks, for questions that DuckDB has no part in.
std::function<Status()> limit_check(const QueryLimits& limits) {
  const int64_t deadline_ns = limits.timeout_us <= 0 ? INT64_MAX : system_clock().monotonic_ns() + limits.timeout_us * 1000;
  return [limits, deadline_ns]() -> Status {
    if (limits.stop.stop_requested()) return make_error(ErrorKind::kCancelled, "query: cancelled");
    if (system_clock().monotonic_ns() >= deadline_ns)
      return make_error(ErrorKind::kCancelled, "query: over its time limit of " + std::to_string(limits.timeout_us / 1000) + " ms");
    return {};
  };
}

// DuckDB's columns under the names and types that every answer of the kind has.
class RetypedResult final : public QueryResult {
 public:
  RetypedResult(std::unique_ptr<QueryResult> rows, std::shared_ptr<arrow::Schema> schema)
      : rows_(std::move(rows)), schema_(std::move(schema)) {}
  [[nodiscard]] const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  Result<std::shared_ptr<arrow::RecordBatch>> next() override {
    K2_TRY(const auto batch, rows_->next());
    if (!batch) return nullptr;
    std::vector<std::shared_ptr<arrow::ArrayData>> arrays;
    for (int i = 0; i < batch->num_columns(); ++i) {
      arrays.push_back(batch->column_data(i)->Copy());
      K2_ASSERT(arrays.back()->type->id() == schema_->field(i)->type()->id());
      arrays.back()->type = schema_->field(i)->type();
    }
    return arrow::RecordBatch::Make(schema_, batch->num_rows(), std::move(arrays));
  }

 private:
  std::unique_ptr<QueryResult> rows_;
  std::shared_ptr<arrow::Schema> schema_;
};

Result<std::unique_ptr<QueryResult>> with_schema(std::unique_ptr<QueryResult> rows, std::shared_ptr<arrow::Schema> schema) {
  return std::make_unique<RetypedResult>(std::move(rows), std::move(schema));
}

// --- small answers made here -------------------------------------------------------------------------------------------

// Rows of text and numbers, column by column.
class TableBuilder {
 public:
  void add_text(std::string_view column, std::optional<std::string> value) {
    auto& builder = static_cast<arrow::StringBuilder&>(builder_of(column, arrow::utf8()));
    keep(value ? builder.Append(*value) : builder.AppendNull());
  }
  void add_long(std::string_view column, std::optional<int64_t> value) {
    auto& builder = static_cast<arrow::Int64Builder&>(builder_of(column, arrow::int64()));
    keep(value ? builder.Append(*value) : builder.AppendNull());
  }
  void add_time(std::string_view column, TimestampUs value) {
    auto& builder = static_cast<arrow::TimestampBuilder&>(builder_of(column, arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")));
    keep(builder.Append(value.us));
  }
  /// Declares a column, for answers that may have no rows.
  void column(std::string_view name, std::shared_ptr<arrow::DataType> type) { builder_of(name, std::move(type)); }

  Result<std::unique_ptr<QueryResult>> finish() {
    arrow::ArrayVector arrays;
    for (auto& builder : builders_) {
      std::shared_ptr<arrow::Array> array;
      keep(builder->Finish(&array));
      arrays.push_back(std::move(array));
    }
    if (!status_.ok()) return make_error(ErrorKind::kUnavailable, "query: " + status_.ToString());
    auto schema = arrow::schema(fields_);
    const int64_t rows = arrays.empty() ? 0 : arrays[0]->length();
    return make_result(schema, {arrow::RecordBatch::Make(schema, rows, std::move(arrays))});
  }

 private:
  arrow::ArrayBuilder& builder_of(std::string_view name, std::shared_ptr<arrow::DataType> type) {
    for (size_t i = 0; i < fields_.size(); ++i)
      if (fields_[i]->name() == name) return *builders_[i];
    fields_.push_back(arrow::field(std::string(name), type));
    auto builder = arrow::MakeBuilder(type);
    K2_ASSERT(builder.ok());
    builders_.push_back(*std::move(builder));
    return *builders_.back();
  }
  void keep(const arrow::Status& status) {
    if (status_.ok()) status_ = status;
  }

  arrow::FieldVector fields_;
  std::vector<std::unique_ptr<arrow::ArrayBuilder>> builders_;
  arrow::Status status_;
};

int64_t sum(const Offsets& offsets) {
  int64_t total = 0;
  for (const auto& [partition, offset] : offsets) total += offset.value;
  return total;
}

int64_t size_bytes(const TableState& state) {
  int64_t total = 0;
  for (const DataFileInfo& file : *state.files) total += file.size_bytes;
  return total;
}

bool is_wanted(const CoverageRange& range, const CoverageQuery& query) {
  return query.statuses.empty() || std::ranges::find(query.statuses, range.status) != query.statuses.end();
}

Result<std::unique_ptr<QueryResult>> coverage_rows(const CoverageState& state, const CoverageQuery& query) {
  const CoverageWindow window{query.symbols, query.exchange, query.channel, query.start, query.end};
  TableBuilder rows;
  for (const std::string_view name : {"exchange", "symbol", "channel"}) rows.column(name, arrow::utf8());
  for (const std::string_view name : {"first_sequence", "last_sequence", "count"}) rows.column(name, arrow::int64());
  for (const std::string_view name : {"timestamp", "end_timestamp"}) rows.column(name, arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"));
  for (const std::string_view name : {"status", "reason"}) rows.column(name, arrow::utf8());
  int64_t room = query.limit.value_or(INT64_MAX);
  for (const auto& [source, ranges] : state) {
    if (!matches(source, window)) continue;
    for (const CoverageRange& range : *ranges) {
      if (!is_wanted(range, query) || !overlaps(range, window)) continue;
      if (room-- <= 0) return rows.finish();
      rows.add_text("exchange", source.exchange);
      rows.add_text("symbol", source.symbol);
      rows.add_text("channel", source.channel);
      rows.add_long("first_sequence", range.first);
      rows.add_long("last_sequence", range.last);
      rows.add_long("count", range.count());
      rows.add_time("timestamp", range.timestamp);
      rows.add_time("end_timestamp", range.end_timestamp);
      rows.add_text("status", std::string(coverage_status_name(range.status)));
      rows.add_text("reason", range.reason.empty() ? std::nullopt : std::optional(range.reason));
    }
  }
  return rows.finish();
}

// --- the engine ---------------------------------------------------------------------------------------------------------

class DuckEngine final : public Engine {
 public:
  DuckEngine(Lake& lake, const Log& log, const SchemaStore& schemas, const EngineOptions& options)
      : lake_(lake),
        window_rows_max_(options.window_rows_max),
        window_threads_(options.threads),
        reader_(lake, log, schemas, {.bytes_max = options.tail_bytes_max}),
        coverage_(reader_.tail_of(kCoverage)) {}

  Status start(const EngineOptions& options) {
    const LakeOptions& lake = lake_.options();
    const auto absolute = [&](const std::filesystem::path& path) {
      return std::filesystem::absolute(path.is_absolute() ? path : lake.data_dir / path).lexically_normal();
    };
    const std::string spill_dir = options.spill_dir.empty() ? absolute("query-spill").string() : options.spill_dir.string();
    K2_RETURN_IF_ERROR(check_text("spill_dir", spill_dir));
    K2_TRY(database_, DuckDatabase::open({.memory_limit = options.memory_limit,
                                          .threads = options.threads,
                                          .spill_dir = spill_dir,
                                          .spill_bytes_max = options.spill_bytes_max,
                                          .readable_dirs = {absolute(lake.warehouse).string()}}));
    K2_TRY(const auto connection, database_->connect());
    return sources_.install(*connection);
  }

  Result<Cut> cut() override { return reader_.take(); }

  Result<Cut> cut_of(std::string_view token) override { return reader_.cut_of(token); }

  Status follow() override {
    K2_TRY(const Cut cut, reader_.take());
    for (const Channel channel : kChannels) {
      K2_TRY(const TableView view, reader_.view(cut, table_of(channel)));
      static_cast<void>(view);
    }
    return {};
  }

  Result<std::unique_ptr<QueryResult>> events(const EventQuery& query, const Cut& cut, const QueryLimits& limits) override {
    K2_TRY(const auto columns, columns_of(query));
    K2_RETURN_IF_ERROR(check_query(query));
    K2_TRY(auto window, window_of(query, cut, limits, columns));
    if (window) return window;
    K2_TRY(Question question, ask(query, cut, limits, with_order_columns(columns)));
    std::string sql = "SELECT " + select_list(columns) + " FROM (" + question.rows + ")" + order_text(query.order);
    if (query.limit) sql += " LIMIT " + std::to_string(*query.limit);
    K2_TRY(auto rows, std::move(question).run(sql));
    return with_schema(std::move(rows), answer_schema(table_of(query.channel), columns));
  }

  Result<std::unique_ptr<QueryResult>> symbols(Channel channel, const Cut& cut, const QueryLimits& limits) override {
    std::vector<std::string_view> columns{"symbol", "exchange", "asset_class", "currency"};
    const std::vector<std::string_view> prices =
        channel == Channel::kTrades ? std::vector<std::string_view>{"price"} : std::vector<std::string_view>{"bid_price", "ask_price"};
    columns.insert(columns.end(), prices.begin(), prices.end());
    K2_TRY(Question question, ask({.channel = channel}, cut, limits, with_order_columns(columns)));
    // The last row in the order of rows, whatever order they come in.
    const auto last = [](std::string_view column) {
      return "arg_max(\"" + std::string(column) + "\", row(" + select_list({std::begin(kRowOrder), std::end(kRowOrder)}) + "))";
    };
    std::string sql = "SELECT symbol, exchange, " + last("asset_class") + " AS asset_class, " + last("currency") +
                      " AS currency, count(*) AS count, min(\"timestamp\") AS first_timestamp, max(\"timestamp\") AS last_timestamp";
    for (const std::string_view price : prices) sql += ", " + last(price) + " AS last_" + std::string(price);
    return std::move(question).run(sql + " FROM (" + question.rows + ") GROUP BY symbol, exchange ORDER BY symbol, exchange");
  }

  Result<std::unique_ptr<QueryResult>> summary(const EventQuery& query, const Cut& cut, const QueryLimits& limits) override {
    const std::vector<std::string> sides =
        query.channel == Channel::kTrades ? std::vector<std::string>{""} : std::vector<std::string>{"bid_", "ask_"};
    std::vector<std::string> names{"symbol", "exchange"};
    std::string sums = "count(*) AS count";
    for (const std::string& side : sides) {
      const std::string price = side + "price", quantity = side + "quantity";
      names.insert(names.end(), {price, quantity});
      // Widened before they are multiplied: decimal(18,8) x decimal(18,8) needs 36 digits.
      sums += ", sum(" + quantity + ") AS sum_" + quantity + ", sum(CAST(" + price + " AS DECIMAL(28,8)) * CAST(" + quantity +
              " AS DECIMAL(18,8)))::DECIMAL(38,16) AS sum_" + price + "_quantity";
    }
    K2_TRY(Question question, ask(query, cut, limits, {names.begin(), names.end()}));
    return std::move(question).run("SELECT symbol, exchange, " + sums + " FROM (" + question.rows +
                                   ") GROUP BY symbol, exchange ORDER BY symbol, exchange");
  }

  Result<std::unique_ptr<QueryResult>> coverage(const CoverageQuery& query, const Cut& cut, const QueryLimits& limits) override {
    K2_TRY(const auto state, coverage_state(cut, limits));
    return coverage_rows(*state, query);
  }

  Result<std::shared_ptr<const CoverageState>> coverage_state(const Cut& cut, const QueryLimits& limits) override {
    return coverage_.at(cut, [&](const Cut& at) -> Result<std::unique_ptr<QueryResult>> {
      K2_TRY(Question question, ask({.channel = Channel::kCoverage}, at, limits, column_names(kCoverage)));
      return std::move(question).run("SELECT * FROM (" + question.rows + ") ORDER BY log_topic, log_partition, log_offset");
    });
  }

  Result<Completeness> completeness(const EventQuery& query, const Cut& cut, const QueryLimits& limits) override {
    K2_TRY(const auto state, coverage_state(cut, limits));
    return k2::completeness(*state, {query.symbols, query.exchange, channel_name(query.channel), query.start, query.end});
  }

  Result<TableRows> rows_of(Channel channel, const Cut& cut) override {
    K2_TRY(TableView view, reader_.view(cut, table_of(channel)));
    TableRows rows{.channel = channel, .files = {}, .condition = std::move(view.condition), .tail = {}};
    for (const DataFileInfo& file : *view.state->files) rows.files.push_back(file.path);
    for (const TailPiece& piece : view.pieces) {
      K2_TRY(auto batch, view.tail->load(piece));
      rows.tail.push_back(std::move(batch));
    }
    return rows;
  }

  Result<std::unique_ptr<QueryResult>> stats(const Cut& cut) override {
    TableBuilder rows;
    for (const Channel channel : kChannels) {
      const TableSpec& table = table_of(channel);
      K2_TRY(const TableView view, reader_.view(cut, table));
      K2_TRY(const auto snapshots, lake_.snapshots(table.name));
      rows.add_text("name", std::string(table.name));
      rows.add_long("rows", view.table_rows + view.log_rows);
      rows.add_long("table_rows", view.table_rows);
      rows.add_long("log_rows", view.log_rows);
      rows.add_long("files", static_cast<int64_t>(view.state->files->size()));
      rows.add_long("size_bytes", size_bytes(*view.state));
      rows.add_long("snapshots", static_cast<int64_t>(snapshots.size()));
      rows.add_long("snapshot_id", view.state->snapshot ? std::optional(view.state->snapshot->value) : std::nullopt);
      rows.add_long("committed", sum(view.state->offsets));
      rows.add_long("log_end", sum(offsets_of_channel(cut.end, channel)));
    }
    add_dead_letters(rows, cut);
    return rows.finish();
  }

  Result<std::unique_ptr<QueryResult>> snapshots(std::string_view table) override {
    K2_TRY(const auto snapshots, lake_.snapshots(table));
    TableBuilder rows;
    for (const std::string_view name : {"snapshot_id", "parent_id", "sequence_number"}) rows.column(name, arrow::int64());
    rows.column("committed", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"));
    rows.column("operation", arrow::utf8());
    for (const std::string_view name : {"added_rows", "total_rows", "files", "size_bytes"}) rows.column(name, arrow::int64());
    rows.column("offsets", arrow::utf8());
    for (const SnapshotInfo& snapshot : snapshots) {
      rows.add_long("snapshot_id", snapshot.id.value);
      rows.add_long("parent_id", snapshot.parent ? std::optional(snapshot.parent->value) : std::nullopt);
      rows.add_long("sequence_number", snapshot.sequence_number);
      rows.add_time("committed", snapshot.committed);
      rows.add_text("operation", snapshot.operation);
      rows.add_long("added_rows", snapshot.added_records);
      rows.add_long("total_rows", snapshot.total_records);
      rows.add_long("files", snapshot.total_data_files);
      rows.add_long("size_bytes", snapshot.total_files_size_bytes);
      rows.add_text("offsets", snapshot.offsets ? std::optional(offsets_json(*snapshot.offsets)) : std::nullopt);
    }
    return rows.finish();
  }

  Result<std::unique_ptr<QueryResult>> sql(std::string_view text, const Cut& cut, const QueryLimits& limits) override {
    K2_RETURN_IF_ERROR(check_text("SQL", text));
    K2_TRY(auto connection, database_->connect());
    std::vector<std::unique_ptr<TailSources::Handle>> handles;
    for (const Channel channel : kChannels) {
      K2_TRY(TableView view, reader_.view(cut, table_of(channel)));
      K2_TRY(const std::string rows, whole_table(table_of(channel), std::move(view), handles));
      K2_RETURN_IF_ERROR(connection->run("CREATE TEMP VIEW " + std::string(channel_name(channel)) + " AS " + rows));
    }
    // EXPLAIN ANALYZE runs what it explains, so that has to be a SELECT as well.
    const std::string statement(text);
    K2_RETURN_IF_ERROR(connection->require_one_select(explained_statement(text).value_or(statement)));
    auto guard = std::make_unique<QueryLimiter::Guard>(limiter_, *connection, limits);
    auto held = std::make_unique<HeldResult>(std::move(connection), std::move(handles), std::move(guard));
    K2_RETURN_IF_ERROR(held->start(statement, {}, StatementAuthor::kUser));
    return held;
  }

 private:
  // A question on one channel, up to the point where its rows have a text.
  struct Question {
    std::unique_ptr<DuckConnection> connection;
    std::vector<std::unique_ptr<TailSources::Handle>> handles;
    std::unique_ptr<QueryLimiter::Guard> guard;
    Parameters parameters;
    std::string rows;

    Result<std::unique_ptr<QueryResult>> run(const std::string& sql) && {
      auto held = std::make_unique<HeldResult>(std::move(connection), std::move(handles), std::move(guard));
      K2_RETURN_IF_ERROR(held->start(sql, parameters.values(), StatementAuthor::kOurselves));
      return held;
    }
  };

  Result<Question> ask(const EventQuery& query, const Cut& cut, const QueryLimits& limits, const std::vector<std::string_view>& columns) {
    K2_RETURN_IF_ERROR(check_query(query));
    Question question;
    K2_TRY(question.connection, database_->connect());
    question.guard = std::make_unique<QueryLimiter::Guard>(limiter_, *question.connection, limits);
    const TableSpec& table = table_of(query.channel);
    K2_TRY(TableView view, reader_.view(cut, table));
    const auto files = plan(*view.state, plan_filter(query));
    auto source = std::make_shared<TailSource>(table, view.tail, std::move(view.pieces), row_filter(query));
    std::string tail;
    if (files.empty() || !source->parts().empty()) {
      question.handles.push_back(std::make_unique<TailSources::Handle>(sources_, std::move(source)));
      tail = question.handles.back()->sql();
    }
    const std::string conditions = files.empty() ? "" : event_conditions(query, view.condition, question.parameters);
    question.rows = union_text(files, conditions, tail, columns);
    return question;
  }

  // The answer by WindowReader; nullptr where it is not for that.
  Result<std::unique_ptr<QueryResult>> window_of(const EventQuery& query, const Cut& cut, const QueryLimits& limits,
                                                 const std::vector<std::string_view>& columns) {
    const std::function<Status()> check = limit_check(limits);
    K2_RETURN_IF_ERROR(check());
    const TableSpec& table = table_of(query.channel);
    K2_TRY(TableView view, reader_.view(cut, table));
    if (!view.condition.empty()) return nullptr;
    const TailSource source(table, view.tail, std::move(view.pieces), row_filter(query));
    if (source.rows_max() > window_rows_max_) return nullptr;
    std::vector<SelectedRows> parts;  // of the tail, then of the files
    for (const TailSource::Part& part : source.parts()) {
      if (part.piece.batch) {
        parts.push_back({part.piece.batch, part.rows});
        continue;
      }
      K2_RETURN_IF_ERROR(check());
      K2_TRY(TailSource::Part loaded, source.load(part));
      parts.push_back({std::move(loaded.piece.batch), std::move(loaded.rows)});
    }
    WindowRequest request{table, with_order_columns(columns), row_filter(query), window_rows_max_};
    request.threads = window_threads_;
    if (query.limit) request.first = FirstRows{*query.limit, query.order};
    K2_TRY(auto from_files, windows_.read(plan(*view.state, plan_filter(query)), request, check, parts));
    if (!from_files) return nullptr;
    for (SelectedRows& part : *from_files) parts.push_back(std::move(part));
    return ordered_rows(table, std::move(parts), columns, query.order, query.limit, check);
  }

  Result<std::string> whole_table(const TableSpec& table, TableView view, std::vector<std::unique_ptr<TailSources::Handle>>& handles) {
    std::string conditions;
    add_condition(conditions, view.condition);
    auto source = std::make_shared<TailSource>(table, view.tail, std::move(view.pieces), RowFilter{});
    handles.push_back(std::make_unique<TailSources::Handle>(sources_, std::move(source)));
    return union_text(*view.state->files, conditions, handles.back()->sql(), column_names(table));
  }

  static void add_dead_letters(TableBuilder& rows, const Cut& cut) {
    int64_t count = 0;
    for (const auto& [partition, offset] : cut.end)
      if (partition.topic == kDeadLetterTopic) count += offset.value;
    rows.add_text("name", std::string(kDeadLetterTopic));
    for (const std::string_view name : {"rows", "log_rows", "log_end"}) rows.add_long(name, count);
    for (const std::string_view name : {"table_rows", "files", "size_bytes", "snapshots", "committed"}) rows.add_long(name, 0);
    rows.add_long("snapshot_id", std::nullopt);
  }

  Lake& lake_;
  const int64_t window_rows_max_;
  const int window_threads_;
  HybridReader reader_;
  CoverageReader coverage_;
  WindowReader windows_;
  TailSources sources_;  // outlive the database
  std::unique_ptr<DuckDatabase> database_;
  QueryLimiter limiter_;
};

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(Lake& lake, const Log& log, const SchemaStore& schemas, const EngineOptions& options) {
  auto engine = std::make_unique<DuckEngine>(lake, log, schemas, options);
  K2_RETURN_IF_ERROR(engine->start(options));
  return engine;
}

}  // namespace k2
