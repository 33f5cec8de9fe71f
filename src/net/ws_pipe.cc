#include "net/ws_pipe.h"

#include <boost/asio/append.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <algorithm>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"

namespace k2::net {

namespace beast = boost::beast;
namespace websocket = beast::websocket;
namespace http = beast::http;

// --- WsFrameCounter ---------------------------------------------------------------------------------------------------

namespace {

// The length of a frame's header, as far as `bytes` of it tell (RFC 6455, 5.2); 2 as long as its second byte is not there.
size_t header_size(const unsigned char* header, size_t bytes) {
  if (bytes < 2) return 2;
  const unsigned length = header[1] & 0x7fu;
  return 2 + (length == 126 ? 2u : length == 127 ? 8u : 0u) + ((header[1] & 0x80u) != 0 ? 4u : 0u);
}

std::string close_frame(uint16_t code, std::string_view reason, bool masked) {
  std::string payload;
  if (code != 0) {
    payload = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
    payload += reason.substr(0, 123);  // RFC 6455, 5.5: a control frame carries at most 125 bytes
  }
  std::string frame{'\x88', static_cast<char>(payload.size() | (masked ? 0x80u : 0u))};
  if (!masked) return frame + payload;
  uint32_t mask = std::random_device{}();
  frame.append(reinterpret_cast<const char*>(&mask), sizeof mask);
  for (size_t i = 0; i < payload.size(); ++i) frame += static_cast<char>(payload[i] ^ frame[2 + i % 4]);
  return frame;
}

uint64_t payload_size(const unsigned char* header) {
  const unsigned length = header[1] & 0x7fu;
  if (length == 126) return static_cast<uint64_t>(header[2]) << 8 | header[3];
  if (length == 127) return load_big_endian<uint64_t>(header + 2);
  return length;
}

}  // namespace

void WsFrameCounter::begin_payload() {
  payload_left_ = payload_size(header_);
  const bool is_control = (header_[0] & 0x08u) != 0;
  ends_message_ = (header_[0] & 0x80u) != 0 && !is_control;
  header_bytes_ = 0;
}

size_t WsFrameCounter::feed(std::string_view bytes) {
  size_t messages = 0;
  size_t at = 0;
  for (; at < bytes.size() && head_matched_ < 4; ++at) {
    const char wanted = head_matched_ % 2 == 0 ? '\r' : '\n';
    head_matched_ = bytes[at] == wanted ? head_matched_ + 1 : bytes[at] == '\r' ? 1 : 0;
  }
  while (at < bytes.size()) {
    if (payload_left_ > 0) {
      const size_t step = static_cast<size_t>(std::min<uint64_t>(payload_left_, bytes.size() - at));
      at += step;
      payload_left_ -= step;
    } else {
      header_[header_bytes_++] = static_cast<unsigned char>(bytes[at++]);
      if (header_bytes_ < 2 || header_bytes_ < header_size(header_, header_bytes_)) continue;
      begin_payload();
    }
    if (payload_left_ == 0 && ends_message_) ++messages, ends_message_ = false;
  }
  return messages;
}

// --- WsOutbox ---------------------------------------------------------------------------------------------------------

namespace {
constexpr size_t kRecordHeader = 1 + sizeof(uint64_t);
}

// With the mutex held: posting to the executor is safe as long as the pipe, and so the io_context, is there.
void WsOutbox::wake_locked() {
  if (is_wake_posted_ || is_detached_ || !on_wake_) return;
  is_wake_posted_ = true;
  asio::post(executor_, on_wake_);
}

WsOutbox::Put WsOutbox::put(Kind kind, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (is_detached_ || close_wish_ || abort_wish_) return Put::kClosed;
  if (is_silent_) return Put::kQueued;
  const size_t record_bytes = kRecordHeader + bytes.size();
  if (records_.size() + in_flight_bytes_ + record_bytes > bytes_max_) return Put::kFull;
  char header[kRecordHeader];
  header[0] = static_cast<char>(kind);
  const uint64_t size = bytes.size();
  std::memcpy(header + 1, &size, sizeof size);
  records_.append(header, kRecordHeader);
  records_.append(bytes);
  wake_locked();
  return Put::kQueued;
}

void WsOutbox::close(uint16_t code, std::string_view reason) {
  const std::lock_guard lock(mutex_);
  if (close_wish_) return;
  close_wish_ = CloseWish{code, std::string(reason)};
  wake_locked();
}

void WsOutbox::abort() {
  const std::lock_guard lock(mutex_);
  abort_wish_ = true;
  wake_locked();
}

void WsOutbox::fall_silent() {
  const std::lock_guard lock(mutex_);
  is_silent_ = true;
  records_.clear();
}

size_t WsOutbox::queued_bytes() const {
  const std::lock_guard lock(mutex_);
  return records_.size() + in_flight_bytes_;
}

bool WsOutbox::is_closed() const {
  const std::lock_guard lock(mutex_);
  return is_detached_ || close_wish_ || abort_wish_;
}

// --- Layer ------------------------------------------------------------------------------------------------------------

/// The stream that Beast's WebSocket stands on: reads come from the transport by way of a buffer, writes stay in a buffer.
class WsPipe::Layer {
 public:
  using executor_type = asio::any_io_executor;

  Layer(Transport& transport, WsFrameCounter counter, WsPipeEvents& events)
      : transport_(transport), counter_(counter), events_(events), input_(64 << 10) {}

  executor_type get_executor() { return transport_.executor(); }

  /// Whole messages that Beast can read without waiting.
  size_t ready_messages = 0;
  /// Bytes that Beast wrote, for the transport.
  std::string output;
  /// Our close frame is the last of the output: what Beast writes after it (a pong, its answer to the peer's close frame) is dropped.
  bool is_output_closed = false;
  std::function<void()> on_output;
  int64_t idle_timeout_us = 0;

  /// Bytes that were read before the layer was there.
  void preload(std::string_view bytes) {
    K2_ASSERT(bytes.size() <= input_.size() - end_);
    std::memcpy(input_.data() + end_, bytes.data(), bytes.size());
    committed(bytes.size());
  }

  template <class Buffers>
  size_t read_some(const Buffers& buffers, error_code& ec) {
    ec = {};
    if (begin_ == end_) ec = asio::error::would_block;  // never: only complete messages are read this way
    return take(buffers);
  }

  template <class Buffers>
  size_t read_some(const Buffers& buffers) {
    return take(buffers);
  }

  template <class Buffers>
  size_t write_some(const Buffers& buffers, error_code& ec) {
    ec = {};
    return write_some(buffers);
  }

  template <class Buffers>
  size_t write_some(const Buffers& buffers) {
    if (is_output_closed) return asio::buffer_size(buffers);
    const size_t before = output.size();
    for (auto it = asio::buffer_sequence_begin(buffers); it != asio::buffer_sequence_end(buffers); ++it) {
      const asio::const_buffer part(*it);
      output.append(static_cast<const char*>(part.data()), part.size());
    }
    if (on_output) on_output();
    return output.size() - before;
  }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(error_code, size_t)>(
        [this](auto handler, const Buffers& to) {
          if (begin_ < end_) {
            const size_t taken = take(to);
            asio::post(get_executor(), asio::append(std::move(handler), error_code(), taken));
            return;
          }
          transport_.deadline().set(idle_timeout_us);
          transport_.async_read_some(asio::buffer(input_), ReadOp<Buffers, decltype(handler)>{this, to, std::move(handler)});
        },
        token, buffers);
  }

  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(error_code, size_t)>(
        [this](auto handler, const Buffers& from) {
          const size_t written = write_some(from);
          asio::post(get_executor(), asio::append(std::move(handler), error_code(), written));
        },
        token, buffers);
  }

  // Beast's way to end the stream underneath. Here its owner does it, once the output is on its way.
  friend void teardown(beast::role_type, Layer&, error_code& ec) { ec = {}; }
  template <class Handler>
  friend void async_teardown(beast::role_type, Layer& layer, Handler&& handler) {
    asio::post(layer.get_executor(), asio::append(std::forward<Handler>(handler), error_code()));
  }
  friend void beast_close_socket(Layer& layer) { layer.transport_.close(); }

 private:
  template <class Buffers, class Handler>
  struct ReadOp {
    Layer* layer;
    Buffers buffers;
    Handler handler;

    using executor_type = asio::associated_executor_t<Handler, Layer::executor_type>;
    using allocator_type = asio::associated_allocator_t<Handler>;
    using cancellation_slot_type = asio::associated_cancellation_slot_t<Handler>;
    executor_type get_executor() const noexcept { return asio::get_associated_executor(handler, layer->get_executor()); }
    allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(handler); }
    cancellation_slot_type get_cancellation_slot() const noexcept { return asio::get_associated_cancellation_slot(handler); }

    void operator()(error_code ec, size_t count) {
      size_t taken = 0;
      layer->transport_.deadline().clear();  // the time that the messages' owner takes does not count
      if (!ec) {
        layer->begin_ = layer->end_ = 0;
        layer->committed(count);
        taken = layer->take(buffers);
      }
      handler(ec, taken);
    }
  };

  void committed(size_t count) {
    ready_messages += counter_.feed({input_.data() + end_, count});
    end_ += count;
    events_.on_bytes(count);
  }

  template <class Buffers>
  size_t take(const Buffers& buffers) {
    const size_t taken = asio::buffer_copy(buffers, asio::const_buffer(input_.data() + begin_, end_ - begin_));
    begin_ += taken;
    return taken;
  }

  Transport& transport_;
  WsFrameCounter counter_;
  WsPipeEvents& events_;
  std::vector<char> input_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

// --- WsPipe -----------------------------------------------------------------------------------------------------------

struct WsPipe::Impl {
  using Stream = websocket::stream<Layer, /*deflateSupported=*/false>;

  Impl(std::unique_ptr<Transport> carrier, bool server, const WsPipeOptions& limits, WsPipeEvents& sink, WsOutbox& box)
      : transport(std::move(carrier)),
        is_server(server),
        options(limits),
        events(sink),
        outbox(box),
        stream(*transport, WsFrameCounter(!server), sink),
        output_event(transport->executor()),
        ping_event(transport->executor()),
        settled(transport->executor()),
        close_deadline(transport->executor(), [this] { transport->close(); }) {
    stream.read_message_max(options.message_bytes_max);
    stream.auto_fragment(false);
    stream.control_callback([this](websocket::frame_type kind, beast::string_view payload) {
      if (kind == websocket::frame_type::ping) events.on_ping({payload.data(), payload.size()});
      if (kind == websocket::frame_type::pong) events.on_pong({payload.data(), payload.size()});
    });
    layer().idle_timeout_us = options.idle_timeout_us;
    layer().on_output = [this] { output_event.notify(); };
  }

  Layer& layer() { return stream.next_layer(); }

  void take_wishes();
  void write_record(WsOutbox::Kind kind, std::string_view payload);
  Task<> flush();
  Task<> write_until_over();
  Task<> ping_until_over();
  void write_close(const WsOutbox::CloseWish& wish);
  Task<error_code> read_until_over();
  void deliver();
  WsEnd end_of(error_code ec) const;

  std::unique_ptr<Transport> transport;
  bool is_server;
  WsPipeOptions options;
  WsPipeEvents& events;
  WsOutbox& outbox;
  Stream stream;
  beast::flat_buffer message;
  Event output_event;
  Event ping_event;
  Event settled;            // one of the coroutines counted in `running` has ended
  Deadline close_deadline;
  std::string records;      // taken from the outbox, not yet all written
  size_t records_at = 0;
  bool is_over = false;     // the reader has ended
  bool is_closing = false;  // a close frame of ours is under way
  bool is_aborted = false;
  int running = 0;          // coroutines beside run() or connect()

  void start(Task<> task) {
    ++running;
    asio::co_spawn(transport->executor(), std::move(task), [this](std::exception_ptr failure) {
      K2_ASSERT(!failure);
      --running;
      settled.notify();
    });
  }
};

// Runs on the pipe's thread after somebody has put something into the outbox.
void WsPipe::Impl::take_wishes() {
  bool wants_abort = false;
  {
    const std::lock_guard lock(outbox.mutex_);
    outbox.is_wake_posted_ = false;
    wants_abort = outbox.abort_wish_;
  }
  if (wants_abort) {
    is_aborted = true;
    transport->close();
  }
  output_event.notify();
}

void WsPipe::Impl::write_record(WsOutbox::Kind kind, std::string_view payload) {
  error_code ec;
  switch (kind) {
    case WsOutbox::Kind::kText:
    case WsOutbox::Kind::kBinary:
      stream.text(kind == WsOutbox::Kind::kText);
      stream.write(asio::buffer(payload), ec);
      break;
    case WsOutbox::Kind::kPing: stream.ping(websocket::ping_data(payload.data(), std::min<size_t>(payload.size(), 125)), ec); break;
    case WsOutbox::Kind::kRaw: layer().output.append(payload); break;
  }
}

// Takes what is queued and what Beast has written to the socket, until there is nothing left.
Task<> WsPipe::Impl::flush() {
  constexpr size_t kBatch = 64 << 10;
  std::string batch;
  while (!transport->is_closed()) {
    if (records_at == records.size()) {
      const std::lock_guard lock(outbox.mutex_);
      records.clear();
      records_at = 0;
      std::swap(records, outbox.records_);
      outbox.in_flight_bytes_ = records.size();
    }
    while (records_at < records.size() && layer().output.size() < kBatch) {
      uint64_t size = 0;
      std::memcpy(&size, records.data() + records_at + 1, sizeof size);
      write_record(static_cast<WsOutbox::Kind>(records[records_at]), std::string_view(records).substr(records_at + kRecordHeader, size));
      records_at += kRecordHeader + size;
    }
    if (layer().output.empty()) co_return;
    batch.clear();
    std::swap(batch, layer().output);
    error_code ec;
    bool is_silent = false;
    {
      const std::lock_guard lock(outbox.mutex_);
      is_silent = outbox.is_silent_;
    }
    if (!is_silent) co_await transport->write(asio::buffer(batch), options.write_stall_us, ec);
    if (ec) transport->close();
    const std::lock_guard lock(outbox.mutex_);
    outbox.in_flight_bytes_ = records.size() - records_at;
  }
}

Task<> WsPipe::Impl::write_until_over() {
  while (!is_over) {
    co_await flush();
    std::optional<WsOutbox::CloseWish> wish;
    {
      const std::lock_guard lock(outbox.mutex_);
      wish = outbox.close_wish_;
    }
    if (wish && !is_closing && !is_over && stream.is_open()) {
      write_close(*wish);
      continue;
    }
    if (!is_over) co_await output_event.wait();
  }
}

// The close frame is written here and not by Beast's async_close: with a control callback set, that and a read under way can end up waiting
// for each other (Boost 1.81). Reading goes on until the peer's close frame, so that nothing that it sent before is lost.
void WsPipe::Impl::write_close(const WsOutbox::CloseWish& wish) {
  is_closing = true;
  close_deadline.set(options.close_timeout_us);
  layer().output += close_frame(wish.code, wish.reason, /*masked=*/!is_server);
  layer().is_output_closed = true;
}

Task<> WsPipe::Impl::ping_until_over() {
  while (!is_over && options.ping_interval_us > 0) {
    co_await ping_event.wait(options.ping_interval_us);
    if (is_over || is_closing) continue;
    const std::string now_ms = std::to_string(system_clock().now().us / 1000);
    error_code ignored;
    stream.ping(websocket::ping_data(now_ms.data(), now_ms.size()), ignored);
  }
}

void WsPipe::Impl::deliver() {
  const auto bytes = message.cdata();
  if (layer().ready_messages > 0) --layer().ready_messages;
  events.on_message({static_cast<const char*>(bytes.data()), bytes.size()}, stream.got_text());
  message.clear();
}

Task<error_code> WsPipe::Impl::read_until_over() {
  error_code ec;
  while (!ec) {
    co_await stream.async_read(message, into(ec));
    if (!ec) deliver();
    // Further whole messages are there for the taking.
    while (!ec && layer().ready_messages > 0 && !transport->is_closed()) {
      stream.read(message, ec);
      if (!ec) deliver();
    }
  }
  co_return ec;
}

WsEnd WsPipe::Impl::end_of(error_code ec) const {
  WsEnd end;
  const auto& reason = stream.reason();
  if (ec == websocket::error::closed && !is_closing) {
    end.reason = WsEnd::Reason::kClosedByServer;
    end.code = reason.code;
    end.text = std::string(reason.reason.data(), reason.reason.size());
  } else if (is_closing || is_aborted) {
    end.reason = WsEnd::Reason::kClosedByUs;
    end.code = reason.code;
    end.text = "closed by us";
  } else if (transport->has_stalled()) {
    end.reason = WsEnd::Reason::kWriteStall;
    end.text = "the peer took no byte for too long";
  } else if (transport->deadline().has_expired()) {
    end.reason = WsEnd::Reason::kIdle;
    end.text = "no byte received for too long";
  } else if (ec.category() == websocket::make_error_code(websocket::error::closed).category()) {
    end.reason = WsEnd::Reason::kProtocol;
    const bool too_big = ec == websocket::error::message_too_big || ec == websocket::error::buffer_overflow;
    end.code = too_big                                     ? websocket::close_code::too_big
               : ec == websocket::error::bad_frame_payload ? websocket::close_code::bad_payload
                                                           : websocket::close_code::protocol_error;
    end.text = ec.message();
  } else {
    end.reason = WsEnd::Reason::kNetwork;
    end.text = ec.message();
  }
  return end;
}

WsPipe::WsPipe(std::unique_ptr<Transport> transport, bool is_server, const WsPipeOptions& options, WsPipeEvents& events)
    : outbox_(std::make_shared<WsOutbox>(transport->executor(), options.send_queue_bytes_max)),
      impl_(std::make_unique<Impl>(std::move(transport), is_server, options, events, *outbox_)) {}

WsPipe::~WsPipe() {
  const std::lock_guard lock(outbox_->mutex_);
  outbox_->is_detached_ = true;
  outbox_->on_wake_ = nullptr;
}

Task<Status> WsPipe::accept(const HttpRequestHead& request, const HttpHeaders& headers, std::string_view rest) {
  http::request<http::empty_body> upgrade;
  upgrade.method_string(request.method);
  upgrade.target(request.target);
  upgrade.version(10 + static_cast<unsigned>(request.minor_version));
  for (const auto& [name, value] : request.headers) upgrade.insert(name, value);
  impl_->stream.set_option(websocket::stream_base::decorator([&headers](websocket::response_type& response) {
    for (const auto& [name, value] : headers) response.insert(name, value);
  }));
  impl_->layer().preload(rest);
  error_code ec;
  co_await impl_->stream.async_accept(upgrade, into(ec));
  co_await impl_->flush();
  if (ec) co_return make_error(ErrorKind::kInvalidInput, "WebSocket handshake: " + ec.message());
  co_return Status();
}

Task<Status> WsPipe::connect(const Url& url, const HttpHeaders& headers, int64_t timeout_us, int& http_status) {
  impl_->stream.set_option(websocket::stream_base::decorator([&headers](websocket::request_type& request) {
    for (const auto& [name, value] : headers) request.set(name, value);
  }));
  // The handshake waits in the layer for the answer, while its request waits there for a writer.
  Deadline deadline(impl_->transport->executor(), [this] { impl_->transport->close(); });
  deadline.set(timeout_us);
  impl_->start(impl_->write_until_over());
  websocket::response_type response;
  error_code ec;
  const std::string authority = url.authority();
  co_await impl_->stream.async_handshake(response, authority, url.target, into(ec));
  impl_->is_over = true;
  impl_->output_event.notify();
  while (impl_->running > 0) co_await impl_->settled.wait();
  impl_->is_over = false;
  if (!ec) co_return Status();
  if (ec == websocket::error::upgrade_declined) {
    http_status = static_cast<int>(response.result_int());
    co_return make_error(ErrorKind::kUnavailable,
                         "WebSocket upgrade of " + url.origin() + " was answered with HTTP status " + std::to_string(http_status));
  }
  co_return make_error(ErrorKind::kUnavailable,
                       "WebSocket upgrade of " + url.origin() + ": " + (deadline.has_expired() ? "time-out" : ec.message()));
}

Task<WsEnd> WsPipe::run() {
  Impl& impl = *impl_;
  {
    const std::lock_guard lock(outbox_->mutex_);
    outbox_->on_wake_ = [this, outbox = std::weak_ptr(outbox_)] {
      // The pipe may have gone between the post and now; it then has detached its outbox.
      const auto held = outbox.lock();
      if (!held) return;
      {
        const std::lock_guard alive(held->mutex_);
        if (held->is_detached_) return;
      }
      impl_->take_wishes();
    };
    outbox_->wake_locked();
  }
  impl.start(impl.write_until_over());
  impl.start(impl.ping_until_over());
  const error_code ec = co_await impl.read_until_over();
  WsEnd end = impl.end_of(ec);
  {
    const std::lock_guard lock(outbox_->mutex_);
    outbox_->is_detached_ = true;
    outbox_->on_wake_ = nullptr;
  }
  impl.is_over = true;
  impl.ping_event.notify();
  impl.output_event.notify();
  // A close frame that answers the peer's, or says what it did wrong, still goes out.
  impl.close_deadline.set(impl.options.close_timeout_us);
  while (impl.running > 0) co_await impl.settled.wait();
  if (!impl.transport->is_closed()) co_await impl.flush();
  impl.transport->close();
  co_return end;
}

void WsPipe::abort() {
  impl_->is_aborted = true;
  impl_->transport->close();
}

bool is_ws_handshake(const HttpRequestHead& request) {
  return request.method == "GET" && request.minor_version == 1 && has_token(request.headers.get("Upgrade"), "websocket") &&
         has_token(request.headers.get("Connection"), "upgrade") && request.headers.get("Sec-WebSocket-Version") == "13" &&
         request.headers.count("Sec-WebSocket-Key") == 1;
}

}  // namespace k2::net
