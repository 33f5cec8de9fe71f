// Fuzz target: what ws_fuzz.cc sends, to the whole pipe over a pair of sockets: what the client answers, how it closes.
//
// The first byte says how the rest is sent: bit 0, whether it follows a proper answer or is the answer; bits 1 to 7, where it is cut in two.
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "net/ws_pipe.h"

namespace {

using k2::net::asio::io_context;

constexpr size_t kMessageBytesMax = 1 << 12;

class Counting final : public k2::net::WsPipeEvents {
 public:
  void on_message(std::string_view bytes, bool) override {
    K2_ASSERT(bytes.size() <= kMessageBytesMax);
    message_bytes += bytes.size();
  }
  void on_ping(std::string_view payload) override { K2_ASSERT(payload.size() <= 125); }
  void on_pong(std::string_view payload) override { K2_ASSERT(payload.size() <= 125); }
  void on_bytes(size_t count) override { received += count; }

  size_t message_bytes = 0;
  size_t received = 0;
};

// RFC 6455, 4.2.2: base64 of SHA-1 of the key and a fixed text.
std::string answer_to(std::string_view request) {
  constexpr std::string_view kName = "Sec-WebSocket-Key: ";
  const size_t at = request.find(kName);
  K2_ASSERT(at != std::string_view::npos);
  const std::string_view key = request.substr(at + kName.size(), 24);
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 32> accept{};
  EVP_EncodeBlock(accept.data(), digest.data(), static_cast<int>(digest.size()));
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
         std::string(reinterpret_cast<const char*>(accept.data())) + "\r\n\r\n";
}

void send_all(int fd, std::string_view bytes) {
  if (!bytes.empty()) (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

std::string receive(int fd) {
  std::array<char, 4096> bytes{};
  const ssize_t size = ::recv(fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
  return {bytes.data(), size > 0 ? static_cast<size_t>(size) : 0};
}

k2::net::Task<void> live(k2::net::WsPipe& pipe, bool& is_over) {
  const k2::Url url{.scheme = "ws", .host = "localhost", .port = 80, .target = "/"};
  const k2::HttpHeaders headers;
  int http_status = 0;
  const k2::Status connected = co_await pipe.connect(url, headers, 5'000'000, http_status);
  if (connected) (void)co_await pipe.run();
  is_over = true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool is_upgraded = (data[0] & 1) != 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t cut = bytes.size() * (data[0] >> 1) / 128;

  std::array<int, 2> ends{};
  K2_ASSERT(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
  Counting events;
  {
    io_context context(1);
    k2::net::tcp::socket socket(context);
    socket.assign(k2::net::tcp::v4(), ends[0]);
    k2::net::WsPipeOptions options;
    options.message_bytes_max = kMessageBytesMax;
    options.close_timeout_us = 100'000;
    k2::net::WsPipe pipe(std::make_unique<k2::net::Transport>(std::move(socket)), false, options, events);
    bool is_over = false;
    k2::net::asio::co_spawn(context, live(pipe, is_over), k2::net::asio::detached);
    std::string request;
    while (request.find("\r\n\r\n") == std::string::npos) {
      context.poll();
      request += receive(ends[1]);
    }
    if (is_upgraded) send_all(ends[1], answer_to(request));
    send_all(ends[1], bytes.substr(0, cut));
    context.poll();
    send_all(ends[1], bytes.substr(cut));
    ::shutdown(ends[1], SHUT_WR);
    while (!is_over) context.run_one();  // and not until its timers are out
  }
  K2_ASSERT(events.message_bytes <= bytes.size());
  ::close(ends[1]);
  return 0;
}
