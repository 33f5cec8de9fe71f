// SHA-256 (FIPS 180-4), for identities and for checking files. Thread rule: a pure function.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace k2 {

[[nodiscard]] std::array<uint8_t, 32> sha256(std::string_view bytes);
/// 64 lowercase hexadecimal digits.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

}  // namespace k2
