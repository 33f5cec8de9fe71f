#include "net/ws_pipe.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <random>

#include "base/assert.h"
#include "net/ws_reader.h"

namespace k2::net {

namespace http = beast::http;

namespace {

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

}  // namespace

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

// --- WsPipe -----------------------------------------------------------------------------------------------------------

struct WsPipe::Impl {
  Impl(std::unique_ptr<Transport> carrier, bool server, const WsPipeOptions& limits, WsPipeEvents& sink, WsOutbox& box)
      : transport(std::move(carrier)),
        is_server(server),
        options(limits),
        outbox(box),
        reader(*transport, server, limits.message_bytes_max, sink),
        output_event(transport->executor()),
        ping_event(transport->executor()),
        settled(transport->executor()),
        close_deadline(transport->executor(), [this] { transport->close(); }) {
    layer().idle_timeout_us = options.idle_timeout_us;
    layer().on_output = [this] { output_event.notify(); };
  }

  WsLayer<Transport>& layer() { return reader.layer(); }

  void take_wishes();
  void write_record(WsOutbox::Kind kind, std::string_view payload);
  Task<> flush();
  Task<> write_until_over();
  Task<> ping_until_over();
  void write_close(const WsOutbox::CloseWish& wish);
  WsEnd end_of(error_code ec) const;

  std::unique_ptr<Transport> transport;
  bool is_server;
  WsPipeOptions options;
  WsOutbox& outbox;
  WsReader<Transport> reader;
  WsReader<Transport>::Stream& stream = reader.stream;
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
  const error_code ec = co_await impl.reader.read_until_over();
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
