#include "table/data_file.h"

#include <arrow/api.h>
#include <arrow/compute/cast.h>
#include <arrow/extension/uuid.h>
#include <arrow/io/api.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/schema.h>
#include <parquet/statistics.h>

#include <algorithm>
#include <span>
#include <utility>

#include "base/assert.h"
#include "base/time.h"
#include "table/row_order.h"
#include "table/schema.h"

namespace k2 {
namespace {

constexpr size_t kSliceRows = 16 << 10;  // of rows put in order at a time

std::unexpected<Error> arrow_failed(std::string_view what, const arrow::Status& status, ErrorKind kind = ErrorKind::kUnavailable) {
  return make_error(kind, "data file: cannot " + std::string(what) + ": " + status.ToString());
}

// --- Parquet ------------------------------------------------------------------------------------------------------------

std::shared_ptr<arrow::KeyValueMetadata> field_id_metadata(int32_t id) {
  return arrow::key_value_metadata({"PARQUET:field_id"}, {std::to_string(id)});
}

// The type a batch must have for a column (codec/columns.h makes it).
std::shared_ptr<arrow::DataType> batch_type(const Column& column) {
  switch (column.type) {
    case ColumnType::kUuid: return arrow::fixed_size_binary(16);
    case ColumnType::kString: return arrow::utf8();
    case ColumnType::kTimestampUs: return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case ColumnType::kDecimal18_8: return arrow::decimal128(18, 8);
    case ColumnType::kStringList: return arrow::list(arrow::field("element", arrow::utf8(), false, field_id_metadata(column.element_id)));
    case ColumnType::kLong: return arrow::int64();
    case ColumnType::kInt: return arrow::int32();
  }
  K2_ASSERT(!"a column type without an Arrow type");
}

// The batch as it is stored: names, nullability and field ids are the table's, whatever metadata the batch came with; Parquet has a logical type for
// UUIDs, which Arrow writes for its uuid extension type.
std::shared_ptr<arrow::RecordBatch> as_stored(const TableSpec& table, const std::shared_ptr<arrow::RecordBatch>& batch) {
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const Column& column = table.columns[i];
    const bool is_uuid = column.type == ColumnType::kUuid;
    const auto type = is_uuid ? arrow::extension::uuid() : batch_type(column);
    fields.push_back(arrow::field(std::string(column.name), type, !column.required, field_id_metadata(column.field_id)));
    const auto array = batch->column(static_cast<int>(i));
    if (is_uuid) columns.push_back(arrow::ExtensionType::WrapArray(type, array));
    else if (column.type == ColumnType::kStringList) {  // the element's field id hangs on the type
      const auto data = array->data()->Copy();
      data->type = type;
      columns.push_back(arrow::MakeArray(data));
    } else columns.push_back(array);
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), batch->num_rows(), columns);
}

std::shared_ptr<parquet::WriterProperties> writer_properties(const TableSpec& table) {
  parquet::WriterProperties::Builder builder;
  builder.compression(parquet::Compression::ZSTD)
      ->compression_level(1)
      ->version(parquet::ParquetVersion::PARQUET_2_6)
      ->enable_store_decimal_as_integer()
      ->max_row_group_length(kRowGroupRows)
      ->enable_write_page_index()
      ->created_by("k2")
      ->disable_dictionary();
  // Dictionaries where few values repeat; deltas where values climb. Everything else is plain, which zstd takes best.
  for (const std::string_view name : {"symbol", "exchange", "asset_class", "currency", "side", "vendor_data", "log_topic", "log_partition",
                                      "channel", "status", "reason"})
    builder.enable_dictionary(std::string(name));
  builder.enable_dictionary("trade_conditions.list.element");
  for (const std::string_view name :
       {"timestamp", "ingestion_timestamp", "source_sequence", "log_offset", "end_timestamp", "first_sequence", "last_sequence"})
    if (find_column(table, name)) builder.encoding(std::string(name), parquet::Encoding::DELTA_BINARY_PACKED);
  return builder.build();
}

// --- metrics ------------------------------------------------------------------------------------------------------------

// Bounds of one leaf over all row groups, gathered from Parquet's own statistics.
class BoundsGatherer {
 public:
  explicit BoundsGatherer(ColumnType type) : type_(type) {}

  void add(const std::shared_ptr<parquet::Statistics>& statistics) {
    if (!statistics || !statistics->HasMinMax()) {
      // A row group of nulls alone has no bounds and takes none away; one with values but without statistics does.
      if (!statistics || statistics->num_values() > 0) known_ = false;
      return;
    }
    if (statistics->physical_type() == parquet::Type::INT64) {
      const auto& typed = static_cast<const parquet::Int64Statistics&>(*statistics);
      add_number(typed.min(), typed.max());
    } else if (statistics->physical_type() == parquet::Type::INT32) {
      const auto& typed = static_cast<const parquet::Int32Statistics&>(*statistics);
      add_number(typed.min(), typed.max());
    } else if (statistics->physical_type() == parquet::Type::BYTE_ARRAY ||
               statistics->physical_type() == parquet::Type::FIXED_LEN_BYTE_ARRAY) {
      add_text(statistics->EncodeMin(), statistics->EncodeMax());
    } else {
      known_ = false;
    }
  }

  void write(int field_id, DataFile* file) const {
    if (!known_ || (!number_ && !text_)) return;
    if (text_) {
      if (type_ == ColumnType::kUuid) {
        file->lower_bounds[field_id] = text_->first;
        file->upper_bounds[field_id] = text_->second;
        return;
      }
      file->lower_bounds[field_id] = string_lower_bound(text_->first);
      if (auto upper = string_upper_bound(text_->second)) file->upper_bounds[field_id] = *std::move(upper);
      return;
    }
    file->lower_bounds[field_id] = serialize(number_->first);
    file->upper_bounds[field_id] = serialize(number_->second);
  }

 private:
  void add_number(int64_t low, int64_t high) {
    number_ = number_ ? std::pair(std::min(number_->first, low), std::max(number_->second, high)) : std::pair(low, high);
  }
  void add_text(std::string low, std::string high) {
    text_ = text_ ? std::pair(std::min(text_->first, low), std::max(text_->second, high)) : std::pair(std::move(low), std::move(high));
  }
  [[nodiscard]] std::string serialize(int64_t value) const {
    if (type_ == ColumnType::kDecimal18_8) return decimal_bound(value);
    return type_ == ColumnType::kInt ? int_bound(static_cast<int32_t>(value)) : long_bound(value);
  }

  ColumnType type_;
  bool known_ = true;
  std::optional<std::pair<int64_t, int64_t>> number_;
  std::optional<std::pair<std::string, std::string>> text_;
};

// The column a leaf belongs to: its own, or the list it is the element of (which gets counts but no bounds).
const Column* column_of(const TableSpec& table, int field_id) {
  const auto found = std::find_if(table.columns.begin(), table.columns.end(),
                                  [&](const Column& c) { return c.field_id == field_id || c.element_id == field_id; });
  return found == table.columns.end() ? nullptr : &*found;
}

void add_metrics(const TableSpec& table, const parquet::FileMetaData& metadata, DataFile* file) {
  file->record_count = metadata.num_rows();
  for (int group = 0; group < metadata.num_row_groups(); ++group) file->split_offsets.push_back(metadata.RowGroup(group)->file_offset());
  for (int leaf = 0; leaf < metadata.num_columns(); ++leaf) {
    const int id = metadata.schema()->Column(leaf)->schema_node()->field_id();
    const Column* const owner = column_of(table, id);
    if (!owner) continue;
    BoundsGatherer bounds(owner->type);
    int64_t values = 0, nulls = 0, bytes = 0;
    for (int group = 0; group < metadata.num_row_groups(); ++group) {
      const auto chunk = metadata.RowGroup(group)->ColumnChunk(leaf);
      const auto statistics = chunk->is_stats_set() ? chunk->statistics() : nullptr;
      values += chunk->num_values();
      bytes += chunk->total_compressed_size();
      if (statistics) nulls += statistics->null_count();
      bounds.add(statistics);
    }
    file->column_sizes[id] = bytes;
    file->value_counts[id] = values;
    if (owner->element_id == id && owner->element_id != 0) continue;
    file->null_value_counts[id] = nulls;
    bounds.write(id, file);
  }
}

// Encodes the rows at these positions, a slice at a time.
arrow::Result<std::shared_ptr<arrow::Buffer>> write_parquet(const TableSpec& table, const std::shared_ptr<arrow::Schema>& schema,
                                                            RowPicker& picker, std::span<const int32_t> rows,
                                                            std::shared_ptr<parquet::FileMetaData>* metadata) {
  ARROW_ASSIGN_OR_RAISE(const auto sink, arrow::io::BufferOutputStream::Create(static_cast<int64_t>(rows.size()) * 24 + 4096));
  ARROW_ASSIGN_OR_RAISE(const auto writer,
                        parquet::arrow::FileWriter::Open(*schema, arrow::default_memory_pool(), sink, writer_properties(table)));
  for (size_t done = 0; done < rows.size(); done += kSliceRows) {
    const auto slice = picker.pick(rows.subspan(done, std::min(kSliceRows, rows.size() - done)));
    if (!slice) return arrow::Status::OutOfMemory(slice.error().message);
    ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*as_stored(table, *slice)));
  }
  ARROW_RETURN_NOT_OK(writer->Close());
  *metadata = writer->metadata();
  return sink->Finish();
}

Status check_batches(const TableSpec& table, const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
  const auto refuse = [&](const std::string& what) {
    return make_error(ErrorKind::kInvalidInput, "data file: a batch for " + std::string(table.name) + " has " + what);
  };
  for (const auto& batch : batches) {
    if (batch->num_columns() != static_cast<int>(table.columns.size())) return refuse(std::to_string(batch->num_columns()) + " columns");
    for (int i = 0; i < batch->num_columns(); ++i) {
      const Column& column = table.columns[static_cast<size_t>(i)];
      const auto& field = *batch->schema()->field(i);
      if (field.name() != column.name || !field.type()->Equals(batch_type(column)))
        return refuse(field.ToString() + " where " + std::string(column.name) + " " + batch_type(column)->ToString() + " belongs");
      if (column.required && batch->column(i)->null_count() > 0) return refuse("nulls in " + std::string(column.name));
    }
  }
  return {};
}

// The column as an array of `type`: other writers may have stored a wider one.
Result<std::shared_ptr<arrow::Array>> column_as(const arrow::RecordBatch& rows, const std::string& name,
                                                const std::shared_ptr<arrow::DataType>& type, const std::string& path) {
  const auto column = rows.GetColumnByName(name);
  if (!column || column->null_count() > 0)
    return make_error(ErrorKind::kCorrupt, "data file: " + path + " has no " + name + " in some row");
  if (column->type()->Equals(type)) return column;
  const auto cast = arrow::compute::Cast(*column, type);
  if (!cast.ok()) return arrow_failed("read " + name + " of " + path, cast.status(), ErrorKind::kCorrupt);
  return *cast;
}

Result<std::unique_ptr<parquet::arrow::FileReader>> open_parquet(const std::string& path) {
  const auto source = arrow::io::ReadableFile::Open(path);
  if (!source.ok()) return arrow_failed("open " + path, source.status());
  auto reader = parquet::arrow::OpenFile(*source, arrow::default_memory_pool());
  if (!reader.ok()) return arrow_failed("read " + path, reader.status(), ErrorKind::kCorrupt);
  return *std::move(reader);
}

}  // namespace

Result<std::vector<EncodedFile>> encode_data_files(const TableSpec& table,
                                                   const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
  K2_RETURN_IF_ERROR(check_batches(table, batches));
  std::vector<EncodedFile> files;
  const auto joined =
      batches.size() == 1 ? arrow::Result<std::shared_ptr<arrow::RecordBatch>>(batches.front()) : arrow::ConcatenateRecordBatches(batches);
  if (!joined.ok()) return arrow_failed("join batches", joined.status());
  if ((*joined)->num_rows() == 0) return files;
  if ((*joined)->num_rows() > INT32_MAX) return make_error(ErrorKind::kInvalidInput, "data file: more than 2^31 rows in one append");
  const auto schema = as_stored(table, (*joined)->Slice(0, 0))->schema();
  RowPicker picker(*joined);
  RowOrder order = order_rows(table, **joined);
  for (Part& part : order.parts) {
    std::shared_ptr<parquet::FileMetaData> metadata;
    const auto bytes = write_parquet(table, schema, picker, std::span(order.rows).subspan(part.begin, part.end - part.begin), &metadata);
    if (!bytes.ok()) return arrow_failed("encode", bytes.status());
    EncodedFile encoded{.file = {}, .bytes = *bytes};
    encoded.file.day = part.day;
    encoded.file.exchange = std::move(part.exchange);
    encoded.file.file_size_in_bytes = (*bytes)->size();
    encoded.file.sort_order_id = find_column(table, "timestamp") ? 1 : 0;
    add_metrics(table, *metadata, &encoded.file);
    files.push_back(std::move(encoded));
  }
  return files;
}

Result<ParquetFooter> read_footer(const std::string& path) {
  try {
    const auto metadata = parquet::ParquetFileReader::OpenFile(path)->metadata();
    ParquetFooter footer;
    footer.rows = metadata->num_rows();
    for (int leaf = 0; leaf < metadata->num_columns(); ++leaf)
      footer.field_ids.push_back(metadata->schema()->Column(leaf)->schema_node()->field_id());
    return footer;
  } catch (const std::exception& error) {
    return make_error(ErrorKind::kCorrupt, "data file: cannot read the footer of " + path + ": " + error.what());
  }
}

Result<LogCoordinates> read_log_coordinates(const std::string& path) {
  K2_TRY(const auto reader, open_parquet(path));
  const parquet::SchemaDescriptor& schema = *reader->parquet_reader()->metadata()->schema();
  std::vector<int> leaves;
  for (const char* name : {"log_topic", "log_partition", "log_offset"}) {
    const int leaf = schema.ColumnIndex(name);
    if (leaf < 0) return make_error(ErrorKind::kCorrupt, "data file: " + path + " has no column " + name);
    leaves.push_back(leaf);
  }
  auto table = reader->ReadTable(leaves);
  if (!table.ok()) return arrow_failed("read " + path, table.status(), ErrorKind::kCorrupt);
  const auto combined = (*table)->CombineChunksToBatch();
  if (!combined.ok()) return arrow_failed("read " + path, combined.status());
  LogCoordinates coordinates;
  K2_TRY(const auto topic_column, column_as(**combined, "log_topic", arrow::utf8(), path));
  K2_TRY(const auto partition_column, column_as(**combined, "log_partition", arrow::int32(), path));
  K2_TRY(const auto offset_column, column_as(**combined, "log_offset", arrow::int64(), path));
  const auto& topics = static_cast<const arrow::StringArray&>(*topic_column);
  const auto& partitions = static_cast<const arrow::Int32Array&>(*partition_column);
  const auto& offsets = static_cast<const arrow::Int64Array&>(*offset_column);
  for (int64_t row = 0; row < (*combined)->num_rows(); ++row) {
    coordinates.topics.emplace_back(topics.GetView(row));
    coordinates.partitions.push_back(partitions.Value(row));
    coordinates.offsets.push_back(offsets.Value(row));
  }
  return coordinates;
}

}  // namespace k2
