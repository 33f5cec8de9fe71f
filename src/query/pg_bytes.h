// Integers in network order, of any width: what the PostgreSQL wire protocol is made of.
//
// Thread rule: pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>

namespace k2 {

/// Reads sizeof(Integer) bytes at `from`, big-endian.
template <class Integer>
[[nodiscard]] Integer load_network(const char* from) {
  std::make_unsigned_t<Integer> value = 0;
  for (size_t i = 0; i < sizeof value; ++i)
    value = static_cast<std::make_unsigned_t<Integer>>((sizeof value > 1 ? value << 8 : 0) | static_cast<unsigned char>(from[i]));
  return static_cast<Integer>(value);
}

/// Writes sizeof(Integer) bytes at `to`, big-endian.
template <class Integer>
void store_network(char* to, Integer value) {
  const auto bits = static_cast<std::make_unsigned_t<Integer>>(value);
  for (size_t i = 0; i < sizeof bits; ++i) to[i] = static_cast<char>(bits >> (8 * (sizeof bits - 1 - i)));
}

/// Appends them.
template <class Integer>
void append_network(std::string& out, Integer value) {
  char bytes[sizeof value];
  store_network(bytes, value);
  out.append(bytes, sizeof bytes);
}

}  // namespace k2
