#include "market/offsets.h"

#include <nlohmann/json.hpp>

#include <charconv>

namespace k2 {

Offset offset_of(const Offsets& offsets, const TopicPartition& partition) {
  const auto found = offsets.find(partition);
  return found == offsets.end() ? Offset{} : found->second;
}

std::string offsets_json(const Offsets& offsets) {
  auto json = nlohmann::json::object();
  for (const auto& [partition, offset] : offsets) json[partition.topic][std::to_string(partition.partition)] = offset.value;
  return json.dump();
}

Result<Offsets> parse_offsets_json(std::string_view text) {
  const auto corrupt = [&] { return make_error(ErrorKind::kCorrupt, "offsets: cannot read \"" + std::string(text.substr(0, 200)) + "\""); };
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return corrupt();
  Offsets offsets;
  for (const auto& [topic, partitions] : json.items()) {
    if (!partitions.is_object()) return corrupt();
    for (const auto& [key, value] : partitions.items()) {
      int32_t partition = 0;
      const auto [after, status] = std::from_chars(key.data(), key.data() + key.size(), partition);
      if (status != std::errc() || after != key.data() + key.size() || partition < 0) return corrupt();
      if (!value.is_number_integer() || value.get<int64_t>() < 0) return corrupt();
      offsets[{topic, partition}] = Offset{value.get<int64_t>()};
    }
  }
  return offsets;
}

}  // namespace k2
