#include "feed/binance_feed.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "base/assert.h"
#include "base/logging.h"
#include "base/metrics.h"
#include "base/time.h"
#include "net/url.h"
#include "net/ws_client.h"

namespace k2 {

namespace {

bool is_name(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f || std::string_view("/@?&#%\"\\").find(c) != std::string_view::npos) return false;
  return !text.empty();
}

std::string lowercase(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string joined(const std::vector<std::string>& parts, size_t begin, size_t end, std::string_view between) {
  std::string out;
  for (size_t i = begin; i < end; ++i) out += (i == begin ? "" : std::string(between)) + parts[i];
  return out;
}

// binance.us is documented with milliseconds only.
bool knows_microseconds(const Url& url) { return !url.host.ends_with("binance.us"); }

std::vector<std::string> subscribe_messages(const std::vector<std::string>& streams, size_t per_message) {
  std::vector<std::string> messages;
  for (size_t begin = 0; begin < streams.size(); begin += per_message) {
    const size_t end = std::min(streams.size(), begin + per_message);
    messages.push_back("{\"method\":\"SUBSCRIBE\",\"params\":[\"" + joined(streams, begin, end, "\",\"") +
                       "\"],\"id\":" + std::to_string(messages.size() + 1) + "}");
  }
  return messages;
}

std::string connect_url(const Url& endpoint, const std::string& streams, bool microseconds) {
  std::string url = endpoint.origin() + (endpoint.target == "/" ? "" : endpoint.target) + "/stream";
  std::string query = streams.empty() ? "" : "streams=" + streams;
  if (microseconds) query += (query.empty() ? "" : "&") + std::string("timeUnit=MICROSECOND");
  return query.empty() ? url : url + "?" + query;
}

struct FeedMetrics {
  Gauge& connection_status = metrics().gauge("k2_binance_connection_status", "1: connected to Binance and subscribed; 0: not.");
  Counter& messages = metrics().counter("k2_binance_messages_received_total", "WebSocket messages received from Binance.");
  Counter& reconnects = metrics().counter("k2_binance_reconnects_total", "Connections to Binance made after the first.");
  Counter& bytes = metrics().counter("k2_feed_received_bytes_total", "Bytes of messages received by feeds.", {{"exchange", "binance"}});
  Gauge& last_frame =
      metrics().gauge("k2_feed_last_frame_timestamp_seconds", "When the last message came, Unix time.", {{"exchange", "binance"}});

  Counter& errors(std::string_view reason) {
    return metrics().counter("k2_binance_errors_total", "Connections to Binance that failed or were lost.",
                             {{"reason", std::string(reason)}});
  }
};

FeedMetrics& feed_metrics() {
  static FeedMetrics* all = [] {
    auto* made = new FeedMetrics;
    for (const auto reason : {WsEnd::Reason::kClosedByServer, WsEnd::Reason::kConnectFailed, WsEnd::Reason::kProtocol,
                              WsEnd::Reason::kNetwork, WsEnd::Reason::kIdle, WsEnd::Reason::kWriteStall})
      made->errors(ws_end_name(reason));
    made->errors("stale");
    return made;
  }();
  return *all;
}

uint64_t next_connection_id() {
  static std::atomic<uint64_t> last = 0;
  return ++last;
}

int64_t monotonic_us() { return system_clock().monotonic_ns() / 1000; }

}  // namespace

Result<std::vector<std::string>> binance_streams(const BinanceFeedOptions& options) {
  std::vector<std::string> streams;
  for (const std::string& symbol : options.symbols)
    for (const std::string& channel : options.channels) {
      if (!is_name(symbol) || channel.empty() || !is_name(channel.substr(0, channel.find('@'))))
        return make_error(ErrorKind::kInvalidInput,
                          "Binance stream: \"" + symbol + "\" with channel \"" + channel + "\" is no stream name");
      streams.push_back(lowercase(symbol) + "@" + channel);
    }
  if (streams.empty()) return make_error(ErrorKind::kInvalidInput, "Binance feed: no symbol or no channel");
  if (streams.size() > options.streams_max)
    return make_error(ErrorKind::kInvalidInput, "Binance feed: " + std::to_string(streams.size()) + " streams, more than the " +
                                                    std::to_string(options.streams_max) + " that a connection may have");
  return streams;
}

Result<BinanceConnectPlan> plan_binance_connection(const BinanceFeedOptions& options) {
  K2_TRY(const std::vector<std::string> streams, binance_streams(options));
  BinanceConnectPlan plan;
  std::string in_url;
  if (streams.size() <= options.streams_in_url_max) {
    std::vector<std::string> encoded;
    for (const std::string& stream : streams) encoded.push_back(percent_encode(stream, "@"));
    in_url = joined(encoded, 0, encoded.size(), "/");
  } else {
    plan.subscribe_messages = subscribe_messages(streams, std::max<size_t>(1, options.streams_per_message));
  }
  for (const std::string& endpoint : options.endpoints) {
    K2_TRY(const Url url, parse_url(endpoint));
    if (url.scheme != "ws" && url.scheme != "wss")
      return make_error(ErrorKind::kInvalidInput, "Binance endpoint \"" + endpoint + "\": want ws:// or wss://");
    plan.urls.push_back(connect_url(url, in_url, options.microseconds && knows_microseconds(url)));
  }
  if (plan.urls.empty()) return make_error(ErrorKind::kInvalidInput, "Binance feed: no endpoint");
  return plan;
}

// --- BinanceFeed ------------------------------------------------------------------------------------------------------

struct BinanceFeed::Impl {
  /// One connection: hands frames to the sink and tells the session thread what happens to it.
  class Line final : public WsClientHandler {
   public:
    Line(Impl& feed, std::string url) : feed_(feed), url_(std::move(url)), id_(next_connection_id()) {}

    void on_open() override {
      is_open_ = true;
      feed_.sink.on_connected(id_, url_);
      feed_.tell([](Impl& feed) { feed.events.push_back({true, {}}); });
    }
    void on_message(std::string_view bytes, bool is_text, TimestampUs received) override {
      feed_.messages.fetch_add(1, std::memory_order_relaxed);
      FeedMetrics& all = feed_metrics();
      all.messages.add();
      all.bytes.add(bytes.size());
      all.last_frame.set(static_cast<double>(received.us) * 1e-6);
      feed_.sink.on_frame({id_, url_, bytes, is_text, received});
    }
    void on_end(const WsEnd& end) override {
      if (is_open_) feed_.sink.on_disconnected(id_, end.text);
      feed_.tell([&](Impl& feed) { feed.events.push_back({false, end}); });
    }

   private:
    Impl& feed_;
    std::string url_;
    uint64_t id_;
    bool is_open_ = false;
  };

  struct Event {
    bool is_open = false;
    WsEnd end;
  };

  Impl(const BinanceFeedOptions& o, BinanceConnectPlan p, FrameSink& s)
      : options(o),
        plan(std::move(p)),
        sink(s),
        session(o.session, plan.urls.size(), plan.subscribe_messages, o.seed != 0 ? o.seed : std::random_device{}()) {}

  template <class Change>
  void tell(Change change) {
    const std::lock_guard lock(mutex);
    change(*this);
    changed.notify_all();
  }

  void run(const std::stop_token& stop);
  void take_events(int64_t now_us);
  void note_end(const WsEnd& end);
  void publish();
  void carry_out(const SessionAction& action);

  BinanceFeedOptions options;
  BinanceConnectPlan plan;
  FrameSink& sink;
  Session session;  // of the session's thread

  // Of the session's thread; the client goes before the line that it calls.
  std::unique_ptr<Line> line;
  std::unique_ptr<WsClient> client;
  uint64_t bytes_seen = 0;
  uint64_t reconnects_seen = 0;
  std::string drop_reason;

  std::atomic<uint64_t> messages = 0;
  mutable std::mutex mutex;
  std::condition_variable_any changed;
  std::deque<Event> events;
  BinanceFeedStatus shown;
  std::jthread thread;
};

void BinanceFeed::Impl::note_end(const WsEnd& end) {
  // We drop a connection because it fell silent or because it never opened.
  const std::string_view reason = drop_reason.empty()      ? ws_end_name(end.reason)
                                  : drop_reason == "stale" ? "stale"
                                                           : ws_end_name(WsEnd::Reason::kConnectFailed);
  if (session.state() == SessionState::kStopped) return;
  feed_metrics().errors(reason).add();
  ++shown.errors;
  shown.last_error = drop_reason.empty() ? end.text : drop_reason;
  log_warning("feed_disconnected",
              {{"url", plan.urls[session.endpoint()]}, {"reason", reason}, {"code", end.code}, {"text", shown.last_error}});
}

// With the mutex held.
void BinanceFeed::Impl::take_events(int64_t now_us) {
  while (!events.empty()) {
    const Event event = std::move(events.front());
    events.pop_front();
    if (event.is_open) {
      log_info("feed_connected", {{"url", plan.urls[session.endpoint()]}});
      session.opened(now_us);
      continue;
    }
    note_end(event.end);
    session.ended(now_us);
    drop_reason.clear();
    if (session.state() == SessionState::kExhausted)
      log_error("feed_exhausted", {{"endpoints", plan.urls.size()}, {"last_error", shown.last_error}});
  }
}

// With the mutex held.
void BinanceFeed::Impl::publish() {
  shown.state = session.state();
  shown.connected = session.is_live();  // ending a stale connection takes as long as the sink holds its thread
  shown.endpoint = plan.urls[session.endpoint()];
  shown.attempts = session.attempts();
  shown.reconnects = session.counts().reconnects;
  FeedMetrics& all = feed_metrics();
  all.connection_status.set(shown.connected ? 1 : 0);
  all.reconnects.add(shown.reconnects - reconnects_seen);
  reconnects_seen = shown.reconnects;
}

// Without the mutex: a client's end waits for its thread, which may be in the sink.
void BinanceFeed::Impl::carry_out(const SessionAction& action) {
  if (const auto* connect = std::get_if<SessionConnect>(&action)) {
    client = nullptr;
    line = std::make_unique<Line>(*this, plan.urls[connect->endpoint]);
    bytes_seen = 0;
    WsClientOptions ws;
    ws.url = plan.urls[connect->endpoint];
    ws.trust = options.trust;
    ws.connect_timeout_us = options.session.connect_timeout_us;
    ws.message_bytes_max = options.frame_bytes_max;
    client = std::make_unique<WsClient>(std::move(ws), *line);
    return;
  }
  if (const auto* send = std::get_if<SessionSend>(&action)) {
    // A connection that has just ended tells so itself.
    if (const Status sent = client->send_text(send->text); !sent) log_warning("feed_subscribe_failed", {{"why", sent.error().message}});
    return;
  }
  if (const auto* drop = std::get_if<SessionDrop>(&action)) {
    drop_reason = drop->reason;
    client = nullptr;  // its last call has put the end into `events`
  }
}

void BinanceFeed::Impl::run(const std::stop_token& stop) {
  constexpr int64_t kLookUs = 500'000;  // how often is looked whether bytes have come
  for (;;) {
    SessionAction action;
    {
      std::unique_lock lock(mutex);
      const int64_t now_us = monotonic_us();
      if (stop.stop_requested()) session.stop();
      take_events(now_us);
      if (client && client->bytes_received() != bytes_seen) {
        bytes_seen = client->bytes_received();
        session.received(now_us);
      }
      action = session.next(now_us);
      publish();
      if (const auto* wait = std::get_if<SessionWait>(&action)) {
        if (stop.stop_requested()) return;
        const int64_t wait_us = std::clamp<int64_t>(wait->until_us - now_us, 0, kLookUs);
        changed.wait_for(lock, stop, std::chrono::microseconds(wait_us), [this] { return !events.empty(); });
        continue;
      }
    }
    carry_out(action);
  }
}

BinanceFeed::BinanceFeed(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<BinanceFeed>> BinanceFeed::start(const BinanceFeedOptions& options, FrameSink& sink) {
  K2_TRY(BinanceConnectPlan plan, plan_binance_connection(options));
  auto impl = std::make_unique<Impl>(options, std::move(plan), sink);
  impl->thread = std::jthread([raw = impl.get()](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "k2-feed");
    raw->run(stop);
  });
  return std::unique_ptr<BinanceFeed>(new BinanceFeed(std::move(impl)));
}

BinanceFeed::~BinanceFeed() { stop(); }

void BinanceFeed::stop() {
  if (!impl_->thread.joinable()) return;
  impl_->thread.request_stop();
  impl_->thread.join();
  impl_->client = nullptr;
  feed_metrics().connection_status.set(0);
}

BinanceFeedStatus BinanceFeed::status() const {
  const std::lock_guard lock(impl_->mutex);
  BinanceFeedStatus out = impl_->shown;
  out.messages = impl_->messages.load(std::memory_order_relaxed);
  return out;
}

}  // namespace k2
