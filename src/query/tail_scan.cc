#include "query/tail_scan.h"

#include <arrow/api.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/bytes.h"

namespace k2 {
namespace {

template <class Array>
const Array& column_of(const arrow::RecordBatch& batch, std::string_view name) {
  const int index = batch.schema()->GetFieldIndex(std::string(name));
  K2_ASSERT(index >= 0);
  return static_cast<const Array&>(*batch.column(index));
}

// --- filling vectors --------------------------------------------------------------------------------------------------

// The rows of one output chunk: `count` of them, either consecutive from `first` or those listed.
struct Rows {
  int64_t first = 0;
  const int32_t* listed = nullptr;
  idx_t count = 0;

  [[nodiscard]] int64_t at(idx_t i) const { return listed == nullptr ? first + static_cast<int64_t>(i) : listed[i]; }
};

void fill_nulls(duckdb_vector vector, const arrow::Array& array, const Rows& rows) {
  if (array.null_count() == 0) return;
  duckdb_vector_ensure_validity_writable(vector);
  uint64_t* validity = duckdb_vector_get_validity(vector);
  for (idx_t i = 0; i < rows.count; ++i)
    if (array.IsNull(rows.at(i))) duckdb_validity_set_row_invalid(validity, i);
}

template <class Value>
void fill_fixed(duckdb_vector vector, const Value* values, const Rows& rows) {
  auto* to = static_cast<Value*>(duckdb_vector_get_data(vector));
  if (rows.listed == nullptr) std::memcpy(to, values + rows.first, rows.count * sizeof(Value));
  else
    for (idx_t i = 0; i < rows.count; ++i) to[i] = values[rows.listed[i]];
}

// decimal128 in memory to DuckDB's DECIMAL(18,8), which is the low half: decimal(18,8) fits in 64 bits.
void fill_decimal(duckdb_vector vector, const arrow::Array& array, const Rows& rows) {
  const auto& decimals = static_cast<const arrow::Decimal128Array&>(array);
  auto* to = static_cast<int64_t*>(duckdb_vector_get_data(vector));
  for (idx_t i = 0; i < rows.count; ++i) std::memcpy(&to[i], decimals.GetValue(rows.at(i)), sizeof(int64_t));
}

// DuckDB's UUID is a 128-bit integer with the top bit turned, so that it sorts as its text does.
void fill_uuid(duckdb_vector vector, const arrow::Array& array, const Rows& rows) {
  const auto& uuids = static_cast<const arrow::FixedSizeBinaryArray&>(array);
  auto* to = static_cast<duckdb_hugeint*>(duckdb_vector_get_data(vector));
  for (idx_t i = 0; i < rows.count; ++i) {
    const uint8_t* bytes = uuids.GetValue(rows.at(i));
    to[i].upper = static_cast<int64_t>(load_big_endian<uint64_t>(bytes) ^ (uint64_t{1} << 63));
    to[i].lower = load_big_endian<uint64_t>(bytes + 8);
  }
}

constexpr uint32_t kInlineMax = 12;  // duckdb_string_t holds so many bytes itself

void set_borrowed_text(duckdb_string_t& to, std::string_view text) {
  const auto length = static_cast<uint32_t>(text.size());
  if (length <= kInlineMax) {
    to.value.inlined.length = length;
    std::memset(to.value.inlined.inlined, 0, kInlineMax);
    std::memcpy(to.value.inlined.inlined, text.data(), length);
    return;
  }
  to.value.pointer.length = length;
  std::memcpy(to.value.pointer.prefix, text.data(), sizeof to.value.pointer.prefix);
  to.value.pointer.ptr = const_cast<char*>(text.data());  // DuckDB does not write through it
}

// Text that lives as long as the source is borrowed; other text is copied into the vector.
void fill_text(duckdb_vector vector, const arrow::Array& array, const Rows& rows, bool borrow) {
  const auto& texts = static_cast<const arrow::StringArray&>(array);
  auto* to = static_cast<duckdb_string_t*>(duckdb_vector_get_data(vector));
  for (idx_t i = 0; i < rows.count; ++i) {
    const std::string_view text = texts.GetView(rows.at(i));
    if (borrow || text.size() <= kInlineMax) set_borrowed_text(to[i], text);
    else duckdb_vector_assign_string_element_len(vector, i, text.data(), text.size());
  }
}

void fill_text_list(duckdb_vector vector, const arrow::Array& array, const Rows& rows) {
  const auto& lists = static_cast<const arrow::ListArray&>(array);
  const auto& elements = static_cast<const arrow::StringArray&>(*lists.values());
  idx_t total = 0;
  for (idx_t i = 0; i < rows.count; ++i) total += static_cast<idx_t>(lists.value_length(rows.at(i)));
  duckdb_list_vector_reserve(vector, total);
  duckdb_list_vector_set_size(vector, total);
  duckdb_vector child = duckdb_list_vector_get_child(vector);
  auto* entries = static_cast<duckdb_list_entry*>(duckdb_vector_get_data(vector));
  idx_t next = 0;
  for (idx_t i = 0; i < rows.count; ++i) {
    const int64_t row = rows.at(i);
    entries[i] = {next, static_cast<uint64_t>(lists.value_length(row))};
    for (int64_t element = lists.value_offset(row); element < lists.value_offset(row + 1); ++element) {
      const std::string_view text = elements.GetView(element);
      duckdb_vector_assign_string_element_len(child, next++, text.data(), text.size());
    }
  }
}

void fill(duckdb_vector vector, ColumnType type, const arrow::Array& array, const Rows& rows, bool borrow) {
  fill_nulls(vector, array, rows);
  switch (type) {
    case ColumnType::kUuid: return fill_uuid(vector, array, rows);
    case ColumnType::kString: return fill_text(vector, array, rows, borrow);
    case ColumnType::kTimestampUs: return fill_fixed(vector, static_cast<const arrow::TimestampArray&>(array).raw_values(), rows);
    case ColumnType::kDecimal18_8: return fill_decimal(vector, array, rows);
    case ColumnType::kStringList: return fill_text_list(vector, array, rows);
    case ColumnType::kLong: return fill_fixed(vector, static_cast<const arrow::Int64Array&>(array).raw_values(), rows);
    case ColumnType::kInt: return fill_fixed(vector, static_cast<const arrow::Int32Array&>(array).raw_values(), rows);
  }
}

duckdb_logical_type sql_type(ColumnType type) {
  switch (type) {
    case ColumnType::kUuid: return duckdb_create_logical_type(DUCKDB_TYPE_UUID);
    case ColumnType::kString: return duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
    case ColumnType::kTimestampUs: return duckdb_create_logical_type(DUCKDB_TYPE_TIMESTAMP_TZ);
    case ColumnType::kDecimal18_8: return duckdb_create_decimal_type(Decimal18_8::kPrecision, Decimal18_8::kScale);
    case ColumnType::kStringList: {
      duckdb_logical_type text = duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
      duckdb_logical_type list = duckdb_create_list_type(text);
      duckdb_destroy_logical_type(&text);
      return list;
    }
    case ColumnType::kLong: return duckdb_create_logical_type(DUCKDB_TYPE_BIGINT);
    case ColumnType::kInt: return duckdb_create_logical_type(DUCKDB_TYPE_INTEGER);
  }
  K2_ASSERT(!"a column type without a SQL type");
}

// --- the table function -----------------------------------------------------------------------------------------------

// Of one scan, shared by its threads.
struct Scan {
  std::shared_ptr<TailSource> source;
  std::vector<idx_t> columns;  // of the table, in output order
  std::atomic<size_t> next_part = 0;
};

// Of one thread of a scan.
struct Reader {
  std::optional<TailSource::Part> loaded;  // the part at hand, if it had to be read from the log
  const TailSource::Part* part = nullptr;
  int64_t position = 0;  // next row of it
};

template <class State>
void destroy(void* state) {
  delete static_cast<State*>(state);
}

void bind(duckdb_bind_info info) {
  const auto* sources = static_cast<const TailSources*>(duckdb_bind_get_extra_info(info));
  duckdb_value parameter = duckdb_bind_get_parameter(info, 0);
  const int64_t id = duckdb_get_int64(parameter);
  duckdb_destroy_value(&parameter);
  auto source = sources->find(id);
  if (!source) {
    duckdb_bind_set_error(info, "k2_tail: no such id");
    return;
  }
  for (const Column& column : source->table().columns) {
    duckdb_logical_type type = sql_type(column.type);
    duckdb_bind_add_result_column(info, std::string(column.name).c_str(), type);
    duckdb_destroy_logical_type(&type);
  }
  duckdb_bind_set_cardinality(info, static_cast<idx_t>(source->rows_max()), false);
  duckdb_bind_set_bind_data(info, new std::shared_ptr<TailSource>(std::move(source)), destroy<std::shared_ptr<TailSource>>);
}

void init(duckdb_init_info info) {
  auto scan = std::make_unique<Scan>();
  scan->source = *static_cast<std::shared_ptr<TailSource>*>(duckdb_init_get_bind_data(info));
  for (idx_t i = 0; i < duckdb_init_get_column_count(info); ++i) scan->columns.push_back(duckdb_init_get_column_index(info, i));
  duckdb_init_set_max_threads(info, std::max<idx_t>(1, scan->source->parts().size()));
  duckdb_init_set_init_data(info, scan.release(), destroy<Scan>);
}

void init_thread(duckdb_init_info info) { duckdb_init_set_init_data(info, new Reader, destroy<Reader>); }

int64_t rows_of(const TailSource::Part& part) {
  return part.rows ? static_cast<int64_t>(part.rows->size()) : part.piece.to.value - part.piece.from.value;
}

// Moves on to a part with rows left; false at the end of all.
Result<bool> advance(Scan& scan, Reader& reader) {
  while (reader.part == nullptr || reader.position >= rows_of(*reader.part)) {
    const size_t index = scan.next_part.fetch_add(1);
    if (index >= scan.source->parts().size()) return false;
    reader.part = &scan.source->parts()[index];
    reader.position = 0;
    if (reader.part->piece.batch) continue;
    K2_TRY(reader.loaded, scan.source->load(*reader.part));
    reader.part = &*reader.loaded;
  }
  return true;
}

void fill_chunk(const Scan& scan, Reader& reader, duckdb_data_chunk output) {
  const TailSource::Part& part = *reader.part;
  Rows rows;
  rows.count = std::min<idx_t>(duckdb_vector_size(), static_cast<idx_t>(rows_of(part) - reader.position));
  rows.first = reader.position;
  rows.listed = part.rows ? part.rows->data() + reader.position : nullptr;
  const bool borrow = !reader.loaded || reader.part != &*reader.loaded;
  const auto& columns = scan.source->table().columns;
  for (size_t i = 0; i < scan.columns.size(); ++i) {
    const idx_t column = scan.columns[i];
    if (column >= columns.size()) continue;  // a row id, where only the count of rows is wanted
    fill(duckdb_data_chunk_get_vector(output, i), columns[column].type, *part.piece.batch->column(static_cast<int>(column)), rows, borrow);
  }
  duckdb_data_chunk_set_size(output, rows.count);
  reader.position += static_cast<int64_t>(rows.count);
}

void scan_chunk(duckdb_function_info info, duckdb_data_chunk output) {
  auto& scan = *static_cast<Scan*>(duckdb_function_get_init_data(info));
  auto& reader = *static_cast<Reader*>(duckdb_function_get_local_init_data(info));
  const Result<bool> more = advance(scan, reader);
  if (!more) {
    scan.source->fail(more.error());
    duckdb_function_set_error(info, more.error().message.c_str());
    return;
  }
  if (*more) fill_chunk(scan, reader, output);
  else duckdb_data_chunk_set_size(output, 0);
}

}  // namespace

std::vector<int32_t> select_rows(const arrow::RecordBatch& batch, const RowFilter& filter) {
  const int64_t* timestamps = column_of<arrow::TimestampArray>(batch, "timestamp").raw_values();
  const auto& symbols = column_of<arrow::StringArray>(batch, "symbol");
  const auto& exchanges = column_of<arrow::StringArray>(batch, "exchange");
  const auto wanted = [&](int64_t row) {
    if (filter.start && timestamps[row] < filter.start->us) return false;
    if (filter.end && timestamps[row] >= filter.end->us) return false;
    if (!filter.symbols.empty() && std::find(filter.symbols.begin(), filter.symbols.end(), symbols.GetView(row)) == filter.symbols.end())
      return false;
    return filter.exchange.empty() || exchanges.GetView(row) == filter.exchange;
  };
  std::vector<int32_t> rows;
  for (int64_t row = 0; row < batch.num_rows(); ++row)
    if (wanted(row)) rows.push_back(static_cast<int32_t>(row));
  return rows;
}

TailSource::TailSource(const TableSpec& table, const HotTail* tail, std::vector<TailPiece> pieces, RowFilter filter)
    : table_(table), tail_(tail), filter_(std::move(filter)) {
  for (TailPiece& piece : pieces) {
    if (piece.batch && filter_.start && *piece.timestamp_max < *filter_.start) continue;
    if (piece.batch && filter_.end && *piece.timestamp_min >= *filter_.end) continue;
    Part part{std::move(piece), std::nullopt};
    if (part.piece.batch && !filter_.everything()) part.rows = select_rows(*part.piece.batch, filter_);
    if (part.rows && part.rows->empty()) continue;
    rows_max_ += rows_of(part);
    parts_.push_back(std::move(part));
  }
}

Result<TailSource::Part> TailSource::load(const Part& part) const {
  K2_ASSERT(tail_ != nullptr);
  Part loaded = part;
  K2_TRY(loaded.piece.batch, tail_->load(part.piece));
  if (!filter_.everything()) loaded.rows = select_rows(*loaded.piece.batch, filter_);
  return loaded;
}

void TailSource::fail(Error error) {
  const std::lock_guard lock(mutex_);
  if (!error_) error_ = std::move(error);
}

std::optional<Error> TailSource::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

Status TailSources::install(DuckConnection& connection) {
  duckdb_table_function function = duckdb_create_table_function();
  duckdb_table_function_set_name(function, "k2_tail");
  duckdb_logical_type id = duckdb_create_logical_type(DUCKDB_TYPE_BIGINT);
  duckdb_table_function_add_parameter(function, id);
  duckdb_destroy_logical_type(&id);
  duckdb_table_function_set_extra_info(function, this, nullptr);
  duckdb_table_function_set_bind(function, bind);
  duckdb_table_function_set_init(function, init);
  duckdb_table_function_set_local_init(function, init_thread);
  duckdb_table_function_set_function(function, scan_chunk);
  duckdb_table_function_supports_projection_pushdown(function, true);
  const duckdb_state state = duckdb_register_table_function(connection.get(), function);
  duckdb_destroy_table_function(&function);
  if (state != DuckDBSuccess) return make_error(ErrorKind::kUnavailable, "query: DuckDB refuses the table function k2_tail");
  return {};
}

std::shared_ptr<TailSource> TailSources::find(int64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

TailSources::Handle::Handle(TailSources& sources, std::shared_ptr<TailSource> source) : sources_(sources), source_(std::move(source)) {
  const std::lock_guard lock(sources_.mutex_);
  id_ = sources_.next_id_++;
  sources_.by_id_[id_] = source_;
}

TailSources::Handle::~Handle() {
  const std::lock_guard lock(sources_.mutex_);
  sources_.by_id_.erase(id_);
}

std::string TailSources::Handle::sql() const { return "k2_tail(" + std::to_string(id_) + ")"; }

}  // namespace k2
