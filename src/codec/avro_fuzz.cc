// Any bytes as a message body: decoded or Corrupt, never a crash; what decodes encodes to something that decodes to the same.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "codec/avro.h"

namespace {

/// What can be read can be written, and is then read as the same.
template <class Record>
void round_trip(std::string_view body, k2::Status (*decode)(std::string_view, Record&),
                void (*encode)(const Record&, int32_t, std::string&)) {
  Record record;
  if (!decode(body, record)) return;
  std::string message;
  Record back;
  encode(record, 1, message);
  K2_ASSERT(decode(std::string_view(message).substr(k2::kFrameHeaderBytes), back));
  K2_ASSERT(back == record);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace k2;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  round_trip<Trade>(body, decode_trade, encode_trade);
  round_trip<Quote>(body, decode_quote, encode_quote);
  round_trip<Coverage>(body, decode_coverage, encode_coverage);
  DeadLetter letter;
  static_cast<void>(decode_dead_letter(body, letter).has_value());
  return 0;
}
