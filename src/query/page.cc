#include "query/page.h"

#include <arrow/api.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "market/columns.h"
#include "query/batch_column.h"

namespace k2 {
namespace {

constexpr std::string_view kPlaceColumns[] = {"timestamp", "log_topic", "log_partition", "log_offset"};

const TableSpec& table_of_events(Channel channel) { return channel == Channel::kTrades ? kTradesV2 : kQuotesV2; }

// The query's columns, then those of a row's place that are not among them.
std::vector<std::string> with_place(const EventQuery& query) {
  std::vector<std::string> columns = query.columns;
  if (columns.empty())
    for (const Column& column : table_of_events(query.channel).columns) columns.emplace_back(column.name);
  for (const std::string_view name : kPlaceColumns)
    if (std::ranges::find(columns, name) == columns.end()) columns.emplace_back(name);
  return columns;
}

// Reads the rows' places.
class Places {
 public:
  explicit Places(const arrow::RecordBatch& batch)
      : timestamps_(column_of<arrow::TimestampArray>(batch, "timestamp")),
        topics_(column_of<arrow::StringArray>(batch, "log_topic")),
        partitions_(column_of<arrow::Int32Array>(batch, "log_partition")),
        offsets_(column_of<arrow::Int64Array>(batch, "log_offset")) {}

  [[nodiscard]] PageEnd at(int64_t row) const {
    return {{timestamps_.Value(row)}, std::string(topics_.GetView(row)), partitions_.Value(row), offsets_.Value(row), 0};
  }
  /// How many rows up to and with `row`, one after another, have its timestamp.
  [[nodiscard]] int64_t count_at_timestamp(int64_t row) const {
    int64_t first = row;
    while (first > 0 && timestamps_.Value(first - 1) == timestamps_.Value(row)) --first;
    return row - first + 1;
  }

 private:
  const arrow::TimestampArray& timestamps_;
  const arrow::StringArray& topics_;
  const arrow::Int32Array& partitions_;
  const arrow::Int64Array& offsets_;
};

bool is_same_row(const PageEnd& a, const PageEnd& b) {
  return a.timestamp == b.timestamp && a.topic == b.topic && a.partition == b.partition && a.offset == b.offset;
}

void begin_at(EventQuery& query, const PageEnd& after) {
  if (query.order == EventOrder::kOldestFirst) query.start = after.timestamp;
  else query.end = TimestampUs{after.timestamp.us + 1};
}

std::shared_ptr<arrow::RecordBatch> first_columns(const arrow::RecordBatch& batch, size_t count) {
  std::vector<int> indices(count);
  for (size_t i = 0; i < count; ++i) indices[i] = static_cast<int>(i);
  auto chosen = batch.SelectColumns(indices);
  K2_ASSERT(chosen.ok());
  return *std::move(chosen);
}

Error no_such_place() { return {ErrorKind::kInvalidInput, "page_token: its row is not where it was on this cut: not a token of ours"}; }

std::optional<Offsets> offsets_in(const arrow::RecordBatch& snapshots, int64_t row) {
  const auto& texts = column_of<arrow::StringArray>(snapshots, "offsets");
  if (texts.IsNull(row)) return std::nullopt;
  auto offsets = parse_offsets_json(texts.GetView(row));
  return offsets ? std::optional(*std::move(offsets)) : std::nullopt;
}

Cut cut_of_one(const Cut& now, std::string_view table, SnapshotId id, Offsets offsets) {
  Cut cut{.log_id = now.log_id, .end = std::move(offsets), .tables = now.tables};
  for (TableCut& other : cut.tables) other.snapshot = other.table == table ? std::optional(id) : std::nullopt;
  return cut;
}

}  // namespace

Result<EventPage> event_page(Engine& engine, EventQuery query, int64_t size, const std::optional<PageEnd>& after, const Cut& cut,
                             const QueryLimits& limits) {
  const size_t columns = query.columns.empty() ? table_of_events(query.channel).columns.size() : query.columns.size();
  query.columns = with_place(query);
  const int64_t given = after ? after->rows_at_timestamp : 0;
  query.limit = given + size + 1;
  if (after) begin_at(query, *after);
  K2_TRY(const auto result, engine.events(query, cut, limits));
  K2_TRY(const auto batch, read_all(*result));
  const Places places(*batch);
  const int64_t last = std::min(given + size, batch->num_rows()) - 1;
  if (after && (batch->num_rows() < given || !is_same_row(places.at(given - 1), *after))) return std::unexpected(no_such_place());
  EventPage page;
  const auto shown = first_columns(*batch->Slice(given, std::max<int64_t>(last + 1 - given, 0)), columns);
  page.rows = make_result(shown->schema(), {shown});
  if (batch->num_rows() <= given + size) return page;
  page.end = places.at(last);
  page.end->rows_at_timestamp = places.count_at_timestamp(last);
  return page;
}

Result<std::optional<SnapshotCut>> snapshot_cut(Engine& engine, SnapshotId id) {
  K2_TRY(const Cut now, engine.cut());
  for (const Channel channel : {Channel::kTrades, Channel::kQuotes}) {
    const std::string_view table = table_of_events(channel).name;
    K2_TRY(const auto result, engine.snapshots(table));
    K2_TRY(const auto snapshots, read_all(*result));
    const auto& ids = column_of<arrow::Int64Array>(*snapshots, "snapshot_id");
    for (int64_t row = 0; row < snapshots->num_rows(); ++row) {
      if (ids.Value(row) != id.value) continue;
      auto offsets = offsets_in(*snapshots, row);
      if (!offsets) return make_error(ErrorKind::kInvalidInput, "snapshot " + std::to_string(id.value) + " carries no offsets of the log");
      return SnapshotCut{channel, cut_of_one(now, table, id, *std::move(offsets))};
    }
  }
  return std::nullopt;
}

}  // namespace k2
