// CRC-32C (Castagnoli polynomial, RFC 3720 appendix B.4), for checking stored bytes. Thread rule: a pure function.
#pragma once

#include <cstdint>
#include <string_view>

namespace k2 {

/// The checksum of `bytes`; with `so_far`, of the bytes it stands for followed by `bytes`.
[[nodiscard]] uint32_t crc32c(std::string_view bytes, uint32_t so_far = 0);

}  // namespace k2
