#include "net/stream_server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

#include "base/logging.h"

namespace k2 {
namespace {

constexpr size_t kReadBytes = 16 << 10;

std::unexpected<Error> failed(std::string_view what) {
  return make_error(ErrorKind::kUnavailable, std::string(what) + ": " + std::strerror(errno));
}

Result<int> bind_to(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos) return make_error(ErrorKind::kInvalidInput, "\"" + listen + "\" is no host:port");
  std::string host = listen.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  if (const int code = ::getaddrinfo(host.c_str(), listen.substr(colon + 1).c_str(), &hints, &found); code != 0)
    return make_error(ErrorKind::kInvalidInput, "\"" + listen + "\": " + ::gai_strerror(code));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return failed("socket");
  const int yes = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(fd, found->ai_addr, found->ai_addrlen) == 0 && ::listen(fd, 128) == 0) return fd;
  const auto error = failed("cannot listen on " + listen);
  ::close(fd);
  return error;
}

std::string address_text(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text, sizeof text);
  else if (address.ss_family == AF_INET6)
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, text, sizeof text);
  return text;
}

}  // namespace

StreamConnection::~StreamConnection() { ::close(fd_); }

void StreamConnection::close() {
  is_closed_ = true;
  ::shutdown(fd_, SHUT_RDWR);
}

bool StreamConnection::is_peer_gone() const {
  pollfd socket{fd_, POLLRDHUP, 0};
  return is_closed_ || (::poll(&socket, 1, 0) > 0 && (socket.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
}

Status StreamConnection::wait(short events, int64_t timeout_us) const {
  pollfd socket{fd_, events, 0};
  for (;;) {
    const int ready = ::poll(&socket, 1, timeout_us > 0 ? static_cast<int>(std::max<int64_t>(1, timeout_us / 1000)) : -1);
    if (is_closed_) return make_error(ErrorKind::kCancelled, "connection closed");
    if (ready > 0) return {};
    if (ready == 0) return make_error(ErrorKind::kCancelled, "connection: nothing moved for " + std::to_string(timeout_us / 1000) + " ms");
    if (errno != EINTR) return failed("connection");
  }
}

Status StreamConnection::read(char* out, size_t size, int64_t timeout_us) {
  while (size > 0) {
    if (taken_ == input_.size()) {
      K2_RETURN_IF_ERROR(wait(POLLIN, timeout_us));
      input_.resize(kReadBytes);
      taken_ = 0;
      const ssize_t count = ::recv(fd_, input_.data(), input_.size(), 0);
      input_.resize(static_cast<size_t>(std::max<ssize_t>(0, count)));
      if (count == 0) return make_error(ErrorKind::kUnavailable, "connection: the client is gone");
      if (count < 0 && errno != EAGAIN && errno != EINTR) return failed("connection");
      continue;
    }
    const size_t part = std::min(size, input_.size() - taken_);
    std::memcpy(out, input_.data() + taken_, part);
    taken_ += part;
    out += part;
    size -= part;
  }
  return {};
}

Status StreamConnection::write(std::string_view bytes, int64_t stall_us) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count > 0) bytes.remove_prefix(static_cast<size_t>(count));
    else if (errno == EAGAIN) K2_RETURN_IF_ERROR(wait(POLLOUT, stall_us));
    else if (errno != EINTR) return failed("connection");
  }
  return {};
}

struct StreamServer::Impl {
  struct Running {
    std::unique_ptr<StreamConnection> connection;
    std::atomic<bool> is_done = false;
    std::jthread thread;
  };

  ~Impl() {
    if (wake >= 0) {
      const uint64_t one = 1;
      [[maybe_unused]] const ssize_t written = ::write(wake, &one, sizeof one);
    }
    if (acceptor.joinable()) acceptor.join();
    for (Running& one : running) one.connection->close();
    running.clear();
    if (wake >= 0) ::close(wake);
    if (listener >= 0) ::close(listener);
  }

  void accept_all() {
    pthread_setname_np(pthread_self(), "k2-stream-io");
    for (;;) {
      pollfd both[2] = {{listener, POLLIN, 0}, {wake, POLLIN, 0}};
      if (::poll(both, 2, 1000) < 0 && errno != EINTR) return;
      if (both[1].revents != 0) return;
      reap();
      if (both[0].revents != 0) accept_one();
    }
  }

  void reap() {
    const std::scoped_lock lock(mutex);
    running.remove_if([](const Running& one) { return one.is_done.load(); });
  }

  void accept_one() {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    const int fd = ::accept4(listener, reinterpret_cast<sockaddr*>(&address), &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE) std::this_thread::sleep_for(std::chrono::milliseconds(50));
      return;
    }
    const int yes = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    auto connection = std::make_unique<StreamConnection>(fd, address_text(address));
    const std::scoped_lock lock(mutex);
    if (running.size() >= static_cast<size_t>(options.connections_max)) {
      if (refuse) refuse(*connection);
      return;
    }
    Running& one = running.emplace_back();
    one.connection = std::move(connection);
    one.thread = std::jthread([this, &one] {
      pthread_setname_np(pthread_self(), options.thread_name.c_str());
      try {
        serve(*one.connection);
      } catch (const std::exception& failure) {  // One connection is lost; what else the process does goes on.
        log_error("stream_connection_threw", {{"thread", options.thread_name}, {"what", failure.what()}});
      }
      one.connection->close();
      one.is_done = true;
    });
  }

  StreamServerOptions options;
  Serve serve, refuse;
  int listener = -1;
  int wake = -1;
  std::jthread acceptor;
  mutable std::mutex mutex;
  std::list<Running> running;
};

StreamServer::StreamServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StreamServer::~StreamServer() = default;

Result<std::unique_ptr<StreamServer>> StreamServer::start(StreamServerOptions options, Serve serve, Serve refuse) {
  auto impl = std::make_unique<Impl>();
  K2_TRY(impl->listener, bind_to(options.listen));
  impl->wake = ::eventfd(0, EFD_CLOEXEC);
  if (impl->wake < 0) return failed("eventfd");
  impl->options = std::move(options);
  impl->serve = std::move(serve);
  impl->refuse = std::move(refuse);
  impl->acceptor = std::jthread([raw = impl.get()] { raw->accept_all(); });
  return std::unique_ptr<StreamServer>(new StreamServer(std::move(impl)));
}

uint16_t StreamServer::port() const {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  ::getsockname(impl_->listener, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

int StreamServer::connections() const {
  const std::scoped_lock lock(impl_->mutex);
  return static_cast<int>(impl_->running.size());
}

}  // namespace k2
