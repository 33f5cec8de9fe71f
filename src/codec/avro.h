// Trades, quotes, coverage and dead letters as messages: Avro binary of schemas/v2 in the Confluent wire format. docs/formats/wire.md.
//
//   message := 0x00 schema_id(4 bytes, big-endian) body        body := Avro 1.11 binary encoding of the record
//
// Hand-written for our own schemas, because this runs once per event. Bodies of other writer schemas are brought to ours by
// codec/resolve.h first. Decoding trusts nothing: every length, index and range is checked against the bytes that are there.
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "market/coverage.h"
#include "market/event.h"

namespace k2 {

inline constexpr size_t kFrameHeaderBytes = 5;

/// Each appends one whole message to `out` and leaves what is there before alone. `schema_id` >= 0 is what the SchemaStore gave for
/// trade_schema(), quote_schema(), coverage_schema() or dead_letter_schema(). Strings are written as they are: UTF-8 by the market types' contract.
void encode_trade(const Trade& trade, int32_t schema_id, std::string& out);
void encode_quote(const Quote& quote, int32_t schema_id, std::string& out);
/// An empty reason is written as null; the asset class is the topic's.
void encode_coverage(const Coverage& coverage, int32_t schema_id, std::string& out);
void encode_dead_letter(const DeadLetter& letter, int32_t schema_id, std::string& out);

/// A message taken apart; `body` points into it.
struct Frame {
  int32_t schema_id = 0;
  std::string_view body;
};

/// Corrupt if it is shorter than its header, does not begin with 0, or the id is negative.
[[nodiscard]] Result<Frame> read_frame(std::string_view message);

/// Each reads a body written with our own schema into `out`, whose strings' memory is used again. Corrupt, with the field's name,
/// for lengths past the end, unknown enum indexes, a message_id that is no UUID, decimals that are not decimal(18,8), repeated
/// vendor_data keys, or bytes left over; `out` then holds no meaning. vendor_data comes back sorted by key.
[[nodiscard]] Status decode_trade(std::string_view body, Trade& out);
[[nodiscard]] Status decode_quote(std::string_view body, Quote& out);
/// Also Corrupt: a channel that is none of ours, sequence numbers that are no range. Leaves the asset class alone.
[[nodiscard]] Status decode_coverage(std::string_view body, Coverage& out);
[[nodiscard]] Status decode_dead_letter(std::string_view body, DeadLetter& out);

}  // namespace k2
