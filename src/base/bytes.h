// Small helpers on byte strings: fixed-width integers in a stated byte order, hexadecimal, ASCII case. Thread rule: pure functions.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace k2 {

template <class Integer>
constexpr Integer byte_swap(Integer value) {
  static_assert(sizeof(Integer) == 4 || sizeof(Integer) == 8);
  if constexpr (sizeof(Integer) == 4) return static_cast<Integer>(__builtin_bswap32(static_cast<uint32_t>(value)));
  else return static_cast<Integer>(__builtin_bswap64(static_cast<uint64_t>(value)));
}

/// Reads sizeof(Integer) bytes at `from`, big-endian.
template <class Integer>
[[nodiscard]] inline Integer load_big_endian(const void* from) {
  Integer value;
  std::memcpy(&value, from, sizeof value);
  return std::endian::native == std::endian::little ? byte_swap(value) : value;
}

/// Writes sizeof(Integer) bytes at `to`, big-endian.
template <class Integer>
inline void store_big_endian(void* to, Integer value) {
  if constexpr (std::endian::native == std::endian::little) value = byte_swap(value);
  std::memcpy(to, &value, sizeof value);
}

/// Two lowercase hexadecimal digits a byte.
[[nodiscard]] std::string to_hex(std::string_view bytes);

/// `text` with A to Z as a to z; other bytes, and so all of UTF-8 beyond ASCII, as they are.
[[nodiscard]] std::string ascii_lowercase(std::string_view text);

}  // namespace k2
