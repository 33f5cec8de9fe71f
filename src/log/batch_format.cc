#include "log/batch_format.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/assert.h"
#include "base/crc32c.h"

namespace k2 {
namespace {

static_assert(std::endian::native == std::endian::little, "the blob is little-endian; other machines need a conversion here");

constexpr char kMagic[4] = {'K', '2', 'B', '1'};

struct Header {
  char magic[4];
  uint32_t crc;
  uint32_t partition_id;
  uint32_t count;
  int64_t first_offset;
  int64_t base_timestamp_us;
};
static_assert(sizeof(Header) == 32);
constexpr size_t kHeaderBytes = sizeof(Header);
constexpr size_t kCheckedFrom = 8;  // the checksum covers all that follows it

constexpr size_t kVarintBytesMax = 10;

constexpr uint64_t zigzag(int64_t value) { return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63); }
constexpr int64_t unzigzag(uint64_t value) { return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1); }

char* write_varint(char* out, uint64_t value) {
  while (value >= 0x80) {
    *out++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<char>(value);
  return out;
}

/// Reads a varint from [at, end) and moves `at` behind it; false if it is cut off or longer than 64 bits.
bool read_varint(const char*& at, const char* end, uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 70 && at != end; shift += 7) {
    const auto byte = static_cast<uint8_t>(*at++);
    if (shift == 63 && byte > 1) return false;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

Header read_header(std::string_view blob) {
  Header header;
  std::memcpy(&header, blob.data(), kHeaderBytes);
  return header;
}

std::unexpected<Error> corrupt(std::string message) { return make_error(ErrorKind::kCorrupt, std::move(message)); }

/// The difference of two timestamps modulo 2^64, so that any two of them have one.
int64_t difference(int64_t a, int64_t b) { return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b)); }
int64_t sum(int64_t a, int64_t b) { return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)); }

}  // namespace

BatchBuilder::BatchBuilder(int64_t partition_id, Offset first_offset)
    : blob_(kHeaderBytes, '\0'), partition_id_(partition_id), first_offset_(first_offset) {
  K2_ASSERT(partition_id >= 1 && partition_id <= std::numeric_limits<uint32_t>::max());
}

void BatchBuilder::add(std::string_view key, std::string_view value, TimestampUs timestamp) {
  if (count_ == 0) base_timestamp_ = timestamp_max_ = timestamp;
  timestamp_max_ = std::max(timestamp_max_, timestamp);
  char lengths[3 * kVarintBytesMax];
  char* end = write_varint(lengths, key.size());
  end = write_varint(end, value.size());
  end = write_varint(end, zigzag(difference(timestamp.us, base_timestamp_.us)));
  blob_.append(lengths, static_cast<size_t>(end - lengths));
  blob_.append(key);
  blob_.append(value);
  ++count_;
}

std::string BatchBuilder::finish() && {
  K2_ASSERT(count_ >= 1 && count_ <= std::numeric_limits<uint32_t>::max());
  Header header{.magic = {},
                .crc = 0,
                .partition_id = static_cast<uint32_t>(partition_id_),
                .count = static_cast<uint32_t>(count_),
                .first_offset = first_offset_.value,
                .base_timestamp_us = base_timestamp_.us};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  std::memcpy(blob_.data(), &header, kHeaderBytes);
  header.crc = crc32c(std::string_view(blob_).substr(kCheckedFrom));
  std::memcpy(blob_.data(), &header, kHeaderBytes);
  return std::move(blob_);
}

Status check_batch(std::string_view blob, const BatchRow& row) {
  if (blob.size() < kHeaderBytes || std::memcmp(blob.data(), kMagic, sizeof kMagic) != 0)
    return corrupt("not a batch blob (" + std::to_string(blob.size()) + " bytes)");
  const Header header = read_header(blob);
  if (const uint32_t crc = crc32c(blob.substr(kCheckedFrom)); crc != header.crc)
    return corrupt("checksum is " + std::to_string(crc) + ", stored " + std::to_string(header.crc));
  if (header.partition_id != row.partition_id || header.first_offset != row.first_offset.value ||
      header.count != row.next_offset.value - row.first_offset.value)
    return corrupt("blob is of partition id " + std::to_string(header.partition_id) + ", offset " + std::to_string(header.first_offset) +
                   ", " + std::to_string(header.count) + " records; its row says " + std::to_string(row.partition_id) + ", " +
                   std::to_string(row.first_offset.value) + " to " + std::to_string(row.next_offset.value));
  return {};
}

Result<size_t> decode_batch(std::string_view blob, Offset from, Offset end, size_t bytes_wanted, std::vector<LogRecord>& records) {
  K2_ASSERT(blob.size() >= kHeaderBytes);
  const Header header = read_header(blob);
  if (header.first_offset < 0 || header.first_offset > std::numeric_limits<int64_t>::max() - header.count)
    return corrupt("first offset " + std::to_string(header.first_offset) + " is out of range");
  const char* at = blob.data() + kHeaderBytes;
  const char* const blob_end = blob.data() + blob.size();
  const int64_t next_offset = header.first_offset + header.count;
  const int64_t last_wanted = std::min(end.value, next_offset);
  size_t bytes = 0;
  for (int64_t offset = header.first_offset; offset < next_offset; ++offset) {
    if (offset >= last_wanted) return bytes;
    uint64_t key_size = 0;
    uint64_t value_size = 0;
    uint64_t delta = 0;
    if (!read_varint(at, blob_end, key_size) || !read_varint(at, blob_end, value_size) || !read_varint(at, blob_end, delta))
      return corrupt("record " + std::to_string(offset) + " is cut off");
    const auto left = static_cast<uint64_t>(blob_end - at);
    if (key_size > left || value_size > left - key_size) return corrupt("record " + std::to_string(offset) + " is longer than its blob");
    const char* const value = at + key_size;
    if (offset >= from.value) {
      records.push_back({{offset}, {at, key_size}, {value, value_size}, {sum(header.base_timestamp_us, unzigzag(delta))}});
      bytes += value_size;
    }
    at = value + value_size;
    if (offset >= from.value && bytes >= bytes_wanted) return bytes;
  }
  if (at != blob_end) return corrupt("blob goes on after its last record, " + std::to_string(next_offset - 1));
  return bytes;
}

}  // namespace k2
