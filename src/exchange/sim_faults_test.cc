// The simulated exchange's faults as its clients meet them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "exchange/sim.h"
#include "net/http_client.h"
#include "net/ws_client.h"

namespace k2 {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

/// A client of BTCUSDT's trades: the ids that came, in order, and what else.
class Trades : public WsClientHandler {
 public:
  explicit Trades(const SimExchange& sim, bool starts = true) : sim_(sim) {
    if (starts) start();
  }
  void start() {
    WsClientOptions options;
    options.url = sim_.ws_url() + "/ws/btcusdt@trade";
    options.trust.ca_pem = sim_.ca_pem();
    client_.emplace(options, *this);
  }
  void on_open() override {}
  void on_message(std::string_view bytes, bool, TimestampUs) override {
    const std::lock_guard lock(mutex_);
    const size_t at = bytes.find("\"t\":");
    if (at == std::string_view::npos) others.emplace_back(bytes);
    else ids.push_back(std::stoll(std::string(bytes.substr(at + 4))));
    changed_.notify_all();
  }
  void on_ping(std::string_view) override {
    const std::lock_guard lock(mutex_);
    ++pings;
  }
  void on_end(const WsEnd& how) override {
    const std::lock_guard lock(mutex_);
    end = how;
    changed_.notify_all();
  }
  bool wait(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 5s, condition);
  }
  bool wait_end() {
    return wait([&] { return end.has_value(); });
  }
  bool wait_ids(size_t count) {
    return wait([&] { return ids.size() >= count; });
  }

  std::vector<int64_t> ids;
  std::vector<std::string> others;
  int pings = 0;
  std::optional<WsEnd> end;

 private:
  const SimExchange& sim_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<WsClient> client_;
};

SimOptions market(std::initializer_list<std::string_view> faults, int64_t trades = 6) {
  SimOptions options;
  options.symbols = {"BTCUSDT"};
  options.trades_per_second = 500;
  options.trades_max = trades;
  for (const std::string_view fault : faults) options.faults.push_back(parse_fault_rule(fault).value());
  return options;
}

TEST(SimFaults, TradesSentTwiceLateAndNotAtAll) {
  const auto sim = SimExchange::start(market({"duplicate:at_trade=2", "reorder:at_trade=3", "hole:at_trade=5"})).value();
  Trades client(*sim);
  ASSERT_TRUE(client.wait_ids(6));
  EXPECT_THAT(client.ids, ElementsAre(1, 2, 2, 4, 3, 6));
  EXPECT_EQ(sim->trades("BTCUSDT").value().size(), 6u);
  const SimCounts counts = sim->counts();
  EXPECT_EQ(counts.frames, 6u);
  EXPECT_EQ(counts.faults.at("hole"), 1u);
  EXPECT_EQ(counts.faults.at("duplicate"), 1u);
  EXPECT_EQ(counts.faults.at("reorder"), 1u);
}

TEST(SimFaults, ALateTradeComesEvenIfItIsTheLast) {
  const auto sim = SimExchange::start(market({"reorder:at_trade=6"})).value();
  Trades client(*sim);
  ASSERT_TRUE(client.wait_ids(6));
  EXPECT_THAT(client.ids, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(SimFaults, IdsSkippedAndBegunAgain) {
  const auto sim = SimExchange::start(market({"not_issued:at_trade=2,value=10", "id_reset:at_trade=4"})).value();
  Trades client(*sim);
  ASSERT_TRUE(client.wait_ids(6));
  EXPECT_THAT(client.ids, ElementsAre(1, 12, 13, 1, 2, 3));
  HttpClient http;
  EXPECT_THAT(http.get(sim->rest_url() + "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=3").value().body,
              testing::AllOf(HasSubstr("\"id\":3,"), testing::Not(HasSubstr("\"id\":12"))));
  EXPECT_THAT(http.get(sim->rest_url() + "/sim/ledger?symbol=BTCUSDT&from=3&limit=2").value().body,
              testing::AllOf(testing::StartsWith(R"({"n":3,"id":13,)"), HasSubstr("}\n{\"n\":4,\"id\":1,")));
}

TEST(SimFaults, FramesThatNobodyMaySend) {
  struct Case {
    const char* fault;
    uint16_t code;
  };
  for (const Case& one : {Case{"wrong_utf8:at_trade=3", 1007}, {"huge_frame:at_trade=3", 1009}, {"masked_frame:at_trade=3", 1002}}) {
    const auto sim = SimExchange::start(market({one.fault}, 0)).value();
    Trades client(*sim);
    ASSERT_TRUE(client.wait_end()) << one.fault;
    EXPECT_EQ(client.end->reason, WsEnd::Reason::kProtocol) << one.fault;
    EXPECT_EQ(client.end->code, one.code) << one.fault;
    EXPECT_THAT(client.ids, ElementsAre(1, 2)) << one.fault;
  }
}

TEST(SimFaults, ACutIsNoClose) {
  const auto sim = SimExchange::start(market({"cut:at_trade=3"}, 0)).value();
  Trades client(*sim);
  ASSERT_TRUE(client.wait_end());
  EXPECT_EQ(client.end->reason, WsEnd::Reason::kNetwork);
}

TEST(SimFaults, AServerShutdownIsAnnounced) {
  const auto sim = SimExchange::start(market({"garbage:at_trade=2", "server_shutdown:at_trade=3,delay=100ms"}, 0)).value();
  Trades client(*sim);
  ASSERT_TRUE(client.wait_end());
  EXPECT_EQ(client.end->reason, WsEnd::Reason::kClosedByServer);
  EXPECT_GT(client.ids.size(), 3u);
  ASSERT_EQ(client.others.size(), 2u);
  EXPECT_EQ(client.others[0], R"({"e":"trade","E":17000)");
  EXPECT_THAT(client.others[1], testing::StartsWith(R"({"e":"serverShutdown","E":)"));
  EXPECT_GE(sim->counts().messages, client.ids.size() + 2);
}

TEST(SimFaults, OneOfTwoFallsSilentAndStaysOpen) {
  SimOptions options = market({"half_open:at_trade=50,clients=1"}, 0);
  const auto sim = SimExchange::start(options).value();
  Trades first(*sim);
  ASSERT_TRUE(first.wait_ids(1));
  Trades second(*sim);
  ASSERT_TRUE(second.wait_ids(100));
  EXPECT_LT(first.ids.size(), 50u);
  EXPECT_FALSE(first.end.has_value());
  EXPECT_EQ(sim->counts().connections_open, 2u);
}

TEST(SimFaults, ADayCanBeShort) {
  SimOptions options = market({}, 0);
  options.connection_life_us = 200'000;
  const auto sim = SimExchange::start(options).value();
  Trades client(*sim);
  ASSERT_TRUE(client.wait_end());
  EXPECT_EQ(client.end->reason, WsEnd::Reason::kClosedByServer);
  EXPECT_EQ(sim->counts().faults.at("day_cut"), 1u);
}

TEST(SimFaults, NoPings) {
  SimOptions options = market({"no_ping"}, 0);
  options.ping_interval_us = 20'000;
  options.messages_per_second_max = 0;  // pongs count
  const auto sim = SimExchange::start(options).value();
  Trades silent(*sim);
  ASSERT_TRUE(silent.wait_ids(1));
  Trades pinged(*sim);
  ASSERT_TRUE(pinged.wait_ids(200));
  EXPECT_GT(pinged.pings, 0);
  EXPECT_EQ(silent.pings, 0);
}

TEST(SimFaults, RestRefusesLagsAndBreaksOff) {
  SimOptions options = market({});
  options.wait_for_subscriber = false;
  const auto sim = SimExchange::start(options).value();
  while (!sim->is_finished()) std::this_thread::sleep_for(1ms);
  const auto get = [&](std::string_view fault) {
    sim->add_fault(parse_fault_rule(fault).value());
    return HttpClient().get(sim->rest_url() + "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=1");
  };
  const HttpAnswer limited = get("rest_429:delay=1500ms").value();
  EXPECT_EQ(limited.status, 429);
  EXPECT_EQ(limited.headers.get("Retry-After"), "2");
  EXPECT_EQ(get("rest_418").value().status, 418);
  EXPECT_EQ(get("rest_451").value().status, 451);
  EXPECT_EQ(get("rest_down").value().status, 503);
  EXPECT_FALSE(get("rest_cut").has_value());
  EXPECT_THAT(get("rest_lag:value=2").value().body, testing::AllOf(HasSubstr("\"id\":4,"), testing::Not(HasSubstr("\"id\":5,"))));
  EXPECT_THAT(get("rest_lag:path=nothing").value().body, HasSubstr("\"id\":6,"));
  const SimCounts counts = sim->counts();
  EXPECT_EQ(counts.rest_by_status.at(429), 1u);
  EXPECT_EQ(counts.rest_by_status.at(200), 3u);
}

TEST(SimFaults, TheWeightOfAMinuteIsLimited) {
  SimOptions options = market({});
  options.weight_per_minute_max = 40;
  const auto sim = SimExchange::start(options).value();
  std::set<int> statuses;
  for (int i = 0; i < 4; ++i) statuses.insert(HttpClient().get(sim->rest_url() + "/api/v3/trades?symbol=BTCUSDT").value().status);
  EXPECT_THAT(statuses, ElementsAre(200, 429));
}

TEST(SimFaults, ConnectionsThatComeToNothing) {
  SimOptions options = market({}, 0);
  options.tls = true;
  const auto sim = SimExchange::start(options).value();
  struct Case {
    const char* fault;
    const char* why;
  };
  for (const Case& one : {Case{"refuse_connect", ""}, {"wrong_host", "mismatch"}, {"wrong_authority", "self-signed"}}) {
    sim->add_fault(parse_fault_rule(one.fault).value());
    Trades client(*sim);
    ASSERT_TRUE(client.wait_end()) << one.fault;
    EXPECT_EQ(client.end->reason, WsEnd::Reason::kConnectFailed) << one.fault;
    EXPECT_THAT(client.end->text, HasSubstr(one.why));
  }
  sim->add_fault(parse_fault_rule("slow_tls:delay=300ms").value());
  const auto before = std::chrono::steady_clock::now();
  Trades client(*sim);
  ASSERT_TRUE(client.wait_ids(1));
  EXPECT_GE(std::chrono::steady_clock::now() - before, 250ms);
  EXPECT_EQ(sim->counts().connections, 1u);
}

TEST(SimFaults, AreAskedForOverHttp) {
  const auto sim = SimExchange::start(market({}, 0)).value();
  HttpClient http;
  const auto post = [&](std::string_view body) { return http.post(sim->rest_url() + "/sim/faults", "application/json", body).value(); };
  EXPECT_EQ(post(R"({"kind":"hole"},)").status, 400);
  EXPECT_EQ(post(R"([{"kind":"hole"},{"kind":"no_such"}])").status, 400);
  EXPECT_EQ(http.get(sim->rest_url() + "/sim/faults").value().body, "[]\n");
  EXPECT_THAT(post(R"([{"kind":"hole","at_trade":3,"count":2},{"kind":"cut","at_trade":90,"duration":"1s"}])").body,
              HasSubstr(R"("kind":"hole")"));
  Trades client(*sim);
  ASSERT_TRUE(client.wait_end());
  ASSERT_GT(client.ids.size(), 3u);
  EXPECT_EQ(client.ids[2], 5);
  EXPECT_THAT(http.get(sim->rest_url() + "/sim/counts").value().body, HasSubstr(R"("hole":2)"));
}

}  // namespace
}  // namespace k2
