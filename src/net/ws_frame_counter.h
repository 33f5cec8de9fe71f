// WsFrameCounter: how many messages of a WebSocket have come whole. Internal to src/net.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace k2::net {

/// Follows a stream of frames, fragments and all, only so far as to know how many data messages are complete in it.
class WsFrameCounter {
 public:
  /// With `skip_http_head`, frames begin behind the first CRLFCRLF.
  explicit WsFrameCounter(bool skip_http_head) : head_matched_(skip_http_head ? 0 : 4) {}

  /// Returns how many data messages have ended within `bytes`, which follow those of the last call.
  size_t feed(std::string_view bytes);

 private:
  void begin_payload();

  int head_matched_;              // of "\r\n\r\n"; 4: past it
  unsigned char header_[14] = {}; // of the frame whose header is being gathered
  size_t header_bytes_ = 0;
  uint64_t payload_left_ = 0;
  bool ends_message_ = false;
};

}  // namespace k2::net
