#include "net/ws_client.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#include "base/assert.h"
#include "net/ws_pipe.h"

namespace k2 {

using namespace net;

std::string_view ws_end_name(WsEnd::Reason reason) {
  switch (reason) {
    case WsEnd::Reason::kClosedByServer: return "closed_by_server";
    case WsEnd::Reason::kClosedByUs: return "closed_by_us";
    case WsEnd::Reason::kConnectFailed: return "connect_failed";
    case WsEnd::Reason::kProtocol: return "protocol";
    case WsEnd::Reason::kNetwork: return "network";
    case WsEnd::Reason::kIdle: return "idle";
    case WsEnd::Reason::kWriteStall: return "write_stall";
  }
  return "unknown";
}

struct WsClient::Impl final : WsPipeEvents {
  Impl(WsClientOptions o, WsClientHandler& h) : options(std::move(o)), handler(h) {}

  void on_message(std::string_view bytes, bool is_text) override { handler.on_message(bytes, is_text, received); }
  void on_ping(std::string_view payload) override { handler.on_ping(payload); }
  void on_pong(std::string_view) override {}
  void on_bytes(size_t count) override {
    received = system_clock().now();
    bytes_received.fetch_add(count, std::memory_order_relaxed);
  }

  void run();
  Task<WsEnd> live();
  Status send(WsOutbox::Kind kind, std::string_view bytes);
  WsPipeOptions pipe_options() const;

  WsClientOptions options;
  WsClientHandler& handler;
  std::atomic<uint64_t> bytes_received = 0;
  TimestampUs received;
  asio::io_context io{1};
  Canceller canceller;             // of the connecting; on the client's thread
  std::mutex mutex;
  std::shared_ptr<WsOutbox> outbox;  // while open
  bool wants_end = false;
  std::optional<std::jthread> thread;
};

namespace {

WsEnd connect_failed(const Error& error, int http_status = 0) {
  WsEnd end;
  end.reason = error.kind == ErrorKind::kCancelled ? WsEnd::Reason::kClosedByUs : WsEnd::Reason::kConnectFailed;
  end.http_status = http_status;
  end.text = error.message;
  return end;
}

}  // namespace

WsPipeOptions WsClient::Impl::pipe_options() const {
  WsPipeOptions out;
  out.message_bytes_max = options.message_bytes_max;
  out.send_queue_bytes_max = options.send_queue_bytes_max;
  out.idle_timeout_us = options.idle_timeout_us;
  out.write_stall_us = options.write_stall_us;
  out.close_timeout_us = options.close_timeout_us;
  return out;
}

Task<WsEnd> WsClient::Impl::live() {
  const auto url = parse_url(options.url);
  if (!url) co_return connect_failed(url.error());
  if (url->scheme != "ws" && url->scheme != "wss")
    co_return connect_failed({ErrorKind::kInvalidInput, "\"" + options.url + "\" is no ws or wss URL"});
  std::unique_ptr<asio::ssl::context> tls;
  if (url->is_tls()) {
    auto made = make_client_tls(options.trust);
    if (!made) co_return connect_failed(made.error());
    tls = *std::move(made);
  }
  const ProxyRules proxies = options.proxy ? *options.proxy : ProxyRules::of_process();
  const int64_t started_ns = system_clock().monotonic_ns();
  auto transport = co_await connect_transport(*url, tls.get(), proxies, options.connect_timeout_us, canceller);
  if (!transport) co_return connect_failed(transport.error());

  WsPipe pipe(*std::move(transport), /*is_server=*/false, pipe_options(), *this);
  canceller.action = [&pipe] { pipe.abort(); };
  const int64_t used_us = (system_clock().monotonic_ns() - started_ns) / 1000;
  const int64_t left_us = options.connect_timeout_us <= 0 ? 0 : std::max<int64_t>(1, options.connect_timeout_us - used_us);
  int http_status = 0;
  Status connected = co_await pipe.connect(*url, options.headers, left_us, http_status);
  canceller.action = nullptr;
  if (!connected && canceller.is_cancelled) connected = make_error(ErrorKind::kCancelled, "closed while connecting");
  if (!connected) co_return connect_failed(connected.error(), http_status);
  {
    const std::lock_guard lock(mutex);
    outbox = pipe.outbox();
    if (wants_end) outbox->abort();
  }
  handler.on_open();
  const WsEnd end = co_await pipe.run();
  const std::lock_guard lock(mutex);
  outbox = nullptr;
  co_return end;
}

void WsClient::Impl::run() {
  WsEnd end;
  asio::co_spawn(io, live(), [&end](std::exception_ptr failure, WsEnd result) {
    K2_ASSERT(!failure);
    end = std::move(result);
  });
  io.run();
  handler.on_end(end);
}

WsClient::WsClient(WsClientOptions options, WsClientHandler& handler) : impl_(std::make_unique<Impl>(std::move(options), handler)) {
  impl_->thread.emplace([impl = impl_.get()] {
    pthread_setname_np(pthread_self(), "k2-ws");
    impl->run();
  });
}

WsClient::~WsClient() {
  abort();
  impl_->thread->join();
}

void WsClient::abort() {
  const std::lock_guard lock(impl_->mutex);
  impl_->wants_end = true;
  if (impl_->outbox) impl_->outbox->abort();
  asio::post(impl_->io, [impl = impl_.get()] { impl->canceller.cancel(); });
}

Status WsClient::Impl::send(WsOutbox::Kind kind, std::string_view bytes) {
  const std::lock_guard lock(mutex);
  const auto put = outbox ? outbox->put(kind, bytes) : WsOutbox::Put::kClosed;
  if (put == WsOutbox::Put::kQueued) return {};
  return make_error(ErrorKind::kUnavailable, "sending " + std::to_string(bytes.size()) + " bytes to " + options.url + ": " +
                                                 (put == WsOutbox::Put::kFull ? "the queue is full" : "not open"));
}

Status WsClient::send_text(std::string_view text) { return impl_->send(WsOutbox::Kind::kText, text); }
Status WsClient::send_ping(std::string_view payload) { return impl_->send(WsOutbox::Kind::kPing, payload); }

void WsClient::close(uint16_t code, std::string_view reason) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->outbox) {
    impl_->outbox->close(code, reason);
    return;
  }
  impl_->wants_end = true;
  asio::post(impl_->io, [impl = impl_.get()] { impl->canceller.cancel(); });
}

uint64_t WsClient::bytes_received() const { return impl_->bytes_received.load(std::memory_order_relaxed); }

}  // namespace k2
