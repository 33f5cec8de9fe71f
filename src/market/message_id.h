// MessageId: the deterministic identity of a trade or quote, a UUIDv8 (RFC 9562 section 5.8).
//
// Made from (exchange, symbol, channel) and the source's own sequence, so the same trade has the same id whether it comes from the
// socket, a second line, a backfill, a dump or a second load. The layout puts the source first and the sequence last, so that a
// sorted column of ids compresses:
//
//   bits   0..47   first 48 bits of SHA-256("<exchange>\n<symbol>\n<channel>")        custom_a
//   bits  48..51   version, 8
//   bits  52..63   the next 12 bits of the hash                                       custom_b
//   bits  64..65   variant, 0b10
//   bits  66..127  the sequence, 62 bits, big-endian                                  custom_c
//
// Worked example and how to derive it elsewhere: docs/formats/message-id.md.
// Thread rule: values and pure functions.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace k2 {

struct MessageId {
  std::array<uint8_t, 16> bytes{};

  /// "xxxxxxxx-xxxx-8xxx-xxxx-xxxxxxxxxxxx", lowercase.
  [[nodiscard]] std::string to_string() const;
  /// The 36-character form, any case. InvalidInput otherwise.
  [[nodiscard]] static Result<MessageId> parse(std::string_view text);

  auto operator<=>(const MessageId&) const = default;
};

/// The sequence's upper bound: 62 bits.
inline constexpr int64_t kSequenceMax = (int64_t{1} << 62) - 1;

/// Sequence of a row in a source without ids: the day, then the row's ordinal within that (symbol, day), both from 0.
/// InvalidInput for a day before 1970 or an ordinal of 2^40 or more.
[[nodiscard]] Result<int64_t> ordinal_sequence(int32_t days_since_epoch, int64_t ordinal);

/// Makes the ids of one (exchange, symbol, channel). Hashes once; each id is then two stores.
class MessageIdMaker {
 public:
  /// Channel is "trades" or "quotes".
  MessageIdMaker(std::string_view exchange, std::string_view symbol, std::string_view channel);

  /// Asserts 0 <= sequence <= kSequenceMax: the caller has checked its input.
  [[nodiscard]] MessageId make(int64_t sequence) const;

 private:
  std::array<uint8_t, 8> prefix_;  // the first 64 bits, version included
};

}  // namespace k2
