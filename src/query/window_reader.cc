#include "query/window_reader.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/io/memory.h>
#include <parquet/column_reader.h>
#include <parquet/file_reader.h>
#include <parquet/level_conversion.h>
#include <parquet/metadata.h>
#include <parquet/page_index.h>
#include <parquet/schema.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <list>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "codec/columns.h"
#include "query/batch_column.h"

namespace k2 {
namespace {

constexpr int64_t kTaskRows = 16'384;  // where everything is read; pages are smaller or about as large
constexpr int64_t kRowsAThread = 16'384;

// Thrown inside this file only: a file that is not laid out as this reader needs it.
struct Unsuited : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void require(bool condition, const char* what) {
  if (!condition) throw Unsuited(what);
}

template <class T>
T value_or_throw(arrow::Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return *std::move(result);
}

// Rows [begin, end) of a row group.
struct Range {
  int64_t begin = 0, end = 0;
  [[nodiscard]] int64_t rows() const { return end - begin; }
};

// Those of `a` that are in `b` as well; both ascending without overlap.
std::vector<Range> intersection(const std::vector<Range>& a, const std::vector<Range>& b) {
  std::vector<Range> common;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const Range range{std::max(a[i].begin, b[j].begin), std::min(a[i].end, b[j].end)};
    if (range.begin < range.end) common.push_back(range);
    if (a[i].end < b[j].end) ++i;
    else ++j;
  }
  return common;
}

// --- one file ---------------------------------------------------------------------------------------------------------

bool has_layout(const parquet::ColumnDescriptor& leaf, ColumnType type) {
  const bool flat = leaf.max_repetition_level() == 0 && leaf.max_definition_level() <= 1;
  const auto& logical = *leaf.logical_type();
  switch (type) {
    case ColumnType::kUuid: return flat && leaf.physical_type() == parquet::Type::FIXED_LEN_BYTE_ARRAY && leaf.type_length() == 16;
    case ColumnType::kString: return flat && leaf.physical_type() == parquet::Type::BYTE_ARRAY && logical.is_string();
    case ColumnType::kTimestampUs:
      return flat && leaf.physical_type() == parquet::Type::INT64 && logical.is_timestamp() &&
             static_cast<const parquet::TimestampLogicalType&>(logical).time_unit() == parquet::LogicalType::TimeUnit::MICROS;
    case ColumnType::kDecimal18_8:
      return flat && leaf.physical_type() == parquet::Type::INT64 && logical.is_decimal() && leaf.type_scale() == Decimal18_8::kScale;
    case ColumnType::kLong: return flat && leaf.physical_type() == parquet::Type::INT64 && (logical.is_int() || logical.is_none());
    case ColumnType::kInt: return flat && leaf.physical_type() == parquet::Type::INT32 && (logical.is_int() || logical.is_none());
    case ColumnType::kStringList:
      return leaf.max_repetition_level() == 1 && leaf.max_definition_level() == 1 && leaf.physical_type() == parquet::Type::BYTE_ARRAY;
  }
  return false;
}

// Page indexes of one row group; leafs as the file numbers them.
struct GroupIndex {
  std::vector<std::shared_ptr<parquet::OffsetIndex>> offsets;
  std::shared_ptr<parquet::ByteArrayColumnIndex> symbols;
  std::shared_ptr<parquet::Int64ColumnIndex> timestamps;
};

class WindowFile {
 public:
  WindowFile(const std::string& path, const TableSpec& table) : source_(value_or_throw(arrow::io::ReadableFile::Open(path))) {
    reader_ = parquet::ParquetFileReader::Open(source_);
    metadata_ = reader_->metadata();
    for (const Column& column : table.columns) leafs_.push_back(leaf_of(column));
    groups_.resize(static_cast<size_t>(metadata_->num_row_groups()));
  }

  [[nodiscard]] int groups() const { return metadata_->num_row_groups(); }
  [[nodiscard]] int leaf(size_t column) const { return leafs_[column]; }
  [[nodiscard]] const parquet::FileMetaData& metadata() const { return *metadata_; }
  [[nodiscard]] int64_t group_rows(int group) const { return metadata_->RowGroup(group)->num_rows(); }

  std::shared_ptr<const GroupIndex> index(int group, size_t symbol, size_t timestamp) {
    const std::lock_guard lock(mutex_);
    auto& index = groups_[static_cast<size_t>(group)];
    if (!index) index = read_index(group, leafs_[symbol], leafs_[timestamp]);
    return index;
  }

  std::shared_ptr<arrow::Buffer> read_bytes(int64_t offset, int64_t size) const {
    auto bytes = value_or_throw(source_->ReadAt(offset, size));
    if (bytes->size() != size) throw std::runtime_error("the file is cut short");
    return bytes;
  }

 private:
  int leaf_of(const Column& column) const {
    const parquet::SchemaDescriptor& schema = *metadata_->schema();
    for (int leaf = 0; leaf < schema.num_columns(); ++leaf)
      if (schema.GetColumnRoot(leaf)->name() == column.name) {
        require(has_layout(*schema.Column(leaf), column.type), "a column has another type");
        return leaf;
      }
    throw Unsuited("a column is missing");
  }

  std::shared_ptr<const GroupIndex> read_index(int group, int symbol, int timestamp) {
    const auto pages = reader_->GetPageIndexReader();
    require(pages != nullptr, "there is no page index");
    const auto in_group = pages->RowGroup(group);
    require(in_group != nullptr, "there is no page index");
    auto index = std::make_shared<GroupIndex>();
    for (int leaf = 0; leaf < metadata_->num_columns(); ++leaf) {
      index->offsets.push_back(in_group->GetOffsetIndex(leaf));
      require(index->offsets.back() != nullptr, "there is no offset index");
    }
    index->symbols = std::dynamic_pointer_cast<parquet::ByteArrayColumnIndex>(in_group->GetColumnIndex(symbol));
    index->timestamps = std::dynamic_pointer_cast<parquet::Int64ColumnIndex>(in_group->GetColumnIndex(timestamp));
    return index;
  }

  std::shared_ptr<arrow::io::ReadableFile> source_;
  std::unique_ptr<parquet::ParquetFileReader> reader_;
  std::shared_ptr<parquet::FileMetaData> metadata_;
  std::vector<int> leafs_;  // by the table's column
  std::mutex mutex_;        // guards what follows, and reader_'s making of indexes
  std::vector<std::shared_ptr<const GroupIndex>> groups_;
};

// --- one column -------------------------------------------------------------------------------------------------------

std::shared_ptr<arrow::Array> joined(std::vector<std::shared_ptr<arrow::Array>> chunks) {
  require(!chunks.empty(), "no values came");
  return chunks.size() == 1 ? std::move(chunks[0]) : value_or_throw(arrow::Concatenate(chunks));
}

// Binary arrays of this reader are UTF-8 by the column's logical type.
std::shared_ptr<arrow::Array> as_text(const std::shared_ptr<arrow::Array>& array) {
  auto data = array->data()->Copy();
  data->type = arrow::utf8();
  return arrow::MakeArray(std::move(data));
}

// Dictionary indices to text. Much faster than letting the decoder append value by value: most of our text columns are of few values.
std::shared_ptr<arrow::Array> expanded(const arrow::DictionaryArray& array) {
  const auto& words = static_cast<const arrow::BinaryArray&>(*array.dictionary());
  const auto& indices = static_cast<const arrow::Int32Array&>(*array.indices());
  const int64_t rows = array.length();
  auto offsets = value_or_throw(arrow::AllocateBuffer((rows + 1) * 4));
  auto* offset = reinterpret_cast<int32_t*>(offsets->mutable_data());
  int64_t bytes = 0;
  for (int64_t row = 0; row < rows; ++row) {
    offset[row] = static_cast<int32_t>(bytes);
    if (indices.IsValid(row)) bytes += words.value_length(indices.Value(row));
    require(bytes <= INT32_MAX, "too much text");
  }
  offset[rows] = static_cast<int32_t>(bytes);
  auto text = value_or_throw(arrow::AllocateBuffer(bytes));
  char* to = reinterpret_cast<char*>(text->mutable_data());
  for (int64_t row = 0; row < rows; ++row)
    if (indices.IsValid(row))
      std::memcpy(to + offset[row], words.GetView(indices.Value(row)).data(), static_cast<size_t>(offset[row + 1] - offset[row]));
  return arrow::MakeArray(arrow::ArrayData::Make(
      arrow::utf8(), rows,
      {indices.null_bitmap(), std::shared_ptr<arrow::Buffer>(std::move(offsets)), std::shared_ptr<arrow::Buffer>(std::move(text))},
      indices.null_count(), 0));
}

std::shared_ptr<arrow::Array> as_decimals(const int64_t* units, int64_t rows, std::shared_ptr<arrow::Buffer> validity, int64_t nulls) {
  auto buffer = value_or_throw(arrow::AllocateBuffer(rows * 16));
  auto* to = reinterpret_cast<int64_t*>(buffer->mutable_data());
  for (int64_t row = 0; row < rows; ++row) {
    to[2 * row] = units[row];
    to[2 * row + 1] = units[row] >> 63;
  }
  return arrow::MakeArray(arrow::ArrayData::Make(arrow::decimal128(Decimal18_8::kPrecision, Decimal18_8::kScale), rows,
                                                 {std::move(validity), std::shared_ptr<arrow::Buffer>(std::move(buffer))}, nulls));
}

class ColumnWindow {
 public:
  ColumnWindow(const WindowFile& file, const GroupIndex& index, int group, int leaf)
      : file_(file),
        pages_(index.offsets[static_cast<size_t>(leaf)]->page_locations()),
        descriptor_(*file.metadata().schema()->Column(leaf)),
        group_(file.metadata().RowGroup(group)),
        chunk_(group_->ColumnChunk(leaf)) {}

  std::shared_ptr<arrow::Array> read(const Range& range, ColumnType type) {
    const auto [stream, first_row] = pages_of(range);
    const bool by_dictionary = type == ColumnType::kString && is_dictionary_only();
    const auto reader = parquet::internal::RecordReader::Make(&descriptor_, parquet::internal::LevelInfo::ComputeLevelInfo(&descriptor_),
                                                              arrow::default_memory_pool(), by_dictionary);
    reader->SetPageReader(
        parquet::PageReader::Open(stream, chunk_->num_values(), chunk_->compression(), parquet::default_reader_properties(), descriptor_));
    const int64_t before = range.begin - first_row;
    if (before > 0) require(reader->SkipRecords(before) == before, "rows are missing");
    reader->Reset();
    const int64_t level = reader->levels_position();
    require(reader->ReadRecords(range.rows()) == range.rows(), "rows are missing");
    if (by_dictionary) return words_of(*reader, range.rows());
    return values_of(*reader, range.rows(), level, type);
  }

 private:
  [[nodiscard]] bool is_dictionary_only() const {
    const auto& pages = chunk_->encoding_stats();
    return chunk_->has_dictionary_page() && !pages.empty() &&
           std::all_of(pages.begin(), pages.end(), [](const parquet::PageEncodingStats& page) {
             const bool is_data = page.page_type == parquet::PageType::DATA_PAGE || page.page_type == parquet::PageType::DATA_PAGE_V2;
             return !is_data || page.encoding == parquet::Encoding::RLE_DICTIONARY || page.encoding == parquet::Encoding::PLAIN_DICTIONARY;
           });
  }

  static std::shared_ptr<arrow::Array> words_of(parquet::internal::RecordReader& reader, int64_t rows) {
    const auto words = dynamic_cast<parquet::internal::DictionaryRecordReader&>(reader).GetResult();
    arrow::ArrayVector texts;
    for (const auto& chunk : words->chunks()) texts.push_back(expanded(static_cast<const arrow::DictionaryArray&>(*chunk)));
    auto text = joined(std::move(texts));
    require(text->length() == rows, "values are missing");
    return text;
  }

  // The chunk's dictionary, if it has one, and the pages with rows of `range`, as one stream; and the row that it begins with.
  std::pair<std::shared_ptr<arrow::io::InputStream>, int64_t> pages_of(const Range& range) const {
    const auto begins_after = [](int64_t row, const parquet::PageLocation& page) { return row < page.first_row_index; };
    const auto first = std::upper_bound(pages_.begin(), pages_.end(), range.begin, begins_after);
    require(first != pages_.begin(), "the page index begins late");
    const parquet::PageLocation& begin = *(first - 1);
    const parquet::PageLocation& last = *(std::upper_bound(first, pages_.end(), range.end - 1, begins_after) - 1);
    const int64_t data_size = last.offset + last.compressed_page_size - begin.offset;
    require(data_size > 0, "pages are out of order");
    auto data = file_.read_bytes(begin.offset, data_size);
    if (chunk_->has_dictionary_page()) {
      const int64_t dictionary_offset = chunk_->dictionary_page_offset();
      const auto dictionary = file_.read_bytes(dictionary_offset, pages_.front().offset - dictionary_offset);
      data = value_or_throw(arrow::ConcatenateBuffers({dictionary, data}));
    }
    return {std::make_shared<arrow::io::BufferReader>(data), begin.first_row_index};
  }

  std::shared_ptr<arrow::Array> values_of(parquet::internal::RecordReader& reader, int64_t rows, int64_t level, ColumnType type) const {
    if (type == ColumnType::kStringList) return list_of(reader, rows, level);
    if (type == ColumnType::kString || type == ColumnType::kUuid) {
      auto& binary = dynamic_cast<parquet::internal::BinaryRecordReader&>(reader);
      const auto array = joined(binary.GetBuilderChunks());
      require(array->length() == rows, "values are missing");
      return type == ColumnType::kUuid ? array : as_text(array);
    }
    require(reader.values_written() == rows, "values are missing");
    const int64_t nulls = reader.null_count();
    std::shared_ptr<arrow::Buffer> validity;
    if (reader.nullable_values()) validity = reader.ReleaseIsValid();
    if (nulls == 0) validity = nullptr;
    if (type == ColumnType::kDecimal18_8)
      return as_decimals(reinterpret_cast<const int64_t*>(reader.values()), rows, std::move(validity), nulls);
    auto arrow_type = type == ColumnType::kTimestampUs ? arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")
                      : type == ColumnType::kLong      ? arrow::int64()
                                                       : arrow::int32();
    return arrow::MakeArray(arrow::ArrayData::Make(std::move(arrow_type), rows, {std::move(validity), reader.ReleaseValues()}, nulls));
  }

  // Levels to offsets: a row begins at repetition level 0, an element is there at the highest definition level.
  std::shared_ptr<arrow::Array> list_of(parquet::internal::RecordReader& reader, int64_t rows, int64_t level) const {
    auto offsets = value_or_throw(arrow::AllocateBuffer((rows + 1) * 4));
    auto* offset = reinterpret_cast<int32_t*>(offsets->mutable_data());
    int32_t elements = 0;
    int64_t row = 0;
    for (int64_t i = level; i < reader.levels_position(); ++i) {
      if (reader.rep_levels()[i] == 0) {
        require(row < rows, "there are more lists than rows");
        offset[row++] = elements;
      }
      if (reader.def_levels()[i] == descriptor_.max_definition_level()) ++elements;
    }
    require(row == rows, "lists are missing");
    offset[rows] = elements;
    auto values = as_text(joined(dynamic_cast<parquet::internal::BinaryRecordReader&>(reader).GetBuilderChunks()));
    require(values->length() == elements, "elements are missing");
    return arrow::MakeArray(arrow::ArrayData::Make(arrow::list(arrow::field("element", arrow::utf8(), false)), rows,
                                                   {nullptr, std::shared_ptr<arrow::Buffer>(std::move(offsets))}, {values->data()}, 0));
  }

  const WindowFile& file_;
  const std::vector<parquet::PageLocation>& pages_;
  const parquet::ColumnDescriptor& descriptor_;
  std::unique_ptr<parquet::RowGroupMetaData> group_;  // chunk_ looks into it
  std::unique_ptr<parquet::ColumnChunkMetaData> chunk_;
};

// --- which rows to read -----------------------------------------------------------------------------------------------

// The rows of the pages that `keep(page)` keeps.
template <class Keep>
std::vector<Range> pages_where(const parquet::OffsetIndex& offsets, int64_t rows, Keep keep) {
  const auto& pages = offsets.page_locations();
  std::vector<Range> ranges;
  for (size_t i = 0; i < pages.size(); ++i) {
    if (!keep(i)) continue;
    const Range range{pages[i].first_row_index, i + 1 < pages.size() ? pages[i + 1].first_row_index : rows};
    if (!ranges.empty() && ranges.back().end == range.begin) ranges.back().end = range.end;
    else if (range.begin < range.end) ranges.push_back(range);
  }
  return ranges;
}

std::string_view view(const parquet::ByteArray& bytes) { return {reinterpret_cast<const char*>(bytes.ptr), bytes.len}; }

std::vector<Range> candidates(const GroupIndex& index, int symbol_leaf, int timestamp_leaf, int64_t rows, const RowFilter& filter) {
  std::vector<Range> ranges{{0, rows}};
  if (index.symbols && !filter.symbols.empty()) {
    const auto wanted = [&](size_t page) {
      if (index.symbols->null_pages()[page]) return false;
      const std::string_view min = view(index.symbols->min_values()[page]), max = view(index.symbols->max_values()[page]);
      return std::any_of(filter.symbols.begin(), filter.symbols.end(),
                         [&](const std::string& symbol) { return min <= symbol && symbol <= max; });
    };
    ranges = intersection(ranges, pages_where(*index.offsets[static_cast<size_t>(symbol_leaf)], rows, wanted));
  }
  if (index.timestamps && (filter.start || filter.end)) {
    const auto wanted = [&](size_t page) {
      if (index.timestamps->null_pages()[page]) return false;
      return (!filter.start || index.timestamps->max_values()[page] >= filter.start->us) &&
             (!filter.end || index.timestamps->min_values()[page] < filter.end->us);
    };
    ranges = intersection(ranges, pages_where(*index.offsets[static_cast<size_t>(timestamp_leaf)], rows, wanted));
  }
  return ranges;
}

size_t column_index(const TableSpec& table, std::string_view name) {
  for (size_t i = 0; i < table.columns.size(); ++i)
    if (table.columns[i].name == name) return i;
  K2_ASSERT(!"a column that the table does not have");
}

// What is to be read of one row group, and the earliest and latest timestamp it may hold.
struct Task {
  std::shared_ptr<WindowFile> file;
  int group;
  std::shared_ptr<const GroupIndex> index;
  Range range;
  int64_t timestamp_min = INT64_MIN, timestamp_max = INT64_MAX;
};

// Cuts the task where pages of timestamps begin, into tasks of `rows_min` rows or a little more, each with its own bounds.
void split(const Task& task, int timestamp_leaf, int64_t rows_min, std::vector<Task>& tasks) {
  const auto& pages = task.index->offsets[static_cast<size_t>(timestamp_leaf)]->page_locations();
  const parquet::Int64ColumnIndex* const bounds = task.index->timestamps.get();
  Task piece = task;
  piece.range.end = piece.range.begin;
  const auto finish = [&] {
    if (piece.range.rows() > 0) tasks.push_back(piece);
    piece.range.begin = piece.range.end;
  };
  for (size_t i = 0; i < pages.size() && piece.range.end < task.range.end; ++i) {
    const int64_t page_end = i + 1 < pages.size() ? pages[i + 1].first_row_index : task.range.end;
    if (page_end <= piece.range.end) continue;
    const bool is_known = bounds != nullptr && !bounds->null_pages()[i];
    const int64_t min = is_known ? bounds->min_values()[i] : INT64_MIN, max = is_known ? bounds->max_values()[i] : INT64_MAX;
    const bool is_first = piece.range.rows() == 0;
    piece.timestamp_min = is_first ? min : std::min(piece.timestamp_min, min);
    piece.timestamp_max = is_first ? max : std::max(piece.timestamp_max, max);
    piece.range.end = std::min(page_end, task.range.end);
    if (piece.range.rows() >= rows_min) finish();
  }
  finish();
}

// Keeps the `limit` timestamps that come first, to tell what can't be among the first rows any more.
class FirstTimestamps {
 public:
  explicit FirstTimestamps(const FirstRows& first) : first_(first) {}

  /// Of ascending `rows` of `timestamps`, drops those that cannot matter; counts the others.
  void take(const int64_t* timestamps, std::vector<int32_t>& rows) {
    for (const int32_t row : rows) add(timestamps[row]);
    std::erase_if(rows, [&](int32_t row) { return !may_matter(timestamps[row], timestamps[row]); });
  }
  void add(const SelectedRows& part) {
    const int64_t* timestamps = column_of<arrow::TimestampArray>(*part.batch, "timestamp").raw_values();
    if (part.rows)
      for (const int32_t row : *part.rows) add(timestamps[row]);
    else
      for (int64_t row = 0; row < part.batch->num_rows(); ++row) add(timestamps[row]);
  }
  /// Whether a row of that range of timestamps could be among the first.
  [[nodiscard]] bool may_matter(int64_t timestamp_min, int64_t timestamp_max) const {
    if (first_.limit == 0) return false;
    if (static_cast<int64_t>(worst_first_.size()) < first_.limit) return true;
    return rank(first_.order == EventOrder::kNewestFirst ? timestamp_max : timestamp_min) <= worst_first_.front();
  }
  /// Smaller comes sooner.
  [[nodiscard]] int64_t rank(int64_t timestamp) const { return first_.order == EventOrder::kNewestFirst ? ~timestamp : timestamp; }

 private:
  void add(int64_t timestamp) {
    if (static_cast<int64_t>(worst_first_.size()) == first_.limit) {
      if (worst_first_.empty() || rank(timestamp) >= worst_first_.front()) return;
      std::ranges::pop_heap(worst_first_);
      worst_first_.pop_back();
    }
    worst_first_.push_back(rank(timestamp));
    std::ranges::push_heap(worst_first_);
  }

  const FirstRows first_;
  std::vector<int64_t> worst_first_;  // a heap of ranks
};

// Reads the filter's columns of the range, finds the rows that pass, and reads the other columns of just the stretch they lie in.
std::optional<SelectedRows> read_task(const Task& task, const WindowRequest& request, FirstTimestamps* first_timestamps) {
  std::map<size_t, std::shared_ptr<arrow::Array>> arrays;
  const auto read = [&](std::string_view name, const Range& range) {
    const size_t column = column_index(request.table, name);
    return ColumnWindow(*task.file, *task.index, task.group, task.file->leaf(column)).read(range, request.table.columns[column].type);
  };
  arrow::FieldVector fields;
  arrow::ArrayVector filter_arrays;
  constexpr std::string_view kFilterColumns[] = {"symbol", "exchange", "timestamp"};
  for (const std::string_view name : kFilterColumns) {
    filter_arrays.push_back(read(name, task.range));
    require(filter_arrays.back()->null_count() == 0, "a required column has nulls");
    fields.push_back(arrow::field(std::string(name), filter_arrays.back()->type()));
  }
  const auto filtered = arrow::RecordBatch::Make(arrow::schema(fields), task.range.rows(), filter_arrays);
  std::vector<int32_t> rows = select_rows(*filtered, request.filter);
  if (first_timestamps != nullptr)
    first_timestamps->take(static_cast<const arrow::TimestampArray&>(*filtered->column(2)).raw_values(), rows);
  if (rows.empty()) return std::nullopt;

  const int32_t first = rows.front();
  const Range stretch{task.range.begin + first, task.range.begin + rows.back() + 1};
  for (auto& array : filter_arrays) array = array->Slice(first, stretch.rows());
  for (const std::string_view name : request.columns) {
    if (std::find(std::begin(kFilterColumns), std::end(kFilterColumns), name) != std::end(kFilterColumns)) continue;
    filter_arrays.push_back(read(name, stretch));
    fields.push_back(arrow::field(std::string(name), filter_arrays.back()->type()));
  }
  SelectedRows selected{arrow::RecordBatch::Make(arrow::schema(std::move(fields)), stretch.rows(), std::move(filter_arrays)), std::nullopt};
  if (static_cast<int64_t>(rows.size()) < stretch.rows()) {
    for (int32_t& row : rows) row -= first;
    selected.rows = std::move(rows);
  }
  return selected;
}

}  // namespace

struct WindowReader::Impl {
  std::mutex mutex;
  std::list<std::pair<std::string, std::shared_ptr<WindowFile>>> files;  // newest use first
  std::map<std::string, decltype(files)::iterator> by_path;

  std::shared_ptr<WindowFile> open(const std::string& path, const TableSpec& table) {
    {
      const std::lock_guard lock(mutex);
      if (const auto found = by_path.find(path); found != by_path.end()) {
        files.splice(files.begin(), files, found->second);
        return found->second->second;
      }
    }
    auto file = std::make_shared<WindowFile>(path, table);
    const std::lock_guard lock(mutex);
    if (by_path.contains(path)) return file;  // somebody else was as quick
    files.emplace_front(path, file);
    by_path[path] = files.begin();
    if (files.size() > kFilesMax) {
      by_path.erase(files.back().first);
      files.pop_back();
    }
    return file;
  }

  std::vector<Task> tasks_of(const DataFileInfo& data_file, const WindowRequest& request, int64_t rows_min) {
    const size_t symbol = column_index(request.table, "symbol"), timestamp = column_index(request.table, "timestamp");
    const auto file = open(data_file.path, request.table);
    std::vector<Task> tasks;
    for (int group = 0; group < file->groups(); ++group) {
      const auto index = file->index(group, symbol, timestamp);
      for (const Range& range : candidates(*index, file->leaf(symbol), file->leaf(timestamp), file->group_rows(group), request.filter))
        split({file, group, index, range}, file->leaf(timestamp), rows_min, tasks);
    }
    return tasks;
  }

  using Answer = Result<std::optional<std::vector<SelectedRows>>>;
  Answer read_all(std::span<const DataFileInfo> files, const WindowRequest& request, const std::function<Status()>& check);
  Answer read_first(std::span<const DataFileInfo> files, const WindowRequest& request, const std::function<Status()>& check,
                    std::span<const SelectedRows> others);
};

WindowReader::Impl::Answer WindowReader::Impl::read_all(std::span<const DataFileInfo> files, const WindowRequest& request,
                                                        const std::function<Status()>& check) {
  std::vector<Task> tasks;
  int64_t rows = 0;
  for (const DataFileInfo& file : files)
    for (Task& task : tasks_of(file, request, kTaskRows)) {
      rows += task.range.rows();
      if (rows > request.rows_max) return std::nullopt;
      tasks.push_back(std::move(task));
    }
  std::vector<std::optional<SelectedRows>> parts(tasks.size());
  std::atomic<size_t> next_task = 0;
  std::mutex failed;
  Status status;
  std::exception_ptr thrown;
  const auto work = [&] {
    try {
      for (size_t i = next_task++; i < tasks.size(); i = next_task++) {
        if (Status checked = check(); !checked) {
          const std::lock_guard lock(failed);
          status = std::move(checked);
          return;
        }
        parts[i] = read_task(tasks[i], request, nullptr);
      }
    } catch (...) {
      next_task = tasks.size();
      const std::lock_guard lock(failed);
      thrown = std::current_exception();
    }
  };
  {
    // A thread costs about as much as decoding 200 rows.
    const int64_t helpers = std::min<int64_t>({request.threads, static_cast<int64_t>(tasks.size()), rows / kRowsAThread + 1}) - 1;
    std::vector<std::jthread> threads;
    for (int64_t i = 0; i < helpers; ++i) threads.emplace_back(work);
    work();
  }
  if (thrown) std::rethrow_exception(thrown);
  K2_RETURN_IF_ERROR(status);
  std::vector<SelectedRows> all;
  for (auto& part : parts)
    if (part) all.push_back(*std::move(part));
  return all;
}

// Goes from what can come first to what comes later, and stops where nothing can be among the first any more.
WindowReader::Impl::Answer WindowReader::Impl::read_first(std::span<const DataFileInfo> files, const WindowRequest& request,
                                                          const std::function<Status()>& check, std::span<const SelectedRows> others) {
  FirstTimestamps first(*request.first);
  for (const SelectedRows& part : others) first.add(part);
  const bool newest = request.first->order == EventOrder::kNewestFirst;
  std::vector<std::pair<int64_t, const DataFileInfo*>> nearest;  // by rank of the file's nearest timestamp
  for (const DataFileInfo& file : files) {
    const auto bound = newest ? file.timestamp_max : file.timestamp_min;
    nearest.emplace_back(bound ? first.rank(bound->us) : INT64_MIN, &file);
  }
  std::ranges::stable_sort(nearest, {}, &decltype(nearest)::value_type::first);
  std::vector<SelectedRows> all;
  int64_t rows = 0;
  for (const auto& [rank, file] : nearest) {
    const int64_t min = file->timestamp_min ? file->timestamp_min->us : INT64_MIN;
    const int64_t max = file->timestamp_max ? file->timestamp_max->us : INT64_MAX;
    if (!first.may_matter(min, max)) continue;
    auto tasks = tasks_of(*file, request, 1);
    std::ranges::stable_sort(tasks, {}, [&](const Task& task) { return first.rank(newest ? task.timestamp_max : task.timestamp_min); });
    for (const Task& task : tasks) {
      if (!first.may_matter(task.timestamp_min, task.timestamp_max)) continue;
      K2_RETURN_IF_ERROR(check());
      rows += task.range.rows();
      if (rows > request.rows_max) return std::nullopt;
      if (auto selected = read_task(task, request, &first)) all.push_back(*std::move(selected));
    }
  }
  return all;
}

WindowReader::WindowReader() : impl_(std::make_unique<Impl>()) {}
WindowReader::~WindowReader() = default;

Result<std::optional<std::vector<SelectedRows>>> WindowReader::read(std::span<const DataFileInfo> files, const WindowRequest& request,
                                                                    const std::function<Status()>& check,
                                                                    std::span<const SelectedRows> others) {
  // What goes wrong here goes wrong for DuckDB as well, or is a matter of layout: it is asked, and says what is the matter.
  try {
    return request.first ? impl_->read_first(files, request, check, others) : impl_->read_all(files, request, check);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace k2
