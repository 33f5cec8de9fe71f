#include "query/pg_rows.h"

#include <arrow/api.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>

#include "query/decimal_text.h"
#include "query/outside_sql.h"
#include "query/pg_bytes.h"

namespace k2 {
namespace {

enum Oid : int32_t {
  kBool = 16,
  kBytea = 17,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kText = 25,
  kJson = 114,
  kFloat4 = 700,
  kFloat8 = 701,
  kUnknown = 705,
  kBpchar = 1042,
  kVarchar = 1043,
  kDate = 1082,
  kTime = 1083,
  kTimestamp = 1114,
  kTimestamptz = 1184,
  kInterval = 1186,
  kNumeric = 1700,
  kUuid = 2950,
};

constexpr int64_t kEpoch2000Us = 946'684'800'000'000;
constexpr int32_t kEpoch2000Days = 10'957;

int32_t array_oid(int32_t element) {
  switch (element) {
    case kBool: return 1000;
    case kInt2: return 1005;
    case kInt4: return 1007;
    case kInt8: return 1016;
    case kFloat4: return 1021;
    case kFloat8: return 1022;
    case kNumeric: return 1231;
    case kDate: return 1182;
    case kTimestamp: return 1115;
    case kTimestamptz: return 1185;
    case kText: return 1009;
    default: return 0;
  }
}

PgColumn column_of(const arrow::DataType& type, std::string_view sql_type) {
  PgColumn column;
  const auto fixed = [&](int32_t oid, int16_t size) {
    column.oid = oid;
    column.size = size;
  };
  switch (type.id()) {
    case arrow::Type::BOOL: fixed(kBool, 1); break;
    case arrow::Type::INT8:
    case arrow::Type::UINT8:
    case arrow::Type::INT16: fixed(kInt2, 2); break;
    case arrow::Type::UINT16:
    case arrow::Type::INT32: fixed(kInt4, 4); break;
    case arrow::Type::UINT32:
    case arrow::Type::INT64: fixed(kInt8, 8); break;
    case arrow::Type::UINT64: column.oid = kNumeric; break;
    case arrow::Type::FLOAT: fixed(kFloat4, 4); break;
    case arrow::Type::DOUBLE: fixed(kFloat8, 8); break;
    case arrow::Type::DECIMAL128: {
      const auto& decimal = static_cast<const arrow::Decimal128Type&>(type);
      column.oid = kNumeric;
      if (decimal.scale() > 0) column.modifier = ((decimal.precision() << 16) | decimal.scale()) + 4;
      break;
    }
    case arrow::Type::STRING:
      if (sql_type == "UUID") fixed(kUuid, 16);
      else column.oid = sql_type == "JSON" ? kJson : kText;
      break;
    case arrow::Type::BINARY: column.oid = kBytea; break;
    case arrow::Type::DATE32: fixed(kDate, 4); break;
    case arrow::Type::TIME64: fixed(kTime, 8); break;
    case arrow::Type::TIMESTAMP:
      fixed(static_cast<const arrow::TimestampType&>(type).timezone().empty() ? kTimestamp : kTimestamptz, 8);
      break;
    case arrow::Type::LIST: {
      const int32_t oid = array_oid(column_of(*static_cast<const arrow::ListType&>(type).value_type(), "").oid);
      if (oid != 0) column.oid = oid;
      break;
    }
    default: break;  // as text
  }
  return column;
}

// --- text ------------------------------------------------------------------------------------------------------------

void append_padded(std::string& out, int64_t value, int width) {
  const std::string digits = std::to_string(value);
  if (static_cast<int>(digits.size()) < width) out.append(static_cast<size_t>(width) - digits.size(), '0');
  out += digits;
}

void append_date(std::string& out, int64_t days) {
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{days}}};
  const int year = static_cast<int>(date.year());
  append_padded(out, year > 0 ? year : 1 - year, 4);
  out += '-';
  append_padded(out, static_cast<unsigned>(date.month()), 2);
  out += '-';
  append_padded(out, static_cast<unsigned>(date.day()), 2);
}

void append_time(std::string& out, int64_t us) {
  append_padded(out, us / 3'600'000'000, 2);
  out += ':';
  append_padded(out, us / 60'000'000 % 60, 2);
  out += ':';
  append_padded(out, us / 1'000'000 % 60, 2);
  int64_t fraction = us % 1'000'000;
  if (fraction == 0) return;
  int width = 6;
  for (; fraction % 10 == 0; fraction /= 10) --width;
  out += '.';
  append_padded(out, fraction, width);
}

template <class Number>
void append_float(std::string& out, Number value) {
  if (std::isnan(value)) out += "NaN";
  else if (std::isinf(value)) out += value > 0 ? "Infinity" : "-Infinity";
  else {
    char buffer[40];
    out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
  }
}

int64_t microseconds(int64_t value, arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND: return value * 1'000'000;
    case arrow::TimeUnit::MILLI: return value * 1'000;
    case arrow::TimeUnit::MICRO: return value;
    case arrow::TimeUnit::NANO: return value / 1'000;
  }
  return value;
}

int64_t timestamp_us(const arrow::Array& array, int64_t row) {
  const auto& times = static_cast<const arrow::TimestampArray&>(array);
  return microseconds(times.Value(row), static_cast<const arrow::TimestampType&>(*array.type()).unit());
}

int64_t time_us(const arrow::Array& array, int64_t row) {
  return microseconds(static_cast<const arrow::Time64Array&>(array).Value(row),
                      static_cast<const arrow::Time64Type&>(*array.type()).unit());
}

int64_t integer_at(const arrow::Array& array, int64_t row) {
  switch (array.type_id()) {
    case arrow::Type::INT8: return static_cast<const arrow::Int8Array&>(array).Value(row);
    case arrow::Type::UINT8: return static_cast<const arrow::UInt8Array&>(array).Value(row);
    case arrow::Type::INT16: return static_cast<const arrow::Int16Array&>(array).Value(row);
    case arrow::Type::UINT16: return static_cast<const arrow::UInt16Array&>(array).Value(row);
    case arrow::Type::INT32: return static_cast<const arrow::Int32Array&>(array).Value(row);
    case arrow::Type::UINT32: return static_cast<const arrow::UInt32Array&>(array).Value(row);
    default: return static_cast<const arrow::Int64Array&>(array).Value(row);
  }
}

std::string_view bytes_at(const arrow::Array& array, int64_t row) { return static_cast<const arrow::BinaryArray&>(array).GetView(row); }

std::string numeric_text(const arrow::Array& array, int64_t row) {
  if (array.type_id() == arrow::Type::UINT64) return std::to_string(static_cast<const arrow::UInt64Array&>(array).Value(row));
  const auto& decimals = static_cast<const arrow::Decimal128Array&>(array);
  return decimal_text(arrow::Decimal128(decimals.GetValue(row)), static_cast<const arrow::Decimal128Type&>(*array.type()).scale());
}

void append_text(const arrow::Array& array, int64_t row, std::string& out);

// PostgreSQL's array literal: {a,"b c",NULL}.
void append_array_text(const arrow::ListArray& lists, int64_t row, std::string& out) {
  out += '{';
  std::string element;
  for (int64_t i = lists.value_offset(row); i < lists.value_offset(row + 1); ++i) {
    if (i > lists.value_offset(row)) out += ',';
    if (lists.values()->IsNull(i)) {
      out += "NULL";
      continue;
    }
    element.clear();
    append_text(*lists.values(), i, element);
    out += '"';
    for (const char letter : element) {
      if (letter == '"' || letter == '\\') out += '\\';
      out += letter;
    }
    out += '"';
  }
  out += '}';
}

void append_text(const arrow::Array& array, int64_t row, std::string& out) {
  switch (array.type_id()) {
    case arrow::Type::BOOL: out += static_cast<const arrow::BooleanArray&>(array).Value(row) ? 't' : 'f'; return;
    case arrow::Type::INT8:
    case arrow::Type::UINT8:
    case arrow::Type::INT16:
    case arrow::Type::UINT16:
    case arrow::Type::INT32:
    case arrow::Type::UINT32:
    case arrow::Type::INT64: out += std::to_string(integer_at(array, row)); return;
    case arrow::Type::UINT64:
    case arrow::Type::DECIMAL128: out += numeric_text(array, row); return;
    case arrow::Type::FLOAT: return append_float(out, static_cast<const arrow::FloatArray&>(array).Value(row));
    case arrow::Type::DOUBLE: return append_float(out, static_cast<const arrow::DoubleArray&>(array).Value(row));
    case arrow::Type::STRING: out += bytes_at(array, row); return;
    case arrow::Type::BINARY:
      out += "\\x";
      for (const char byte : bytes_at(array, row)) {
        out += "0123456789abcdef"[static_cast<uint8_t>(byte) >> 4];
        out += "0123456789abcdef"[static_cast<uint8_t>(byte) & 15];
      }
      return;
    case arrow::Type::DATE32: {
      const int64_t days = static_cast<const arrow::Date32Array&>(array).Value(row);
      append_date(out, days);
      if (days < -719'528 + 366) out += " BC";
      return;
    }
    case arrow::Type::TIME64: return append_time(out, time_us(array, row));
    case arrow::Type::TIMESTAMP: {
      const int64_t us = timestamp_us(array, row);
      const int64_t days = us / 86'400'000'000 - (us % 86'400'000'000 < 0 ? 1 : 0);
      append_date(out, days);
      out += ' ';
      append_time(out, us - days * 86'400'000'000);
      if (!static_cast<const arrow::TimestampType&>(*array.type()).timezone().empty()) out += "+00";
      if (days < -719'528 + 366) out += " BC";
      return;
    }
    case arrow::Type::LIST: return append_array_text(static_cast<const arrow::ListArray&>(array), row, out);
    default: {
      const auto scalar = array.GetScalar(row);
      if (scalar.ok()) out += (*scalar)->ToString();
      return;
    }
  }
}

// --- binary ----------------------------------------------------------------------------------------------------------

// numeric: number of groups, weight of the first, sign, digits after the point, groups of four decimal digits.
void append_numeric(std::string& out, std::string_view text) {
  const bool is_negative = text.starts_with('-');
  if (is_negative) text.remove_prefix(1);
  const size_t point = text.find('.');
  std::string whole(text.substr(0, point));
  std::string fraction(point == std::string_view::npos ? "" : text.substr(point + 1));
  const auto scale = static_cast<int16_t>(fraction.size());
  whole.insert(0, (4 - whole.size() % 4) % 4, '0');
  fraction.append((4 - fraction.size() % 4) % 4, '0');
  std::vector<int16_t> groups;
  const std::string digits = whole + fraction;
  for (size_t i = 0; i < digits.size(); i += 4) groups.push_back(static_cast<int16_t>(std::stoi(digits.substr(i, 4))));
  auto weight = static_cast<int16_t>(whole.size() / 4) - 1;
  size_t first = 0;
  while (first < groups.size() && groups[first] == 0) {
    ++first;
    --weight;
  }
  while (groups.size() > first && groups.back() == 0) groups.pop_back();
  if (first == groups.size()) weight = 0;
  append_network(out, static_cast<int16_t>(groups.size() - first));
  append_network(out, static_cast<int16_t>(weight));
  append_network(out, static_cast<int16_t>(is_negative && first < groups.size() ? 0x4000 : 0));
  append_network(out, scale);
  for (size_t i = first; i < groups.size(); ++i) append_network(out, groups[i]);
}

void append_binary(const arrow::Array& array, int32_t oid, int64_t row, std::string& out);

void append_array_binary(const arrow::ListArray& lists, int64_t row, std::string& out) {
  const int32_t element = column_of(*lists.value_type(), "").oid;
  const int64_t from = lists.value_offset(row), to = lists.value_offset(row + 1);
  append_network(out, static_cast<int32_t>(from == to ? 0 : 1));
  append_network(out, static_cast<int32_t>(lists.values()->null_count() > 0 ? 1 : 0));
  append_network(out, element);
  if (from == to) return;
  append_network(out, static_cast<int32_t>(to - from));
  append_network(out, int32_t{1});
  for (int64_t i = from; i < to; ++i) {
    if (lists.values()->IsNull(i)) {
      append_network(out, int32_t{-1});
      continue;
    }
    const size_t at = out.size();
    append_network(out, int32_t{0});
    append_binary(*lists.values(), element, i, out);
    store_network(out.data() + at, static_cast<int32_t>(out.size() - at - 4));
  }
}

void append_binary(const arrow::Array& array, int32_t oid, int64_t row, std::string& out) {
  switch (oid) {
    case kBool: out += static_cast<char>(static_cast<const arrow::BooleanArray&>(array).Value(row) ? 1 : 0); return;
    case kInt2: return append_network(out, static_cast<int16_t>(integer_at(array, row)));
    case kInt4: return append_network(out, static_cast<int32_t>(integer_at(array, row)));
    case kInt8: return append_network(out, integer_at(array, row));
    case kFloat4: return append_network(out, std::bit_cast<int32_t>(static_cast<const arrow::FloatArray&>(array).Value(row)));
    case kFloat8: return append_network(out, std::bit_cast<int64_t>(static_cast<const arrow::DoubleArray&>(array).Value(row)));
    case kNumeric: return append_numeric(out, numeric_text(array, row));
    case kDate: return append_network(out, static_cast<const arrow::Date32Array&>(array).Value(row) - kEpoch2000Days);
    case kTime: return append_network(out, time_us(array, row));
    case kTimestamp:
    case kTimestamptz: return append_network(out, timestamp_us(array, row) - kEpoch2000Us);
    case kBytea: out += bytes_at(array, row); return;
    case kUuid: {
      std::string digits;
      for (const char letter : bytes_at(array, row))
        if (letter != '-') digits += letter;
      for (size_t i = 0; i + 1 < digits.size(); i += 2) out += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
      return;
    }
    default:
      if (array.type_id() == arrow::Type::LIST && oid != kText)
        return append_array_binary(static_cast<const arrow::ListArray&>(array), row, out);
      return append_text(array, row, out);  // text, json: the bytes of their text
  }
}

}  // namespace

std::vector<PgColumn> pg_columns(const arrow::Schema& schema) {
  std::vector<PgColumn> columns;
  for (const auto& field : schema.fields()) {
    std::string sql_type;
    if (const auto& metadata = field->metadata(); metadata)
      if (const auto value = metadata->Get(std::string(kSqlTypeKey)); value.ok()) sql_type = *value;
    columns.push_back(column_of(*field->type(), sql_type));
    columns.back().name = field->name();
  }
  return columns;
}

int64_t pg_row_count(const arrow::RecordBatch& batch) { return batch.num_rows(); }

void append_pg_rows(const arrow::RecordBatch& batch, int64_t from, int64_t to, std::span<const PgFormat> formats, std::string& out) {
  const std::vector<PgColumn> columns = pg_columns(*batch.schema());
  std::vector<std::shared_ptr<arrow::Array>> arrays = batch.columns();
  for (int64_t row = from; row < to; ++row) {
    const size_t start = out.size();
    out += 'D';
    append_network(out, int32_t{0});
    append_network(out, static_cast<int16_t>(columns.size()));
    for (size_t i = 0; i < columns.size(); ++i) {
      if (arrays[i]->type_id() == arrow::Type::NA || arrays[i]->IsNull(row)) {
        append_network(out, int32_t{-1});
        continue;
      }
      const size_t at = out.size();
      append_network(out, int32_t{0});
      if (formats[i] == PgFormat::kBinary) append_binary(*arrays[i], columns[i].oid, row, out);
      else append_text(*arrays[i], row, out);
      store_network(out.data() + at, static_cast<int32_t>(out.size() - at - 4));
    }
    store_network(out.data() + start + 1, static_cast<int32_t>(out.size() - start - 1));
  }
}

int32_t pg_oid_of(std::string_view sql_type) {
  static const std::map<std::string_view, int32_t> oids{{"BOOLEAN", kBool},
                                                        {"TINYINT", kInt2},
                                                        {"SMALLINT", kInt2},
                                                        {"INTEGER", kInt4},
                                                        {"BIGINT", kInt8},
                                                        {"UTINYINT", kInt2},
                                                        {"USMALLINT", kInt4},
                                                        {"UINTEGER", kInt8},
                                                        {"UBIGINT", kNumeric},
                                                        {"HUGEINT", kNumeric},
                                                        {"UHUGEINT", kNumeric},
                                                        {"FLOAT", kFloat4},
                                                        {"DOUBLE", kFloat8},
                                                        {"TIMESTAMP", kTimestamp},
                                                        {"DATE", kDate},
                                                        {"TIME", kTime},
                                                        {"TIMESTAMPTZ", kTimestamptz},
                                                        {"TIMESTAMP_S", kTimestamp},
                                                        {"TIMESTAMP_MS", kTimestamp},
                                                        {"TIMESTAMP_NS", kTimestamp},
                                                        {"UUID", kUuid},
                                                        {"JSON", kJson},
                                                        {"BLOB", kBytea},
                                                        {"INTERVAL", kInterval}};
  if (sql_type.starts_with("DECIMAL")) return kNumeric;
  const auto found = oids.find(sql_type);
  return found == oids.end() ? kText : found->second;
}

Result<std::string> pg_parameter_text(int32_t oid, PgFormat format, std::string_view bytes) {
  if (format == PgFormat::kText) return std::string(bytes);
  const auto wants = [&](size_t size) { return bytes.size() == size; };
  switch (oid) {
    case kBool:
      if (wants(1)) return std::string(bytes[0] != 0 ? "true" : "false");
      break;
    case kInt2:
      if (wants(2)) return std::to_string(load_network<int16_t>(bytes.data()));
      break;
    case kInt4:
      if (wants(4)) return std::to_string(load_network<int32_t>(bytes.data()));
      break;
    case kInt8:
      if (wants(8)) return std::to_string(load_network<int64_t>(bytes.data()));
      break;
    case kFloat4:
      if (wants(4)) {
        std::string text;
        append_float(text, std::bit_cast<float>(load_network<uint32_t>(bytes.data())));
        return text;
      }
      break;
    case kFloat8:
      if (wants(8)) {
        std::string text;
        append_float(text, std::bit_cast<double>(load_network<uint64_t>(bytes.data())));
        return text;
      }
      break;
    case kDate:
      if (wants(4)) {
        std::string text;
        append_date(text, int64_t{load_network<int32_t>(bytes.data())} + kEpoch2000Days);
        return text;
      }
      break;
    case kTimestamp:
    case kTimestamptz:
      if (wants(8)) {
        const int64_t us = load_network<int64_t>(bytes.data()) + kEpoch2000Us;
        const int64_t days = us / 86'400'000'000 - (us % 86'400'000'000 < 0 ? 1 : 0);
        std::string text;
        append_date(text, days);
        text += ' ';
        append_time(text, us - days * 86'400'000'000);
        return text + (oid == kTimestamptz ? "+00" : "");
      }
      break;
    case kUuid:
      if (wants(16)) {
        std::string text;
        for (size_t i = 0; i < 16; ++i) {
          if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
          text += "0123456789abcdef"[static_cast<uint8_t>(bytes[i]) >> 4];
          text += "0123456789abcdef"[static_cast<uint8_t>(bytes[i]) & 15];
        }
        return text;
      }
      break;
    case kNumeric:
      if (bytes.size() >= 8) {
        const int groups = load_network<int16_t>(bytes.data()), weight = load_network<int16_t>(bytes.data() + 2);
        const int sign = load_network<uint16_t>(bytes.data() + 4), scale = load_network<int16_t>(bytes.data() + 6);
        if (groups < 0 || scale < 0 || weight > 10 || weight < -10 || scale > 40 || !wants(8 + 2 * static_cast<size_t>(groups)) ||
            (sign != 0 && sign != 0x4000))
          break;
        const auto group = [&](int at) { return at < 0 || at >= groups ? 0 : load_network<int16_t>(bytes.data() + 8 + 2 * at); };
        std::string text = sign != 0 ? "-" : "";
        for (int at = 0; at <= weight; ++at) append_padded(text, group(at), at == 0 ? 1 : 4);
        if (weight < 0) text += '0';
        if (scale == 0) return text;
        std::string fraction;
        for (int at = weight + 1; static_cast<int>(fraction.size()) < scale; ++at) append_padded(fraction, at < 0 ? 0 : group(at), 4);
        return text + "." + fraction.substr(0, static_cast<size_t>(scale));
      }
      break;
    case 0:
    case kText:
    case kVarchar:
    case kBpchar:
    case kUnknown:
    case kJson: return std::string(bytes);
    default: break;
  }
  return make_error(ErrorKind::kInvalidInput, "a parameter of type " + std::to_string(oid) + " with " + std::to_string(bytes.size()) +
                                                  " bytes in binary format cannot be read");
}

std::string pg_parameter_type(int32_t oid, std::string_view text) {
  switch (oid) {
    case kBool: return "BOOLEAN";
    case kInt2: return "SMALLINT";
    case kInt4: return "INTEGER";
    case kInt8: return "BIGINT";
    case kFloat4: return "FLOAT";
    case kFloat8: return "DOUBLE";
    case kDate: return "DATE";
    case kTime: return "TIME";
    case kTimestamp: return "TIMESTAMP";
    case kTimestamptz: return "TIMESTAMPTZ";
    case kInterval: return "INTERVAL";
    case kUuid: return "UUID";
    case kVarchar:
    case kBpchar:
    case kText: return "";  // a literal takes the type of its place: WHERE timestamp > $1
    case kNumeric: {
      // Exactly the digits it has: DuckDB's DECIMAL without numbers has three after the point.
      const size_t point = text.find('.');
      const auto digits = std::ranges::count_if(text, [](unsigned char letter) { return letter >= '0' && letter <= '9'; });
      const size_t scale = point == std::string_view::npos ? 0 : text.size() - point - 1;
      if (digits == 0 || digits > 38 || text.find_first_of("eE") != std::string_view::npos) return "";
      return "DECIMAL(" + std::to_string(digits) + "," + std::to_string(scale) + ")";
    }
    default: return "";
  }
}

}  // namespace k2
