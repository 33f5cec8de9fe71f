#include "query/ordered_rows.h"

#include <arrow/api.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include "base/assert.h"
#include "query/batch_column.h"

namespace k2 {
namespace {

constexpr size_t kBatchRows = 16'384;
constexpr size_t kSliceRows = 2'048;  // fewer are cheaper copied than made a batch of their own
constexpr int kUuidBytes = 16;
constexpr int kUuidText = 36;

// Where a row stands in the order, and where it is.
struct Place {
  int64_t timestamp;
  int64_t offset;
  int32_t topic;  // rank among the answer's topics, by name
  int32_t partition;
  uint32_t part;
  int32_t row;

  [[nodiscard]] auto key() const { return std::tie(timestamp, topic, partition, offset); }
  bool operator<(const Place& other) const { return timestamp != other.timestamp ? timestamp < other.timestamp : key() < other.key(); }
};

// Numbers topics in the order of their names, which must all be known before a rank means anything.
class Topics {
 public:
  void add(const arrow::RecordBatch& batch) {
    const auto& topics = column_of<arrow::StringArray>(batch, "log_topic");
    std::string_view last;
    for (int64_t row = 0; row < batch.num_rows(); ++row) {
      const std::string_view topic = topics.GetView(row);
      if (row > 0 && topic == last) continue;
      ranks_.emplace(topic, 0);
      last = topic;
    }
  }
  void number() {
    int32_t rank = 0;
    for (auto& [topic, number] : ranks_) number = rank++;
  }
  [[nodiscard]] int32_t rank(std::string_view topic) const { return ranks_.size() == 1 ? 0 : ranks_.find(topic)->second; }

 private:
  std::map<std::string, int32_t, std::less<>> ranks_;
};

void add_places(const SelectedRows& rows, uint32_t part, const Topics& topics, std::vector<Place>& places) {
  const arrow::RecordBatch& batch = *rows.batch;
  const int64_t* timestamps = column_of<arrow::TimestampArray>(batch, "timestamp").raw_values();
  const auto& log_topics = column_of<arrow::StringArray>(batch, "log_topic");
  const int32_t* partitions = column_of<arrow::Int32Array>(batch, "log_partition").raw_values();
  const int64_t* offsets = column_of<arrow::Int64Array>(batch, "log_offset").raw_values();
  const auto add = [&](int32_t row) {
    places.push_back({timestamps[row], offsets[row], topics.rank(log_topics.GetView(row)), partitions[row], part, row});
  };
  if (rows.rows)
    for (const int32_t row : *rows.rows) add(row);
  else
    for (int32_t row = 0; row < static_cast<int32_t>(batch.num_rows()); ++row) add(row);
}

// Sorts neighbouring runs, each a part's, by merging them two and two: parts are nearly always sorted already.
void merge_runs(std::vector<Place>& places, std::vector<size_t> ends) {
  size_t begin = 0;
  for (const size_t end : ends) {
    if (!std::is_sorted(places.begin() + static_cast<ptrdiff_t>(begin), places.begin() + static_cast<ptrdiff_t>(end)))
      std::sort(places.begin() + static_cast<ptrdiff_t>(begin), places.begin() + static_cast<ptrdiff_t>(end));
    begin = end;
  }
  const auto at = [&](size_t i) { return places.begin() + static_cast<ptrdiff_t>(i); };
  while (ends.size() > 1) {
    std::vector<size_t> merged;
    size_t from = 0;
    for (size_t i = 0; i < ends.size(); i += 2) {
      if (i + 1 < ends.size()) {
        const size_t middle = ends[i], end = ends[i + 1];
        if (middle > from && end > middle && places[middle] < places[middle - 1]) std::inplace_merge(at(from), at(middle), at(end));
        merged.push_back(end);
      } else {
        merged.push_back(ends[i]);
      }
      from = merged.back();
    }
    ends = std::move(merged);
  }
}

// --- gathering --------------------------------------------------------------------------------------------------------

using Places = std::span<const Place>;

std::shared_ptr<arrow::DataType> answer_type(ColumnType type) {
  switch (type) {
    case ColumnType::kUuid:
    case ColumnType::kString: return arrow::utf8();
    case ColumnType::kTimestampUs: return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case ColumnType::kDecimal18_8: return arrow::decimal128(Decimal18_8::kPrecision, Decimal18_8::kScale);
    case ColumnType::kStringList: return arrow::list(arrow::field("element", arrow::utf8()));
    case ColumnType::kLong: return arrow::int64();
    case ColumnType::kInt: return arrow::int32();
  }
  K2_ASSERT(!"a column type without an Arrow type");
}

// "00" to "ff".
constexpr auto kHexPairs = [] {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<std::array<char, 2>, 256> pairs{};
  for (size_t byte = 0; byte < pairs.size(); ++byte) pairs[byte] = {kDigits[byte >> 4], kDigits[byte & 15]};
  return pairs;
}();

void write_uuid(const uint8_t* bytes, char* to) {
  for (int i = 0; i < kUuidBytes; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
    std::memcpy(to, kHexPairs[bytes[i]].data(), 2);
    to += 2;
  }
}

// One column of every part, seen as its type.
template <class Array>
std::vector<const Array*> arrays_of(const std::vector<SelectedRows>& parts, std::string_view name) {
  std::vector<const Array*> arrays;
  for (const SelectedRows& part : parts) arrays.push_back(&column_of<Array>(*part.batch, name));
  return arrays;
}

template <class Array>
bool have_nulls(const std::vector<const Array*>& arrays) {
  return std::ranges::any_of(arrays, [](const Array* array) { return array->null_count() > 0; });
}

template <class Builder, class Array>
arrow::Result<std::shared_ptr<arrow::Array>> gather_fixed(Builder builder, const std::vector<const Array*>& arrays, Places places) {
  ARROW_RETURN_NOT_OK(builder.Reserve(static_cast<int64_t>(places.size())));
  if (!have_nulls(arrays)) {
    for (const Place& place : places) builder.UnsafeAppend(arrays[place.part]->GetView(place.row));
    return builder.Finish();
  }
  for (const Place& place : places) {
    const Array& array = *arrays[place.part];
    if (array.IsNull(place.row)) builder.UnsafeAppendNull();
    else builder.UnsafeAppend(array.GetView(place.row));
  }
  return builder.Finish();
}

// Text without nulls, written where it belongs instead of appended: most of an answer's bytes are text.
arrow::Result<std::shared_ptr<arrow::Array>> gather_whole_text(const std::vector<const arrow::StringArray*>& arrays, Places places) {
  const auto rows = static_cast<int64_t>(places.size());
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> offsets, arrow::AllocateBuffer((rows + 1) * 4));
  auto* offset = reinterpret_cast<int32_t*>(offsets->mutable_data());
  int64_t bytes = 0;
  for (const Place& place : places) {
    *offset++ = static_cast<int32_t>(bytes);
    bytes += arrays[place.part]->value_length(place.row);
    if (bytes > INT32_MAX) return arrow::Status::CapacityError("a batch with more than 2 GiB of text");
  }
  *offset = static_cast<int32_t>(bytes);
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> text, arrow::AllocateBuffer(bytes));
  char* to = reinterpret_cast<char*>(text->mutable_data());
  for (const Place& place : places) {
    const std::string_view value = arrays[place.part]->GetView(place.row);
    std::memcpy(to, value.data(), value.size());
    to += value.size();
  }
  return std::make_shared<arrow::StringArray>(rows, std::move(offsets), std::move(text));
}

arrow::Result<std::shared_ptr<arrow::Array>> gather_text(const std::vector<const arrow::StringArray*>& arrays, Places places) {
  if (!have_nulls(arrays)) return gather_whole_text(arrays, places);
  arrow::StringBuilder builder;
  int64_t bytes = 0;
  for (const Place& place : places) bytes += arrays[place.part]->value_length(place.row);
  ARROW_RETURN_NOT_OK(builder.Reserve(static_cast<int64_t>(places.size())));
  ARROW_RETURN_NOT_OK(builder.ReserveData(bytes));
  for (const Place& place : places) {
    const arrow::StringArray& array = *arrays[place.part];
    if (array.IsNull(place.row)) builder.UnsafeAppendNull();
    else builder.UnsafeAppend(array.GetView(place.row));
  }
  return builder.Finish();
}

arrow::Result<std::shared_ptr<arrow::Array>> gather_uuid(const std::vector<const arrow::FixedSizeBinaryArray*>& arrays, Places places) {
  arrow::StringBuilder builder;
  ARROW_RETURN_NOT_OK(builder.Reserve(static_cast<int64_t>(places.size())));
  ARROW_RETURN_NOT_OK(builder.ReserveData(static_cast<int64_t>(places.size()) * kUuidText));
  char text[kUuidText];
  for (const Place& place : places) {
    const arrow::FixedSizeBinaryArray& array = *arrays[place.part];
    if (array.IsNull(place.row)) {
      builder.UnsafeAppendNull();
      continue;
    }
    write_uuid(array.GetValue(place.row), text);
    builder.UnsafeAppend(text, kUuidText);
  }
  return builder.Finish();
}

arrow::Result<std::shared_ptr<arrow::Array>> gather_text_list(const std::vector<const arrow::ListArray*>& arrays, Places places) {
  auto elements = std::make_shared<arrow::StringBuilder>();
  arrow::ListBuilder builder(arrow::default_memory_pool(), elements, answer_type(ColumnType::kStringList));
  ARROW_RETURN_NOT_OK(builder.Reserve(static_cast<int64_t>(places.size())));
  for (const Place& place : places) {
    const arrow::ListArray& array = *arrays[place.part];
    if (array.IsNull(place.row)) {
      ARROW_RETURN_NOT_OK(builder.AppendNull());
      continue;
    }
    ARROW_RETURN_NOT_OK(builder.Append());
    const auto& values = static_cast<const arrow::StringArray&>(*array.values());
    for (int64_t i = array.value_offset(place.row); i < array.value_offset(place.row + 1); ++i)
      ARROW_RETURN_NOT_OK(elements->Append(values.GetView(i)));
  }
  return builder.Finish();
}

arrow::Result<std::shared_ptr<arrow::Array>> gather(const Column& column, const std::vector<SelectedRows>& parts, Places places) {
  switch (column.type) {
    case ColumnType::kUuid: return gather_uuid(arrays_of<arrow::FixedSizeBinaryArray>(parts, column.name), places);
    case ColumnType::kString: return gather_text(arrays_of<arrow::StringArray>(parts, column.name), places);
    case ColumnType::kTimestampUs:
      return gather_fixed(arrow::TimestampBuilder(answer_type(column.type), arrow::default_memory_pool()),
                          arrays_of<arrow::TimestampArray>(parts, column.name), places);
    case ColumnType::kDecimal18_8:
      return gather_fixed(arrow::Decimal128Builder(answer_type(column.type)), arrays_of<arrow::Decimal128Array>(parts, column.name),
                          places);
    case ColumnType::kStringList: return gather_text_list(arrays_of<arrow::ListArray>(parts, column.name), places);
    case ColumnType::kLong: return gather_fixed(arrow::Int64Builder(), arrays_of<arrow::Int64Array>(parts, column.name), places);
    case ColumnType::kInt: return gather_fixed(arrow::Int32Builder(), arrays_of<arrow::Int32Array>(parts, column.name), places);
  }
  K2_ASSERT(!"a column type that cannot be gathered");
}

// How many of `places`, from the first on, follow each other in one part, as they mostly do where the order is the files': a slice of it.
size_t stretch_length(Places places) {
  size_t length = 1;
  while (length < places.size() && places[length].part == places[0].part &&
         places[length].row == places[0].row + static_cast<int32_t>(length))
    ++length;
  return length;
}

// The rows of the next batch: a stretch where it is long enough to be worth a batch, otherwise what lies before the next such stretch.
std::pair<Places, bool> next_batch(Places places) {
  places = places.first(std::min(kBatchRows, places.size()));
  size_t rows = 0;
  while (rows < places.size()) {
    const size_t stretch = stretch_length(places.subspan(rows));
    if (stretch >= kSliceRows || stretch == places.size()) {
      if (rows == 0) return {places.first(stretch), true};
      break;
    }
    rows += stretch;
  }
  return {places.first(rows), false};
}

const Column& column_named(const TableSpec& table, std::string_view name) {
  const auto found = std::find_if(table.columns.begin(), table.columns.end(), [&](const Column& column) { return column.name == name; });
  K2_ASSERT(found != table.columns.end());
  return *found;
}

class OrderedResult final : public QueryResult {
 public:
  OrderedResult(const TableSpec& table, std::vector<SelectedRows> parts, std::vector<std::string_view> columns, std::vector<Place> places,
                std::function<Status()> check)
      : table_(table),
        parts_(std::move(parts)),
        columns_(std::move(columns)),
        places_(std::move(places)),
        check_(std::move(check)),
        schema_(answer_schema(table, columns_)) {}

  [[nodiscard]] const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> next() override {
    K2_RETURN_IF_ERROR(check_());
    if (next_ >= places_.size()) return nullptr;
    const auto [places, stretch] = next_batch(Places(places_).subspan(next_));
    arrow::ArrayVector arrays;
    for (const std::string_view name : columns_) {
      const Column& column = column_named(table_, name);
      const bool sliced = stretch && column.type != ColumnType::kUuid;
      auto array = sliced ? slice(column, places) : gather(column, parts_, places);
      if (!array.ok()) return make_error(ErrorKind::kUnavailable, "query: " + array.status().ToString());
      arrays.push_back(*std::move(array));
    }
    next_ += places.size();
    return arrow::RecordBatch::Make(schema_, static_cast<int64_t>(places.size()), std::move(arrays));
  }

 private:
  arrow::Result<std::shared_ptr<arrow::Array>> slice(const Column& column, Places places) const {
    const auto array = parts_[places.front().part].batch->GetColumnByName(std::string(column.name));
    auto data = array->data()->Slice(places.front().row, static_cast<int64_t>(places.size()));
    data->type = answer_type(column.type);  // of lists, only whether elements may be null differs
    return arrow::MakeArray(std::move(data));
  }

  const TableSpec table_;
  const std::vector<SelectedRows> parts_;
  const std::vector<std::string_view> columns_;
  const std::vector<Place> places_;
  const std::function<Status()> check_;
  const std::shared_ptr<arrow::Schema> schema_;
  size_t next_ = 0;
};

}  // namespace

std::shared_ptr<arrow::Schema> answer_schema(const TableSpec& table, const std::vector<std::string_view>& columns) {
  arrow::FieldVector fields;
  for (const std::string_view name : columns)
    fields.push_back(arrow::field(std::string(name), answer_type(column_named(table, name).type)));
  return arrow::schema(std::move(fields));
}

Result<std::unique_ptr<QueryResult>> ordered_rows(const TableSpec& table, std::vector<SelectedRows> parts,
                                                  std::vector<std::string_view> columns, EventOrder order, std::optional<int64_t> limit,
                                                  std::function<Status()> check) {
  Topics topics;
  for (const SelectedRows& part : parts) topics.add(*part.batch);
  topics.number();
  std::vector<Place> places;
  size_t count = 0;
  for (const SelectedRows& part : parts) count += part.rows ? part.rows->size() : static_cast<size_t>(part.batch->num_rows());
  places.reserve(count);
  std::vector<size_t> ends;
  for (size_t part = 0; part < parts.size(); ++part) {
    add_places(parts[part], static_cast<uint32_t>(part), topics, places);
    ends.push_back(places.size());
  }
  if (limit && static_cast<size_t>(*limit) < places.size()) {
    const auto sooner = [order](const Place& a, const Place& b) { return order == EventOrder::kNewestFirst ? b < a : a < b; };
    std::nth_element(places.begin(), places.begin() + static_cast<ptrdiff_t>(*limit), places.end(), sooner);
    places.resize(static_cast<size_t>(*limit));
    std::sort(places.begin(), places.end(), sooner);
  } else {
    merge_runs(places, std::move(ends));
    if (order == EventOrder::kNewestFirst) std::reverse(places.begin(), places.end());
  }
  K2_RETURN_IF_ERROR(check());
  return std::make_unique<OrderedResult>(table, std::move(parts), std::move(columns), std::move(places), std::move(check));
}

}  // namespace k2
