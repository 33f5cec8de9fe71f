#include "base/uuid.h"

#include <sys/random.h>

#include <cstdint>

#include "base/assert.h"
#include "base/bytes.h"

namespace k2 {

std::string random_uuid() {
  char bytes[16];
  // Requests of up to 256 bytes are never cut short once the source is ready (getrandom(2)).
  const ssize_t got = getrandom(bytes, sizeof bytes, 0);
  K2_ASSERT(got == sizeof bytes);
  bytes[6] = static_cast<char>((bytes[6] & 0x0F) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3F) | 0x80);
  const std::string hex = to_hex({bytes, sizeof bytes});
  return hex.substr(0, 8) + '-' + hex.substr(8, 4) + '-' + hex.substr(12, 4) + '-' + hex.substr(16, 4) + '-' + hex.substr(20);
}

}  // namespace k2
