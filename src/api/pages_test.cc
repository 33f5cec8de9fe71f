// Pages: every row once, whatever happens between them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/page_token.h"
#include "api/server_testing.h"

namespace k2 {
namespace {

using Json = nlohmann::json;

class PagesTest : public ServerFixture {
 protected:
  /// All rows, page by page; `between` runs before each page but the first.
  std::vector<std::string> ids_in_pages(const std::string& path, Json question, const std::function<void()>& between = {}) {
    std::vector<std::string> ids;
    for (int pages = 0; pages < 1'000; ++pages) {
      if (pages > 0 && between) between();
      const HttpAnswer answer = post(path, question);
      EXPECT_EQ(answer.status, 200) << answer.body;
      const Json page = Json::parse(answer.body);
      for (const Json& row : page["data"]) ids.push_back(row["trade_id"]);
      const std::string next = page["next_page_token"];
      EXPECT_EQ(page["truncated"], !next.empty());
      EXPECT_EQ(answer.headers.get("K2-Next-Page-Token"), next);
      if (next.empty()) return ids;
      question["page_token"] = next;
    }
    return ids;
  }
  static std::vector<std::string> numbers(int64_t first, int64_t last) {
    std::vector<std::string> all;
    for (int64_t id = first; id <= last; ++id) all.push_back(std::to_string(id));
    return all;
  }
};

TEST_F(PagesTest, ReplayGivesEveryRowOnceInOrderForEveryPageSize) {
  for (const int size : {1, 2, 3, 7, 19, 20, 21, 1000})
    EXPECT_EQ(ids_in_pages("/v1/replay", {{"page_size", size}}), numbers(1, 20)) << size;
}

TEST_F(PagesTest, NewestFirstIsTheReverse) {
  std::vector<std::string> expected = numbers(1, 20);
  std::ranges::reverse(expected);
  EXPECT_EQ(ids_in_pages("/v1/trades/query", {{"page_size", 3}}), expected);
}

TEST_F(PagesTest, WhatComesBetweenPagesIsNotInThem) {
  int64_t next = 21;
  const auto append = [&] {
    put(next, next);
    ++next;
  };
  EXPECT_EQ(ids_in_pages("/v1/replay", {{"page_size", 4}}, append), numbers(1, 20));
}

TEST_F(PagesTest, RowsOfOneMomentAreGivenOnceEach) {
  put_at(101, 140, 1'610'064'000'000'010);
  const std::vector<std::string> whole = ids_in_pages("/v1/replay", {{"page_size", 1000}});
  EXPECT_EQ(whole.size(), 60u);
  for (const int size : {1, 2, 7, 13, 41}) EXPECT_EQ(ids_in_pages("/v1/replay", {{"page_size", size}}), whole) << size;
  std::vector<std::string> reversed = whole;
  std::ranges::reverse(reversed);
  for (const int size : {1, 7, 41})
    EXPECT_EQ(ids_in_pages("/v1/trades/query", {{"page_size", size}, {"order", "newest"}}), reversed) << size;
}

TEST_F(PagesTest, FiltersAndFieldsHoldOnEachPage) {
  EXPECT_EQ(ids_in_pages("/v1/replay", {{"page_size", 3}, {"symbols", {"ETHUSDT"}}, {"fields", {"trade_id"}}}).size(), 10u);
  const Json row = Json::parse(post("/v1/replay", {{"page_size", 1}, {"fields", {"price", "trade_id"}}}).body)["data"][0];
  EXPECT_EQ(row.dump(), R"({"price":"39432.48000000","trade_id":"1"})");
}

TEST_F(PagesTest, ATokenIsOfItsQuestion) {
  const std::string token = Json::parse(post("/v1/replay", {{"page_size", 3}}).body)["next_page_token"];
  EXPECT_EQ(post("/v1/replay", {{"page_size", 5}, {"page_token", token}, {"format", "csv"}}).status, 200);
  EXPECT_EQ(post("/v1/replay", {{"page_token", token}, {"symbols", {"BTCUSDT"}}}).status, 422);
  EXPECT_EQ(post("/v1/trades/query", {{"page_token", token}}).status, 422);
  for (size_t at = 0; at < token.size(); at += 5) {
    std::string altered = token;
    altered[at] = altered[at] == 'A' ? 'B' : 'A';
    const HttpAnswer answer = post("/v1/replay", {{"page_token", altered}});
    EXPECT_EQ(answer.status, 422) << at;
    EXPECT_EQ(Json::parse(answer.body)["errors"][0]["pointer"], "#/page_token");
  }
}

TEST_F(PagesTest, RelativeTimesStayWhereTheyWereOnTheFirstPage) {
  const PageToken token{.read_token = "r", .start = TimestampUs{5}, .end = std::nullopt, .after = {{7}, "topic", 3, 9, 2}};
  const std::string question = question_text("/v1/replay", {{"start", "-15m"}, {"page_size", "5"}});
  EXPECT_EQ(parse_page_token(page_token(token, question), question).value(), token);
  EXPECT_EQ(question, question_text("/v1/replay", {{"page_token", "x"}, {"start", "-15m"}}));
  EXPECT_NE(question, question_text("/v1/replay", {{"start", "-16m"}}));
}

TEST_F(PagesTest, QueriesInBodiesSayWhatIsWrongWithThem) {
  EXPECT_EQ(Json::parse(post("/v1/trades/query", {{"symbols", {"ETHUSDT"}}, {"limit", 2}}).body)["count"], 2);
  const std::pair<Json, const char*> bad[] = {{{{"limit", 0}}, "#/limit"},
                                              {{{"limit", "5"}}, "#/limit"},
                                              {{{"symbols", "A"}}, "#/symbols"},
                                              {{{"fields", {"nosuch"}}}, "#/fields"},
                                              {{{"fields", {"price", "price"}}}, "#/fields"},
                                              {{{"nosuch", 1}}, "#/nosuch"},
                                              {{{"page_size", 5}, {"limit", 5}}, "#/limit"},
                                              {{{"start", true}}, "#/start"}};
  for (const auto& [question, pointer] : bad) {
    const HttpAnswer answer = post("/v1/trades/query", question);
    EXPECT_EQ(answer.status, 422) << question;
    EXPECT_EQ(answer.headers.get("Content-Type"), "application/problem+json");
    EXPECT_EQ(Json::parse(answer.body)["errors"][0]["pointer"], pointer) << answer.body;
  }
  const std::string url = server_->url() + "/v1/trades/query";
  EXPECT_EQ(HttpClient().post(url, "application/json", "{").value().status, 400);
  EXPECT_EQ(HttpClient().post(url, "text/plain", "{}").value().status, 415);
  EXPECT_EQ(HttpClient().post(url, "application/json; charset=utf-8", "{}").value().status, 200);
  EXPECT_EQ(HttpClient().post(url + "?limit=5", "application/json", "{}").value().status, 400);
  const HttpAnswer large = HttpClient().post(url, "application/json", std::string(65'537, ' ')).value();
  EXPECT_EQ(large.status, 413);
  EXPECT_EQ(large.headers.get("Content-Type"), "application/problem+json");
  EXPECT_EQ(get("/v1/trades/query").status, 405);
}

TEST_F(PagesTest, ASnapshotIsAskedAsItWas) {
  const int64_t first = commit_trades();
  put(21, 30);
  const int64_t second = commit_trades();
  put(31, 33);
  const auto ids_of = [&](int64_t snapshot) {
    return ids_in_pages("/v1/snapshots/" + std::to_string(snapshot) + "/query", {{"page_size", 4}, {"order", "oldest"}});
  };
  EXPECT_EQ(ids_of(first), numbers(1, 20));
  EXPECT_EQ(ids_of(second), numbers(1, 30));
  const Json listed = json("/v1/snapshots");
  ASSERT_EQ(listed["count"], 2);
  EXPECT_EQ(listed["data"][0]["snapshot_id"], second);
  EXPECT_EQ(json("/v1/snapshots?table=quotes_v2")["count"], 0);
  EXPECT_EQ(post("/v1/snapshots/12345/query", Json::object()).status, 404);
  EXPECT_EQ(post("/v1/snapshots/x/query", Json::object()).status, 404);
  EXPECT_EQ(json("/v1/stats")["data"][0]["rows"], 33);
}

}  // namespace
}  // namespace k2
