#include "feed/binance_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "base/metrics.h"
#include "feed/binance_rest.h"
#include "net/http_server.h"

namespace k2 {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

// A venue that sends what it is told to whoever comes, and remembers what it was sent.
class FakeVenue : public HttpHandler {
 public:
  struct Session : WsSessionHandler {
    explicit Session(FakeVenue& v) : venue(v) {}
    void on_open(std::shared_ptr<WsSession> opened) override {
      const std::lock_guard lock(venue.mutex);
      session = std::move(opened);
      venue.newest_session = session;
      if (!venue.greeting.empty()) session->send_text(venue.greeting);
      ++venue.opened;
      venue.changed.notify_all();
    }
    void on_message(std::string_view bytes, bool) override {
      const std::lock_guard lock(venue.mutex);
      venue.received.emplace_back(bytes);
      venue.changed.notify_all();
    }
    void on_close(uint16_t code, std::string_view) override {
      const std::lock_guard lock(venue.mutex);
      venue.close_codes.push_back(code);
      venue.changed.notify_all();
    }
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
  std::shared_ptr<WsSession> newest() {
    const std::lock_guard lock(mutex);
    return newest_session;
  }
  std::string ws_url() const { return "ws" + server->url().substr(4); }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> targets;
  std::vector<std::string> received;
  std::string greeting;
  bool refuses = false;
  int opened = 0;
  std::shared_ptr<WsSession> newest_session;
  std::vector<uint16_t> close_codes;
  std::function<HttpResponse(const HttpRequest&)> rest;
  std::unique_ptr<HttpServer> server = HttpServer::start({}, *this).value();
};

// Notes what it is told, connections numbered from 0.
class Collector : public FrameSink {
 public:
  void on_frame(const RawFrame& frame) override { note(frame.connection_id, frame.bytes); }
  void on_connected(uint64_t id, std::string_view) override { note(id, "up"); }
  void on_disconnected(uint64_t id, std::string_view) override { note(id, "down"); }
  bool wait_for(const std::string& what) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 5s, [&] { return std::find(notes.begin(), notes.end(), what) != notes.end(); });
  }

  std::vector<std::string> notes;

 private:
  void note(uint64_t id, std::string_view what) {
    const std::lock_guard lock(mutex_);
    if (first_id_ == 0) first_id_ = id;
    notes.push_back(std::to_string(id - first_id_) + ":" + std::string(what));
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

uint64_t replacements(const std::string& reason) {
  return metrics().counter("k2_feed_replacements_total", "", {{"reason", reason}}).value();
}

TEST(BinanceFeed, HandsFramesOverAndReconnectsAfterACut) {
  FakeVenue venue;
  venue.greeting = "hello";
  Collector sink;
  const uint64_t reconnects_before = metrics().counter("k2_binance_reconnects_total", "").value();
  auto feed = BinanceFeed::start(quick({venue.ws_url()}), sink).value();
  ASSERT_TRUE(sink.wait_for("0:hello"));
  EXPECT_TRUE(venue.wait([&] { return venue.opened == 1; }));
  venue.newest()->abort();
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
  venue.newest()->close(1008, "again");
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

TEST(BinanceFeed, SaysGoodbyeWhenItStops) {
  FakeVenue venue;
  Collector sink;
  auto feed = BinanceFeed::start(quick({venue.ws_url()}), sink).value();
  ASSERT_TRUE(sink.wait_for("0:up"));
  feed->stop();
  EXPECT_TRUE(venue.wait([&] { return !venue.close_codes.empty(); }));
  EXPECT_THAT(venue.close_codes, ElementsAre(1000));
  EXPECT_EQ(feed->status().errors, 0u);
}

TEST(BinanceFeed, AnAnnouncedShutdownBringsANewConnectionUpBeforeTheOldOneGoes) {
  for (const char* announcement :
       {R"({"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}})", R"({"e":"serverShutdown","E":1})"}) {
    FakeVenue venue;
    Collector sink;
    BinanceFeedOptions options = quick({venue.ws_url()});
    options.lines.shutdown_hold_us = 0;
    options.lines.overlap_us = 50'000;
    const uint64_t replaced_before = replacements("shutdown");
    auto feed = BinanceFeed::start(options, sink).value();
    ASSERT_TRUE(sink.wait_for("0:up"));
    ASSERT_TRUE(venue.wait([&] { return venue.opened == 1; }));
    venue.newest()->send_text(announcement);
    ASSERT_TRUE(sink.wait_for("0:down"));
    const auto up = std::ranges::find(sink.notes, "1:up");
    EXPECT_LT(up, std::ranges::find(sink.notes, "0:down"));
    for (int i = 0; i < 500 && feed->status().replacements == 0; ++i) std::this_thread::sleep_for(10ms);
    EXPECT_TRUE(feed->status().connected);
    EXPECT_EQ(feed->status().errors, 0u);
    EXPECT_EQ(replacements("shutdown"), replaced_before + 1);
    EXPECT_TRUE(venue.wait([&] { return !venue.close_codes.empty(); }));
    EXPECT_THAT(venue.close_codes, ElementsAre(1000));
  }
}

TEST(BinanceFeed, TwoLinesCarryTheSameAndOneIsEnough) {
  FakeVenue venue;
  venue.greeting = "hello";
  Collector sink;
  BinanceFeedOptions options = quick({venue.ws_url()});
  options.lines.lines = 2;
  options.session.backoff_first_us = options.session.backoff_max_us = 60'000'000;
  auto feed = BinanceFeed::start(options, sink).value();
  ASSERT_TRUE(sink.wait_for("0:hello"));
  ASSERT_TRUE(venue.wait([&] { return venue.opened == 2; }));
  for (int i = 0; i < 500 && feed->status().lines_live < 2; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(feed->status().lines_live, 2u);
  venue.newest()->abort();
  for (int i = 0; i < 500 && feed->status().errors == 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(feed->status().connected);
  EXPECT_EQ(feed->status().lines_live, 1u);
}

TEST(BinanceFeed, FiveHundredSymbolsComeOverSeveralConnections) {
  FakeVenue venue;
  Collector sink;
  BinanceFeedOptions options = quick({venue.ws_url()});
  options.symbols.clear();
  for (int i = 0; i < 500; ++i) options.symbols.push_back("S" + std::to_string(i));
  options.streams_per_connection = 100;
  options.streams_in_url_max = 0;
  options.streams_per_message = 50;
  std::mutex mutex;
  std::set<std::string> live;
  options.on_live = [&](const BinanceLineUp& line) {
    const std::lock_guard lock(mutex);
    EXPECT_FALSE(line.is_covered);
    EXPECT_NE(line.connection_id, 0u);
    live.insert(line.symbols.begin(), line.symbols.end());
  };
  auto feed = BinanceFeed::start(options, sink).value();
  ASSERT_TRUE(venue.wait([&] { return venue.received.size() == 10; }));
  for (int i = 0; i < 500 && !feed->status().connected; ++i) std::this_thread::sleep_for(10ms);
  const BinanceFeedStatus status = feed->status();
  EXPECT_TRUE(status.connected);
  EXPECT_EQ(status.shards, 5u);
  EXPECT_EQ(status.lines_live, 5u);
  std::string all;
  for (const std::string& message : venue.received) all += message;
  for (const std::string& symbol : options.symbols) EXPECT_THAT(all, HasSubstr("\"s" + symbol.substr(1) + "@trade\""));
  feed->stop();
  EXPECT_EQ(live.size(), 500u);
  EXPECT_EQ(venue.opened, 5);
}

TEST(BinanceFeed, IsConnectedOnlyWhenEveryShardIs) {
  FakeVenue venue;
  Collector sink;
  BinanceFeedOptions options = quick({venue.ws_url()});
  options.symbols = {"A", "B"};
  options.streams_per_connection = 1;
  options.session.backoff_first_us = options.session.backoff_max_us = 60'000'000;
  auto feed = BinanceFeed::start(options, sink).value();
  for (int i = 0; i < 500 && !feed->status().connected; ++i) std::this_thread::sleep_for(10ms);
  ASSERT_TRUE(feed->status().connected);
  venue.newest()->abort();
  for (int i = 0; i < 500 && feed->status().connected; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_FALSE(feed->status().connected);
  EXPECT_EQ(feed->status().lines_live, 1u);
  EXPECT_EQ(feed->status().state, SessionState::kBackingOff);
}

TEST(BinanceFeed, SaysOnceWhenItHasGivenUp) {
  FakeVenue venue;
  venue.refuses = true;
  Collector sink;
  BinanceFeedOptions options = quick({venue.ws_url()});
  options.session.attempts_max = 2;
  options.session.rounds_max = 2;
  std::atomic<int> told = 0;
  options.on_exhausted = [&](const std::string& why) {
    EXPECT_THAT(why, HasSubstr("503"));
    ++told;
  };
  auto feed = BinanceFeed::start(options, sink).value();
  for (int i = 0; i < 500 && !feed->status().is_exhausted; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(feed->status().state, SessionState::kExhausted);
  EXPECT_FALSE(feed->status().connected);
  EXPECT_TRUE(feed->status().has_tried_all);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(venue.targets.size(), 4u);
}

TEST(BinanceFeed, AsksASilentVenueBeforeItGivesTheLineUp) {
  FakeVenue venue;
  Collector sink;
  BinanceFeedOptions options = quick({venue.ws_url()});
  options.session.heartbeat_us = 50'000;
  options.session.stale_after_us = 1'200'000;  // more than twice what the feed takes to look
  auto feed = BinanceFeed::start(options, sink).value();
  ASSERT_TRUE(sink.wait_for("0:up"));
  std::this_thread::sleep_for(1700ms);
  EXPECT_EQ(feed->status().errors, 0u);  // the pongs show that it is there
  EXPECT_EQ(venue.opened, 1);
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
