#include "query/sql_text.h"

#include "base/assert.h"

namespace k2 {

std::string quote_text(std::string_view text) {
  K2_ASSERT(text.find('\0') == std::string_view::npos);
  std::string quoted = "'";
  for (const char letter : text) {
    if (letter == '\'') quoted += '\'';
    quoted += letter;
  }
  return quoted + "'";
}

std::string text_list(const std::vector<std::string>& texts) {
  std::string list = "[";
  for (const std::string& text : texts) {
    if (list.size() > 1) list += ", ";
    list += quote_text(text);
  }
  return list + "]";
}

std::string select_list(const std::vector<std::string_view>& columns) {
  std::string list;
  for (const std::string_view column : columns) {
    if (!list.empty()) list += ", ";
    list += '"';
    list += column;
    list += '"';
  }
  return list;
}

std::vector<std::string_view> column_names(const TableSpec& table) {
  std::vector<std::string_view> names;
  for (const Column& column : table.columns) names.push_back(column.name);
  return names;
}

std::string parquet_scan(std::span<const DataFileInfo> files) {
  K2_ASSERT(!files.empty());
  std::vector<std::string> paths;
  for (const DataFileInfo& file : files) paths.push_back(file.path);
  // Partition values are columns of the files as well: nothing is to be read out of the paths.
  return "read_parquet(" + text_list(paths) + ", hive_partitioning = false)";
}

std::string below_end_condition(const Offsets& have, const Offsets& end) {
  std::string condition;
  for (const auto& [partition, offset] : have) {
    const Offset stop = offset_of(end, partition);
    if (offset <= stop) continue;
    if (!condition.empty()) condition += " AND ";
    condition += "(log_topic = " + quote_text(partition.topic) + " AND log_partition = " + std::to_string(partition.partition) +
                 " AND log_offset >= " + std::to_string(stop.value) + ") IS NOT TRUE";
  }
  return condition;
}

}  // namespace k2
