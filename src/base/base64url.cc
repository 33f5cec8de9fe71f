#include "base/base64url.h"

#include <array>
#include <cstdint>

namespace k2 {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

std::string to_base64url(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() * 4 + 2) / 3);
  uint32_t bits = 0;
  int bit_count = 0;
  for (const char byte : bytes) {
    bits = (bits << 8) | static_cast<uint8_t>(byte);
    bit_count += 8;
    while (bit_count >= 6) {
      bit_count -= 6;
      text += kAlphabet[(bits >> bit_count) & 63];
    }
  }
  if (bit_count > 0) text += kAlphabet[(bits << (6 - bit_count)) & 63];
  return text;
}

std::optional<std::string> from_base64url(std::string_view text) {
  static const auto values = [] {
    std::array<int8_t, 256> made;
    made.fill(-1);
    for (size_t i = 0; i < kAlphabet.size(); ++i) made[static_cast<uint8_t>(kAlphabet[i])] = static_cast<int8_t>(i);
    return made;
  }();
  std::string bytes;
  uint32_t bits = 0;
  int bit_count = 0;
  for (const char letter : text) {
    const int8_t value = values[static_cast<uint8_t>(letter)];
    if (value < 0) return std::nullopt;
    bits = (bits << 6) | static_cast<uint32_t>(value);
    bit_count += 6;
    if (bit_count < 8) continue;
    bit_count -= 8;
    bytes += static_cast<char>((bits >> bit_count) & 255);
  }
  return bytes;
}

}  // namespace k2
