#include "codec/columns.h"

#include <arrow/api.h>
#include <arrow/buffer_builder.h>
#include <arrow/util/key_value_metadata.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "codec/event_view.h"

namespace k2 {
namespace {

constexpr int kUuidBytes = 16;
constexpr int64_t kRowsAtFirst = 1024;
constexpr int64_t kTextBytesMax = INT32_MAX;  // utf8 arrays have 32-bit offsets

std::shared_ptr<arrow::KeyValueMetadata> field_id_metadata(int32_t field_id) {
  return arrow::key_value_metadata({"PARQUET:field_id"}, {std::to_string(field_id)});
}

std::shared_ptr<arrow::DataType> arrow_type(const Column& column) {
  switch (column.type) {
    case ColumnType::kUuid: return arrow::fixed_size_binary(kUuidBytes);
    case ColumnType::kString: return arrow::utf8();
    case ColumnType::kTimestampUs: return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case ColumnType::kDecimal18_8: return arrow::decimal128(Decimal18_8::kPrecision, Decimal18_8::kScale);
    case ColumnType::kStringList:
      return arrow::list(arrow::field("element", arrow::utf8(), /*nullable=*/false, field_id_metadata(column.element_id)));
    case ColumnType::kLong: return arrow::int64();
    case ColumnType::kInt: return arrow::int32();
  }
  K2_ASSERT(!"a column type without an Arrow type");
}

std::shared_ptr<arrow::Schema> make_schema(const TableSpec& table) {
  arrow::FieldVector fields;
  for (const Column& column : table.columns)
    fields.push_back(arrow::field(std::string(column.name), arrow_type(column), !column.required, field_id_metadata(column.field_id)));
  return arrow::schema(std::move(fields));
}

Status from_arrow(const arrow::Status& status, std::string_view what) {
  if (status.ok()) return {};
  return make_error(ErrorKind::kUnavailable, "columns: " + std::string(what) + ": " + status.ToString());
}

// Every column below works in two steps, so that a row that does not fit leaves no half of itself behind: reserve() for all columns,
// which may fail, then append(), which can't.

template <class Value>
class FixedColumn {
 public:
  arrow::Status reserve(int64_t rows) { return values_.Reserve(rows); }
  void append(const Value& value) { values_.UnsafeAppend(value); }
  [[nodiscard]] int64_t size_bytes() const { return values_.length() * static_cast<int64_t>(sizeof(Value)); }

  arrow::Result<std::shared_ptr<arrow::ArrayData>> finish(std::shared_ptr<arrow::DataType> type, int64_t rows) {
    ARROW_ASSIGN_OR_RAISE(auto values, values_.Finish());
    return arrow::ArrayData::Make(std::move(type), rows, {nullptr, std::move(values)}, 0);
  }

 private:
  arrow::TypedBufferBuilder<Value> values_;
};

// Which rows of a nullable column have a value.
class Validity {
 public:
  arrow::Status reserve(int64_t rows) { return bits_.Reserve(rows); }
  void append(bool valid) { bits_.UnsafeAppend(valid); }

  struct Finished {
    std::shared_ptr<arrow::Buffer> bitmap;
    int64_t null_count;
  };
  arrow::Result<Finished> finish() {
    const int64_t null_count = bits_.false_count();
    ARROW_ASSIGN_OR_RAISE(auto bitmap, bits_.Finish());
    return Finished{null_count == 0 ? nullptr : std::move(bitmap), null_count};
  }

 private:
  arrow::TypedBufferBuilder<bool> bits_;
};

class NullableLongColumn {
 public:
  arrow::Status reserve(int64_t rows) {
    ARROW_RETURN_NOT_OK(validity_.reserve(rows));
    return values_.Reserve(rows);
  }
  void append(const std::optional<int64_t>& value) {
    validity_.append(value.has_value());
    values_.UnsafeAppend(value.value_or(0));
  }
  [[nodiscard]] int64_t size_bytes() const { return values_.length() * 8; }

  arrow::Result<std::shared_ptr<arrow::ArrayData>> finish(std::shared_ptr<arrow::DataType> type, int64_t rows) {
    ARROW_ASSIGN_OR_RAISE(auto validity, validity_.finish());
    ARROW_ASSIGN_OR_RAISE(auto values, values_.Finish());
    return arrow::ArrayData::Make(std::move(type), rows, {std::move(validity.bitmap), std::move(values)}, validity.null_count);
  }

 private:
  Validity validity_;
  arrow::TypedBufferBuilder<int64_t> values_;
};

class StringColumn {
 public:
  arrow::Status reserve(int64_t rows) { return offsets_.Reserve(rows + 1); }
  arrow::Status reserve_text(int64_t bytes) {
    if (text_.length() + bytes > kTextBytesMax)
      return arrow::Status::CapacityError("a batch is full at ", kTextBytesMax, " bytes of text in one column");
    return text_.Reserve(bytes);
  }
  void append(std::string_view text) {
    offsets_.UnsafeAppend(static_cast<int32_t>(text_.length()));
    if (!text.empty()) text_.UnsafeAppend(text.data(), static_cast<int64_t>(text.size()));
  }
  [[nodiscard]] int64_t size_bytes() const { return offsets_.length() * 4 + text_.length(); }
  [[nodiscard]] int64_t rows() const { return offsets_.length(); }

  arrow::Result<std::shared_ptr<arrow::ArrayData>> finish(std::shared_ptr<arrow::DataType> type, int64_t rows) {
    return finish_with(std::move(type), rows, nullptr, 0);
  }
  arrow::Result<std::shared_ptr<arrow::ArrayData>> finish_with(std::shared_ptr<arrow::DataType> type, int64_t rows,
                                                               std::shared_ptr<arrow::Buffer> validity, int64_t null_count) {
    ARROW_RETURN_NOT_OK(offsets_.Append(static_cast<int32_t>(text_.length())));
    ARROW_ASSIGN_OR_RAISE(auto offsets, offsets_.Finish());
    ARROW_ASSIGN_OR_RAISE(auto text, text_.Finish());
    return arrow::ArrayData::Make(std::move(type), rows, {std::move(validity), std::move(offsets), std::move(text)}, null_count);
  }

 private:
  arrow::TypedBufferBuilder<int32_t> offsets_;
  arrow::BufferBuilder text_;
};

class NullableStringColumn {
 public:
  arrow::Status reserve(int64_t rows) {
    ARROW_RETURN_NOT_OK(validity_.reserve(rows));
    return strings_.reserve(rows);
  }
  arrow::Status reserve_text(int64_t bytes) { return strings_.reserve_text(bytes); }
  void append(std::string_view text) {
    validity_.append(true);
    strings_.append(text);
  }
  void append_null() {
    validity_.append(false);
    strings_.append({});
  }
  [[nodiscard]] int64_t size_bytes() const { return strings_.size_bytes(); }

  arrow::Result<std::shared_ptr<arrow::ArrayData>> finish(std::shared_ptr<arrow::DataType> type, int64_t rows) {
    ARROW_ASSIGN_OR_RAISE(auto validity, validity_.finish());
    return strings_.finish_with(std::move(type), rows, std::move(validity.bitmap), validity.null_count);
  }

 private:
  Validity validity_;
  StringColumn strings_;
};

class StringListColumn {
 public:
  arrow::Status reserve(int64_t rows) { return offsets_.Reserve(rows + 1); }
  arrow::Status reserve_elements(const std::vector<std::string_view>& elements) {
    int64_t bytes = 0;
    for (const std::string_view element : elements) bytes += static_cast<int64_t>(element.size());
    ARROW_RETURN_NOT_OK(elements_.reserve(static_cast<int64_t>(elements.size())));
    return elements_.reserve_text(bytes);
  }
  void append(const std::vector<std::string_view>& elements) {
    offsets_.UnsafeAppend(static_cast<int32_t>(elements_.rows()));
    for (const std::string_view element : elements) elements_.append(element);
  }
  [[nodiscard]] int64_t size_bytes() const { return offsets_.length() * 4 + elements_.size_bytes(); }

  arrow::Result<std::shared_ptr<arrow::ArrayData>> finish(std::shared_ptr<arrow::DataType> type, int64_t rows) {
    const int64_t element_rows = elements_.rows();
    ARROW_RETURN_NOT_OK(offsets_.Append(static_cast<int32_t>(element_rows)));
    ARROW_ASSIGN_OR_RAISE(auto offsets, offsets_.Finish());
    ARROW_ASSIGN_OR_RAISE(auto elements, elements_.finish(arrow::utf8(), element_rows));
    return arrow::ArrayData::Make(std::move(type), rows, {nullptr, std::move(offsets)}, {std::move(elements)}, 0);
  }

 private:
  arrow::TypedBufferBuilder<int32_t> offsets_;
  StringColumn elements_;
};

using UuidBytes = std::array<uint8_t, kUuidBytes>;

// decimal128 in memory, on a little-endian machine: low half, then high.
struct Decimal128Bytes {
  int64_t low;
  int64_t high;
};
static_assert(std::endian::native == std::endian::little);

Decimal128Bytes widen(Decimal18_8 value) { return {value.units(), value.units() >> 63}; }

}  // namespace

std::shared_ptr<arrow::Schema> arrow_schema(const TableSpec& table) {
  static const auto schemas = [] {
    std::map<std::string_view, std::shared_ptr<arrow::Schema>> made;
    for (const TableSpec& known : kTables) made[known.name] = make_schema(known);
    return made;
  }();
  const auto found = schemas.find(table.name);
  return found != schemas.end() ? found->second : make_schema(table);
}

struct ColumnsBuilder::Impl {
  virtual ~Impl() = default;
  virtual arrow::Status reserve_rows(int64_t more) = 0;
  virtual Status append(std::string_view message, std::string_view topic, int32_t partition, int64_t offset) = 0;
  virtual int64_t size_bytes() = 0;
  virtual Result<std::shared_ptr<arrow::RecordBatch>> finish() = 0;

  int64_t rows = 0;
};

namespace {

// Where a row comes from: the last columns of every table.
struct LogColumns {
  StringColumn log_topic;
  FixedColumn<int32_t> log_partition;
  FixedColumn<int64_t> log_offset;

  template <class Visit>
  void for_each_column(Visit visit) {
    visit("log_topic", log_topic);
    visit("log_partition", log_partition);
    visit("log_offset", log_offset);
  }
  arrow::Status reserve_text(std::string_view topic) { return log_topic.reserve_text(static_cast<int64_t>(topic.size())); }
  void append(std::string_view topic, int32_t partition, int64_t offset) {
    log_topic.append(topic);
    log_partition.append(partition);
    log_offset.append(offset);
  }
};

// The columns of trades_v2 and quotes_v2, but for the log's.
class EventColumns {
 public:
  explicit EventColumns(Channel channel) : channel_(channel) {}

  // Calls `visit` with every column that the channel's table has, and the column's name.
  template <class Visit>
  void for_each_column(Visit visit) {
    const bool trades = is_trades();
    constexpr const char* kDecimalNames[2][4] = {{"bid_price", "bid_quantity", "ask_price", "ask_quantity"}, {"price", "quantity", "", ""}};
    visit("message_id", message_id_);
    visit(trades ? "trade_id" : "quote_id", event_id_);
    visit("symbol", symbol_);
    visit("exchange", exchange_);
    visit("asset_class", asset_class_);
    visit("timestamp", timestamp_);
    for (size_t i = 0; i < decimal_count(); ++i) visit(kDecimalNames[trades ? 1 : 0][i], decimals_[i]);
    visit("currency", currency_);
    if (trades) visit("side", side_);
    if (trades) visit("trade_conditions", trade_conditions_);
    visit("source_sequence", source_sequence_);
    visit("ingestion_timestamp", ingestion_timestamp_);
    visit("vendor_data", vendor_data_);
  }

  // The row that reserve_text() and append() speak of.
  Status read(std::string_view body) {
    K2_RETURN_IF_ERROR(decode_event(channel_, body, view_));
    find_vendor_json();
    return {};
  }

  arrow::Status reserve_text() {
    ARROW_RETURN_NOT_OK(event_id_.reserve_text(static_cast<int64_t>(view_.event_id.size())));
    ARROW_RETURN_NOT_OK(symbol_.reserve_text(static_cast<int64_t>(view_.symbol.size())));
    ARROW_RETURN_NOT_OK(exchange_.reserve_text(static_cast<int64_t>(view_.exchange.size())));
    ARROW_RETURN_NOT_OK(asset_class_.reserve_text(static_cast<int64_t>(asset_class_name(view_.asset_class).size())));
    ARROW_RETURN_NOT_OK(currency_.reserve_text(static_cast<int64_t>(view_.currency.size())));
    ARROW_RETURN_NOT_OK(vendor_data_.reserve_text(static_cast<int64_t>(vendor_json_.size())));
    if (!is_trades()) return arrow::Status::OK();
    ARROW_RETURN_NOT_OK(side_.reserve_text(static_cast<int64_t>(side_name(view_.side).size())));
    return trade_conditions_.reserve_elements(view_.trade_conditions);
  }

  void append() {
    message_id_.append(view_.message_id.bytes);
    event_id_.append(view_.event_id);
    symbol_.append(view_.symbol);
    exchange_.append(view_.exchange);
    asset_class_.append(asset_class_name(view_.asset_class));
    timestamp_.append(view_.timestamp.us);
    for (size_t i = 0; i < decimal_count(); ++i) decimals_[i].append(widen(view_.decimals[i]));
    currency_.append(view_.currency);
    if (is_trades()) {
      side_.append(side_name(view_.side));
      trade_conditions_.append(view_.trade_conditions);
    }
    source_sequence_.append(view_.source_sequence);
    ingestion_timestamp_.append(view_.ingestion_timestamp.us);
    if (view_.has_vendor_data) vendor_data_.append(vendor_json_);
    else vendor_data_.append_null();
  }

 private:
  [[nodiscard]] bool is_trades() const { return channel_ == Channel::kTrades; }
  [[nodiscard]] size_t decimal_count() const { return is_trades() ? 2 : 4; }

  void find_vendor_json() {
    vendor_json_ = {};
    if (!view_.has_vendor_data) return;
    KnownJson& known = known_json_[view_.vendor_data_bytes.size() % known_json_.size()];
    if (known.bytes != view_.vendor_data_bytes) {
      known.bytes.assign(view_.vendor_data_bytes);
      write_vendor_json(known.json);
    }
    vendor_json_ = known.json;
  }

  // vendor_data_json() of the view's pairs.
  void write_vendor_json(std::string& json) const {
    json = '{';
    for (const auto& [key, value] : view_.vendor_data) {
      if (json.size() > 1) json += ',';
      append_json_string(json, key);
      json += ':';
      append_json_string(json, value);
    }
    json += '}';
  }

  const Channel channel_;
  EventView view_;  // kept for its vectors' memory
  // JSON of vendor_data seen lately, by its encoded bytes: a venue has few distinct ones, and most rows repeat one. Their sizes tell most
  // of them apart ("true" and "false"), so the size picks the slot.
  struct KnownJson {
    std::string bytes;
    std::string json;
  };
  std::array<KnownJson, 8> known_json_;
  std::string_view vendor_json_;  // the row's vendor_data as JSON, in known_json_

  FixedColumn<UuidBytes> message_id_;
  StringColumn event_id_;
  StringColumn symbol_;
  StringColumn exchange_;
  StringColumn asset_class_;
  FixedColumn<int64_t> timestamp_;
  std::array<FixedColumn<Decimal128Bytes>, 4> decimals_;  // as EventView::decimals; trades use two
  StringColumn currency_;
  StringColumn side_;
  StringListColumn trade_conditions_;
  NullableLongColumn source_sequence_;
  FixedColumn<int64_t> ingestion_timestamp_;
  NullableStringColumn vendor_data_;
};

// The columns of coverage, but for the log's.
class CoverageColumns {
 public:
  explicit CoverageColumns(Channel) {}

  template <class Visit>
  void for_each_column(Visit visit) {
    visit("exchange", exchange_);
    visit("symbol", symbol_);
    visit("channel", channel_);
    visit("first_sequence", first_sequence_);
    visit("last_sequence", last_sequence_);
    visit("timestamp", timestamp_);
    visit("end_timestamp", end_timestamp_);
    visit("status", status_);
    visit("reason", reason_);
    visit("ingestion_timestamp", ingestion_timestamp_);
  }

  Status read(std::string_view body) { return decode_coverage_view(body, view_); }

  arrow::Status reserve_text() {
    ARROW_RETURN_NOT_OK(exchange_.reserve_text(static_cast<int64_t>(view_.exchange.size())));
    ARROW_RETURN_NOT_OK(symbol_.reserve_text(static_cast<int64_t>(view_.symbol.size())));
    ARROW_RETURN_NOT_OK(channel_.reserve_text(static_cast<int64_t>(view_.channel.size())));
    ARROW_RETURN_NOT_OK(status_.reserve_text(static_cast<int64_t>(coverage_status_name(view_.status).size())));
    return reason_.reserve_text(static_cast<int64_t>(view_.reason.value_or("").size()));
  }

  void append() {
    exchange_.append(view_.exchange);
    symbol_.append(view_.symbol);
    channel_.append(view_.channel);
    first_sequence_.append(view_.first_sequence);
    last_sequence_.append(view_.last_sequence);
    timestamp_.append(view_.timestamp.us);
    end_timestamp_.append(view_.end_timestamp.us);
    status_.append(coverage_status_name(view_.status));
    if (view_.reason) reason_.append(*view_.reason);
    else reason_.append_null();
    ingestion_timestamp_.append(view_.ingestion_timestamp.us);
  }

 private:
  CoverageView view_;
  StringColumn exchange_;
  StringColumn symbol_;
  StringColumn channel_;
  FixedColumn<int64_t> first_sequence_;
  FixedColumn<int64_t> last_sequence_;
  FixedColumn<int64_t> timestamp_;
  FixedColumn<int64_t> end_timestamp_;
  StringColumn status_;
  NullableStringColumn reason_;
  FixedColumn<int64_t> ingestion_timestamp_;
};

// What every channel's builder does, over the columns it has.
template <class RecordColumns>
class Rows final : public ColumnsBuilder::Impl {
 public:
  Rows(Channel channel, SchemaResolver& resolver) : channel_(channel), resolver_(resolver), record_(channel) {}

  arrow::Status reserve_rows(int64_t more) override {
    if (rows + more <= capacity_rows_) return arrow::Status::OK();
    const int64_t wanted = std::max({rows + more, capacity_rows_ * 2, kRowsAtFirst});
    arrow::Status status;
    for_each_column([&](const char*, auto& column) {
      if (status.ok()) status = column.reserve(wanted - rows);
    });
    if (status.ok()) capacity_rows_ = wanted;
    return status;
  }

  Status append(std::string_view message, std::string_view topic, int32_t partition, int64_t offset) override {
    K2_TRY(const std::string_view body, resolver_.own_body(record_kind(channel_), message));
    K2_RETURN_IF_ERROR(record_.read(body));
    if (const arrow::Status status = reserve_row(topic); !status.ok()) [[unlikely]]
      return make_error(status.IsCapacityError() ? ErrorKind::kInvalidInput : ErrorKind::kUnavailable, "columns: " + status.ToString());
    record_.append();
    log_.append(topic, partition, offset);
    ++rows;
    return {};
  }

  int64_t size_bytes() override {
    int64_t bytes = 0;
    for_each_column([&](const char*, const auto& column) { bytes += column.size_bytes(); });
    return bytes;
  }

  Result<std::shared_ptr<arrow::RecordBatch>> finish() override {
    const auto schema = arrow_schema(table_of(channel_));
    std::vector<std::shared_ptr<arrow::ArrayData>> arrays;
    arrow::Status status;
    const int64_t finished = std::exchange(rows, 0);
    capacity_rows_ = 0;
    for_each_column([&](const char* name, auto& column) {
      if (!status.ok()) return;
      const auto& field = schema->field(static_cast<int>(arrays.size()));
      K2_ASSERT(field->name() == name);
      auto array = column.finish(field->type(), finished);
      if (array.ok()) arrays.push_back(*std::move(array));
      else status = array.status();
    });
    K2_RETURN_IF_ERROR(from_arrow(status, "cannot finish a batch of " + std::to_string(finished) + " rows"));
    return arrow::RecordBatch::Make(schema, finished, std::move(arrays));
  }

 private:
  template <class Visit>
  void for_each_column(Visit visit) {
    record_.for_each_column(visit);
    log_.for_each_column(visit);
  }

  arrow::Status reserve_row(std::string_view topic) {
    ARROW_RETURN_NOT_OK(reserve_rows(1));
    ARROW_RETURN_NOT_OK(record_.reserve_text());
    return log_.reserve_text(topic);
  }

  const Channel channel_;
  SchemaResolver& resolver_;
  RecordColumns record_;
  LogColumns log_;
  int64_t capacity_rows_ = 0;
};

}  // namespace

ColumnsBuilder::ColumnsBuilder(Channel channel, SchemaResolver& resolver)
    : channel_(channel), resolver_(&resolver), impl_(make_impl(channel, resolver)) {}
ColumnsBuilder::~ColumnsBuilder() = default;
ColumnsBuilder::ColumnsBuilder(ColumnsBuilder&&) noexcept = default;
ColumnsBuilder& ColumnsBuilder::operator=(ColumnsBuilder&&) noexcept = default;

std::unique_ptr<ColumnsBuilder::Impl> ColumnsBuilder::make_impl(Channel channel, SchemaResolver& resolver) {
  if (channel == Channel::kCoverage) return std::make_unique<Rows<CoverageColumns>>(channel, resolver);
  return std::make_unique<Rows<EventColumns>>(channel, resolver);
}

void ColumnsBuilder::reserve(int64_t rows) {
  // A hint: append() reports it where there is no memory.
  static_cast<void>(impl_->reserve_rows(rows).ok());
}

Status ColumnsBuilder::append(std::string_view message, std::string_view topic, int32_t partition, int64_t offset) {
  Status status = impl_->append(message, topic, partition, offset);
  if (!status) [[unlikely]]
    return std::unexpected(status.error().with_context("record " + std::string(topic) + "/" + std::to_string(partition) + " offset " +
                                                       std::to_string(offset)));
  return status;
}

int64_t ColumnsBuilder::rows() const { return impl_->rows; }
int64_t ColumnsBuilder::size_bytes() const { return impl_->size_bytes(); }

Result<std::shared_ptr<arrow::RecordBatch>> ColumnsBuilder::finish() {
  auto batch = impl_->finish();
  // Some columns may be gone already: what remains must not look like rows.
  if (!batch) impl_ = make_impl(channel_, *resolver_);
  return batch;
}

}  // namespace k2
