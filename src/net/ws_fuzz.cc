// Fuzz target: everything a server may send to the WebSocket client, from its answer to the handshake on.
//
// It is read by WsReader, as in production, but it all is in memory before, so that nothing ever waits: no socket, no timer, no coroutine.
// The pipe around the reader has a target of its own (ws_pipe_fuzz.cc), which is slower by an order of magnitude.
// The first byte says how the rest is sent: bit 0, whether it follows a proper answer or is the answer; bits 1 to 7, where it is cut in two.
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "net/ws_reader.h"

namespace {

using namespace k2::net;

constexpr size_t kMessageBytesMax = 200;  // small, so that small inputs reach beyond it

// RFC 6455, 4.2.2: base64 of SHA-1 of the key and a fixed text.
std::string answer_to(std::string_view request) {
  constexpr std::string_view kName = "Sec-WebSocket-Key: ";
  const size_t at = request.find(kName);
  K2_ASSERT(at != std::string_view::npos);
  const std::string text = std::string(request.substr(at + kName.size(), 24)) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 32> accept{};
  EVP_EncodeBlock(accept.data(), digest.data(), static_cast<int>(digest.size()));
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
         std::string(reinterpret_cast<const char*>(accept.data())) + "\r\n\r\n";
}

// Carries nothing: what there is to read is put into the layer.
struct NoCarrier {
  struct NoDeadline {
    void set(int64_t) {}
    void clear() {}
  };

  asio::any_io_executor executor() {
    static asio::io_context never_run(1);
    return never_run.get_executor();
  }
  NoDeadline& deadline() { return no_deadline; }
  [[nodiscard]] bool is_closed() const { return false; }
  void close() {}
  template <class Handler>
  void async_read_some(asio::mutable_buffer, Handler&&) {
    K2_ASSERT(false);
  }

  NoDeadline no_deadline;
};

class Checks final : public WsPipeEvents {
 public:
  void on_message(std::string_view bytes, bool) override {
    K2_ASSERT(bytes.size() <= kMessageBytesMax);
    message_bytes += bytes.size();
  }
  void on_ping(std::string_view payload) override { K2_ASSERT(payload.size() <= 125); }
  void on_pong(std::string_view payload) override { K2_ASSERT(payload.size() <= 125); }
  void on_bytes(size_t) override {}

  size_t message_bytes = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool is_upgraded = (data[0] & 1) != 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, std::min<size_t>(size - 1, 4096));
  const size_t cut = bytes.size() * (data[0] >> 1) / 128;

  NoCarrier carrier;
  Checks checks;
  WsReader<NoCarrier> reader(carrier, /*is_server=*/false, kMessageBytesMax, checks);
  auto& layer = reader.layer();
  bool is_answered = false;
  layer.on_output = [&] {
    if (is_answered || !layer.output.ends_with("\r\n\r\n")) return;
    is_answered = true;
    if (is_upgraded) layer.preload(answer_to(layer.output));
    layer.preload(bytes.substr(0, cut));
  };
  error_code ec;
  reader.stream.handshake("localhost", "/", ec);
  layer.preload(bytes.substr(cut));
  while (!ec) {
    const bool is_ready = layer.ready_messages > 0;
    reader.read_now(ec);
    K2_ASSERT(!is_ready || ec != asio::error::would_block);  // what is counted as whole can be read without waiting
  }
  K2_ASSERT(checks.message_bytes <= bytes.size());
  return 0;
}
