#include "api/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/server_testing.h"

namespace k2 {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

using ServerTest = ServerFixture;

TEST_F(ServerTest, TradesComeNewestFirstWithTheirCut) {
  const Json answer = json("/v1/trades?symbol=BTCUSDT&limit=3");
  ASSERT_EQ(answer["count"], 3);
  EXPECT_EQ(answer["truncated"], true);
  EXPECT_EQ(answer["data"][0]["trade_id"], "19");
  EXPECT_EQ(answer["data"][0]["price"], "39432.48000000");
  EXPECT_EQ(answer["data"][0]["timestamp"], "2021-01-08T00:00:00.000019Z");
}

TEST_F(ServerTest, TruncatedMeansThatThereIsMore) {
  EXPECT_EQ(json("/v1/trades?limit=19")["truncated"], true);
  const Json exact = json("/v1/trades?limit=20");
  EXPECT_EQ(exact["count"], 20);
  EXPECT_EQ(exact["truncated"], false);
  EXPECT_EQ(json("/v1/trades?limit=21")["truncated"], false);
}

TEST_F(ServerTest, CoverageIsResolvedAndFiltered) {
  EXPECT_EQ(json("/v1/coverage")["data"], Json::array());
  say(CoverageStatus::kObserved, 1, 50);
  say(CoverageStatus::kOpen, 51, 54, "asked for");
  say(CoverageStatus::kBackfilled, 51, 52);
  const Json answer = json("/v1/coverage?symbol=BTCUSDT");
  EXPECT_EQ(answer["count"], 3);
  EXPECT_EQ(answer["truncated"], false);
  EXPECT_EQ(answer["data"][2]["status"], "open");
  EXPECT_EQ(answer["data"][2]["first_sequence"], 53);
  EXPECT_EQ(answer["data"][2]["count"], 2);
  EXPECT_EQ(answer["data"][2]["reason"], "asked for");
  EXPECT_EQ(answer["data"][0]["timestamp"], "2021-01-08T00:00:01.000000Z");
  EXPECT_EQ(json("/v1/coverage?status=open,lost")["count"], 1);
  EXPECT_EQ(json("/v1/coverage?status=open&status=observed")["count"], 2);
  EXPECT_EQ(json("/v1/coverage?channel=quotes")["count"], 0);
  EXPECT_EQ(json("/v1/coverage?limit=1")["truncated"], true);
  EXPECT_THAT(get("/v1/coverage?format=csv").body, HasSubstr("exchange,symbol,channel,first_sequence"));
  const std::string token = answer["read_token"];
  say(CoverageStatus::kLost, 53, 54, "gone");
  EXPECT_EQ(json("/v1/coverage?status=lost")["count"], 1);
  EXPECT_EQ(json("/v1/coverage?status=lost&read_token=" + token)["count"], 0);
  for (const char* bad : {"status=missing", "channel=coverage", "order=newest", "window_minutes=5"})
    EXPECT_EQ(get(std::string("/v1/coverage?") + bad).status, 400) << bad;
}

TEST_F(ServerTest, TradesSayWhetherTheyAreComplete) {
  const std::string window = "/v1/trades?symbol=BTCUSDT&start=2021-01-08T00:00:10Z&end=2021-01-08T00:01:00Z";
  Json answer = json(window);
  EXPECT_TRUE(answer.contains("complete"));
  EXPECT_EQ(answer["complete"], nullptr);
  EXPECT_EQ(answer["known_until"], nullptr);
  EXPECT_FALSE(answer.contains("gaps"));
  say(CoverageStatus::kObserved, 1, 50);
  say(CoverageStatus::kOpen, 51, 54, "asked for");
  say(CoverageStatus::kObserved, 55, 90);
  answer = json(window);
  EXPECT_EQ(answer["complete"], false);
  EXPECT_EQ(answer["gap_count"], 1);
  EXPECT_EQ(answer["gaps"][0]["first_sequence"], 51);
  EXPECT_EQ(answer["gaps"][0]["count"], 4);
  EXPECT_EQ(answer["gaps"][0]["status"], "open");
  EXPECT_EQ(answer["gaps"][0]["reason"], "asked for");
  EXPECT_EQ(get(window + "&format=csv").headers.get("K2-Complete"), "false");
  const std::string token = answer["read_token"];
  say(CoverageStatus::kBackfilled, 51, 54);
  EXPECT_EQ(json(window)["complete"], true);
  EXPECT_EQ(json(window)["known_until"], "2021-01-08T00:01:30.000000Z");
  EXPECT_EQ(json(window + "&times=us")["known_until"], 1'610'064'090'000'000);
  EXPECT_EQ(json(window + "&read_token=" + token)["complete"], false);
  EXPECT_EQ(get(window + "&format=csv").headers.get("K2-Complete"), "true");
  EXPECT_EQ(json("/v1/quotes?symbol=BTCUSDT")["complete"], nullptr);  // nothing was stated of quotes
}

TEST_F(ServerTest, AReadTokenGivesTheSameRowsLater) {
  const std::string token = json("/v1/trades")["read_token"];
  put(21, 30);
  EXPECT_EQ(json("/v1/trades?read_token=" + token)["count"], 20);
  EXPECT_EQ(json("/v1/trades")["count"], 30);
}

TEST_F(ServerTest, LargeAnswersAreStreamedWhole) {
  const Json answer = json("/v1/trades?limit=1000000&order=oldest");
  EXPECT_EQ(answer["count"], 20);
  EXPECT_EQ(answer["truncated"], false);
  EXPECT_EQ(answer["data"][0]["trade_id"], "1");
}

TEST_F(ServerTest, FormatsByParameterAndByAcceptHeader) {
  EXPECT_THAT(get("/v1/trades?format=csv&limit=1").body, HasSubstr("message_id,trade_id,symbol"));
  const HttpAnswer arrow = get("/v1/trades", {{"Accept", "application/vnd.apache.arrow.stream"}});
  EXPECT_EQ(arrow.headers.get("Content-Type"), "application/vnd.apache.arrow.stream");
  EXPECT_FALSE(arrow.headers.get("K2-Read-Token").empty());
  EXPECT_EQ(get("/v1/trades", {{"Accept", "image/png"}}).status, 406);
}

TEST_F(ServerTest, WhatMakesNoSenseIsAProblemThatNamesTheParameter) {
  for (const char* bad : {"limit=-1", "limit=x", "window_minutes=0", "start=nonsense", "nosuch=1", "format=xml", "read_token=nonsense"}) {
    const HttpAnswer answer = get(std::string("/v1/trades?") + bad);
    EXPECT_EQ(answer.status, 400) << bad;
    EXPECT_EQ(answer.headers.get("Content-Type"), "application/problem+json") << bad;
    EXPECT_EQ(Json::parse(answer.body)["status"], 400) << bad;
  }
  EXPECT_EQ(Json::parse(get("/v1/trades?limit=x").body)["errors"][0]["parameter"], "limit");
  EXPECT_EQ(get("/v1/stream?limit=5").status, 400);
}

TEST_F(ServerTest, UnknownRoutesAndMethodsAreRefused) {
  EXPECT_EQ(get("/v1/nosuch").status, 404);
  const auto posted = HttpClient().post(server_->url() + "/v1/trades", "text/plain", "x").value();
  EXPECT_EQ(posted.status, 405);
  EXPECT_EQ(posted.headers.get("Allow"), "GET, HEAD");
}

TEST_F(ServerTest, HealthReadinessMetricsAndPage) {
  EXPECT_EQ(json("/health")["status"], "ok");
  EXPECT_EQ(get("/livez").status, 200);
  EXPECT_EQ(get("/readyz").status, 200);
  ready_ = false;
  EXPECT_EQ(get("/readyz").status, 503);
  EXPECT_THAT(get("/metrics").body, HasSubstr("k2_http_requests_total{route=\"/readyz\",method=\"GET\",code=\"5xx\"}"));
  EXPECT_THAT(get("/").body, HasSubstr("<title>k2 live</title>"));
}

TEST_F(ServerTest, WhatIsPinnedIsNotSentTwice) {
  const std::string token = json("/v1/trades")["read_token"];
  const std::string pinned = "/v1/trades?limit=5&read_token=" + token;
  const HttpAnswer first = get(pinned);
  const std::string etag(first.headers.get("ETag"));
  ASSERT_FALSE(etag.empty());
  put(21, 25);
  const HttpAnswer again = get(pinned, {{"If-None-Match", "\"other\", " + etag}});
  EXPECT_EQ(again.status, 304);
  EXPECT_EQ(again.body, "");
  EXPECT_EQ(again.headers.get("ETag"), etag);
  EXPECT_EQ(get(pinned).body, first.body);
  EXPECT_NE(get(pinned + "&format=csv").headers.get("ETag"), etag);
  EXPECT_NE(get("/v1/trades?limit=6&read_token=" + token).headers.get("ETag"), etag);
  EXPECT_EQ(get("/v1/trades").headers.find("ETag"), nullptr);
  EXPECT_EQ(get("/v1/trades", {{"If-None-Match", "*"}}).status, 200);
}

TEST_F(ServerTest, AnswersAreEncodedAsTheClientTakesThem) {
  const std::string plain = get("/v1/trades?format=csv&limit=20").body;
  for (const char* encoding : {"gzip", "zstd"})
    for (const char* limit : {"20", "100000"}) {
      const HttpAnswer answer = get(std::string("/v1/trades?format=csv&limit=") + limit, {{"Accept-Encoding", encoding}});
      EXPECT_EQ(answer.status, 200);
      EXPECT_EQ(answer.headers.get("Content-Encoding"), encoding);
      EXPECT_LT(answer.body.size(), plain.size() / 2);
    }
  EXPECT_EQ(get("/v1/trades?format=parquet", {{"Accept-Encoding", "gzip"}}).headers.find("Content-Encoding"), nullptr);
  EXPECT_EQ(get("/livez", {{"Accept-Encoding", "gzip"}}).headers.find("Content-Encoding"), nullptr);
}

TEST_F(ServerTest, SymbolsAreListed) {
  const Json answer = json("/v1/symbols");
  ASSERT_EQ(answer["count"], 2);
  EXPECT_EQ(answer["data"][1]["symbol"], "ETHUSDT");
}

/// A reader of the stream, without a network.
class FakeStream final : public HttpStream {
 public:
  Status write(std::string_view bytes) override {
    (void)try_write(bytes);
    return {};
  }
  bool try_write(std::string_view bytes) override {
    const std::scoped_lock lock(mutex);
    if (room < bytes.size()) return false;
    room -= bytes.size();
    text += bytes;
    return true;
  }
  void finish() override { closed = true; }
  void abort() override { closed = true; }
  bool is_closed() const override { return closed; }
  void set_on_closed(std::function<void()>) override {}

  /// The trade ids so far, once there are `count`.
  std::vector<std::string> ids(size_t count) {
    std::vector<std::string> found;
    for (int tries = 0; tries < 500 && found.size() < count; ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      const std::scoped_lock lock(mutex);
      found.clear();
      for (size_t at = 0; (at = text.find("\"trade_id\":\"", at)) != std::string::npos;) {
        at += 12;
        found.push_back(text.substr(at, text.find('"', at) - at));
      }
    }
    return found;
  }
  std::string last_id() {
    const std::scoped_lock lock(mutex);
    const size_t at = text.rfind("id: {") + 4;
    return text.substr(at, text.find('\n', at) - at);
  }

  std::mutex mutex;
  std::string text;
  size_t room = SIZE_MAX;
  std::atomic<bool> closed = false;
};

TEST_F(ServerTest, TheStreamBringsNewTradesOfTheSymbolsAskedFor) {
  const auto all = std::make_shared<FakeStream>();
  const auto one = std::make_shared<FakeStream>();
  ASSERT_TRUE(stream_->subscribe(all, {}, stream_->begin("").value()));
  ASSERT_TRUE(stream_->subscribe(one, {"ETHUSDT"}, stream_->begin("").value()));
  put(21, 24);
  EXPECT_THAT(all->ids(4), testing::ElementsAre("21", "22", "23", "24"));
  EXPECT_THAT(one->ids(2), testing::ElementsAre("22", "24"));
}

TEST_F(ServerTest, TheStreamGoesOnAfterLastEventId) {
  const auto first = std::make_shared<FakeStream>();
  ASSERT_TRUE(stream_->subscribe(first, {}, stream_->begin("").value()));
  put(21, 22);
  ASSERT_EQ(first->ids(2).size(), 2u);
  const std::string id = first->last_id();
  put(23, 25);
  const auto second = std::make_shared<FakeStream>();
  ASSERT_TRUE(stream_->subscribe(second, {}, stream_->begin(id).value()));
  EXPECT_THAT(second->ids(3), testing::ElementsAre("23", "24", "25"));
}

TEST_F(ServerTest, AReaderWithoutRoomMissesNothing) {
  const auto slow = std::make_shared<FakeStream>();
  slow->room = 100;
  ASSERT_TRUE(stream_->subscribe(slow, {}, stream_->begin("").value()));
  put(21, 30);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  {
    const std::scoped_lock lock(slow->mutex);
    slow->room = SIZE_MAX;
  }
  EXPECT_EQ(slow->ids(10).size(), 10u);
  EXPECT_EQ(slow->ids(10).front(), "21");
}

TEST_F(ServerTest, AnEventIdOfAnotherLogIsRefused) {
  EXPECT_FALSE(stream_->begin("nonsense"));
  EXPECT_FALSE(stream_->begin(R"({"market.crypto.trades.binance":{"0":999}})"));
  EXPECT_EQ(get("/v1/stream", {{"Last-Event-ID", "x"}}).status, 400);
}

}  // namespace
}  // namespace k2
