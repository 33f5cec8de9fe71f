// Transport: one TCP connection, plain or TLS, with a deadline. Internal to src/net.
//
// Thread rule: everything on the one thread that runs its io_context. At most one read and one write at a time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "net/asio.h"
#include "net/proxy.h"
#include "net/tls.h"
#include "net/url.h"

namespace k2::net {

/// Calls `action` once when the time set last has passed. Setting is cheap: the timer underneath is moved only when the new time is
/// earlier, or when it fires too early.
class Deadline {
 public:
  Deadline(const asio::any_io_executor& executor, std::function<void()> action);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  /// That many microseconds from now; 0 or less: never.
  void set(int64_t us);
  void clear();
  [[nodiscard]] bool has_expired() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Something a coroutine waits for and other code on the same thread announces. An announcement nobody waits for is kept for the next wait.
class Event {
 public:
  explicit Event(const asio::any_io_executor& executor) : timer_(executor) {}
  void notify();
  /// Until notify(), or until the time has passed where one is given (> 0).
  Task<> wait(int64_t us = 0);

 private:
  asio::steady_timer timer_;
  bool is_set_ = false;
};

class Transport {
 public:
  explicit Transport(tcp::socket socket);

  /// TLS on top from here on, as server. The context outlives the transport.
  Task<Status> accept_tls(asio::ssl::context& context);
  /// TLS on top, as client of `host` (a name or an address), which the certificate has to be for. Unavailable with the reason.
  Task<Status> connect_tls(asio::ssl::context& context, const std::string& host);

  /// Some bytes, at least one unless `ec` is set.
  Task<size_t> read_some(asio::mutable_buffer buffer, error_code& ec);
  /// All bytes, in slices; each slice has `stall_us` (0: no limit), after which the transport is torn.
  Task<> write(asio::const_buffer buffer, int64_t stall_us, error_code& ec);

  /// Begins to read into `buffer`; handler(error_code, size_t).
  template <class Handler>
  void async_read_some(asio::mutable_buffer buffer, Handler&& handler) {
    if (tls_) tls_->async_read_some(buffer, std::forward<Handler>(handler));
    else socket_.async_read_some(buffer, std::forward<Handler>(handler));
  }

  /// Tears the connection; operations under way end with an error.
  void close();
  [[nodiscard]] bool is_closed() const { return is_closed_; }
  /// No more bytes from us; what the peer still sends can be read.
  void shutdown_send();
  /// Reads end; an answer can still be written.
  void shutdown_receive();
  /// Whether the peer has ended its side or the connection is broken. Looks at the socket only; takes no bytes.
  [[nodiscard]] bool is_peer_gone();

  [[nodiscard]] bool is_tls() const { return tls_.has_value(); }
  [[nodiscard]] asio::any_io_executor executor() { return socket_.get_executor(); }
  /// For reads: tears the transport.
  [[nodiscard]] Deadline& deadline() { return deadline_; }
  /// Whether it was torn because a slice of write() took too long.
  [[nodiscard]] bool has_stalled() const { return write_deadline_.has_expired(); }
  [[nodiscard]] std::string remote_address() const;

 private:
  tcp::socket socket_;
  std::optional<asio::ssl::stream<tcp::socket&>> tls_;
  bool is_closed_ = false;
  Deadline deadline_;
  Deadline write_deadline_;
};

/// A context that verifies servers. InvalidInput: a file or text of `trust` that cannot be read.
[[nodiscard]] Result<std::unique_ptr<asio::ssl::context>> make_client_tls(const TlsTrust& trust);
/// A context that shows `identity`. InvalidInput: not PEM, or the key is not the certificate's.
[[nodiscard]] Result<std::unique_ptr<asio::ssl::context>> make_server_tls(const TlsIdentity& identity);

/// Lets other code on the same thread end what a coroutine is waiting for.
struct Canceller {
  bool is_cancelled = false;
  std::function<void()> action;  // ends the wait of the moment; empty: nothing to end

  void cancel() {
    is_cancelled = true;
    if (action) action();
  }
};

/// Resolves, connects, through the proxy that `proxies` names if any, and for https and wss does TLS with the target (`tls` then is not null).
/// Unavailable with the reason; InvalidInput: ProxyRules::find(); Cancelled.
/// The system's name resolution cannot be interrupted: a dead name server delays the end beyond a time-out or a cancel().
Task<Result<std::unique_ptr<Transport>>> connect_transport(const Url& url, asio::ssl::context* tls, const ProxyRules& proxies,
                                                           int64_t timeout_us, Canceller& canceller);

}  // namespace k2::net
