// Offset and Offsets: positions in the log. An offset counts the records of one (topic, partition) from 0, without holes.
//
// Thread rule: values.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace k2 {

struct Offset {
  int64_t value = 0;
  constexpr auto operator<=>(const Offset&) const = default;
};

struct TopicPartition {
  std::string topic;
  int32_t partition = 0;
  auto operator<=>(const TopicPartition&) const = default;
};

/// Next offset per partition: everything below is in, everything from there on is not. A partition that is absent stands at 0.
using Offsets = std::map<TopicPartition, Offset>;

/// The next offset of one partition; 0 where absent.
[[nodiscard]] Offset offset_of(const Offsets& offsets, const TopicPartition& partition);

/// {"market.crypto.trades.binance":{"0":123}}: topics and partitions in order. The text of `k2.offsets` in snapshot summaries.
[[nodiscard]] std::string offsets_json(const Offsets& offsets);
/// Reads that text. Corrupt for anything else, and for negative numbers.
[[nodiscard]] Result<Offsets> parse_offsets_json(std::string_view json);

}  // namespace k2
