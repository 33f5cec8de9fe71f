#include "net/transport.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include <boost/asio/connect.hpp>

#include <algorithm>

#include "net/http_parser.h"

namespace k2::net {

using std::chrono::steady_clock;
constexpr auto kNever = steady_clock::time_point::max();

// --- Deadline, Event --------------------------------------------------------------------------------------------------

struct Deadline::State : std::enable_shared_from_this<Deadline::State> {
  State(const asio::any_io_executor& executor, std::function<void()> on_expired) : timer(executor), action(std::move(on_expired)) {}

  void arm(steady_clock::time_point at) {
    armed = at;
    timer.expires_at(at);
    timer.async_wait([self = shared_from_this()](error_code ec) {
      if (!ec) self->fired();
    });
  }

  void fired() {
    armed = kNever;
    if (due == kNever || !action) return;
    if (steady_clock::now() < due) return arm(due);
    due = kNever;
    expired = true;
    action();
  }

  asio::steady_timer timer;
  std::function<void()> action;
  steady_clock::time_point due = kNever;
  steady_clock::time_point armed = kNever;
  bool expired = false;
};

Deadline::Deadline(const asio::any_io_executor& executor, std::function<void()> action)
    : state_(std::make_shared<State>(executor, std::move(action))) {}

Deadline::~Deadline() {
  state_->action = nullptr;
  state_->timer.cancel();
}

void Deadline::set(int64_t us) {
  if (us <= 0) return clear();
  state_->due = steady_clock::now() + std::chrono::microseconds(us);
  if (state_->due < state_->armed) state_->arm(state_->due);
}

void Deadline::clear() { state_->due = kNever; }

bool Deadline::has_expired() const { return state_->expired; }

void Event::notify() {
  is_set_ = true;
  timer_.cancel();
}

Task<> Event::wait(int64_t us) {
  if (!is_set_) {
    if (us > 0) timer_.expires_after(std::chrono::microseconds(us));
    else timer_.expires_at(kNever);
    error_code ignored;
    co_await timer_.async_wait(into(ignored));
  }
  is_set_ = false;
}

// --- Transport --------------------------------------------------------------------------------------------------------

namespace {

std::string last_openssl_error() {
  char text[256] = "unknown";
  if (const unsigned long code = ERR_get_error()) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return text;
}

bool is_address(const std::string& host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 || inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

// RFC 6066, 3 (no SNI for addresses) and RFC 9525 (which name the certificate has to be for).
bool expect_host(SSL* ssl, const std::string& host) {
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (is_address(host)) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  return SSL_set_tlsext_host_name(ssl, host.c_str()) == 1 && SSL_set1_host(ssl, host.c_str()) == 1;
}

}  // namespace

Transport::Transport(tcp::socket socket)
    : socket_(std::move(socket)),
      deadline_(socket_.get_executor(), [this] { close(); }),
      write_deadline_(socket_.get_executor(), [this] { close(); }) {
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
}

Task<Status> Transport::accept_tls(asio::ssl::context& context) {
  tls_.emplace(socket_, context);
  error_code ec;
  co_await tls_->async_handshake(asio::ssl::stream_base::server, into(ec));
  if (ec) co_return make_error(ErrorKind::kUnavailable, "TLS handshake with a client: " + ec.message());
  co_return Status();
}

Task<Status> Transport::connect_tls(asio::ssl::context& context, const std::string& host) {
  tls_.emplace(socket_, context);
  SSL* ssl = tls_->native_handle();
  if (!expect_host(ssl, host)) co_return make_error(ErrorKind::kInvalidInput, "TLS: \"" + host + "\" is no host name");
  error_code ec;
  co_await tls_->async_handshake(asio::ssl::stream_base::client, into(ec));
  if (!ec) co_return Status();
  const long verified = SSL_get_verify_result(ssl);
  const std::string why =
      verified == X509_V_OK ? ec.message() : std::string("certificate refused: ") + X509_verify_cert_error_string(verified);
  co_return make_error(ErrorKind::kUnavailable, "TLS with " + host + ": " + why);
}

Task<size_t> Transport::read_some(asio::mutable_buffer buffer, error_code& ec) {
  size_t bytes = 0;
  if (tls_) bytes = co_await tls_->async_read_some(buffer, into(ec));
  else bytes = co_await socket_.async_read_some(buffer, into(ec));
  co_return bytes;
}

Task<> Transport::write(asio::const_buffer buffer, int64_t stall_us, error_code& ec) {
  constexpr size_t kSlice = 64 << 10;
  ec = {};
  while (buffer.size() > 0 && !ec) {
    const asio::const_buffer slice(buffer.data(), std::min(buffer.size(), kSlice));
    write_deadline_.set(stall_us);
    size_t written = 0;
    if (tls_) written = co_await tls_->async_write_some(slice, into(ec));
    else written = co_await socket_.async_write_some(slice, into(ec));
    buffer += written;
  }
  write_deadline_.clear();
}

void Transport::close() {
  if (is_closed_) return;
  is_closed_ = true;
  deadline_.clear();
  write_deadline_.clear();
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

void Transport::shutdown_send() {
  error_code ignored;
  if (!is_closed_) socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

void Transport::shutdown_receive() {
  error_code ignored;
  if (!is_closed_) socket_.shutdown(tcp::socket::shutdown_receive, ignored);
}

bool Transport::is_peer_gone() {
  if (is_closed_) return true;
  pollfd look{socket_.native_handle(), POLLRDHUP, 0};
  return ::poll(&look, 1, 0) == 1 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

std::string Transport::remote_address() const {
  error_code ec;
  const auto endpoint = socket_.remote_endpoint(ec);
  if (ec) return "";
  std::string address = endpoint.address().to_string();
  return address.starts_with("::ffff:") ? address.substr(7) : address;
}

// --- contexts ---------------------------------------------------------------------------------------------------------

namespace {

std::unexpected<Error> tls_error(const std::string& what, const error_code& ec) {
  return make_error(ErrorKind::kInvalidInput, "TLS: " + what + ": " + ec.message());
}

void set_common_options(asio::ssl::context& context) {
  SSL_CTX* handle = context.native_handle();
  SSL_CTX_set_min_proto_version(handle, TLS1_2_VERSION);
  SSL_CTX_set_options(handle, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(handle, SSL_MODE_RELEASE_BUFFERS);
}

}  // namespace

Result<std::unique_ptr<asio::ssl::context>> make_client_tls(const TlsTrust& trust) {
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
  set_common_options(*context);
  error_code ec;
  context->set_verify_mode(asio::ssl::verify_peer, ec);
  if (!ec && trust.system_authorities) context->set_default_verify_paths(ec);
  if (ec) return tls_error("the system's authorities", ec);
  if (!trust.ca_file.empty()) context->load_verify_file(trust.ca_file, ec);
  if (ec) return tls_error("authorities in " + trust.ca_file, ec);
  if (!trust.ca_directory.empty()) context->add_verify_path(trust.ca_directory, ec);
  if (ec) return tls_error("authorities in directory " + trust.ca_directory, ec);
  if (!trust.ca_pem.empty()) context->add_certificate_authority(asio::buffer(trust.ca_pem), ec);
  if (ec) return tls_error("an authority given as text", ec);
  return context;
}

Result<std::unique_ptr<asio::ssl::context>> make_server_tls(const TlsIdentity& identity) {
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  set_common_options(*context);
  SSL_CTX_set_session_cache_mode(context->native_handle(), SSL_SESS_CACHE_OFF);
  error_code ec;
  context->use_certificate_chain(asio::buffer(identity.certificate_pem), ec);
  if (ec) return tls_error("the server's certificate", ec);
  context->use_private_key(asio::buffer(identity.private_key_pem), asio::ssl::context::pem, ec);
  if (ec) return tls_error("the server's private key", ec);
  if (SSL_CTX_check_private_key(context->native_handle()) != 1)
    return make_error(ErrorKind::kInvalidInput, "TLS: the private key is not the certificate's: " + last_openssl_error());
  return context;
}

namespace {

// What is left of a time-out; at least 1, so that it never means "no limit".
class TimeLeft {
 public:
  explicit TimeLeft(int64_t timeout_us) : timeout_us_(timeout_us) {}
  int64_t us() const {
    const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - started_).count();
    return timeout_us_ <= 0 ? 0 : std::max<int64_t>(1, timeout_us_ - passed);
  }
  bool is_over() const { return us() == 1; }

 private:
  int64_t timeout_us_;
  steady_clock::time_point started_ = steady_clock::now();
};

// Connects to one address; the reason where it fails.
Task<std::optional<std::string>> connect_socket(tcp::socket& socket, const tcp::endpoint& endpoint, int64_t timeout_us,
                                                Canceller& canceller) {
  error_code ec;
  socket.open(endpoint.protocol(), ec);
  if (ec) co_return ec.message();
  const auto abandon = [&socket] {
    error_code ignored;
    socket.close(ignored);
  };
  Deadline deadline(socket.get_executor(), abandon);
  deadline.set(timeout_us);
  canceller.action = abandon;
  co_await socket.async_connect(endpoint, into(ec));
  canceller.action = nullptr;
  if (deadline.has_expired()) co_return "time-out";
  if (ec) co_return ec.message();
  co_return std::nullopt;
}

std::string connect_request(const Url& url, const Proxy& proxy) {
  const std::string host = url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
  const std::string target = host + ":" + std::to_string(url.port);
  std::string head = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
  if (!proxy.authorization.empty()) head += "Proxy-Authorization: " + proxy.authorization + "\r\n";
  return head + "\r\n";
}

// RFC 9110, 9.3.6. The target says nothing before we do, so that bytes behind the proxy's head are no tunnel's.
Task<Status> exchange_connect(Transport& transport, std::string request) {
  const auto failed = [](const std::string& why) { return make_error(ErrorKind::kUnavailable, "CONNECT: " + why); };
  error_code ec;
  co_await transport.write(asio::buffer(request), 0, ec);
  const HttpHeadLimits limits;
  std::string input;
  std::string piece(4 << 10, '\0');
  std::optional<size_t> end;
  while (!ec && !end) {
    const size_t count = co_await transport.read_some(asio::buffer(piece), ec);
    const size_t searched = input.size();
    input.append(piece, 0, count);
    const auto found = find_head_end(input, searched, limits);
    if (!found) co_return failed("the answer is not HTTP/1.1: " + found.error().reason);
    end = *found;
  }
  if (!end) co_return failed(ec.message());
  const auto head = parse_response_head(std::string_view(input).substr(0, *end), limits);
  if (!head) co_return failed(head.error().message);
  if (head->status < 200 || head->status > 299) co_return failed("answered with HTTP status " + std::to_string(head->status));
  if (*end < input.size()) co_return failed("bytes before the tunnel was used");
  co_return Status();
}

Task<Status> open_tunnel(Transport& transport, const Url& url, const Proxy& proxy, int64_t timeout_us, Canceller& canceller) {
  transport.deadline().set(timeout_us);
  canceller.action = [&transport] { transport.close(); };
  Status opened = co_await exchange_connect(transport, connect_request(url, proxy));
  canceller.action = nullptr;
  transport.deadline().clear();
  if (!opened && transport.deadline().has_expired()) co_return make_error(ErrorKind::kUnavailable, "time-out in CONNECT");
  co_return opened;
}

Task<Status> secure(Transport& transport, asio::ssl::context& tls, const std::string& host, int64_t timeout_us, Canceller& canceller) {
  transport.deadline().set(timeout_us);
  canceller.action = [&transport] { transport.close(); };
  Status secured = co_await transport.connect_tls(tls, host);
  canceller.action = nullptr;
  transport.deadline().clear();
  if (!secured && transport.deadline().has_expired()) co_return make_error(ErrorKind::kUnavailable, "time-out in the TLS handshake");
  co_return secured;
}

}  // namespace

Task<Result<std::unique_ptr<Transport>>> connect_transport(const Url& url, asio::ssl::context* tls, const ProxyRules& proxies,
                                                           int64_t timeout_us, Canceller& canceller) {
  std::string context = "connecting to " + url.origin();
  const auto found = proxies.find(url);
  if (!found) co_return std::unexpected(found.error().with_context(context));
  const std::optional<Proxy>& proxy = *found;
  if (proxy) context += " through the proxy " + proxy->host + ":" + std::to_string(proxy->port);
  const TimeLeft left(timeout_us);
  const auto executor = co_await asio::this_coro::executor;
  tcp::resolver resolver(executor);
  canceller.action = [&resolver] { resolver.cancel(); };
  error_code ec;
  const std::string host = proxy ? proxy->host : url.host;
  const std::string port = std::to_string(proxy ? proxy->port : url.port);
  const auto addresses = co_await resolver.async_resolve(host, port, into(ec));
  canceller.action = nullptr;
  if (ec && !canceller.is_cancelled) co_return make_error(ErrorKind::kUnavailable, context + ": name not found: " + ec.message());

  std::string why = "no address";
  for (const auto& address : addresses) {
    if (canceller.is_cancelled || left.is_over()) break;
    tcp::socket socket(executor);
    const std::optional<std::string> failure = co_await connect_socket(socket, address.endpoint(), left.us(), canceller);
    if (failure) {
      why = *failure;
      continue;
    }
    auto transport = std::make_unique<Transport>(std::move(socket));
    Status ready;
    if (proxy) ready = co_await open_tunnel(*transport, url, *proxy, left.us(), canceller);
    if (ready && url.is_tls()) ready = co_await secure(*transport, *tls, url.host, left.us(), canceller);
    if (!ready && !canceller.is_cancelled) co_return std::unexpected(ready.error().with_context(context));
    if (canceller.is_cancelled) break;
    co_return std::move(transport);
  }
  if (canceller.is_cancelled) co_return make_error(ErrorKind::kCancelled, context + ": cancelled");
  co_return make_error(ErrorKind::kUnavailable, context + ": " + why);
}

}  // namespace k2::net
