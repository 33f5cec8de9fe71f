#include "feed/binance_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/metrics.h"
#include "feed/binance_rest.h"
#include "net/http_server.h"

namespace k2 {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(BinanceFeed, FewStreamsGoIntoTheUrl) {
  BinanceFeedOptions options;
  options.endpoints = {"wss://stream.binance.com:9443", "wss://stream.binance.us:9443"};
  const BinanceConnectPlan plan = plan_binance_connection(options).value();
  EXPECT_THAT(plan.urls, ElementsAre("wss://stream.binance.com:9443/stream?streams=btcusdt@trade/ethusdt@trade&timeUnit=MICROSECOND",
                                     "wss://stream.binance.us:9443/stream?streams=btcusdt@trade/ethusdt@trade"));
  EXPECT_TRUE(plan.subscribe_messages.empty());
}

TEST(BinanceFeed, ManyStreamsAreSubscribedToInMessages) {
  BinanceFeedOptions options;
  options.symbols = {"A", "B", "C"};
  options.endpoints = {"ws://a:1"};
  options.streams_in_url_max = 2;
  options.streams_per_message = 2;
  const BinanceConnectPlan plan = plan_binance_connection(options).value();
  EXPECT_THAT(plan.urls, ElementsAre("ws://a:1/stream?timeUnit=MICROSECOND"));
  EXPECT_THAT(plan.subscribe_messages, ElementsAre(R"({"method":"SUBSCRIBE","params":["a@trade","b@trade"],"id":1})",
                                                   R"({"method":"SUBSCRIBE","params":["c@trade"],"id":2})"));
}

TEST(BinanceFeed, SymbolsOutsideAsciiArePercentEncodedAndOddOnesRefused) {
  BinanceFeedOptions options;
  options.symbols = {"１２３４５６"};
  options.endpoints = {"ws://a:1"};
  options.microseconds = false;
  EXPECT_EQ(plan_binance_connection(options).value().urls.front(),
            "ws://a:1/stream?streams=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96@trade");
  for (const char* symbol : {"", "a/b", "a b", "a\"b", "a@b"}) {
    options.symbols = {symbol};
    EXPECT_EQ(plan_binance_connection(options).error().kind, ErrorKind::kInvalidInput) << symbol;
  }
  options.symbols = std::vector<std::string>(1025, "A");
  EXPECT_EQ(plan_binance_connection(options).error().kind, ErrorKind::kInvalidInput);
  EXPECT_EQ(plan_binance_connection({.endpoints = {"https://a"}}).error().kind, ErrorKind::kInvalidInput);
  EXPECT_EQ(plan_binance_connection({.endpoints = {}}).error().kind, ErrorKind::kInvalidInput);
}

// A venue that sends what it is told to whoever comes, and remembers what it was sent.
class FakeVenue : public HttpHandler {
 public:
  struct Session : WsSessionHandler {
    explicit Session(FakeVenue& v) : venue(v) {}
    void on_open(std::shared_ptr<WsSession> opened) override {
      const std::lock_guard lock(venue.mutex);
      session = std::move(opened);
      venue.session = session;
      if (!venue.greeting.empty()) session->send_text(venue.greeting);
      ++venue.opened;
      venue.changed.notify_all();
    }
    void on_message(std::string_view bytes, bool) override {
      const std::lock_guard lock(venue.mutex);
      venue.received.emplace_back(bytes);
      venue.changed.notify_all();
    }
    void on_close(uint16_t, std::string_view) override {}
    FakeVenue& venue;
    std::shared_ptr<WsSession> session;
  };

  HttpReply handle(HttpRequest request) override {
    const std::lock_guard lock(mutex);
    targets.push_back(request.target);
    if (rest) return rest(request);
    if (refuses) return HttpResponse{.status = 503};
    return WsUpgrade{.handler = std::make_shared<Session>(*this)};
  }
  bool wait(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 5s, condition);
  }
  std::string ws_url() const { return "ws" + server->url().substr(4); }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> targets;
  std::vector<std::string> received;
  std::string greeting;
  bool refuses = false;
  int opened = 0;
  std::shared_ptr<WsSession> session;
  std::function<HttpResponse(const HttpRequest&)> rest;
  std::unique_ptr<HttpServer> server = HttpServer::start({}, *this).value();
};

class Collector : public FrameSink {
 public:
  void on_frame(const RawFrame& frame) override { note(std::to_string(frame.connection_id - first_id_) + ":" + std::string(frame.bytes)); }
  void on_connected(uint64_t id, std::string_view) override {
    if (first_id_ == 0) first_id_ = id;
    note(std::to_string(id - first_id_) + ":up");
  }
  void on_disconnected(uint64_t id, std::string_view) override { note(std::to_string(id - first_id_) + ":down"); }
  bool wait_for(const std::string& what) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 5s, [&] { return std::find(notes.begin(), notes.end(), what) != notes.end(); });
  }

  std::vector<std::string> notes;

 private:
  void note(std::string what) {
    const std::lock_guard lock(mutex_);
    notes.push_back(std::move(what));
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t first_id_ = 0;
};

BinanceFeedOptions quick(std::vector<std::string> endpoints) {
  BinanceFeedOptions options;
  options.endpoints = std::move(endpoints);
  options.session.backoff_first_us = 10'000;
  options.session.backoff_max_us = 20'000;
  options.session.send_interval_us = 1000;
  return options;
}

TEST(BinanceFeed, HandsFramesOverAndReconnectsAfterACut) {
  FakeVenue venue;
  venue.greeting = "hello";
  Collector sink;
  const uint64_t reconnects_before = metrics().counter("k2_binance_reconnects_total", "").value();
  auto feed = BinanceFeed::start(quick({venue.ws_url()}), sink).value();
  ASSERT_TRUE(sink.wait_for("0:hello"));
  EXPECT_TRUE(venue.wait([&] { return venue.opened == 1; }));
  venue.session->abort();
  ASSERT_TRUE(sink.wait_for("1:hello"));
  for (int i = 0; i < 500 && feed->status().reconnects == 0; ++i) std::this_thread::sleep_for(10ms);  // the sink is told first
  const BinanceFeedStatus status = feed->status();
  EXPECT_EQ(status.messages, 2u);
  EXPECT_EQ(status.errors, 1u);
  feed->stop();
  EXPECT_THAT(sink.notes, ElementsAre("0:up", "0:hello", "0:down", "1:up", "1:hello", "1:down"));
  EXPECT_EQ(metrics().counter("k2_binance_reconnects_total", "").value(), reconnects_before + 1);
  EXPECT_EQ(metrics().gauge("k2_binance_connection_status", "").value(), 0);
}

TEST(BinanceFeed, SubscribesByMessageAgainAfterAReconnect) {
  FakeVenue venue;
  Collector sink;
  BinanceFeedOptions options = quick({venue.ws_url()});
  options.streams_in_url_max = 0;
  options.streams_per_message = 1;
  auto feed = BinanceFeed::start(options, sink).value();
  ASSERT_TRUE(venue.wait([&] { return venue.received.size() == 2; }));
  venue.session->close(1008, "again");
  ASSERT_TRUE(venue.wait([&] { return venue.received.size() == 4; }));
  EXPECT_EQ(venue.received[0], venue.received[2]);
  EXPECT_EQ(venue.received[1], venue.received[3]);
}

TEST(BinanceFeed, FailsOverWhereAnEndpointKeepsFailing) {
  FakeVenue primary;
  FakeVenue fallback;
  primary.refuses = true;
  fallback.greeting = "from the fallback";
  Collector sink;
  BinanceFeedOptions options = quick({primary.ws_url(), fallback.ws_url()});
  options.session.attempts_max = 3;
  auto feed = BinanceFeed::start(options, sink).value();
  ASSERT_TRUE(sink.wait_for("0:from the fallback"));
  EXPECT_EQ(primary.targets.size(), 3u);
  EXPECT_THAT(feed->status().endpoint, HasSubstr(fallback.ws_url()));
}

TEST(BinanceFeed, ReplacesASilentConnection) {
  FakeVenue venue;
  Collector sink;
  BinanceFeedOptions options = quick({venue.ws_url()});
  options.session.stale_after_us = 100'000;
  auto feed = BinanceFeed::start(options, sink).value();
  EXPECT_TRUE(sink.wait_for("1:up"));
  EXPECT_EQ(feed->status().last_error, "stale");
}

TEST(BinanceFeed, StopsAtOnceWhileNobodyAnswers) {
  Collector sink;
  auto feed = BinanceFeed::start(quick({"ws://127.0.0.1:1"}), sink).value();
  const auto started = std::chrono::steady_clock::now();
  feed->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - started, 2s);
  EXPECT_TRUE(sink.notes.empty());
}

TEST(BinanceRest, AsksAndHandsTheBodyOn) {
  FakeVenue venue;
  venue.rest = [](const HttpRequest& request) {
    EXPECT_EQ(request.headers.get("X-MBX-TIME-UNIT"), "MICROSECOND");
    return HttpResponse{.headers = {{"X-MBX-USED-WEIGHT-1M", "45"}}, .body = "[]"};
  };
  BinanceRest rest({.endpoints = {venue.server->url()}});
  const BinanceRestAnswer answer = rest.exchange_info({"BTCUSDT", "１"}).value();
  EXPECT_EQ(answer.body, "[]");
  EXPECT_EQ(answer.used_weight_minute, 45);
  EXPECT_TRUE(rest.historical_trades("BTCUSDT", 7, 10));
  EXPECT_TRUE(rest.agg_trades_between("BTCUSDT", 1, 2));
  EXPECT_THAT(venue.targets, ElementsAre("/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22%2C%22%EF%BC%91%22%5D",
                                         "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=7&limit=10",
                                         "/api/v3/aggTrades?symbol=BTCUSDT&startTime=1&endTime=2&limit=1000"));
}

TEST(BinanceRest, HonoursRateLimitsAndGoesToTheNextEndpoint) {
  FakeVenue busy;
  FakeVenue other;
  int asked = 0;
  busy.rest = [&](const HttpRequest&) {
    return ++asked, HttpResponse{.status = 429, .headers = {{"Retry-After", "30"}}, .body = R"({"code":-1003,"msg":"Too many requests"})"};
  };
  other.rest = [](const HttpRequest&) { return HttpResponse{.body = "ok"}; };
  BinanceRest both({.endpoints = {busy.server->url(), other.server->url()}});
  EXPECT_EQ(both.time().value().endpoint, other.server->url());
  EXPECT_EQ(both.time().value().body, "ok");
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(both.retry_after_us(), 0);
  BinanceRest alone({.endpoints = {busy.server->url()}});
  EXPECT_EQ(alone.time().error().kind, ErrorKind::kUnavailable);
  EXPECT_GT(alone.retry_after_us(), 28'000'000);
  EXPECT_THAT(alone.time().error().message, HasSubstr("rate limit"));
}

TEST(BinanceRest, ARefusedRequestIsNotTriedElsewhere) {
  FakeVenue venue;
  venue.rest = [](const HttpRequest&) { return HttpResponse{.status = 400, .body = R"({"code":-1121,"msg":"Invalid symbol."})"}; };
  BinanceRest rest({.endpoints = {venue.server->url(), "http://127.0.0.1:1"}});
  const auto answer = rest.historical_trades("NOPE", 0);
  EXPECT_EQ(answer.error().kind, ErrorKind::kInvalidInput);
  EXPECT_THAT(answer.error().message, HasSubstr("-1121"));
}

}  // namespace
}  // namespace k2
