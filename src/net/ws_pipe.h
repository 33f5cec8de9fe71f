// WsPipe: one WebSocket on a Transport, client or server, on Beast (RFC 6455). Internal to src/net.
//
// Beast speaks the protocol: handshake, masks, fragments, UTF-8, control and close frames. It does so over WsLayer (ws_reader.h), a stream in
// memory:
//   - What it writes is gathered there, and one coroutine takes it to the socket: many frames to one TLS record and one system call.
//   - What is read comes in large pieces. WsFrameCounter tells how many whole messages are in them; those are taken by Beast's synchronous
//     read, which can't wait then: no post to the event loop per message. Only the first message of a piece is awaited.
// Thread rule: WsOutbox from any thread; the rest on the thread of the transport's io_context.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "net/asio.h"
#include "net/http_message.h"
#include "net/http_parser.h"
#include "net/transport.h"
#include "net/ws_client.h"
#include "net/ws_events.h"

namespace k2::net {

/// What may be put in from any thread: messages to send, and the wish to end.
class WsOutbox {
 public:
  enum class Kind : uint8_t { kText, kBinary, kPing, kRaw };
  enum class Put { kQueued, kFull, kClosed };

  WsOutbox(asio::any_io_executor executor, size_t bytes_max) : executor_(std::move(executor)), bytes_max_(bytes_max) {}

  Put put(Kind kind, std::string_view bytes);
  void close(uint16_t code, std::string_view reason);
  void abort();
  /// Nothing goes to the socket any more, whoever wrote it; it stays open.
  void fall_silent();
  [[nodiscard]] size_t queued_bytes() const;
  [[nodiscard]] bool is_closed() const;

 private:
  friend class WsPipe;
  struct CloseWish {
    uint16_t code = 0;
    std::string reason;
  };
  void wake_locked();

  mutable std::mutex mutex_;
  asio::any_io_executor executor_;
  size_t bytes_max_;
  std::string records_;  // kind (1 byte), size (8 bytes), payload; one after another
  size_t in_flight_bytes_ = 0;  // taken by the pipe, not yet by the socket
  std::optional<CloseWish> close_wish_;
  bool abort_wish_ = false;
  bool is_silent_ = false;
  bool is_wake_posted_ = false;
  bool is_detached_ = false;  // the pipe has ended
  std::function<void()> on_wake_;  // the pipe's; runs on its thread
};

struct WsPipeOptions {
  size_t message_bytes_max = 1 << 20;
  size_t send_queue_bytes_max = 1 << 20;
  int64_t idle_timeout_us = 0;
  int64_t write_stall_us = 10'000'000;
  int64_t close_timeout_us = 2'000'000;
  int64_t ping_interval_us = 0;
};

class WsPipe {
 public:
  WsPipe(std::unique_ptr<Transport> transport, bool is_server, const WsPipeOptions& options, WsPipeEvents& events);
  ~WsPipe();
  WsPipe(const WsPipe&) = delete;
  WsPipe& operator=(const WsPipe&) = delete;

  /// Server: answers the request, which asks for an upgrade, with 101. `rest` are bytes that came behind its head.
  Task<Status> accept(const HttpRequestHead& request, const HttpHeaders& headers, std::string_view rest);
  /// Client: sends the upgrade request. `http_status` becomes the server's answer where it refused.
  Task<Status> connect(const Url& url, const HttpHeaders& headers, int64_t timeout_us, int& http_status);

  /// Carries messages until the connection has ended, one way or another; all of the pipe's coroutines are over when it returns.
  Task<WsEnd> run();

  /// Tears it; run() returns soon.
  void abort();

  [[nodiscard]] std::shared_ptr<WsOutbox> outbox() const { return outbox_; }

 private:
  struct Impl;
  std::shared_ptr<WsOutbox> outbox_;
  std::unique_ptr<Impl> impl_;
};

/// Whether a request asks for a WebSocket (RFC 6455, 4.2.1).
[[nodiscard]] bool is_ws_handshake(const HttpRequestHead& request);

}  // namespace k2::net
