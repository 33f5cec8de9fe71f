// Fuzz target: heads and chunked bodies. A head that is accepted has no line that could be read in two ways.
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "net/http_parser.h"
#include "net/url.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const k2::HttpHeadLimits limits;
  if (const auto end = k2::find_head_end(bytes, 0, limits); end && *end) {
    const std::string_view head = bytes.substr(0, **end);
    if (const auto request = k2::parse_request_head(head, limits)) {
      K2_ASSERT(!(request->is_chunked && request->content_length));
      K2_ASSERT(!request->is_chunked || request->minor_version == 1);
      K2_ASSERT(request->headers.count("Host") <= 1);
      for (const auto& [name, value] : request->headers) K2_ASSERT(value.find_first_of("\r\n") == std::string::npos);
    }
    (void)k2::parse_response_head(head, limits);
  }
  k2::ChunkDecoder decoder(1 << 16);
  std::string body;
  std::string_view input = bytes;
  (void)decoder.decode(input, body);
  K2_ASSERT(body.size() <= bytes.size());
  (void)k2::parse_url(bytes);
  (void)k2::parse_query(bytes);
  return 0;
}
