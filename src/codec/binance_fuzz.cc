// Any bytes as a WebSocket frame: an answer or an error, never a crash; what is a trade encodes and decodes to itself.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "codec/avro.h"
#include "codec/binance.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace k2;
  static BinanceParser parser(std::make_shared<const InstrumentTable>(InstrumentTable::binance_defaults()));
  static BinanceFrame frame;
  static std::string message;
  static Trade back;
  if (!parser.parse({reinterpret_cast<const char*>(data), size}, {1}, frame) || frame.kind != BinanceFrame::Kind::kTrade) return 0;
  message.clear();
  encode_trade(frame.trade, 1, message);
  K2_ASSERT(decode_trade(std::string_view(message).substr(kFrameHeaderBytes), back));
  K2_ASSERT(back == frame.trade);
  return 0;
}
