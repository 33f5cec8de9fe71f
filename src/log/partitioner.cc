#include "log/partitioner.h"

#include <cstring>

#include "base/assert.h"

namespace k2 {

int32_t murmur2(std::string_view bytes) {
  constexpr uint32_t kSeed = 0x9747b28c;
  constexpr uint32_t kMultiplier = 0x5bd1e995;
  constexpr int kShift = 24;
  const size_t size = bytes.size();
  uint32_t hash = kSeed ^ static_cast<uint32_t>(size);
  size_t at = 0;
  for (; at + 4 <= size; at += 4) {
    const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + i])); };
    uint32_t word = byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
    word *= kMultiplier;
    word ^= word >> kShift;
    word *= kMultiplier;
    hash *= kMultiplier;
    hash ^= word;
  }
  if (at < size) {
    uint32_t rest = 0;
    for (size_t i = at; i < size; ++i) rest |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << (8 * (i - at));
    hash ^= rest;
    hash *= kMultiplier;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  hash ^= hash >> 15;
  return static_cast<int32_t>(hash);
}

int32_t partition_for_key(std::string_view key, int32_t partitions) {
  K2_ASSERT(partitions >= 1);
  if (partitions == 1) return 0;
  return (murmur2(key) & 0x7fffffff) % partitions;
}

}  // namespace k2
