#include "feed/binance_feed.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <unordered_map>

#include "base/assert.h"
#include "base/logging.h"
#include "base/metrics.h"
#include "base/time.h"
#include "feed/binance_plan.h"
#include "net/ws_client.h"

namespace k2 {

namespace {

constexpr int64_t kLookUs = 500'000;                 // how often is looked whether bytes have come
constexpr int64_t kCloseTimeoutUs = 1'000'000;       // for the venue's close frame
constexpr int64_t kRefusedHoldUs = 300'000'000;      // after 429 and 418; the venue's own time does not come with an upgrade's refusal
constexpr std::array kStates = {SessionState::kBackingOff, SessionState::kConnecting, SessionState::kSubscribing,
                                SessionState::kLive,       SessionState::kExhausted,  SessionState::kStopped};

struct FeedMetrics {
  Gauge& connection_status =
      metrics().gauge("k2_binance_connection_status", "1: connected to Binance and subscribed, with all symbols; 0: not.");
  Counter& messages = metrics().counter("k2_binance_messages_received_total", "WebSocket messages received from Binance.");
  Counter& reconnects = metrics().counter("k2_binance_reconnects_total", "Connections to Binance made after the first.");
  Counter& bytes = metrics().counter("k2_feed_received_bytes_total", "Bytes of messages received by feeds.", {{"exchange", "binance"}});
  Gauge& last_frame =
      metrics().gauge("k2_feed_last_frame_timestamp_seconds", "When the last message came, Unix time.", {{"exchange", "binance"}});
  Counter& failovers = metrics().counter("k2_feed_failovers_total", "Moves of a line to its next endpoint.");
  Gauge& on_fallback = metrics().gauge("k2_feed_shards_on_fallback", "Groups of streams whose line is at another endpoint than the first.");
  Counter& stale = metrics().counter("k2_feed_stale_total", "Lines on which nothing came, or a stream fell silent far beyond its custom.");

  Counter& errors(std::string_view reason) {
    return metrics().counter("k2_binance_errors_total", "Connections to Binance that failed or were lost.",
                             {{"reason", std::string(reason)}});
  }
  Gauge& lines(SessionState state) {
    return metrics().gauge("k2_feed_lines", "Lines to venues by what they are at.", {{"state", std::string(session_state_name(state))}});
  }
  Counter& replacements(ReplaceReason reason) {
    return metrics().counter("k2_feed_replacements_total", "Lines replaced by a successor.",
                             {{"reason", std::string(replace_reason_name(reason))}});
  }
};

FeedMetrics& feed_metrics() {
  static FeedMetrics* all = [] {
    auto* made = new FeedMetrics;
    for (const auto reason : {WsEnd::Reason::kClosedByServer, WsEnd::Reason::kConnectFailed, WsEnd::Reason::kProtocol,
                              WsEnd::Reason::kNetwork, WsEnd::Reason::kIdle, WsEnd::Reason::kWriteStall})
      made->errors(ws_end_name(reason));
    made->errors("stale");
    for (const SessionState state : kStates) made->lines(state);
    for (const auto reason : {ReplaceReason::kShutdown, ReplaceReason::kAge, ReplaceReason::kQuiet, ReplaceReason::kFailback})
      made->replacements(reason);
    return made;
  }();
  return *all;
}

uint64_t next_connection_id() {
  static std::atomic<uint64_t> last = 0;
  return ++last;
}

// The stream that a combined message names, {"stream":"btcusdt@trade",...; empty for any other message. Does not parse.
std::string_view stream_name(std::string_view message) {
  constexpr std::string_view kBegin = "{\"stream\":\"";
  if (!message.starts_with(kBegin)) return {};
  message.remove_prefix(kBegin.size());
  return message.substr(0, std::min(message.find('"'), message.size()));
}

// As the venue documents it: raw, and on combined streams.
bool announces_shutdown(std::string_view message, std::string_view stream) {
  return stream == "!serverShutdown" || message.starts_with("{\"e\":\"serverShutdown\"");
}

}  // namespace

// --- BinanceFeed ------------------------------------------------------------------------------------------------------

struct BinanceFeed::Impl {
  class Line;

  struct Shard {
    Shard(BinanceShard p, const BinanceFeedOptions& options, uint64_t seed, ConnectBudget& budget);

    const BinanceShard plan;
    std::unordered_map<std::string_view, size_t> stream_index;  // by the plan's names
    LineGroup group;                                            // this and what follows is the feed's thread's
    std::map<LineId, std::unique_ptr<Line>> lines;
    bool has_tried_all = false;  // all endpoints in vain, since it was last live
  };

  /// What a connection's thread tells the feed's.
  struct News {
    enum class Kind { kOpened, kShutdown, kEnded };
    Kind kind = Kind::kOpened;
    size_t shard = 0;
    LineId line = 0;
    WsEnd end;
  };

  Impl(const BinanceFeedOptions& o, std::vector<BinanceShard> plans, FrameSink& s);

  void tell(News news);
  void run(const std::stop_token& stop);
  void take_news(int64_t now_us);
  void take_end(Shard& shard, const News& news, int64_t now_us);
  void look(int64_t now_us);
  int64_t advance(int64_t now_us);
  void carry_out(size_t shard, const LineAction& todo);
  void take_line_events(Shard& shard);
  void note(Shard& shard, const LineEvent& event);
  void note_live(Shard& shard, const LineEvent& event);
  void publish();
  void wait(int64_t now_us, int64_t until_us, const std::stop_token& stop);
  bool is_over() const;

  const BinanceFeedOptions options;
  FrameSink& sink;

  // Of the feed's thread.
  ConnectBudget budget;
  std::vector<std::unique_ptr<Shard>> shards;
  bool is_stopping = false;
  bool has_told_exhausted = false;
  uint64_t reconnects_seen = 0;
  uint64_t errors = 0;
  uint64_t replacements = 0;
  std::string last_error;

  std::atomic<uint64_t> messages = 0;
  mutable std::mutex mutex;
  std::condition_variable_any changed;
  std::vector<News> news;  // at most three a connection
  BinanceFeedStatus shown;
  std::jthread thread;
};

// One connection: hands messages to the sink and tells the feed's thread what happens to it.
class BinanceFeed::Impl::Line final : public WsClientHandler {
 public:
  Line(Impl& feed, size_t shard, LineId line, size_t endpoint)
      : feed_(feed),
        shard_(*feed.shards[shard]),
        where_{.shard = shard, .line = line},
        url_(shard_.plan.urls[endpoint]),
        counts_(shard_.plan.streams.size()),
        counts_looked_at_(shard_.plan.streams.size(), 0) {
    WsClientOptions ws;
    ws.url = url_;
    ws.trust = feed.options.trust;
    ws.connect_timeout_us = feed.options.session.connect_timeout_us;
    ws.close_timeout_us = kCloseTimeoutUs;
    ws.message_bytes_max = feed.options.frame_bytes_max;
    client_ = std::make_unique<WsClient>(std::move(ws), *this);
  }

  // From the connection's thread.
  void on_open() override {
    is_open_ = true;
    feed_.sink.on_connected(connection_id_, url_);
    tell(News::Kind::kOpened);
  }
  void on_message(std::string_view bytes, bool is_text, TimestampUs received) override {
    feed_.messages.fetch_add(1, std::memory_order_relaxed);
    FeedMetrics& all = feed_metrics();
    all.messages.add();
    all.bytes.add(bytes.size());
    all.last_frame.set(static_cast<double>(received.us) * 1e-6);
    note_stream(bytes);
    feed_.sink.on_frame({connection_id_, url_, bytes, is_text, received});
  }
  void on_end(const WsEnd& end) override {
    if (is_open_) feed_.sink.on_disconnected(connection_id_, end.text);
    tell(News::Kind::kEnded, end);
  }

  // From the feed's thread.
  [[nodiscard]] WsClient& client() { return *client_; }
  [[nodiscard]] const std::string& url() const { return url_; }
  [[nodiscard]] uint64_t connection_id() const { return connection_id_; }
  /// Tells the group which streams have spoken since the last call, and whether any byte has come.
  void look(LineGroup& group, int64_t now_us) {
    if (const uint64_t bytes = client_->bytes_received(); bytes != bytes_looked_at_) {
      bytes_looked_at_ = bytes;
      group.received(where_.line, now_us);
    }
    for (size_t i = 0; i < counts_.size(); ++i) {
      const uint32_t count = counts_[i].load(std::memory_order_relaxed);
      if (count == counts_looked_at_[i]) continue;
      counts_looked_at_[i] = count;
      group.seen(where_.line, i, now_us);
    }
  }

  std::string drop_reason;  // why we end it; empty: we do not
  bool is_dropped_in_order = false;

 private:
  void tell(News::Kind kind, const WsEnd& end = {}) {
    News news = where_;
    news.kind = kind;
    news.end = end;
    feed_.tell(std::move(news));
  }

  void note_stream(std::string_view message) {
    const std::string_view name = stream_name(message);
    if (const auto known = shard_.stream_index.find(name); known != shard_.stream_index.end()) {
      std::atomic<uint32_t>& count = counts_[known->second];  // this thread alone writes it
      count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    } else if (!has_announced_shutdown_ && announces_shutdown(message, name)) {
      has_announced_shutdown_ = true;
      tell(News::Kind::kShutdown);
    }
  }

  Impl& feed_;
  const Shard& shard_;
  const News where_;
  const std::string url_;
  const uint64_t connection_id_ = next_connection_id();
  bool is_open_ = false;
  bool has_announced_shutdown_ = false;
  std::vector<std::atomic<uint32_t>> counts_;  // messages by stream
  std::vector<uint32_t> counts_looked_at_;
  uint64_t bytes_looked_at_ = 0;
  std::unique_ptr<WsClient> client_;  // goes first: its thread uses the rest
};

namespace {

LineGroupPolicy group_policy(const BinanceFeedOptions& options) {
  LineGroupPolicy policy = options.lines;
  policy.session = options.session;
  return policy;
}

}  // namespace

BinanceFeed::Impl::Shard::Shard(BinanceShard p, const BinanceFeedOptions& options, uint64_t seed, ConnectBudget& budget)
    : plan(std::move(p)), group(group_policy(options), plan.urls.size(), plan.subscribe_messages, plan.streams.size(), seed, budget) {
  for (size_t i = 0; i < plan.streams.size(); ++i) stream_index.emplace(plan.streams[i], i);
}

BinanceFeed::Impl::Impl(const BinanceFeedOptions& o, std::vector<BinanceShard> plans, FrameSink& s)
    : options(o), sink(s), budget(o.budget) {
  Jitter seeds(o.seed != 0 ? o.seed : std::random_device{}());
  for (BinanceShard& plan : plans) shards.push_back(std::make_unique<Shard>(std::move(plan), options, seeds.bits(), budget));
}

void BinanceFeed::Impl::tell(News what) {
  const std::lock_guard lock(mutex);
  news.push_back(std::move(what));
  changed.notify_all();
}

// --- What happened. ------------------------------------------------------------------------------------------------------

void BinanceFeed::Impl::take_news(int64_t now_us) {
  std::vector<News> taken;
  {
    const std::lock_guard lock(mutex);
    taken.swap(news);
  }
  for (const News& each : taken) {
    Shard& shard = *shards[each.shard];
    switch (each.kind) {
      case News::Kind::kOpened:
        log_info("feed_connected", {{"url", shard.lines.at(each.line)->url()}});
        shard.group.opened(each.line, now_us);
        break;
      case News::Kind::kShutdown: shard.group.shutdown_announced(each.line); break;
      case News::Kind::kEnded: take_end(shard, each, now_us); break;
    }
  }
}

void BinanceFeed::Impl::take_end(Shard& shard, const News& ended, int64_t now_us) {
  const auto line = shard.lines.find(ended.line);
  K2_ASSERT(line != shard.lines.end());
  const std::string why = line->second->drop_reason;
  if (!line->second->is_dropped_in_order && !is_stopping) {
    // We drop a connection because it fell silent or because it never opened.
    const std::string_view reason = why.empty()      ? ws_end_name(ended.end.reason)
                                    : why == "stale" ? "stale"
                                                     : ws_end_name(WsEnd::Reason::kConnectFailed);
    feed_metrics().errors(reason).add();
    ++errors;
    last_error = why.empty() ? ended.end.text : why;
    log_warning("feed_disconnected", {{"url", line->second->url()}, {"reason", reason}, {"code", ended.end.code}, {"text", last_error}});
  }
  shard.lines.erase(line);
  const bool is_refused = ended.end.http_status == 429 || ended.end.http_status == 418;
  shard.group.ended(ended.line, now_us, is_refused ? kRefusedHoldUs : 0);
}

void BinanceFeed::Impl::look(int64_t now_us) {
  for (const auto& shard : shards)
    for (const auto& [id, line] : shard->lines) line->look(shard->group, now_us);
}

void BinanceFeed::Impl::take_line_events(Shard& shard) {
  for (const LineEvent& event : shard.group.take_events()) note(shard, event);
}

void BinanceFeed::Impl::note(Shard& shard, const LineEvent& event) {
  FeedMetrics& all = feed_metrics();
  const std::string& url = shard.plan.urls[event.endpoint];
  switch (event.kind) {
    case LineEvent::Kind::kLive: return note_live(shard, event);
    case LineEvent::Kind::kStale: return all.stale.add();
    case LineEvent::Kind::kReplacing:
      if (event.reason == ReplaceReason::kQuiet) all.stale.add();
      return log_info("feed_line_replacing", {{"reason", replace_reason_name(event.reason)}, {"url", url}});
    case LineEvent::Kind::kReplaced:
      ++replacements;
      all.replacements(event.reason).add();
      return log_info("feed_line_replaced", {{"reason", replace_reason_name(event.reason)}, {"url", url}});
    case LineEvent::Kind::kFailedOver:
      all.failovers.add();
      return log_warning("feed_failed_over", {{"to", url}, {"last_error", last_error}});
    case LineEvent::Kind::kRoundFailed:
      shard.has_tried_all = !shard.group.is_live();
      return log_error("feed_all_endpoints_failed", {{"endpoints", shard.plan.urls.size()}, {"last_error", last_error}});
    case LineEvent::Kind::kExhausted: {
      log_error("feed_exhausted", {{"endpoints", shard.plan.urls.size()}, {"last_error", last_error}});
      if (!std::exchange(has_told_exhausted, true) && options.on_exhausted)
        options.on_exhausted("Binance: none of " + std::to_string(shard.plan.urls.size()) +
                             " endpoints could be kept; last: " + last_error);
      return;
    }
  }
}

void BinanceFeed::Impl::note_live(Shard& shard, const LineEvent& event) {
  shard.has_tried_all = false;
  const auto line = shard.lines.find(event.line);
  if (line == shard.lines.end()) return;
  log_info("feed_live", {{"url", line->second->url()}, {"symbols", shard.plan.symbols.size()}});
  if (options.on_live) options.on_live({line->second->url(), line->second->connection_id(), shard.plan.symbols, event.is_covered});
}

// --- What to do. ---------------------------------------------------------------------------------------------------------

int64_t BinanceFeed::Impl::advance(int64_t now_us) {
  int64_t until_us = INT64_MAX;
  for (size_t i = 0; i < shards.size(); ++i) {
    for (;;) {
      const LineAction todo = shards[i]->group.next(now_us);
      take_line_events(*shards[i]);
      if (const auto* wait = std::get_if<SessionWait>(&todo.action)) {
        until_us = std::min(until_us, wait->until_us);
        break;
      }
      carry_out(i, todo);
    }
  }
  return until_us;
}

// Nothing here waits: a connection's end is told by its own thread.
void BinanceFeed::Impl::carry_out(size_t shard, const LineAction& todo) {
  auto& lines = shards[shard]->lines;
  if (const auto* connect = std::get_if<SessionConnect>(&todo.action)) {
    const bool is_new = lines.emplace(todo.line, std::make_unique<Line>(*this, shard, todo.line, connect->endpoint)).second;
    K2_ASSERT(is_new);
    return;
  }
  Line& line = *lines.at(todo.line);
  if (const auto* drop = std::get_if<SessionDrop>(&todo.action)) {
    line.drop_reason = drop->reason;
    line.is_dropped_in_order = drop->is_orderly;
    if (drop->is_orderly) line.client().close();
    else line.client().abort();
    return;
  }
  const auto* send = std::get_if<SessionSend>(&todo.action);
  // A connection that has just ended tells so itself.
  if (const Status sent = send != nullptr ? line.client().send_text(send->text) : line.client().send_ping(); !sent)
    log_warning("feed_send_failed", {{"why", sent.error().message}});
}

void BinanceFeed::Impl::publish() {
  BinanceFeedStatus now;
  now.state = SessionState::kLive;
  now.shards = shards.size();
  now.endpoint = shards.front()->plan.urls[shards.front()->group.line(0).endpoint()];
  std::map<SessionState, size_t> states;
  size_t on_fallback = 0;
  for (const auto& shard : shards) {
    const LineGroup& group = shard->group;
    on_fallback += group.line(0).endpoint() != 0 ? 1 : 0;
    for (const SessionState state : group.states()) ++states[state];
    now.lines += group.slots();
    now.is_exhausted = now.is_exhausted || group.is_exhausted();
    now.has_tried_all = now.has_tried_all || shard->has_tried_all;
    now.reconnects += group.counts().reconnects;
    now.failovers += group.counts().failovers;
    if (group.is_live() || now.state != SessionState::kLive) continue;
    now.state = group.states().front();
    now.attempts = group.line(0).attempts();
    now.endpoint = shard->plan.urls[group.line(0).endpoint()];
  }
  now.connected = now.state == SessionState::kLive;
  now.lines_live = states[SessionState::kLive];
  now.errors = errors;
  now.replacements = replacements;
  now.last_error = last_error;
  FeedMetrics& all = feed_metrics();
  all.connection_status.set(now.connected ? 1 : 0);
  all.on_fallback.set(static_cast<double>(on_fallback));
  for (const SessionState state : kStates) all.lines(state).set(static_cast<double>(states[state]));
  all.reconnects.add(now.reconnects - reconnects_seen);
  reconnects_seen = now.reconnects;
  const std::lock_guard lock(mutex);
  shown = std::move(now);
}

void BinanceFeed::Impl::wait(int64_t now_us, int64_t until_us, const std::stop_token& stop) {
  const auto time = std::chrono::microseconds(std::clamp<int64_t>(until_us - now_us, 0, kLookUs));
  const auto has_news = [this] { return !news.empty(); };
  std::unique_lock lock(mutex);
  if (is_stopping) changed.wait_for(lock, time, has_news);
  else changed.wait_for(lock, stop, time, has_news);
}

bool BinanceFeed::Impl::is_over() const {
  return std::ranges::all_of(shards, [](const auto& shard) { return shard->lines.empty(); });
}

void BinanceFeed::Impl::run(const std::stop_token& stop) {
  for (;;) {
    if (stop.stop_requested() && !is_stopping) {
      is_stopping = true;
      for (const auto& shard : shards) shard->group.stop();
    }
    const int64_t now_us = system_clock().monotonic_us();
    take_news(now_us);
    look(now_us);
    const int64_t until_us = advance(now_us);
    publish();
    if (is_stopping && is_over()) return;
    wait(now_us, until_us, stop);
  }
}

BinanceFeed::BinanceFeed(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<BinanceFeed>> BinanceFeed::start(const BinanceFeedOptions& options, FrameSink& sink) {
  K2_TRY(std::vector<BinanceShard> shards, plan_binance_shards(options));
  auto impl = std::make_unique<Impl>(options, std::move(shards), sink);
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
  feed_metrics().connection_status.set(0);
  for (const SessionState state : kStates) feed_metrics().lines(state).set(0);
}

BinanceFeedStatus BinanceFeed::status() const {
  const std::lock_guard lock(impl_->mutex);
  BinanceFeedStatus out = impl_->shown;
  out.messages = impl_->messages.load(std::memory_order_relaxed);
  return out;
}

}  // namespace k2
