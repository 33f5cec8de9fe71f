// HttpServer: HTTP/1.1 and WebSocket server with a limit on everything a client decides.
//
//   class Hello : public HttpHandler {
//     HttpReply handle(HttpRequest request) override { return HttpResponse{.body = "hello " + request.remote_address}; }
//   };
//   auto server = HttpServer::start({.listen = "127.0.0.1:0"}, handler).value();   // server->port()
//
// A handler answers with a whole HttpResponse, with an HttpStreamReply (a body made while it is sent: large results, server-sent
// events) or with a WsUpgrade. Handlers run on a small pool of threads ("k2-http-work") and may block; those whose policy says
// inline_handler run on the I/O threads ("k2-http-io") and must not.
//
// Refused before the handler sees anything (RFC 9112; answered and the connection closed): request line over 8 KB (414), header over
// 16 KB or 64 fields (431), a Transfer-Encoding other than "chunked" (501), one together with Content-Length or on HTTP/1.0,
// repeated or non-numeric Content-Length, no Host or several, folded lines, bare LF, space before the colon, control characters
// (400), a body over the route's limit (413), an expectation other than 100-continue (417), a version other than 1.0 and 1.1 (505).
// Limits in time: header 5 s from its first byte (408), body 10 s without progress, idle 60 s, 10 s without the client taking a byte. Where the pool's queue
// is full: 503 with Retry-After.
// Thread rule: all members from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "net/http_message.h"
#include "net/tls.h"
#include "net/url.h"

namespace k2 {

struct HttpRequest {
  std::string method;  // "GET", as sent
  std::string target;  // as sent: path and query
  std::string path;  // decoded, begins with "/"; without query
  QueryParams query;  // decoded, in order, repetitions kept
  HttpHeaders headers;
  std::string body;  // whole, within the route's limit
  std::string remote_address;  // "127.0.0.1", without port
  std::string request_id;  // the client's X-Request-Id where it is 1 to 64 of [A-Za-z0-9._-], else made here; sent back
  bool is_tls = false;
  std::stop_token cancelled;  // asked to stop when the client went away or the server is ending

  /// The first value of that query parameter; nullopt where there is none.
  [[nodiscard]] std::optional<std::string_view> param(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";  // empty: none sent
  HttpHeaders headers;  // further ones; Content-Length, Date, Connection, X-Request-Id are the server's own
  std::string body;  // not sent for HEAD, though its length is
};

/// The writing end of a streamed body. The connection takes from a buffer of stream_buffer_bytes.
/// Dropping the last reference without finish() tears the connection, so that a client never takes a part for the whole.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  /// Adds bytes; waits while the buffer is full. Cancelled: the client is gone, too slow (write_stall), or the server is ending.
  [[nodiscard]] virtual Status write(std::string_view bytes) = 0;
  /// Adds bytes without waiting; false if they do not fit or the stream has ended: nothing of them is then sent.
  [[nodiscard]] virtual bool try_write(std::string_view bytes) = 0;
  /// The body is complete.
  virtual void finish() = 0;
  /// Tears the connection: the client sees an incomplete body.
  virtual void abort() = 0;
  /// Whether the client is gone or the server is ending.
  [[nodiscard]] virtual bool is_closed() const = 0;
  /// Called once, from an I/O thread or from this call, when the client is gone or the server is ending. Must not block.
  virtual void set_on_closed(std::function<void()> callback) = 0;
};

struct HttpStreamReply {
  int status = 200;
  std::string content_type;
  HttpHeaders headers;
  /// Has no end of its own (events): ended as soon as the server stops, where others have the drain time.
  bool is_live = false;
  /// Called on a pool thread once the head is on its way. Either writes the whole body and finishes, or keeps the stream for others
  /// to push into and returns, so that long-lived streams hold no thread. HEAD: not called.
  std::function<void(std::shared_ptr<HttpStream>)> start;
};

/// A WebSocket on the server's side.
class WsSession {
 public:
  virtual ~WsSession() = default;
  /// Queues a message. False: closed, or the queue would hold more than send_queue_bytes_max; in the latter case the session is
  /// ended with code 1008 ("slow consumer"): a client never misses messages in the middle.
  virtual bool send_text(std::string_view text) = 0;
  virtual bool send_binary(std::string_view bytes) = 0;
  virtual bool send_ping(std::string_view payload) = 0;
  /// Queues bytes as they are, between whole frames: for simulators of broken servers.
  virtual bool send_raw(std::string_view bytes) = 0;
  /// Sends what is queued, then a close frame; torn after the close time-out.
  virtual void close(uint16_t code, std::string_view reason) = 0;
  /// From now on nothing is sent any more, not even pongs; the socket stays, and what is sent later is dropped: for simulators of dead peers.
  virtual void fall_silent() = 0;
  /// Tears the connection at once.
  virtual void abort() = 0;
  /// Bytes queued and not yet taken by the socket.
  [[nodiscard]] virtual size_t queued_bytes() const = 0;
  [[nodiscard]] virtual bool is_closed() const = 0;
};

/// What a session does. Called from one I/O thread, one call at a time; must not block.
class WsSessionHandler {
 public:
  virtual ~WsSessionHandler() = default;
  virtual void on_open(std::shared_ptr<WsSession> session) = 0;
  /// One whole message; `bytes` live until the call returns.
  virtual void on_message(std::string_view bytes, bool is_text) = 0;
  virtual void on_pong(std::string_view payload) { (void)payload; }
  /// The last call, exactly once if on_open was called. Code 0: no close frame came.
  virtual void on_close(uint16_t code, std::string_view reason) = 0;
};

struct WsUpgrade {
  std::shared_ptr<WsSessionHandler> handler;
  HttpHeaders headers;  // further ones of the 101 answer
  size_t message_bytes_max = 64 << 10;  // of what the client sends
  size_t send_queue_bytes_max = 4 << 20;
  int64_t ping_interval_us = 20'000'000;  // 0: no pings of our own
  int64_t pong_timeout_us = 60'000'000;  // ended if no byte came for so long after a ping; 0: never
};

/// WsUpgrade on a request that is no WebSocket handshake is answered with 426.
using HttpReply = std::variant<HttpResponse, HttpStreamReply, WsUpgrade>;

struct HttpPolicy {
  size_t body_bytes_max = 64 << 10;
  bool inline_handler = false;  // fast and never blocks: runs at once on the I/O thread
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  /// What is allowed there, asked before the body is read. On an I/O thread; must not block.
  virtual HttpPolicy policy(std::string_view method, std::string_view path) {
    (void)method, (void)path;
    return {};
  }
  /// Called from several threads at once. An exception that leaves it is answered with 500.
  virtual HttpReply handle(HttpRequest request) = 0;
  /// What is answered where the server refuses a request itself: `request` has as much of it as was read. On an I/O thread; must not block. Here:
  /// a line of text.
  virtual HttpResponse refusal(const HttpRequest& request, int status, std::string_view reason);
};

/// How a connection that has just been accepted is treated; for simulators of broken servers.
struct HttpAdmission {
  bool is_refused = false;  // torn before any byte
  int64_t tls_delay_us = 0;  // the TLS handshake is held up for so long
  size_t tls_identity = 0;  // which certificate is shown: 0: HttpServerOptions::tls; n: other_tls[n - 1]
};

struct HttpServerOptions {
  std::string listen = "127.0.0.1:0";  // host:port; port 0: any free one
  TlsIdentity tls;  // empty: plain
  std::vector<TlsIdentity> other_tls;  // only for `admit`
  std::function<HttpAdmission()> admit;  // empty: everybody; called on an I/O thread, must not block
  int io_threads = 1;
  int worker_threads = 4;
  size_t worker_queue_max = 64;  // requests waiting for a worker
  size_t connections_max = 1024;  // beyond it, new ones wait in the system's backlog
  size_t stream_buffer_bytes = 1 << 20;
  size_t request_line_bytes_max = 8 << 10;
  size_t header_bytes_max = 16 << 10;  // request line included
  size_t header_fields_max = 64;
  int64_t header_timeout_us = 5'000'000;
  int64_t body_timeout_us = 10'000'000;
  int64_t idle_timeout_us = 60'000'000;
  int64_t write_stall_us = 10'000'000;
  int64_t ws_close_timeout_us = 2'000'000;
};

/// What the server counted since its start; the metrics k2_http_* are made of it.
struct HttpServerCounts {
  uint64_t connections_accepted = 0;
  uint64_t connections_open = 0;
  uint64_t requests = 0;  // that reached the handler
  uint64_t requests_refused = 0;  // by the parser's rules or limits
  uint64_t overloaded = 0;  // answered 503
  uint64_t timeouts = 0;  // connections ended by a time limit
};

class HttpServer {
 public:
  /// Binds and serves. `handler` outlives the server. InvalidInput: listen or TLS identity unreadable. Unavailable: the address cannot be bound.
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> start(HttpServerOptions options, HttpHandler& handler);
  /// stop() with 1 s.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] uint16_t port() const;
  /// "http://127.0.0.1:8080".
  [[nodiscard]] std::string url() const;
  [[nodiscard]] HttpServerCounts counts() const;

  /// Takes no new connections, ends idle ones, live streams and sessions (close code 1001), lets running requests finish; after `drain_us`
  /// asks their stop tokens and tears what is left. Returns when all threads have ended, so handlers must heed the token. Not from a handler.
  void stop(int64_t drain_us = 5'000'000);

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// "OK" of 200; "" of an unknown status.
[[nodiscard]] std::string_view http_status_text(int status);

}  // namespace k2
