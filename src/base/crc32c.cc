#include "base/crc32c.h"

#include <array>
#include <cstring>

namespace k2 {
namespace {

constexpr uint32_t kPolynomialReflected = 0x82f63b78;

constexpr auto kTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomialReflected : 0);
    table[i] = crc;
  }
  return table;
}();

uint32_t update_by_table(uint32_t state, const char* bytes, size_t size) {
  for (size_t i = 0; i < size; ++i) state = (state >> 8) ^ kTable[(state ^ static_cast<uint8_t>(bytes[i])) & 0xff];
  return state;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t update_by_instruction(uint32_t state, const char* bytes, size_t size) {
  uint64_t wide = state;
  for (; size >= 8; bytes += 8, size -= 8) {
    uint64_t word;
    std::memcpy(&word, bytes, 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  state = static_cast<uint32_t>(wide);
  for (; size > 0; ++bytes, --size) state = __builtin_ia32_crc32qi(state, static_cast<uint8_t>(*bytes));
  return state;
}

const bool has_instruction = __builtin_cpu_supports("sse4.2");
#endif

}  // namespace

uint32_t crc32c(std::string_view bytes, uint32_t so_far) {
  const uint32_t state = ~so_far;
#if defined(__x86_64__)
  if (has_instruction) return ~update_by_instruction(state, bytes.data(), bytes.size());
#endif
  return ~update_by_table(state, bytes.data(), bytes.size());
}

}  // namespace k2
