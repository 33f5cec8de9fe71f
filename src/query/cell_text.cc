#include "query/cell_text.h"

#include <arrow/api.h>
#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>
#include <cstring>
#include <string_view>

#include "base/time.h"
#include "market/event.h"
#include "query/decimal_text.h"

namespace k2 {
namespace {

template <class Number>
void append_number(Number value, std::string& out) {
  char buffer[40];
  const auto [end, status] = std::to_chars(buffer, buffer + sizeof buffer, value);
  out.append(buffer, end);
}

void append_two_digits(unsigned value, char* to) {
  to[0] = static_cast<char>('0' + value / 10);
  to[1] = static_cast<char>('0' + value % 10);
}

// Units of 10^-scale with all their fractional digits.
void append_decimal64(int64_t units, int scale, std::string& out) {
  char digits[24];
  uint64_t rest = units < 0 ? ~static_cast<uint64_t>(units) + 1 : static_cast<uint64_t>(units);
  char* begin = digits + sizeof digits;
  for (int i = 0; rest != 0 || i <= scale; ++i) {
    if (i == scale && scale > 0) *--begin = '.';
    *--begin = static_cast<char>('0' + rest % 10);
    rest /= 10;
  }
  if (units < 0) *--begin = '-';
  out.append(begin, digits + sizeof digits);
}

void append_decimal128(const arrow::Decimal128Array& array, int64_t row, std::string& out) {
  const arrow::Decimal128 value(array.GetValue(row));
  const int scale = static_cast<const arrow::Decimal128Type&>(*array.type()).scale();
  const auto low = static_cast<int64_t>(value.low_bits());
  if (scale >= 0 && scale <= 18 && value.high_bits() == low >> 63) append_decimal64(low, scale, out);
  else out += decimal_text(value, scale);
}

// Days to a date once per day instead of once per row: rows come sorted by time, mostly.
void append_time(int64_t us, std::string& out) {
  thread_local int32_t cached_day = INT32_MIN;
  thread_local char date[11];
  const int32_t day = days_since_epoch(TimestampUs{us});
  if (day != cached_day) {
    const std::string text = format_date(day);
    if (text.size() != 10) {
      out += format_rfc3339(TimestampUs{us});
      return;
    }
    text.copy(date, 10);
    cached_day = day;
  }
  const int64_t of_day = us - day * kUsPerDay;
  const auto seconds = static_cast<unsigned>(of_day / kUsPerSecond);
  auto fraction = static_cast<unsigned>(of_day % kUsPerSecond);
  char text[27];
  std::memcpy(text, date, 10);
  text[10] = 'T';
  append_two_digits(seconds / 3600, text + 11);
  text[13] = ':';
  append_two_digits(seconds / 60 % 60, text + 14);
  text[16] = ':';
  append_two_digits(seconds % 60, text + 17);
  text[19] = '.';
  for (int i = 25; i >= 20; --i, fraction /= 10) text[i] = static_cast<char>('0' + fraction % 10);
  text[26] = 'Z';
  out.append(text, sizeof text);
}

template <class Array>
const Array& as(const arrow::Array& array) {
  return static_cast<const Array&>(array);
}

int64_t to_us(int64_t value, arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND: return value * 1'000'000;
    case arrow::TimeUnit::MILLI: return value * 1'000;
    case arrow::TimeUnit::MICRO: return value;
    case arrow::TimeUnit::NANO: return value / 1'000 - (value % 1'000 < 0 ? 1 : 0);
  }
  return value;
}

void append_json(const arrow::Array& array, int64_t row, bool integer_times, std::string& out);

void append_json_list(const arrow::ListArray& list, int64_t row, bool integer_times, std::string& out) {
  out += '[';
  for (int64_t i = list.value_offset(row); i < list.value_offset(row + 1); ++i) {
    if (i > list.value_offset(row)) out += ',';
    append_json(*list.values(), i, integer_times, out);
  }
  out += ']';
}

void append_json_struct(const arrow::StructArray& record, int64_t row, bool integer_times, std::string& out) {
  out += '{';
  for (int i = 0; i < record.num_fields(); ++i) {
    if (i > 0) out += ',';
    append_json_string(out, record.type()->field(i)->name());
    out += ':';
    append_json(*record.field(i), row, integer_times, out);
  }
  out += '}';
}

template <class Number>
void append_json_float(Number value, std::string& out) {
  if (std::isfinite(value)) append_number(value, out);
  else out += "null";
}

// The value without quotes where it is a scalar; false where it has no text of its own and JSON has to do.
bool append_scalar(const arrow::Array& array, int64_t row, bool integer_times, std::string& out) {
  switch (array.type_id()) {
    case arrow::Type::STRING: out += as<arrow::StringArray>(array).GetView(row); return true;
    case arrow::Type::LARGE_STRING: out += as<arrow::LargeStringArray>(array).GetView(row); return true;
    case arrow::Type::INT8: append_number(as<arrow::Int8Array>(array).Value(row), out); return true;
    case arrow::Type::INT16: append_number(as<arrow::Int16Array>(array).Value(row), out); return true;
    case arrow::Type::INT32: append_number(as<arrow::Int32Array>(array).Value(row), out); return true;
    case arrow::Type::INT64: append_number(as<arrow::Int64Array>(array).Value(row), out); return true;
    case arrow::Type::UINT8: append_number(as<arrow::UInt8Array>(array).Value(row), out); return true;
    case arrow::Type::UINT16: append_number(as<arrow::UInt16Array>(array).Value(row), out); return true;
    case arrow::Type::UINT32: append_number(as<arrow::UInt32Array>(array).Value(row), out); return true;
    case arrow::Type::UINT64: append_number(as<arrow::UInt64Array>(array).Value(row), out); return true;
    case arrow::Type::FLOAT: append_number(as<arrow::FloatArray>(array).Value(row), out); return true;
    case arrow::Type::DOUBLE: append_number(as<arrow::DoubleArray>(array).Value(row), out); return true;
    case arrow::Type::BOOL: out += as<arrow::BooleanArray>(array).Value(row) ? "true" : "false"; return true;
    case arrow::Type::DECIMAL128: append_decimal128(as<arrow::Decimal128Array>(array), row, out); return true;
    case arrow::Type::DATE32: out += format_date(as<arrow::Date32Array>(array).Value(row)); return true;
    case arrow::Type::TIMESTAMP: {
      const auto& times = as<arrow::TimestampArray>(array);
      const int64_t us = to_us(times.Value(row), static_cast<const arrow::TimestampType&>(*array.type()).unit());
      if (integer_times) append_number(us, out);
      else append_time(us, out);
      return true;
    }
    case arrow::Type::LIST:
    case arrow::Type::STRUCT: return false;
    default: {
      const auto scalar = array.GetScalar(row);
      if (scalar.ok()) out += (*scalar)->ToString();
      return true;
    }
  }
}

// Scalars that are JSON's own, without quotes.
bool is_bare(const arrow::DataType& type, bool integer_times) {
  const arrow::Type::type id = type.id();
  return arrow::is_integer(id) || id == arrow::Type::BOOL || (id == arrow::Type::TIMESTAMP && integer_times);
}

void append_json(const arrow::Array& array, int64_t row, bool integer_times, std::string& out) {
  if (array.IsNull(row)) {
    out += "null";
    return;
  }
  switch (array.type_id()) {
    case arrow::Type::STRING: return append_json_string(out, as<arrow::StringArray>(array).GetView(row));
    case arrow::Type::LIST: return append_json_list(as<arrow::ListArray>(array), row, integer_times, out);
    case arrow::Type::STRUCT: return append_json_struct(as<arrow::StructArray>(array), row, integer_times, out);
    case arrow::Type::FLOAT: return append_json_float(as<arrow::FloatArray>(array).Value(row), out);
    case arrow::Type::DOUBLE: return append_json_float(as<arrow::DoubleArray>(array).Value(row), out);
    case arrow::Type::DECIMAL128:
      out += '"';
      append_decimal128(as<arrow::Decimal128Array>(array), row, out);
      out += '"';
      return;
    default: break;
  }
  if (is_bare(*array.type(), integer_times)) {
    append_scalar(array, row, integer_times, out);
    return;
  }
  std::string text;
  append_scalar(array, row, integer_times, text);
  append_json_string(out, text);
}

// {"key":"value",...} exactly as vendor_data_json() writes it, which is what is nearly always there.
bool is_plain_object_of_strings(std::string_view text) {
  size_t at = 0;
  const auto take = [&](char letter) { return at < text.size() && text[at] == letter && ++at > 0; };
  const auto take_string = [&] {
    if (!take('"')) return false;
    while (at < text.size() && text[at] != '"' && text[at] != '\\' && static_cast<uint8_t>(text[at]) >= 0x20) ++at;
    return take('"');
  };
  if (!take('{')) return false;
  if (take('}')) return at == text.size();
  do {
    if (!take_string() || !take(':') || !take_string()) return false;
  } while (take(','));
  return take('}') && at == text.size();
}

}  // namespace

struct CellTexts::Column {
  std::shared_ptr<arrow::Array> array;
  std::string key;  // ,"name":
  bool is_json = false;
  bool integer_times = false;
};

CellTexts::CellTexts(const arrow::RecordBatch& batch, bool integer_times) {
  for (int i = 0; i < batch.num_columns(); ++i) {
    Column column{batch.column(i), i == 0 ? "" : ",", false, integer_times};
    append_json_string(column.key, batch.column_name(i));
    column.key += ':';
    column.is_json = batch.column_name(i) == "vendor_data" && column.array->type_id() == arrow::Type::STRING;
    columns_.push_back(std::move(column));
  }
}
CellTexts::~CellTexts() = default;

void CellTexts::append_json_object(int64_t row, std::string& out) const {
  out += '{';
  for (const Column& column : columns_) {
    out += column.key;
    if (column.is_json && column.array->IsValid(row)) {
      const std::string_view text = as<arrow::StringArray>(*column.array).GetView(row);
      if (is_json_object(text)) {
        out += text;
        continue;
      }
    }
    append_json(*column.array, row, column.integer_times, out);
  }
  out += '}';
}

bool CellTexts::append_plain(int column, int64_t row, std::string& out) const {
  const Column& cells = columns_[static_cast<size_t>(column)];
  if (cells.array->IsNull(row)) return false;
  if (!append_scalar(*cells.array, row, cells.integer_times, out)) append_json(*cells.array, row, cells.integer_times, out);
  return true;
}

bool is_json_object(std::string_view text) {
  if (is_plain_object_of_strings(text)) return true;
  return text.find('\n') == std::string_view::npos && text.starts_with('{') && nlohmann::json::accept(text);
}

}  // namespace k2
