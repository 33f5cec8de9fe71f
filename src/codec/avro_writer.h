// AvroWriter: Avro 1.11 binary primitives ("Binary Encoding") into room that the caller has measured. Inside codec only.
//
// Nothing is checked here: the caller provides room for the *_bytes_max() of everything it writes, and kSlackBytes beyond.
// Thread rule: one thread.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/decimal.h"
#include "market/event.h"

namespace k2 {

inline constexpr size_t kLongBytesMax = 10;    // a 64-bit varint
inline constexpr size_t kDecimalBytesMax = 9;  // length, and 8 bytes: decimal(18,8) fits an int64
inline constexpr size_t kUuidTextBytes = 36;
inline constexpr size_t kSlackBytes = 8;       // a decimal is stored as 8 bytes, of which the next value overwrites what is too much

constexpr size_t string_bytes_max(std::string_view text) { return kLongBytesMax + text.size(); }

class AvroWriter {
 public:
  explicit AvroWriter(char* to) : p_(to) {}
  [[nodiscard]] char* end() const { return p_; }

  void write_header(int32_t schema_id) {
    *p_++ = 0;
    store_big_endian(p_, schema_id);
    p_ += 4;
  }

  void write_long(int64_t value) {
    auto n = static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63);
    for (; n >= 0x80; n >>= 7) *p_++ = static_cast<char>(n | 0x80);
    *p_++ = static_cast<char>(n);
  }

  void write_bytes(std::string_view bytes) {
    write_long(static_cast<int64_t>(bytes.size()));
    if (!bytes.empty()) std::memcpy(p_, bytes.data(), bytes.size());
    p_ += bytes.size();
  }

  /// Two's complement, big-endian, as few bytes as keep the sign (what java.math.BigInteger.toByteArray() gives).
  void write_decimal(Decimal18_8 value) {
    const int64_t units = value.units();
    const auto significant = static_cast<uint64_t>(units ^ (units >> 63));
    const int bits = 65 - __builtin_clzll(significant | 1);  // with the sign bit
    const int bytes = (bits + 7) / 8;
    write_long(bytes);
    store_big_endian(p_, static_cast<uint64_t>(units) << (64 - 8 * bytes));
    p_ += bytes;
  }

  void write_message_id(const MessageId& id) {
    write_long(kUuidTextBytes);
    for (size_t i = 0; i < id.bytes.size(); ++i) {
      if (i == 4 || i == 6 || i == 8 || i == 10) *p_++ = '-';
      std::memcpy(p_, kHexPairs[id.bytes[i]].data(), 2);
      p_ += 2;
    }
  }

  void write_optional_long(const std::optional<int64_t>& value) {
    write_long(value ? 1 : 0);
    if (value) write_long(*value);
  }

  void write_strings(const std::vector<std::string>& strings) {
    if (!strings.empty()) {
      write_long(static_cast<int64_t>(strings.size()));
      for (const std::string& string : strings) write_bytes(string);
    }
    write_long(0);
  }

  void write_optional_map(const std::optional<VendorData>& map) {
    write_long(map ? 1 : 0);
    if (!map) return;
    if (!map->empty()) {
      write_long(static_cast<int64_t>(map->size()));
      for (const auto& [key, value] : *map) {
        write_bytes(key);
        write_bytes(value);
      }
    }
    write_long(0);
  }

 private:
  static constexpr auto kHexPairs = [] {
    constexpr char kDigits[] = "0123456789abcdef";
    std::array<std::array<char, 2>, 256> pairs{};
    for (size_t i = 0; i < 256; ++i) pairs[i] = {kDigits[i >> 4], kDigits[i & 15]};
    return pairs;
  }();

  char* p_;
};

}  // namespace k2
