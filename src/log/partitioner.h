// Which partition a key belongs to: exactly as Kafka's Java client has it, so that a log moved to a cluster keeps its partitions.
//
// Source: Apache Kafka 3.9, org.apache.kafka.common.utils.Utils.murmur2 and BuiltInPartitioner.partitionForKey.
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace k2 {

/// MurmurHash2, 32 bits, seed 0x9747b28c.
[[nodiscard]] int32_t murmur2(std::string_view bytes);

/// (murmur2(key) & 0x7fffffff) % partitions; `partitions` >= 1.
[[nodiscard]] int32_t partition_for_key(std::string_view key, int32_t partitions);

}  // namespace k2
