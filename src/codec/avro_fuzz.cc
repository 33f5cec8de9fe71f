// Any bytes as a message body: decoded or Corrupt, never a crash; what decodes encodes to something that decodes to the same.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "codec/avro.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace k2;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  Trade trade;
  if (decode_trade(body, trade)) {
    std::string message;
    Trade back;
    encode_trade(trade, 1, message);
    K2_ASSERT(decode_trade(std::string_view(message).substr(kFrameHeaderBytes), back));
    K2_ASSERT(back == trade);
  }
  Quote quote;
  if (decode_quote(body, quote)) {
    std::string message;
    Quote back;
    encode_quote(quote, 1, message);
    K2_ASSERT(decode_quote(std::string_view(message).substr(kFrameHeaderBytes), back));
    K2_ASSERT(back == quote);
  }
  Coverage coverage;
  if (decode_coverage(body, coverage)) {
    std::string message;
    Coverage back;
    encode_coverage(coverage, 1, message);
    K2_ASSERT(decode_coverage(std::string_view(message).substr(kFrameHeaderBytes), back));
    K2_ASSERT(back == coverage);
  }
  DeadLetter letter;
  static_cast<void>(decode_dead_letter(body, letter).has_value());
  return 0;
}
