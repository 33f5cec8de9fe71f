#include "net/http_server.h"

#include <atomic>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "base/assert.h"
#include "base/logging.h"
#include "net/http_parser.h"
#include "net/transport.h"
#include "net/ws_pipe.h"

namespace k2 {

using namespace net;

// --- small things -----------------------------------------------------------------------------------------------------

std::string_view http_status_text(int status) {
  static constexpr std::pair<int, std::string_view> kTexts[] = {{100, "Continue"},
                                                                {101, "Switching Protocols"},
                                                                {200, "OK"},
                                                                {201, "Created"},
                                                                {202, "Accepted"},
                                                                {204, "No Content"},
                                                                {206, "Partial Content"},
                                                                {301, "Moved Permanently"},
                                                                {302, "Found"},
                                                                {304, "Not Modified"},
                                                                {307, "Temporary Redirect"},
                                                                {308, "Permanent Redirect"},
                                                                {400, "Bad Request"},
                                                                {401, "Unauthorized"},
                                                                {403, "Forbidden"},
                                                                {404, "Not Found"},
                                                                {405, "Method Not Allowed"},
                                                                {406, "Not Acceptable"},
                                                                {408, "Request Timeout"},
                                                                {409, "Conflict"},
                                                                {410, "Gone"},
                                                                {413, "Content Too Large"},
                                                                {414, "URI Too Long"},
                                                                {415, "Unsupported Media Type"},
                                                                {417, "Expectation Failed"},
                                                                {418, "I'm a teapot"},
                                                                {422, "Unprocessable Content"},
                                                                {426, "Upgrade Required"},
                                                                {429, "Too Many Requests"},
                                                                {431, "Request Header Fields Too Large"},
                                                                {451, "Unavailable For Legal Reasons"},
                                                                {500, "Internal Server Error"},
                                                                {501, "Not Implemented"},
                                                                {502, "Bad Gateway"},
                                                                {503, "Service Unavailable"},
                                                                {504, "Gateway Timeout"},
                                                                {505, "HTTP Version Not Supported"}};
  for (const auto& [code, text] : kTexts)
    if (code == status) return text;
  return "";
}

std::optional<std::string_view> HttpRequest::param(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name) return value;
  return std::nullopt;
}

namespace {

constexpr int64_t kPeerLookUs = 200'000;  // how often a waiting connection looks whether its client is still there

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[40];
  std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

bool is_request_id(std::string_view text) {
  static constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  return !text.empty() && text.size() <= 64 && text.find_first_not_of(allowed) == std::string_view::npos;
}

std::string make_request_id() {
  static const uint64_t start = std::random_device{}() * 0x9e3779b97f4a7c15ull;
  static std::atomic<uint64_t> count = 0;
  char text[24];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>((start + count.fetch_add(1)) * 0xbf58476d1ce4e5b9ull));
  return text;
}

// --- WorkerPool -------------------------------------------------------------------------------------------------------

/// A few threads and a bounded queue of jobs for them.
class WorkerPool {
 public:
  WorkerPool(int threads, size_t queue_max) : queue_max_(queue_max) {
    for (int i = 0; i < threads; ++i)
      threads_.emplace_back([this] {
        pthread_setname_np(pthread_self(), "k2-http-work");
        run();
      });
  }
  ~WorkerPool() {
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
    }
    wake_.notify_all();
  }

  /// False: the queue is full.
  bool submit(std::function<void()> job) {
    {
      const std::lock_guard lock(mutex_);
      if (jobs_.size() >= queue_max_) return false;
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
    return true;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return is_stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      const auto job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      lock.lock();
    }
  }

  size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool is_stopping_ = false;
  std::vector<std::jthread> threads_;
};

// --- StreamCore: the buffer between a body's maker and its connection ---------------------------------------------------

class StreamCore {
 public:
  StreamCore(asio::any_io_executor executor, size_t bytes_max, std::function<void()> wake)
      : executor_(std::move(executor)), bytes_max_(bytes_max), wake_(std::move(wake)) {}

  enum class State { kOpen, kFinished, kAborted, kClosed };  // kClosed: by the connection

  // --- the maker's side, any thread
  Status write(std::string_view bytes) {
    std::unique_lock lock(mutex_);
    while (!bytes.empty()) {
      room_.wait(lock, [this] { return state_ != State::kOpen || pending_.size() < bytes_max_; });
      if (state_ != State::kOpen)
        return make_error(ErrorKind::kCancelled, "writing a streamed answer: the client is gone or the server is ending");
      const std::string_view part = bytes.substr(0, bytes_max_ - pending_.size());
      pending_.append(part);
      bytes.remove_prefix(part.size());
      wake_locked();
    }
    return {};
  }
  bool try_write(std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    if (state_ != State::kOpen || pending_.size() + bytes.size() > bytes_max_) return false;
    pending_.append(bytes);
    wake_locked();
    return true;
  }
  void end(State state) {
    const std::lock_guard lock(mutex_);
    if (state_ != State::kOpen) return;
    state_ = state;
    wake_locked();
  }
  bool is_closed() const {
    const std::lock_guard lock(mutex_);
    return state_ == State::kClosed;
  }
  void set_on_closed(std::function<void()> callback) {
    {
      const std::lock_guard lock(mutex_);
      if (state_ != State::kClosed) {
        on_closed_ = std::move(callback);
        return;
      }
    }
    callback();
  }

  // --- the connection's side
  struct Taken {
    std::string bytes;
    State state = State::kOpen;
  };
  Taken take() {
    const std::lock_guard lock(mutex_);
    is_wake_posted_ = false;
    Taken out{std::move(pending_), state_};
    pending_.clear();
    room_.notify_all();
    return out;
  }
  /// The connection is over: from now on nothing is posted to it.
  void close() {
    std::function<void()> callback;
    {
      const std::lock_guard lock(mutex_);
      wake_ = nullptr;
      if (state_ == State::kOpen) {
        state_ = State::kClosed;
        callback = std::move(on_closed_);
      }
      on_closed_ = nullptr;
      room_.notify_all();
    }
    if (callback) callback();
  }

 private:
  void wake_locked() {
    if (is_wake_posted_ || !wake_) return;
    is_wake_posted_ = true;
    asio::post(executor_, wake_);
  }

  mutable std::mutex mutex_;
  std::condition_variable room_;
  asio::any_io_executor executor_;
  size_t bytes_max_;
  std::function<void()> wake_;
  std::string pending_;
  State state_ = State::kOpen;
  bool is_wake_posted_ = false;
  std::function<void()> on_closed_;
};

/// What the maker holds; dropped without finish(), it tears the connection.
class StreamHandle final : public HttpStream {
 public:
  explicit StreamHandle(std::shared_ptr<StreamCore> core) : core_(std::move(core)) {}
  ~StreamHandle() override { core_->end(StreamCore::State::kAborted); }
  Status write(std::string_view bytes) override { return core_->write(bytes); }
  bool try_write(std::string_view bytes) override { return core_->try_write(bytes); }
  void finish() override { core_->end(StreamCore::State::kFinished); }
  void abort() override { core_->end(StreamCore::State::kAborted); }
  bool is_closed() const override { return core_->is_closed(); }
  void set_on_closed(std::function<void()> callback) override { core_->set_on_closed(std::move(callback)); }

 private:
  std::shared_ptr<StreamCore> core_;
};

class OutboxSession final : public WsSession {
 public:
  explicit OutboxSession(std::shared_ptr<WsOutbox> outbox) : outbox_(std::move(outbox)) {}
  bool send_text(std::string_view text) override { return put(WsOutbox::Kind::kText, text); }
  bool send_binary(std::string_view bytes) override { return put(WsOutbox::Kind::kBinary, bytes); }
  bool send_ping(std::string_view payload) override { return put(WsOutbox::Kind::kPing, payload); }
  bool send_raw(std::string_view bytes) override { return put(WsOutbox::Kind::kRaw, bytes); }
  void close(uint16_t code, std::string_view reason) override { outbox_->close(code, reason); }
  void fall_silent() override { outbox_->fall_silent(); }
  void abort() override { outbox_->abort(); }
  size_t queued_bytes() const override { return outbox_->queued_bytes(); }
  bool is_closed() const override { return outbox_->is_closed(); }

 private:
  bool put(WsOutbox::Kind kind, std::string_view bytes) {
    const WsOutbox::Put put = outbox_->put(kind, bytes);
    if (put == WsOutbox::Put::kFull) outbox_->close(1008, "slow consumer");
    return put == WsOutbox::Put::kQueued;
  }

  std::shared_ptr<WsOutbox> outbox_;
};

/// Hands a pipe's events to a session handler.
class SessionEvents final : public WsPipeEvents {
 public:
  explicit SessionEvents(WsSessionHandler& handler) : handler_(handler) {}
  void on_message(std::string_view bytes, bool is_text) override { handler_.on_message(bytes, is_text); }
  void on_ping(std::string_view) override {}
  void on_pong(std::string_view payload) override { handler_.on_pong(payload); }
  void on_bytes(size_t) override {}

 private:
  WsSessionHandler& handler_;
};

struct Counts {
  std::atomic<uint64_t> accepted = 0;
  std::atomic<uint64_t> open = 0;
  std::atomic<uint64_t> requests = 0;
  std::atomic<uint64_t> refused = 0;
  std::atomic<uint64_t> overloaded = 0;
  std::atomic<uint64_t> timeouts = 0;
};

/// What a handler's call came to; set on the connection's thread.
struct PendingReply {
  std::optional<HttpReply> reply;
  std::shared_ptr<StreamCore> stream;  // with an HttpStreamReply that was started
};

// --- Connection -------------------------------------------------------------------------------------------------------

/// One client's connection: requests one after another. Lives on one I/O thread; the coroutine run() owns it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::unique_ptr<Transport> transport, const HttpServerOptions& options, HttpHandler& handler, WorkerPool& workers,
             Counts& counts)
      : transport_(std::move(transport)),
        options_(options),
        handler_(handler),
        workers_(workers),
        counts_(counts),
        limits_{options.request_line_bytes_max, options.header_bytes_max, options.header_fields_max},
        remote_address_(transport_->remote_address()),
        wake_(transport_->executor()) {}

  /// `tls`: null without TLS. Its handshake begins after the delay.
  Task<> run(asio::ssl::context* tls, int64_t tls_delay_us);

  /// The server is ending. On the connection's thread.
  void begin_stop();
  /// It has waited long enough. On the connection's thread.
  void tear();

 private:
  enum class Phase { kIdle, kBusy, kWebSocket };
  using Refusal = std::optional<HttpRefusal>;

  Task<bool> read_more();
  Task<Refusal> read_head(HttpRequestHead& head, bool& is_gone);
  Task<Refusal> read_body(const HttpRequestHead& head, size_t bytes_max, std::string& body, bool& is_gone);
  Task<> refuse(const HttpRefusal& refusal, const HttpRequest& request);
  HttpResponse busy();
  Task<> linger();
  Task<bool> serve_one();
  Result<HttpRequest> make_request(HttpRequestHead& head) const;
  HttpReply call_handler(HttpRequest request);
  Task<> fetch_reply(HttpRequest& request, bool is_inline, const std::shared_ptr<PendingReply>& pending);
  std::shared_ptr<StreamCore> make_stream();
  std::string head_text(int status, std::string_view content_type, const HttpHeaders& headers, std::optional<size_t> length,
                        bool is_chunked, bool keep_alive) const;
  Task<bool> send_response(const HttpRequestHead& head, const HttpResponse& response, bool keep_alive);
  Task<bool> send_stream(const HttpRequestHead& head, const HttpStreamReply& reply, const std::shared_ptr<StreamCore>& stream,
                         bool keep_alive);
  Task<bool> pump_stream(StreamCore& stream, bool is_chunked);
  Task<> serve_ws(const HttpRequestHead& head, const WsUpgrade& upgrade);
  void count_timeout() {
    if (transport_ && (transport_->deadline().has_expired() || transport_->has_stalled())) counts_.timeouts.fetch_add(1);
  }

  std::unique_ptr<Transport> transport_;
  const HttpServerOptions& options_;
  HttpHandler& handler_;
  WorkerPool& workers_;
  Counts& counts_;
  HttpHeadLimits limits_;
  std::string remote_address_;
  Event wake_;
  std::string input_;  // read and not yet used
  Phase phase_ = Phase::kIdle;
  bool is_stopping_ = false;
  bool is_stream_live_ = false;
  std::string request_id_;
  std::stop_source cancel_;
  std::shared_ptr<StreamCore> stream_;   // being sent
  std::shared_ptr<WsOutbox> ws_outbox_;  // while a WebSocket
};

void Connection::begin_stop() {
  is_stopping_ = true;
  if (phase_ == Phase::kIdle && transport_) transport_->close();
  if (ws_outbox_) ws_outbox_->close(1001, "server is ending");
  if (stream_ && is_stream_live_) stream_->close();
  wake_.notify();
}

void Connection::tear() {
  is_stopping_ = true;
  cancel_.request_stop();
  if (stream_) stream_->close();
  if (ws_outbox_) ws_outbox_->abort();
  if (transport_) transport_->close();
  wake_.notify();
}

Task<bool> Connection::read_more() {
  char piece[16 << 10];
  error_code ec;
  const size_t count = co_await transport_->read_some(asio::buffer(piece), ec);
  transport_->deadline().clear();
  if (!ec) input_.append(piece, count);
  co_return !ec;
}

Task<Connection::Refusal> Connection::read_head(HttpRequestHead& head, bool& is_gone) {
  phase_ = Phase::kIdle;
  if (is_stopping_) {
    is_gone = true;
    co_return std::nullopt;
  }
  if (input_.empty()) {
    transport_->deadline().set(options_.idle_timeout_us);
    const bool has_more = co_await read_more();
    if (!has_more) {
      is_gone = true;
      co_return std::nullopt;
    }
  }
  phase_ = Phase::kBusy;
  // The whole head has header_timeout from its first byte, however slowly the bytes drip.
  bool is_slow = false;
  Deadline header_deadline(transport_->executor(), [&] {
    is_slow = true;
    transport_->shutdown_receive();
  });
  header_deadline.set(options_.header_timeout_us);
  size_t searched = 0;
  for (;;) {
    const auto end = find_head_end(input_, searched, limits_);
    if (!end) co_return end.error();
    if (*end) {
      auto parsed = parse_request_head(std::string_view(input_).substr(0, **end), limits_);
      if (!parsed) co_return parsed.error();
      head = *std::move(parsed);
      input_.erase(0, **end);
      co_return std::nullopt;
    }
    searched = input_.size();
    const bool has_more = co_await read_more();
    if (is_slow) {
      counts_.timeouts.fetch_add(1);
      co_return HttpRefusal{408, "the header took longer than " + std::to_string(options_.header_timeout_us / 1000) + " ms"};
    }
    if (!has_more) {
      is_gone = true;
      co_return std::nullopt;
    }
  }
}

Task<Connection::Refusal> Connection::read_body(const HttpRequestHead& head, size_t bytes_max, std::string& body, bool& is_gone) {
  if (!head.is_chunked && head.content_length.value_or(0) == 0) co_return std::nullopt;
  if (head.content_length.value_or(0) > bytes_max) co_return HttpRefusal{413, "a body larger than " + std::to_string(bytes_max) + " bytes"};
  if (head.expects_continue && input_.empty()) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    error_code ec;
    co_await transport_->write(asio::buffer(kContinue), options_.write_stall_us, ec);
  }
  ChunkDecoder chunks(bytes_max);
  for (;;) {
    if (head.is_chunked) {
      std::string_view rest = input_;
      const auto decoded = chunks.decode(rest, body);
      if (!decoded) co_return decoded.error();
      input_.erase(0, input_.size() - rest.size());
      if (chunks.is_done()) co_return std::nullopt;
    } else {
      const size_t wanted = std::min<size_t>(input_.size(), *head.content_length - body.size());
      body.append(input_, 0, wanted);
      input_.erase(0, wanted);
      if (body.size() == *head.content_length) co_return std::nullopt;
    }
    transport_->deadline().set(options_.body_timeout_us);
    const bool has_more = co_await read_more();
    if (!has_more) {
      is_gone = true;
      co_return std::nullopt;
    }
  }
}

// Answers a request that is not to be trusted any further, and ends the connection.
Task<> Connection::refuse(const HttpRefusal& refusal, const HttpRequest& request) {
  counts_.refused.fetch_add(1);
  const HttpResponse response = handler_.refusal(request, refusal.status, refusal.reason);
  HttpRequestHead head;
  co_await send_response(head, response, /*keep_alive=*/false);
  co_await linger();
}

// A close with unread bytes would make the system send a reset, which can overtake the answer: so what the client still sends is taken
// for a moment and thrown away.
Task<> Connection::linger() {
  constexpr size_t kBytesMax = 256 << 10;
  transport_->shutdown_send();
  transport_->deadline().set(1'000'000);
  char piece[16 << 10];
  size_t total = 0;
  error_code ec;
  while (!ec && total < kBytesMax) total += co_await transport_->read_some(asio::buffer(piece), ec);
}

Result<HttpRequest> Connection::make_request(HttpRequestHead& head) const {
  HttpRequest request;
  request.method = head.method;
  request.target = head.target;
  const std::string_view target = head.target;
  const size_t path_end = std::min(target.find('?'), target.size());
  K2_TRY(request.path, percent_decode(target.substr(0, path_end)));
  if (request.path.find('\0') != std::string::npos) return make_error(ErrorKind::kInvalidInput, "a zero byte in the path");
  K2_TRY(request.query, parse_query(target.substr(std::min(path_end + 1, target.size()))));
  request.headers = head.headers;
  request.remote_address = remote_address_;
  request.is_tls = transport_->is_tls();
  return request;
}

HttpReply Connection::call_handler(HttpRequest request) {
  const std::string request_id = request.request_id;
  try {
    return handler_.handle(std::move(request));
  } catch (const std::exception& failure) {
    log_error("http_handler_threw", {{"request_id", request_id}, {"what", failure.what()}});
    return HttpResponse{.status = 500, .body = "500 Internal Server Error\n"};
  }
}

std::shared_ptr<StreamCore> Connection::make_stream() {
  return std::make_shared<StreamCore>(transport_->executor(), options_.stream_buffer_bytes, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->wake_.notify();
  });
}

// Gets the handler's reply into `pending`, by a worker or right here, watching the client meanwhile.
// Where no worker takes a request.
HttpResponse Connection::busy() {
  HttpResponse response = handler_.refusal({.request_id = request_id_}, 503, "busy");
  if (response.headers.find("Retry-After") == nullptr) response.headers.add("Retry-After", "1");
  return response;
}

Task<> Connection::fetch_reply(HttpRequest& request, bool is_inline, const std::shared_ptr<PendingReply>& pending) {
  counts_.requests.fetch_add(1);
  const bool is_head = request.method == "HEAD";
  const auto stream = make_stream();
  if (is_inline) {
    HttpReply reply = call_handler(std::move(request));
    if (const auto* streamed = std::get_if<HttpStreamReply>(&reply); streamed != nullptr && !is_head) {
      pending->stream = stream;
      const auto start = [run = streamed->start, stream] { run(std::make_shared<StreamHandle>(stream)); };
      if (!workers_.submit(start)) reply = busy();
    }
    pending->reply = std::move(reply);
    co_return;
  }
  auto job = [self = shared_from_this(), request = std::move(request), pending, stream, is_head,
              executor = transport_->executor()]() mutable {
    auto reply = std::make_shared<HttpReply>(self->call_handler(std::move(request)));
    std::function<void(std::shared_ptr<HttpStream>)> start;
    if (const auto* streamed = std::get_if<HttpStreamReply>(reply.get()); streamed != nullptr && !is_head) start = streamed->start;
    // From here on the connection belongs to its own thread again.
    asio::post(executor, [self = std::move(self), pending, stream, reply] {
      pending->stream = stream;
      pending->reply = std::move(*reply);
      self->wake_.notify();
    });
    if (!start) return;
    try {
      start(std::make_shared<StreamHandle>(stream));
    } catch (const std::exception& failure) {  // The handle is gone with it, unfinished: the connection is torn.
      log_error("http_stream_threw", {{"what", failure.what()}});
    }
  };
  if (!workers_.submit(std::move(job))) {
    counts_.overloaded.fetch_add(1);
    pending->reply = busy();
    co_return;
  }
  while (!pending->reply) {
    co_await wake_.wait(kPeerLookUs);
    if (!pending->reply && transport_->is_peer_gone()) cancel_.request_stop();
  }
}

std::string Connection::head_text(int status, std::string_view content_type, const HttpHeaders& headers, std::optional<size_t> length,
                                  bool is_chunked, bool keep_alive) const {
  std::string out =
      "HTTP/1.1 " + std::to_string(status) + " " + std::string(http_status_text(status)) + "\r\nDate: " + http_date() + "\r\n";
  if (!content_type.empty()) out += "Content-Type: " + std::string(content_type) + "\r\n";
  if (length) out += "Content-Length: " + std::to_string(*length) + "\r\n";
  if (is_chunked) out += "Transfer-Encoding: chunked\r\n";
  out += keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
  if (!request_id_.empty()) out += "X-Request-Id: " + request_id_ + "\r\n";
  for (const auto& [name, value] : headers) {
    // A line break in a header of ours would let whoever chose its value write headers: a bug of the handler.
    K2_ASSERT(value.find_first_of("\r\n") == std::string::npos && name.find_first_of("\r\n: ") == std::string::npos);
    out += name + ": " + value + "\r\n";
  }
  return out + "\r\n";
}

Task<bool> Connection::send_response(const HttpRequestHead& head, const HttpResponse& response, bool keep_alive) {
  const bool has_body = response.status >= 200 && response.status != 204 && response.status != 304;
  const std::optional<size_t> length = has_body ? std::optional(response.body.size()) : std::nullopt;
  std::string message = head_text(response.status, has_body ? response.content_type : "", response.headers, length, false, keep_alive);
  const bool sends_body = has_body && head.method != "HEAD";
  const bool is_small = response.body.size() <= (64 << 10);
  if (sends_body && is_small) message += response.body;
  error_code ec;
  co_await transport_->write(asio::buffer(message), options_.write_stall_us, ec);
  if (!ec && sends_body && !is_small) co_await transport_->write(asio::buffer(response.body), options_.write_stall_us, ec);
  co_return !ec;
}

// Sends what the maker puts into the stream; true when the body went out whole.
Task<bool> Connection::pump_stream(StreamCore& stream, bool is_chunked) {
  error_code ec;
  for (;;) {
    StreamCore::Taken taken = stream.take();
    if (!taken.bytes.empty()) {
      if (is_chunked) {
        char size[32];
        const int digits = std::snprintf(size, sizeof size, "%zx\r\n", taken.bytes.size());
        taken.bytes.insert(0, size, static_cast<size_t>(digits));
        taken.bytes += "\r\n";
      }
      co_await transport_->write(asio::buffer(taken.bytes), options_.write_stall_us, ec);
      if (ec) co_return false;
      continue;
    }
    if (taken.state == StreamCore::State::kFinished) break;
    if (taken.state != StreamCore::State::kOpen) co_return false;
    co_await wake_.wait(kPeerLookUs);
    if (transport_->is_peer_gone()) co_return false;
  }
  static constexpr std::string_view kLast = "0\r\n\r\n";
  if (is_chunked) co_await transport_->write(asio::buffer(kLast), options_.write_stall_us, ec);
  co_return !ec;
}

Task<bool> Connection::send_stream(const HttpRequestHead& head, const HttpStreamReply& reply, const std::shared_ptr<StreamCore>& stream,
                                   bool keep_alive) {
  const bool is_chunked = head.minor_version == 1;  // HTTP/1.0: the end of the connection is the end of the body
  const std::string message =
      head_text(reply.status, reply.content_type, reply.headers, std::nullopt, is_chunked, keep_alive && is_chunked);
  error_code ec;
  co_await transport_->write(asio::buffer(message), options_.write_stall_us, ec);
  if (head.method == "HEAD") co_return !ec;
  stream_ = stream;
  is_stream_live_ = reply.is_live;
  bool is_whole = false;
  if (!ec && !(is_stopping_ && is_stream_live_)) is_whole = co_await pump_stream(*stream, is_chunked);
  stream_ = nullptr;
  stream->close();
  if (!is_whole) transport_->close();
  co_return is_whole&& is_chunked;
}

Task<> Connection::serve_ws(const HttpRequestHead& head, const WsUpgrade& upgrade) {
  phase_ = Phase::kWebSocket;
  WsPipeOptions options;
  options.message_bytes_max = upgrade.message_bytes_max;
  options.send_queue_bytes_max = upgrade.send_queue_bytes_max;
  options.ping_interval_us = upgrade.ping_interval_us;
  options.idle_timeout_us =
      upgrade.ping_interval_us > 0 && upgrade.pong_timeout_us > 0 ? upgrade.ping_interval_us + upgrade.pong_timeout_us : 0;
  options.write_stall_us = options_.write_stall_us;
  options.close_timeout_us = options_.ws_close_timeout_us;
  SessionEvents events(*upgrade.handler);
  WsPipe pipe(std::move(transport_), /*is_server=*/true, options, events);
  ws_outbox_ = pipe.outbox();
  const Status accepted = co_await pipe.accept(head, upgrade.headers, input_);
  if (accepted) {
    if (is_stopping_) ws_outbox_->close(1001, "server is ending");
    upgrade.handler->on_open(std::make_shared<OutboxSession>(pipe.outbox()));
    const WsEnd end = co_await pipe.run();
    if (end.reason == WsEnd::Reason::kIdle || end.reason == WsEnd::Reason::kWriteStall) counts_.timeouts.fetch_add(1);
    upgrade.handler->on_close(end.code, end.text);
  }
  ws_outbox_ = nullptr;
}

// One request and its answer; whether another may follow on this connection.
Task<bool> Connection::serve_one() {
  HttpRequestHead head;
  bool is_gone = false;
  request_id_.clear();
  cancel_ = {};
  const HttpRequest unread;  // a name, because g++ 12 destroys a temporary argument of co_await twice
  Refusal refusal = co_await read_head(head, is_gone);
  if (is_gone) co_return false;
  if (refusal) {
    co_await refuse(*refusal, unread);
    co_return false;
  }
  const std::string_view wished_id = head.headers.get("X-Request-Id");
  request_id_ = is_request_id(wished_id) ? std::string(wished_id) : make_request_id();
  auto request = make_request(head);
  if (!request) {
    const HttpRefusal unreadable{400, request.error().message};
    co_await refuse(unreadable, unread);
    co_return false;
  }
  request->request_id = request_id_;
  const HttpPolicy policy = handler_.policy(request->method, request->path);
  refusal = co_await read_body(head, policy.body_bytes_max, request->body, is_gone);
  if (is_gone) co_return false;
  if (refusal) {
    co_await refuse(*refusal, *request);
    co_return false;
  }
  request->cancelled = cancel_.get_token();

  const auto pending = std::make_shared<PendingReply>();
  co_await fetch_reply(*request, policy.inline_handler, pending);
  const bool keep_alive = head.keep_alive && !is_stopping_;
  bool goes_on = false;
  if (const auto* response = std::get_if<HttpResponse>(&*pending->reply)) {
    goes_on = co_await send_response(head, *response, keep_alive);
  } else if (const auto* streamed = std::get_if<HttpStreamReply>(&*pending->reply)) {
    goes_on = co_await send_stream(head, *streamed, pending->stream, keep_alive);
  } else if (is_ws_handshake(head) && input_.size() <= (16 << 10)) {
    const WsUpgrade upgrade = std::get<WsUpgrade>(*std::move(pending->reply));
    co_await serve_ws(head, upgrade);
    co_return false;
  } else {
    HttpResponse required{.status = 426, .headers = {{"Upgrade", "websocket"}}, .body = "426 Upgrade Required: this is a WebSocket\n"};
    goes_on = co_await send_response(head, required, keep_alive);
  }
  co_return goes_on&& keep_alive;
}

Task<> Connection::run(asio::ssl::context* tls, int64_t tls_delay_us) {
  bool goes_on = true;
  if (tls != nullptr) {
    if (tls_delay_us > 0 && !is_stopping_) co_await wake_.wait(tls_delay_us);
    transport_->deadline().set(options_.header_timeout_us);
    const Status secured = co_await transport_->accept_tls(*tls);
    transport_->deadline().clear();
    goes_on = secured.has_value();
  }
  while (goes_on) goes_on = co_await serve_one();
  if (transport_) {
    count_timeout();
    transport_->close();
  }
}

}  // namespace

// --- HttpServer -------------------------------------------------------------------------------------------------------

struct HttpServer::Impl {
  Impl(HttpServerOptions o, HttpHandler& h) : options(std::move(o)), handler(h) {}

  struct IoThread {
    asio::io_context io{1};
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> guard{asio::make_work_guard(io)};
    std::set<Connection*> connections;  // on its thread
    std::jthread thread;
  };

  Status listen();
  Task<> accept_until_stopped();
  Task<> serve(IoThread& io, std::shared_ptr<Connection> connection, HttpAdmission admission);
  asio::ssl::context* tls_of(const HttpAdmission& admission) const;
  void for_each_connection(void (Connection::*action)());

  HttpServerOptions options;
  HttpHandler& handler;
  Counts counts;
  std::vector<std::unique_ptr<asio::ssl::context>> tls;  // by HttpAdmission::tls_identity; empty: plain
  std::vector<std::unique_ptr<IoThread>> ios;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<tcp::acceptor> acceptor;
  tcp::endpoint endpoint;
  std::atomic<bool> is_stopping = false;
  std::mutex stop_mutex;
  bool is_stopped = false;
  std::mutex open_mutex;
  std::condition_variable open_changed;
};

Status HttpServer::Impl::listen() {
  K2_TRY(const auto address, parse_host_port(options.listen));
  const auto& [host, port] = address;
  const auto failed = [&](const error_code& ec) {
    return make_error(ErrorKind::kUnavailable, "listening on " + options.listen + ": " + ec.message());
  };
  asio::io_context& io = ios.front()->io;
  tcp::resolver resolver(io);
  error_code ec;
  const auto found = resolver.resolve(host, std::to_string(port), tcp::resolver::passive, ec);
  if (ec || found.empty()) return make_error(ErrorKind::kInvalidInput, "listening on " + options.listen + ": the host has no address");
  acceptor = std::make_unique<tcp::acceptor>(io);
  acceptor->open(found.begin()->endpoint().protocol(), ec);
  if (!ec) acceptor->set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor->bind(found.begin()->endpoint(), ec);
  if (!ec) acceptor->listen(1024, ec);
  if (ec) return failed(ec);
  endpoint = acceptor->local_endpoint(ec);
  if (ec) return failed(ec);
  return {};
}

asio::ssl::context* HttpServer::Impl::tls_of(const HttpAdmission& admission) const {
  if (tls.empty()) return nullptr;
  K2_ASSERT(admission.tls_identity < tls.size());
  return tls[admission.tls_identity].get();
}

Task<> HttpServer::Impl::serve(IoThread& io, std::shared_ptr<Connection> connection, HttpAdmission admission) {
  io.connections.insert(connection.get());
  if (is_stopping) connection->begin_stop();
  co_await connection->run(tls_of(admission), admission.tls_delay_us);
  io.connections.erase(connection.get());
  counts.open.fetch_sub(1);
  const std::lock_guard lock(open_mutex);
  open_changed.notify_all();
}

Task<> HttpServer::Impl::accept_until_stopped() {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer pause(executor);
  size_t next = 0;
  while (acceptor->is_open()) {
    if (counts.open.load() >= options.connections_max) {
      pause.expires_after(std::chrono::milliseconds(20));
      error_code ignored;
      co_await pause.async_wait(into(ignored));
      continue;
    }
    IoThread& io = *ios[next++ % ios.size()];
    tcp::socket socket(io.io);
    error_code ec;
    co_await acceptor->async_accept(socket, into(ec));
    if (ec) {
      if (!acceptor->is_open() || ec == asio::error::operation_aborted) break;
      // Out of file descriptors, or a client that went away again: the system's backlog holds the others meanwhile.
      pause.expires_after(std::chrono::milliseconds(20));
      error_code ignored;
      co_await pause.async_wait(into(ignored));
      continue;
    }
    counts.accepted.fetch_add(1);
    const HttpAdmission admission = options.admit ? options.admit() : HttpAdmission();
    if (admission.is_refused) {
      error_code ignored;
      socket.set_option(asio::socket_base::linger(true, 0), ignored);  // a reset, not an end
      socket.close(ignored);
      continue;
    }
    // Counted first, looked second: stop() sets the flag first and looks at the count second, so one of the two sees the other.
    counts.open.fetch_add(1);
    if (is_stopping) {
      counts.open.fetch_sub(1);
      break;
    }
    auto shared_socket = std::make_shared<tcp::socket>(std::move(socket));
    asio::post(io.io, [this, &io, shared_socket, admission] {
      auto connection =
          std::make_shared<Connection>(std::make_unique<Transport>(std::move(*shared_socket)), options, handler, *workers, counts);
      asio::co_spawn(io.io, serve(io, std::move(connection), admission), asio::detached);
    });
  }
}

void HttpServer::Impl::for_each_connection(void (Connection::*action)()) {
  for (const auto& io : ios)
    asio::post(io->io, [io = io.get(), action] {
      const std::set<Connection*> connections = io->connections;  // an action may end a connection
      for (Connection* connection : connections)
        if (io->connections.contains(connection)) (connection->*action)();
    });
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpServerOptions options, HttpHandler& handler) {
  K2_ASSERT(options.io_threads > 0 && options.worker_threads > 0 && options.stream_buffer_bytes > 0);
  auto impl = std::make_unique<Impl>(std::move(options), handler);
  if (!impl->options.tls.empty()) {
    std::vector<TlsIdentity> identities = impl->options.other_tls;
    identities.insert(identities.begin(), impl->options.tls);
    for (const TlsIdentity& identity : identities) {
      K2_TRY(auto context, make_server_tls(identity));
      impl->tls.push_back(std::move(context));
    }
  }
  for (int i = 0; i < impl->options.io_threads; ++i) impl->ios.push_back(std::make_unique<Impl::IoThread>());
  K2_RETURN_IF_ERROR(impl->listen());
  impl->workers = std::make_unique<WorkerPool>(impl->options.worker_threads, impl->options.worker_queue_max);
  asio::co_spawn(impl->ios.front()->io, impl->accept_until_stopped(), asio::detached);
  for (const auto& io : impl->ios)
    io->thread = std::jthread([io = io.get()] {
      pthread_setname_np(pthread_self(), "k2-http-io");
      io->io.run();
    });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::~HttpServer() { stop(1'000'000); }

uint16_t HttpServer::port() const { return impl_->endpoint.port(); }

std::string HttpServer::url() const {
  Url url;
  url.scheme = impl_->tls.empty() ? "http" : "https";
  url.host = impl_->endpoint.address().to_string();
  url.port = impl_->endpoint.port();
  return url.origin();
}

HttpServerCounts HttpServer::counts() const {
  const Counts& counts = impl_->counts;
  return {counts.accepted, counts.open, counts.requests, counts.refused, counts.overloaded, counts.timeouts};
}

HttpResponse HttpHandler::refusal(const HttpRequest& request, int status, std::string_view reason) {
  (void)request;
  return {.status = status,
          .body = std::to_string(status) + " " + std::string(http_status_text(status)) + ": " + std::string(reason) + "\n"};
}

void HttpServer::stop(int64_t drain_us) {
  Impl& impl = *impl_;
  const std::lock_guard once(impl.stop_mutex);
  if (impl.is_stopped) return;
  impl.is_stopped = true;
  impl.is_stopping = true;
  asio::post(impl.ios.front()->io, [&impl] {
    error_code ignored;
    impl.acceptor->close(ignored);
  });
  impl.for_each_connection(&Connection::begin_stop);
  const auto is_empty = [&] { return impl.counts.open.load() == 0; };
  std::unique_lock lock(impl.open_mutex);
  if (!impl.open_changed.wait_for(lock, std::chrono::microseconds(drain_us), is_empty)) {
    // A handler that does not look at its stop token is waited for: its thread can't be taken away from it.
    while (!is_empty()) {
      impl.for_each_connection(&Connection::tear);
      impl.open_changed.wait_for(lock, std::chrono::milliseconds(100), is_empty);
    }
  }
  lock.unlock();
  impl.workers = nullptr;
  for (const auto& io : impl.ios) io->guard.reset();
  for (const auto& io : impl.ios) io->thread.join();
}

}  // namespace k2
