// StreamServer: TCP connections for protocols that are a conversation, one thread each: the PostgreSQL wire protocol.
//
//   auto server = StreamServer::start({.listen = "127.0.0.1:0"}, [](StreamConnection& connection) { ... }).value();
//
// Connections beyond the limit are accepted and handed to `refuse` on the accepting thread, so that they can be told why.
// Thread rule: a connection belongs to its thread, but for close() and is_closed(); StreamServer any thread. Threads "k2-stream-io" (accepts) and
// `thread_name` (one per connection).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace k2 {

class StreamConnection {
 public:
  StreamConnection(int fd, std::string remote_address) : fd_(fd), remote_address_(std::move(remote_address)) {}
  StreamConnection(const StreamConnection&) = delete;
  StreamConnection& operator=(const StreamConnection&) = delete;
  ~StreamConnection();

  /// Exactly so many bytes. Unavailable: the peer is gone; Cancelled: nothing came for `timeout_us` (0: waits for ever), or close().
  [[nodiscard]] Status read(char* out, size_t size, int64_t timeout_us = 0);
  /// All of them. Cancelled: the peer took nothing for `stall_us`.
  [[nodiscard]] Status write(std::string_view bytes, int64_t stall_us = 30'000'000);
  /// Ends whatever waits on it. Any thread.
  void close();
  /// Whether the peer has gone, without taking a byte. Any thread.
  [[nodiscard]] bool is_peer_gone() const;
  [[nodiscard]] const std::string& remote_address() const { return remote_address_; }

 private:
  [[nodiscard]] Status wait(short events, int64_t timeout_us) const;

  const int fd_;
  const std::string remote_address_;
  std::string input_;  // read and not yet asked for
  size_t taken_ = 0;
  std::atomic<bool> is_closed_ = false;
};

struct StreamServerOptions {
  std::string listen = "127.0.0.1:0";  // host:port; port 0: any free one
  int connections_max = 100;
  std::string thread_name = "k2-stream-conn";  // at most 15 letters
};

class StreamServer {
 public:
  using Serve = std::function<void(StreamConnection& connection)>;

  /// Binds and serves. InvalidInput: `listen`; Unavailable: it cannot be bound. `refuse` may be empty.
  [[nodiscard]] static Result<std::unique_ptr<StreamServer>> start(StreamServerOptions options, Serve serve, Serve refuse = {});
  /// Takes no more connections, closes those there are, waits for their threads.
  ~StreamServer();

  [[nodiscard]] uint16_t port() const;
  [[nodiscard]] int connections() const;

 private:
  struct Impl;
  explicit StreamServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
