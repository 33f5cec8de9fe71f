#include "net/ws_frame_counter.h"

#include <algorithm>

#include "base/bytes.h"

namespace k2::net {

namespace {

// The length of a frame's header, as far as `bytes` of it tell (RFC 6455, 5.2); 2 as long as its second byte is not there.
size_t header_size(const unsigned char* header, size_t bytes) {
  if (bytes < 2) return 2;
  const unsigned length = header[1] & 0x7fu;
  return 2 + (length == 126 ? 2u : length == 127 ? 8u : 0u) + ((header[1] & 0x80u) != 0 ? 4u : 0u);
}

uint64_t payload_size(const unsigned char* header) {
  const unsigned length = header[1] & 0x7fu;
  if (length == 126) return static_cast<uint64_t>(header[2]) << 8 | header[3];
  if (length == 127) return load_big_endian<uint64_t>(header + 2);
  return length;
}

}  // namespace

void WsFrameCounter::begin_payload() {
  payload_left_ = payload_size(header_);
  const bool is_control = (header_[0] & 0x08u) != 0;
  ends_message_ = (header_[0] & 0x80u) != 0 && !is_control;
  header_bytes_ = 0;
}

size_t WsFrameCounter::feed(std::string_view bytes) {
  size_t messages = 0;
  size_t at = 0;
  for (; at < bytes.size() && head_matched_ < 4; ++at) {
    const char wanted = head_matched_ % 2 == 0 ? '\r' : '\n';
    head_matched_ = bytes[at] == wanted ? head_matched_ + 1 : bytes[at] == '\r' ? 1 : 0;
  }
  while (at < bytes.size()) {
    if (payload_left_ > 0) {
      const size_t step = static_cast<size_t>(std::min<uint64_t>(payload_left_, bytes.size() - at));
      at += step;
      payload_left_ -= step;
    } else {
      header_[header_bytes_++] = static_cast<unsigned char>(bytes[at++]);
      if (header_bytes_ < 2 || header_bytes_ < header_size(header_, header_bytes_)) continue;
      begin_payload();
    }
    if (payload_left_ == 0 && ends_message_) ++messages, ends_message_ = false;
  }
  return messages;
}

}  // namespace k2::net
