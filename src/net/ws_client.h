// WsClient: one WebSocket connection to a server that is not trusted, over TLS or plain TCP (RFC 6455).
//
// It connects once and, when it has ended, stays ended: to reconnect is its owner's work (feed/session.h). Pings are answered with their
// payload. No compression is offered. Fails the connection on: a masked frame, reserved bits or opcodes, text that is not UTF-8, a
// message beyond message_bytes_max, silence longer than idle_timeout_us.
// Thread rule: each client has a thread ("k2-ws"), which makes all calls of its handler, one at a time. While the handler is in a call
// nothing is read: the server feels TCP's back-pressure. Members from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "net/http_message.h"
#include "net/proxy.h"
#include "net/tls.h"

namespace k2 {

struct WsClientOptions {
  std::string url;  // ws:// or wss://; the path and query percent-encoded
  TlsTrust trust;
  std::optional<ProxyRules> proxy;           // nullopt: as the process's environment says
  HttpHeaders headers;                       // of the upgrade request, beside the necessary ones
  int64_t connect_timeout_us = 10'000'000;   // name resolution, TCP, TLS and upgrade together
  int64_t idle_timeout_us = 0;               // no byte received for so long ends the connection; 0: never
  int64_t write_stall_us = 10'000'000;       // the server takes no byte for so long ends the connection
  int64_t close_timeout_us = 2'000'000;      // how long close() waits for the server's close frame
  size_t message_bytes_max = 1 << 20;
  size_t send_queue_bytes_max = 1 << 20;     // send() beyond it is refused
};

/// How a connection ended.
struct WsEnd {
  enum class Reason {
    kClosedByServer,  // its close frame: code and text are its own
    kClosedByUs,      // close() or the destructor
    kConnectFailed,   // never opened: name, TCP, TLS, upgrade
    kProtocol,        // the server broke RFC 6455, UTF-8 or a limit; code is what we told it
    kNetwork,         // reset, cut, end of stream without close frame
    kIdle,            // idle_timeout_us
    kWriteStall,      // write_stall_us
  };
  Reason reason = Reason::kNetwork;
  uint16_t code = 0;    // WebSocket close code; 0: none
  int http_status = 0;  // of a refused upgrade; 0: none
  std::string text;     // the server's reason or the error, for people
};

/// The reason's name in snake_case, for logs and metrics labels.
[[nodiscard]] std::string_view ws_end_name(WsEnd::Reason reason);

class WsClientHandler {
 public:
  virtual ~WsClientHandler() = default;
  virtual void on_open() = 0;
  /// One whole message. `bytes` live until the call returns. `received`: wall clock when its last byte was taken from the socket.
  virtual void on_message(std::string_view bytes, bool is_text, TimestampUs received) = 0;
  /// The server's ping, which has been answered. Not before the next message of the handler's thread.
  virtual void on_ping(std::string_view payload) { (void)payload; }
  /// The last call, exactly once, also where on_open never came.
  virtual void on_end(const WsEnd& end) = 0;
};

class WsClient {
 public:
  /// Begins to connect. `handler` outlives the client.
  WsClient(WsClientOptions options, WsClientHandler& handler);
  /// Ends the connection at once (no close handshake), after on_end has been called. Not from the handler.
  ~WsClient();
  WsClient(const WsClient&) = delete;
  WsClient& operator=(const WsClient&) = delete;

  /// Queues one text message. Unavailable: not open, ended, or the queue is full; it is then not sent.
  [[nodiscard]] Status send_text(std::string_view text);

  /// Queues one ping; its pong is answered by the server, and counts in bytes_received(). Unavailable as send_text().
  [[nodiscard]] Status send_ping(std::string_view payload = {});

  /// Begins the close handshake; on_end follows within close_timeout_us. While still connecting: gives up at once.
  void close(uint16_t code = 1000, std::string_view reason = {});

  /// Ends the connection at once, without a close handshake; on_end follows.
  void abort();

  /// Bytes received so far, of frames and handshakes: to see that a connection lives.
  [[nodiscard]] uint64_t bytes_received() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
