// FrameSink: where a feed's connections hand over what they receive, before anybody has parsed it.
//
// Thread rule: calls of one connection come one at a time, from that connection's thread; of several connections at once.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.h"

namespace k2 {

struct RawFrame {
  uint64_t connection_id = 0;   // counts up with every connection made in this process; never used again
  std::string_view source;      // the connection's URL
  std::string_view bytes;       // one whole message as received; lives until on_frame returns
  bool is_text = true;
  TimestampUs received;         // wall clock when its last byte was taken from the socket
};

class FrameSink {
 public:
  virtual ~FrameSink() = default;
  /// May block: the connection is then not read, and TCP slows the venue down.
  virtual void on_frame(const RawFrame& frame) = 0;
  /// Before the connection's first frame.
  virtual void on_connected(uint64_t connection_id, std::string_view source) { (void)connection_id, (void)source; }
  /// After the connection's last frame; not called for connections that were never up.
  virtual void on_disconnected(uint64_t connection_id, std::string_view reason) { (void)connection_id, (void)reason; }
};

}  // namespace k2
