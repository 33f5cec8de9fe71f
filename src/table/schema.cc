#include "table/schema.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/assert.h"

namespace k2 {
namespace {

using nlohmann::json;

json column_type(const Column& column) {
  switch (column.type) {
    case ColumnType::kUuid: return "uuid";
    case ColumnType::kString: return "string";
    case ColumnType::kTimestampUs: return "timestamptz";
    case ColumnType::kDecimal18_8: return "decimal(18, 8)";
    case ColumnType::kStringList:
      return {{"type", "list"}, {"element-id", column.element_id}, {"element", "string"}, {"element-required", true}};
    case ColumnType::kLong: return "long";
    case ColumnType::kInt: return "int";
  }
  return {};
}

int32_t field_id(const TableSpec& spec, std::string_view name) {
  const Column* column = find_column(spec, name);
  K2_ASSERT(column);
  return column->field_id;
}

}  // namespace

const Column* find_column(const TableSpec& spec, std::string_view name) {
  const auto column = std::find_if(spec.columns.begin(), spec.columns.end(), [&](const Column& c) { return c.name == name; });
  return column == spec.columns.end() ? nullptr : &*column;
}

json schema_json(const TableSpec& spec) {
  json fields = json::array();
  for (const Column& column : spec.columns) {
    json field{{"id", column.field_id}, {"name", column.name}, {"required", column.required}, {"type", column_type(column)}};
    if (!column.doc.empty()) field["doc"] = column.doc;
    fields.push_back(std::move(field));
  }
  return {{"type", "struct"}, {"schema-id", 0}, {"identifier-field-ids", json::array()}, {"fields", std::move(fields)}};
}

json partition_spec_json(const TableSpec& spec) {
  json fields = json::array();
  if (spec.partitioned_by_day_and_exchange) {
    fields.push_back({{"source-id", field_id(spec, "timestamp")},
                      {"field-id", kFirstPartitionFieldId},
                      {"transform", "day"},
                      {"name", "timestamp_day"}});
    fields.push_back({{"source-id", field_id(spec, "exchange")},
                      {"field-id", kFirstPartitionFieldId + 1},
                      {"transform", "identity"},
                      {"name", "exchange"}});
  }
  return {{"spec-id", 0}, {"fields", std::move(fields)}};
}

json sort_orders_json(const TableSpec& spec) {
  json orders = json::array({{{"order-id", 0}, {"fields", json::array()}}});
  if (!find_column(spec, "symbol") || !find_column(spec, "timestamp")) return orders;
  json fields = json::array();
  for (const std::string_view name : {"symbol", "timestamp"})
    fields.push_back({{"transform", "identity"}, {"source-id", field_id(spec, name)}, {"direction", "asc"}, {"null-order", "nulls-first"}});
  orders.push_back({{"order-id", kSortOrderId}, {"fields", std::move(fields)}});
  return orders;
}

int32_t last_column_id(const TableSpec& spec) {
  int32_t last = 0;
  for (const Column& column : spec.columns) last = std::max({last, column.field_id, column.element_id});
  return last;
}

Status check_layout(const TableSpec& spec, const json& schema, const json& partition_spec) {
  const auto refuse = [](const std::string& what) { return make_error(ErrorKind::kInvalidInput, what); };
  const auto is_same_type = [](const json& a, const json& b) {
    const auto text = [](const json& type) {
      std::string written = type.is_string() ? type.get<std::string>() : type.dump();
      std::erase(written, ' ');  // decimal(18, 8), decimal(18,8)
      return written;
    };
    return text(a) == text(b);
  };
  size_t found = 0;
  for (const json& field : schema.value("fields", json::array())) {
    const auto column =
        std::find_if(spec.columns.begin(), spec.columns.end(), [&](const Column& c) { return c.field_id == field.value("id", -1); });
    const std::string name = field.value("name", "");
    const bool is_ours = column != spec.columns.end();
    if (!is_ours && field.value("required", false))
      return refuse("the table now requires a column \"" + name + "\", which k2 does not write");
    if (!is_ours) continue;
    ++found;
    const json type = field.value("type", json());
    if (!is_same_type(type, column_type(*column))) return refuse("the table's column \"" + name + "\" is now " + type.dump());
  }
  if (found != spec.columns.size())
    return refuse("the table has " + std::to_string(found) + " of the " + std::to_string(spec.columns.size()) + " columns");
  const json want = partition_spec_json(spec)["fields"];
  const json have = partition_spec.value("fields", json::array());
  bool same = want.size() == have.size();
  for (size_t i = 0; same && i < want.size(); ++i)
    for (const char* part : {"source-id", "transform", "name"}) same = same && want[i][part] == have[i].value(part, json());
  if (!same) return refuse("the table is now partitioned by " + have.dump() + ", which k2 does not write");
  return {};
}

}  // namespace k2
