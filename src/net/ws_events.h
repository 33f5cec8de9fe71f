// WsPipeEvents: what a WebSocket tells its owner, on the thread of its carrier. Internal to src/net.
#pragma once

#include <cstddef>
#include <string_view>

namespace k2::net {

class WsPipeEvents {
 public:
  virtual ~WsPipeEvents() = default;
  virtual void on_message(std::string_view bytes, bool is_text) = 0;
  virtual void on_ping(std::string_view payload) = 0;
  virtual void on_pong(std::string_view payload) = 0;
  virtual void on_bytes(size_t count) = 0;  // read from the carrier
};

}  // namespace k2::net
