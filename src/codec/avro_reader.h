// AvroReader: checked reads of Avro 1.11 binary primitives ("Binary Encoding"). Inside codec only.
//
// The first read that fails is remembered with its field; from then on every read gives an empty value, so callers check once at the
// end. Nothing is read outside the given bytes.
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/decimal.h"
#include "base/result.h"

namespace k2 {

class AvroReader {
 public:
  explicit AvroReader(std::string_view bytes) : p_(bytes.data()), begin_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  /// Variable-length zig-zag integer of at most 64 bits.
  int64_t read_long(const char* field) {
    if (p_ != end_ && static_cast<uint8_t>(*p_) < 0x80) return zigzag(static_cast<uint8_t>(*p_++));
    return read_long_slow(field);
  }

  std::string_view read_bytes(const char* field) { return read_fixed(field, read_long(field)); }

  /// An enum's or union's index below `count`.
  size_t read_index(const char* field, size_t count) {
    const int64_t index = read_long(field);
    if (index < 0 || static_cast<uint64_t>(index) >= count) [[unlikely]] {
      fail(field, "unknown index");
      return 0;
    }
    return static_cast<size_t>(index);
  }

  Decimal18_8 read_decimal(const char* field) { return decimal_of(field, read_bytes(field)); }

  /// The decimal(18,8) whose two's complement big-endian bytes are `bytes`, already read.
  Decimal18_8 decimal_of(const char* field, std::string_view bytes);

  std::string_view read_fixed(const char* field, int64_t length) {
    if (length < 0 || length > end_ - p_) [[unlikely]] {
      fail(field, "reaches past the end");
      return {};
    }
    const std::string_view bytes(p_, static_cast<size_t>(length));
    p_ += length;
    return bytes;
  }

  /// The number of items in an array's or map's next block; 0 ends it. Each item takes at least one byte, which bounds it.
  int64_t read_block_count(const char* field) {
    int64_t count = read_long(field);
    if (count < 0) {
      // A negative count is followed by the block's size in bytes, which only helps those who skip it.
      read_long(field);
      count = count == INT64_MIN ? INT64_MAX : -count;
    }
    if (count > end_ - p_) [[unlikely]] {
      fail(field, "more items than bytes");
      return 0;
    }
    return count;
  }

  void fail(const char* field, const char* why) {
    if (failed_field_ == nullptr) {
      failed_field_ = field;
      why_ = why;
      failed_at_ = p_ - begin_;
    }
    p_ = end_;
  }

  [[nodiscard]] bool ok() const { return failed_field_ == nullptr; }

  /// Where the next read begins.
  [[nodiscard]] const char* position() const { return p_; }

  /// Success if every read succeeded and nothing is left over, else Corrupt.
  [[nodiscard]] Status finish(const char* record) const {
    if (failed_field_ == nullptr && p_ == end_) [[likely]]
      return {};
    return failure(record);
  }

 private:
  static int64_t zigzag(uint64_t n) { return static_cast<int64_t>(n >> 1) ^ -static_cast<int64_t>(n & 1); }

  int64_t read_long_slow(const char* field);
  [[nodiscard]] Status failure(const char* record) const;

  const char* p_;
  const char* begin_;
  const char* end_;
  const char* failed_field_ = nullptr;
  const char* why_ = nullptr;
  int64_t failed_at_ = 0;
};

inline Decimal18_8 AvroReader::decimal_of(const char* field, std::string_view bytes) {
  if (bytes.empty() || bytes.size() > 16) [[unlikely]] {
    fail(field, "decimal of no or more than 16 bytes");
    return {};
  }
  const bool negative = bytes.front() < 0;
  // Writers may sign-extend beyond the minimal length; what is cut off must be the sign alone.
  while (bytes.size() > 8) {
    if (bytes.front() != (negative ? '\xff' : '\0')) {
      fail(field, "decimal out of range");
      return {};
    }
    bytes.remove_prefix(1);
  }
  uint64_t magnitude = negative ? ~uint64_t{0} : 0;
  for (const char c : bytes) magnitude = magnitude << 8 | static_cast<uint8_t>(c);
  const auto units = static_cast<int64_t>(magnitude);
  if ((units < 0) != negative || units > Decimal18_8::kUnitsMax || units < -Decimal18_8::kUnitsMax) [[unlikely]] {
    fail(field, "decimal out of range");
    return {};
  }
  return Decimal18_8::from_units_checked(units);
}

}  // namespace k2
