#include "market/message_id.h"

#include <algorithm>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/sha256.h"

namespace k2 {
namespace {

constexpr int kOrdinalBits = 40;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_dash_place(size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

}  // namespace

std::string MessageId::to_string() const {
  const std::string hex = to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" + hex.substr(20);
}

Result<MessageId> MessageId::parse(std::string_view text) {
  const auto refuse = [&] {
    return make_error(ErrorKind::kInvalidInput, "message_id: not a UUID: \"" + std::string(text.substr(0, 64)) + "\"");
  };
  if (text.size() != 36) return refuse();
  MessageId id;
  size_t nibble = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (is_dash_place(i)) {
      if (text[i] != '-') return refuse();
      continue;
    }
    const int value = hex_value(text[i]);
    if (value < 0) return refuse();
    id.bytes[nibble / 2] = static_cast<uint8_t>(id.bytes[nibble / 2] << 4 | value);
    ++nibble;
  }
  return id;
}

Result<int64_t> ordinal_sequence(int32_t days_since_epoch, int64_t ordinal) {
  if (days_since_epoch < 0 || days_since_epoch >= (1 << (62 - kOrdinalBits)) || ordinal < 0 || ordinal >= (int64_t{1} << kOrdinalBits))
    return make_error(ErrorKind::kInvalidInput,
                      "message_id: day " + std::to_string(days_since_epoch) + " or ordinal " + std::to_string(ordinal) + " out of range");
  return int64_t{days_since_epoch} << kOrdinalBits | ordinal;
}

MessageIdMaker::MessageIdMaker(std::string_view exchange, std::string_view symbol, std::string_view channel) {
  std::string source;
  source.append(exchange).append("\n").append(symbol).append("\n").append(channel);
  const auto digest = sha256(source);
  std::copy_n(digest.begin(), 6, prefix_.begin());
  prefix_[6] = static_cast<uint8_t>(0x80 | digest[6] >> 4);
  prefix_[7] = static_cast<uint8_t>(digest[6] << 4 | digest[7] >> 4);
}

MessageId MessageIdMaker::make(int64_t sequence) const {
  K2_ASSERT(sequence >= 0 && sequence <= kSequenceMax);
  MessageId id;
  std::copy(prefix_.begin(), prefix_.end(), id.bytes.begin());
  store_big_endian(id.bytes.data() + 8, static_cast<uint64_t>(sequence) | uint64_t{1} << 63);
  return id;
}

}  // namespace k2
