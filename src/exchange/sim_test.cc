// The simulated exchange as its clients see it: the feed, raw sockets, REST.
#include "exchange/sim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <thread>

#include "exchange/frames.h"
#include "exchange/market.h"
#include "feed/binance_feed.h"
#include "feed/binance_rest.h"
#include "net/http_client.h"
#include "net/raw_socket.h"
#include "net/self_signed.h"
#include "net/ws_client.h"

namespace k2 {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

std::string recorded_file() {
  const char* data = std::getenv("K2_TEST_DATA");
  return (data != nullptr ? std::string(data) : std::string(K2_SOURCE_DIR) + "/../shared/data") + "/binance/BTCUSDT-trades-2021-01-08.csv";
}

class Collector : public FrameSink {
 public:
  void on_frame(const RawFrame& frame) override {
    const std::lock_guard lock(mutex_);
    frames.emplace_back(frame.bytes);
    changed_.notify_all();
  }
  void on_connected(uint64_t, std::string_view) override {
    const std::lock_guard lock(mutex_);
    ++connections;
    changed_.notify_all();
  }
  bool wait(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 8s, condition);
  }
  bool wait_frames(size_t count) {
    return wait([&] { return frames.size() >= count; });
  }

  std::vector<std::string> frames;
  int connections = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

BinanceFeedOptions feed_options(const SimExchange& sim) {
  BinanceFeedOptions options;
  options.endpoints = {sim.ws_url()};
  options.trust.ca_pem = sim.ca_pem();
  options.microseconds = false;
  options.session.backoff_first_us = 10'000;
  options.session.backoff_max_us = 20'000;
  return options;
}

class SimPlay : public testing::TestWithParam<bool> {};

TEST_P(SimPlay, TheRecordedTradesComeThroughTheFeedAllInOrderAndOnce) {
  if (!std::filesystem::exists(recorded_file())) GTEST_SKIP() << recorded_file() << " is absent";
  const auto sim = SimExchange::start({.tls = GetParam(), .play_file = recorded_file(), .speed = SimOptions::kSpeedMax}).value();
  Collector sink;
  const auto feed = BinanceFeed::start(feed_options(*sim), sink).value();
  ASSERT_TRUE(sink.wait_frames(2001));
  feed->stop();
  std::ifstream file(recorded_file());
  std::string line;
  size_t at = 0;
  while (std::getline(file, line)) {
    std::string data;
    std::string frame;
    const SimTrade trade = parse_dump_row(line).value();
    append_trade_frame(data, "BTCUSDT", trade, trade.time, TimeUnit::kMilliseconds, false);
    append_combined(frame, "btcusdt@trade", data);
    ASSERT_LT(at, sink.frames.size());
    ASSERT_EQ(sink.frames[at++], frame);
  }
  EXPECT_EQ(sink.frames.size(), at);
  EXPECT_EQ(at, 2001u);
  EXPECT_TRUE(sim->is_finished());
  EXPECT_EQ(sim->counts().trades, 2001u);
  EXPECT_EQ(sim->trades("BTCUSDT").value().size(), 2001u);
}

INSTANTIATE_TEST_SUITE_P(PlainAndTls, SimPlay, testing::Bool(), [](const auto& info) { return info.param ? "Tls" : "Plain"; });

TEST(Sim, AFeedThatDoesNotTrustItGetsNothing) {
  const auto sim = SimExchange::start({.tls = true}).value();
  Collector sink;
  BinanceFeedOptions options = feed_options(*sim);
  options.trust.ca_pem = make_self_signed()->certificate_pem;
  const auto feed = BinanceFeed::start(options, sink).value();
  for (int i = 0; i < 500 && feed->status().errors == 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_THAT(feed->status().last_error, HasSubstr("certificate refused"));
  EXPECT_EQ(sink.connections, 0);
  EXPECT_EQ(sim->counts().trades, 0u);
}

TEST(Sim, AfterACutTheFeedComesBackAndMissesOnlyWhatHappenedMeanwhile) {
  const auto sim = SimExchange::start({.symbols = {"BTCUSDT"}, .trades_per_second = 2000}).value();
  Collector sink;
  BinanceFeedOptions options = feed_options(*sim);
  options.symbols = {"BTCUSDT"};
  const auto feed = BinanceFeed::start(options, sink).value();
  ASSERT_TRUE(sink.wait_frames(50));
  EXPECT_EQ(sim->cut_connections(), 1u);
  ASSERT_TRUE(sink.wait([&] { return sink.connections == 2; }));
  const size_t before = sink.frames.size();
  ASSERT_TRUE(sink.wait_frames(before + 50));
  EXPECT_EQ(sim->close_connections(1001, "restart"), 1u);
  ASSERT_TRUE(sink.wait([&] { return sink.connections == 3; }));
  for (int i = 0; i < 500 && feed->status().reconnects < 2; ++i) std::this_thread::sleep_for(10ms);  // told to the sink first
  EXPECT_EQ(feed->status().reconnects, 2u);
  EXPECT_EQ(feed->status().errors, 2u);
  EXPECT_EQ(sim->counts().disconnected_slow, 0u);
}

// A WebSocket client that collects texts.
class Texts : public WsClientHandler {
 public:
  void on_open() override {
    note([&] { is_open = true; });
  }
  void on_message(std::string_view bytes, bool, TimestampUs) override {
    note([&] { texts.emplace_back(bytes); });
  }
  void on_ping(std::string_view payload) override {
    note([&] { pings.emplace_back(payload); });
  }
  void on_end(const WsEnd& how) override {
    note([&] { end = how; });
  }
  bool wait(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 5s, condition);
  }
  bool is_open = false;
  std::vector<std::string> texts;
  std::vector<std::string> pings;
  std::optional<WsEnd> end;

 private:
  void note(const std::function<void()>& change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
};

TEST(Sim, RawStreamsSubscriptionsAndMicroseconds) {
  const auto sim = SimExchange::start({.seed = 3,
                                       .start_time = {1'700'000'000'000'123},
                                       .speed = SimOptions::kSpeedMax,
                                       .trades_max = 10,
                                       .ping_interval_us = 50'000,
                                       .messages_per_second_max = 0})
                       .value();
  Texts texts;
  WsClient client({.url = sim->ws_url() + "/ws?timeUnit=microsecond"}, texts);
  ASSERT_TRUE(texts.wait([&] { return texts.is_open; }));
  ASSERT_TRUE(client.send_text(R"({"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@aggTrade","btcusdt@bookTicker"],"id":1})"));
  ASSERT_TRUE(texts.wait([&] { return texts.texts.size() == 31; }));
  EXPECT_EQ(texts.texts[0], R"({"result":null,"id":1})");
  EXPECT_THAT(texts.texts[1], StartsWith(R"({"e":"trade","E":17000000000)"));
  EXPECT_THAT(texts.texts[1], HasSubstr(R"("s":"BTCUSDT","t":1,)"));
  EXPECT_THAT(texts.texts[2], HasSubstr(R"("e":"aggTrade")"));
  EXPECT_THAT(texts.texts[3], StartsWith(R"({"u":1,"s":"BTCUSDT")"));
  EXPECT_EQ(sim->counts().trades, 10u);  // nobody asked for ETHUSDT, so its market has not begun
  EXPECT_FALSE(sim->is_finished());
  ASSERT_TRUE(client.send_text(R"({"method":"LIST_SUBSCRIPTIONS","id":2})"));
  ASSERT_TRUE(texts.wait([&] { return texts.texts.size() == 32; }));
  EXPECT_EQ(texts.texts.back(), R"({"result":["btcusdt@trade","btcusdt@aggTrade","btcusdt@bookTicker"],"id":2})");
  EXPECT_TRUE(texts.wait([&] { return !texts.pings.empty(); }));
  EXPECT_EQ(texts.pings.front().size(), 13u);  // milliseconds since the epoch
}

TEST(Sim, EndsWhoSendsTooMuchAndWhoTakesTooLittle) {
  const auto sim = SimExchange::start({.symbols = {"BTCUSDT"}, .trades_per_second = 100'000, .client_queue_bytes_max = 100'000}).value();
  Texts flood;
  WsClient client({.url = sim->ws_url() + "/ws"}, flood);
  ASSERT_TRUE(flood.wait([&] { return flood.is_open; }));
  for (int i = 0; i < 20; ++i) (void)client.send_text("{}");
  ASSERT_TRUE(flood.wait([&] { return flood.end.has_value(); }));
  EXPECT_EQ(flood.end->code, 1008);

  RawSocket slow = RawSocket::connect(sim->port());
  slow.send(
      "GET /ws/btcusdt@trade HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
      "13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  for (int i = 0; i < 500 && sim->counts().disconnected_slow == 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(sim->counts().disconnected_slow, 1u);
}

// For the exchange's thread and the test's.
class TestClock : public Clock {
 public:
  TimestampUs now() const override { return {wall_us_.load()}; }
  int64_t monotonic_ns() const override { return wall_us_.load() * 1000; }
  void advance_us(int64_t us) { wall_us_ += us; }

 private:
  std::atomic<int64_t> wall_us_ = 1'700'000'000'000'000;
};

class SimPresent : public testing::TestWithParam<SimOptions> {};

TEST_P(SimPresent, TradesHaveTheExchangesPresentTimeHoweverLongItHasWaited) {
  TestClock clock;
  SimOptions options = GetParam();
  options.clock = &clock;
  options.messages_per_second_max = 0;
  options.trades_max = 2;
  const auto sim = SimExchange::start(options).value();
  Texts texts;
  WsClient client({.url = sim->ws_url() + "/ws?timeUnit=microsecond"}, texts);
  ASSERT_TRUE(texts.wait([&] { return texts.is_open; }));
  constexpr int64_t kHourUs = 3'600 * kUsPerSecond;
  const auto happens = [&](size_t trades) {
    return texts.wait([&] { return texts.texts.size() > trades; });  // behind the answer to SUBSCRIBE
  };
  const auto trade_at = [&](int64_t id, TimestampUs time) {
    const std::string us = std::to_string(time.us);
    return testing::AllOf(StartsWith(R"({"e":"trade","E":)" + us + ","), HasSubstr("\"t\":" + std::to_string(id) + ","),
                          HasSubstr("\"T\":" + us + ","));
  };

  clock.advance_us(kHourUs);  // nobody is there
  ASSERT_TRUE(client.send_text(R"({"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1})"));
  ASSERT_TRUE(happens(1));
  EXPECT_THAT(texts.texts[1], trade_at(1, clock.now()));
  sim->pause();
  clock.advance_us(kHourUs);
  sim->resume();
  ASSERT_TRUE(happens(2));
  EXPECT_THAT(texts.texts[2], trade_at(2, clock.now()));

  const auto ledger = sim->trades("BTCUSDT").value();
  ASSERT_GE(ledger.size(), 2u);
  for (size_t i = 0; i < ledger.size(); ++i) EXPECT_EQ(ledger[i].id, static_cast<int64_t>(i) + 1);
  EXPECT_EQ(ledger[1].time.us - ledger[0].time.us, kHourUs);
  BinanceRest rest({.endpoints = {sim->rest_url()}});
  std::string first = "[";
  append_rest_trade(first, ledger[0], TimeUnit::kMicroseconds);
  EXPECT_EQ(rest.historical_trades("BTCUSDT", 1, 1).value().body, first + "]");
  EXPECT_EQ(rest.time().value().body, "{\"serverTime\":" + std::to_string(clock.now().us) + "}");
}

std::string two_trades_of_2021() {
  const std::string path = (std::filesystem::temp_directory_path() / ("k2-sim-play-" + std::to_string(::getpid()) + ".csv")).string();
  std::ofstream(path) << "1,10.0,1.0,10.0,1610064000278,True,True\n2,11.0,1.0,11.0,1610064000279,False,True\n";
  return path;
}

INSTANTIATE_TEST_SUITE_P(Markets, SimPresent,
                         testing::Values(SimOptions{.symbols = {"BTCUSDT"}},
                                         SimOptions{.play_file = two_trades_of_2021(), .play_as_now = true}),
                         [](const auto& info) { return info.param.play_file.empty() ? "Random" : "Played"; });

TEST(Sim, AnswersRestAsDocumented) {
  const auto sim =
      SimExchange::start(
          {.start_time = {1'700'000'000'000'000}, .speed = SimOptions::kSpeedMax, .trades_max = 1500, .wait_for_subscriber = false})
          .value();
  for (int i = 0; i < 500 && !sim->is_finished(); ++i) std::this_thread::sleep_for(10ms);
  HttpClient client;
  const auto get = [&](const std::string& target, const HttpHeaders& headers = {}) {
    return client.get(sim->rest_url() + target, headers).value();
  };
  EXPECT_EQ(get("/api/v3/ping").body, "{}");
  EXPECT_THAT(get("/api/v3/time").body, testing::MatchesRegex(R"(\{"serverTime":[0-9]{13}\})"));
  EXPECT_THAT(get("/api/v3/time", {{"X-MBX-TIME-UNIT", "MICROSECOND"}}).body, testing::MatchesRegex(R"(\{"serverTime":[0-9]{16}\})"));
  const HttpAnswer info = get("/api/v3/exchangeInfo?symbols=%5B%22ETHUSDT%22%5D");
  EXPECT_THAT(info.body, HasSubstr(R"("symbol":"ETHUSDT","status":"TRADING","baseAsset":"ETH")"));
  EXPECT_THAT(info.body, HasSubstr(R"("quoteAsset":"USDT")"));
  EXPECT_THAT(info.body, testing::Not(HasSubstr("BTCUSDT")));
  EXPECT_FALSE(info.headers.get("X-MBX-USED-WEIGHT-1M").empty());
  const HttpAnswer unknown = get("/api/v3/exchangeInfo?symbol=NOPE");
  EXPECT_EQ(unknown.status, 400);
  EXPECT_EQ(unknown.body, R"({"code":-1121,"msg":"Invalid symbol."})");
  EXPECT_EQ(get("/api/v3/historicalTrades").body,
            R"({"code":-1102,"msg":"Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."})");
  EXPECT_EQ(get("/api/v3/historicalTrades?symbol=BTCUSDT&limit=1001").status, 400);
  EXPECT_EQ(get("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=x").status, 400);
  EXPECT_EQ(get("/api/v3/nothing").status, 404);

  const auto ledger = sim->trades("BTCUSDT").value();
  std::string wanted = "[";
  append_rest_trade(wanted, ledger[6], TimeUnit::kMicroseconds);
  wanted += ",";
  append_rest_trade(wanted, ledger[7], TimeUnit::kMicroseconds);
  BinanceRest rest({.endpoints = {sim->rest_url()}});
  EXPECT_EQ(rest.historical_trades("BTCUSDT", 7, 2).value().body, wanted + "]");
  EXPECT_EQ(rest.historical_trades("BTCUSDT", 1501, 2).value().body, "[]");
  const std::string agg = rest.agg_trades_between("BTCUSDT", ledger[6].time.us, ledger[6].time.us, 1).value().body;
  EXPECT_THAT(agg, StartsWith("[{\"a\":"));
  EXPECT_THAT(agg, HasSubstr("\"T\":" + std::to_string(ledger[6].time.us)));
  EXPECT_EQ(rest.historical_trades("NOPE", 0).error().kind, ErrorKind::kInvalidInput);
}

TEST(Sim, WritesItsAuthorityAndRefusesBadOptions) {
  const std::string ca_file = (std::filesystem::temp_directory_path() / ("k2-sim-ca-" + std::to_string(::getpid()) + ".pem")).string();
  {
    const auto sim = SimExchange::start({.tls = true, .ca_file = ca_file}).value();
    HttpClientOptions options;
    options.trust.ca_file = ca_file;
    EXPECT_EQ(HttpClient(options).get(sim->rest_url() + "/api/v3/ping").value().body, "{}");
  }
  std::filesystem::remove(ca_file);
  EXPECT_EQ(SimExchange::start({.symbols = {}}).error().kind, ErrorKind::kInvalidInput);
  EXPECT_EQ(SimExchange::start({.play_file = "/dev/null/nothing"}).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(SimExchange::start({.listen = "x"}).error().kind, ErrorKind::kInvalidInput);
}

}  // namespace
}  // namespace k2
