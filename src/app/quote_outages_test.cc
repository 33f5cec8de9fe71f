#include "app/quote_outages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "app/ingest.h"
#include "base/uuid.h"
#include "log/local_log.h"

namespace k2 {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr TimestampUs at(int64_t seconds) { return {seconds * kUsPerSecond}; }

/// A feed of one symbol, in seconds; statements as text.
class Feed {
 public:
  explicit Feed(const QuoteOutages::Policy& policy = {}) : outages(policy) {}

  void up(uint64_t line, int64_t second) {
    lines[line] = outages.line(line);
    outages.live(line, "binance", {"BTCUSDT"}, at(second));
  }
  void heard(uint64_t line, int64_t second) { lines.at(line)->heard(at(second)); }
  void quote(uint64_t line, int64_t id, int64_t second, bool left_out = false) {
    heard(line, second);
    outages.expect(lines.at(line), "binance", "BTCUSDT", id, at(second));
    outages.took("binance", "BTCUSDT", id, at(second), left_out);
  }
  void down(uint64_t line) { outages.ended(line); }

  /// "observed 1..5 10-14s", in order.
  std::vector<std::string> stated() {
    std::vector<std::string> texts;
    for (const Coverage& row : outages.take_statements()) {
      EXPECT_EQ(row.channel, Channel::kQuotes);
      EXPECT_EQ(row.reason, row.status == CoverageStatus::kLost ? lost_because : "");
      texts.push_back(std::string(coverage_status_name(row.status)) + " " + std::to_string(row.first_sequence) + ".." +
                      std::to_string(row.last_sequence) + " " + std::to_string(row.timestamp.us / kUsPerSecond) + "-" +
                      std::to_string(row.end_timestamp.us / kUsPerSecond) + "s");
    }
    return texts;
  }
  std::vector<std::string> stated_at_the_end() {
    for (const auto& [id, line] : lines) outages.ended(id);
    outages.finish();
    return stated();
  }

  QuoteOutages outages;
  std::string_view lost_because = kNotConnected;
  std::map<uint64_t, std::shared_ptr<QuoteOutages::Line>> lines;
};

TEST(QuoteOutages, QuotesOfOneLineAreObservedHowFarApartTheyAreInIdAndTime) {
  Feed feed;
  feed.up(1, 0);
  feed.quote(1, 100, 5);
  feed.quote(1, 250, 200);
  EXPECT_THAT(feed.stated_at_the_end(), ElementsAre("observed 100..250 5-200s"));
  EXPECT_EQ(feed.outages.counts().outages, 0);
}

TEST(QuoteOutages, StretchesThatGoOnAreStatedNowAndThenAndFollowEachOther) {
  Feed feed({.state_every_us = at(60).us});
  feed.up(1, 0);
  feed.quote(1, 100, 5);
  feed.quote(1, 110, 65);
  EXPECT_THAT(feed.stated(), ElementsAre("observed 100..110 5-65s"));
  feed.quote(1, 130, 70);
  EXPECT_THAT(feed.stated_at_the_end(), ElementsAre("observed 111..130 70-70s"));
}

TEST(QuoteOutages, NothingIsSaidOfALineBeforeItsFirstQuote) {
  Feed feed;
  feed.up(1, 0);
  feed.down(1);
  feed.up(2, 50);
  feed.quote(2, 7, 60);
  EXPECT_THAT(feed.stated_at_the_end(), ElementsAre("observed 7..7 60-60s"));
}

TEST(QuoteOutages, BetweenTwoLinesQuotesAreLost) {
  Feed feed;
  feed.up(1, 0);
  feed.quote(1, 100, 5);
  feed.down(1);
  feed.up(2, 12);
  feed.quote(2, 150, 14);
  feed.quote(2, 151, 15);
  EXPECT_THAT(feed.stated(), ElementsAre("observed 100..100 5-5s", "lost 101..149 5-14s"));
  EXPECT_EQ(feed.outages.counts().outages, 1);
  EXPECT_EQ(feed.outages.counts().last_us, at(14).us);
  EXPECT_THAT(feed.stated_at_the_end(), ElementsAre("observed 150..151 14-15s"));
}

TEST(QuoteOutages, TheOutageIsStatedBeforeTheQuoteThatEndsIt) {
  Feed feed;
  feed.up(1, 0);
  feed.quote(1, 100, 5);
  feed.down(1);
  feed.up(2, 12);
  feed.outages.expect(feed.lines[2], "binance", "BTCUSDT", 150, at(14));
  EXPECT_THAT(feed.stated(), ElementsAre("observed 100..100 5-5s", "lost 101..149 5-14s"));
}

TEST(QuoteOutages, NothingWasSentBetweenNumbersThatFollowEachOther) {
  Feed feed;
  feed.up(1, 0);
  feed.quote(1, 100, 5);
  feed.down(1);
  feed.up(2, 12);
  feed.quote(2, 101, 14);
  EXPECT_EQ(feed.outages.counts().outages, 0);
  EXPECT_THAT(feed.stated_at_the_end(), ElementsAre("observed 100..100 5-5s", "observed 101..101 14-14s"));
}

TEST(QuoteOutages, TheSameQuoteFromTheNextLineShowsThatNoneWasMissed) {
  Feed feed;
  feed.up(1, 0);
  feed.quote(1, 100, 5);
  feed.down(1);
  feed.up(2, 12);
  feed.quote(2, 100, 14);
  feed.quote(2, 180, 15);
  EXPECT_THAT(feed.stated_at_the_end(), ElementsAre("observed 100..180 5-15s"));
}

TEST(QuoteOutages, ALineThatIsReplacedAfterItsSuccessorIsUpLosesNothing) {
  Feed feed;
  feed.up(1, 0);
  feed.quote(1, 100, 5);
  feed.up(2, 1000);
  feed.heard(1, 1004);  // another symbol's message: the line carried this one as well, and nothing came
  feed.down(1);
  feed.quote(2, 150, 1010);
  EXPECT_THAT(feed.stated_at_the_end(), ElementsAre("observed 100..150 5-1010s"));
}

TEST(QuoteOutages, LinesMayBeReplacedManyTimesWithoutAQuote) {
  Feed feed;
  feed.up(1, 0);
  feed.quote(1, 100, 5);
  for (uint64_t line = 2; line < 6; ++line) {
    feed.up(line, static_cast<int64_t>(line) * 1000);
    feed.heard(line - 1, static_cast<int64_t>(line) * 1000 + 4);
    feed.down(line - 1);
  }
  feed.quote(5, 150, 6000);
  EXPECT_THAT(feed.stated_at_the_end(), ElementsAre("observed 100..150 5-6000s"));
}

TEST(QuoteOutages, ALineThatWasDeadBeforeItEndedCarriedNothing) {
  Feed feed;
  feed.up(1, 0);
  feed.quote(1, 100, 5);
  feed.heard(1, 20);  // and silent from then on
  feed.up(2, 60);
  feed.down(1);
  feed.quote(2, 150, 70);
  EXPECT_THAT(feed.stated(), ElementsAre("observed 100..100 5-5s", "lost 101..149 5-70s"));
}

TEST(QuoteOutages, OfTwoLinesOneMayGoAndComeBack) {
  Feed feed;
  feed.up(1, 0);
  feed.up(2, 0);
  feed.quote(1, 100, 5);
  feed.quote(2, 100, 5);
  feed.down(1);
  feed.quote(2, 120, 10);
  feed.up(3, 15);
  feed.quote(3, 130, 20);  // before the other line brings it
  feed.quote(2, 130, 20);
  EXPECT_THAT(feed.stated_at_the_end(), ElementsAre("observed 100..120 5-10s", "observed 121..129 10-20s", "observed 130..130 20-20s"));
  EXPECT_EQ(feed.outages.counts().outages, 0);
}

TEST(QuoteOutages, WhetherTheOtherLineCarriedItIsWaitedFor) {
  Feed feed;
  feed.up(1, 0);
  feed.up(2, 0);
  feed.quote(1, 100, 5);
  feed.quote(2, 100, 5);
  feed.down(1);  // and the second is half open from here on
  feed.up(3, 15);
  feed.quote(3, 130, 20);
  feed.quote(3, 131, 21);
  EXPECT_THAT(feed.stated(), ElementsAre("observed 100..100 5-5s"));
  feed.down(2);
  EXPECT_THAT(feed.stated(), ElementsAre("lost 101..129 5-20s"));
  EXPECT_THAT(feed.stated_at_the_end(), ElementsAre("observed 130..131 20-21s"));
}

TEST(QuoteOutages, WhatTheOldLineBringsBehindTheNewOnesFirstIsLost) {
  Feed feed;
  feed.lost_because = kCameLate;
  feed.up(1, 0);
  feed.quote(1, 94, 100);
  feed.up(2, 105);
  feed.quote(2, 101, 120);
  feed.quote(1, 95, 121);
  feed.quote(1, 100, 121);
  feed.down(1);
  feed.quote(2, 102, 122);
  EXPECT_THAT(feed.stated_at_the_end(), ElementsAre("observed 94..94 100-100s", "lost 95..100 100-120s", "observed 101..102 120-122s"));
  EXPECT_EQ(feed.outages.counts().outages, 1);
}

TEST(QuoteOutages, AtTheEndWhatNoLineHasShownIsLost) {
  Feed feed;
  feed.up(1, 0);
  feed.up(2, 0);
  feed.quote(2, 99, 4);
  feed.quote(1, 100, 5);
  feed.down(1);
  feed.up(3, 15);
  feed.quote(3, 130, 20);
  feed.outages.finish();
  EXPECT_THAT(feed.stated(), ElementsAre("observed 99..100 4-5s", "lost 101..129 5-20s", "observed 130..130 20-20s"));
}

TEST(QuoteOutages, AnEarlierLifesEndBeginsAnOutage) {
  Feed feed;
  feed.outages.resume("binance", "BTCUSDT", {100, at(5)});
  feed.up(1, 60);
  feed.quote(1, 150, 61);
  feed.quote(1, 155, 62);
  EXPECT_THAT(feed.stated_at_the_end(), ElementsAre("lost 101..149 5-61s", "observed 150..155 61-62s"));
  EXPECT_EQ(feed.outages.counts().outages, 0) << "it began in another life";
}

TEST(QuoteOutages, WhatIsLeftOutUnderLoadIsNotObserved) {
  Feed feed;
  feed.up(1, 0);
  feed.quote(1, 100, 5);
  feed.quote(1, 110, 6, true);
  feed.quote(1, 120, 7, true);
  feed.quote(1, 130, 8);
  EXPECT_THAT(feed.stated_at_the_end(), ElementsAre("observed 100..109 5-5s", "observed 121..130 8-8s"));
}

TEST(QuoteOutages, NumbersThatBeginAgainAreLeftToOthers) {
  Feed feed;
  feed.up(1, 0);
  feed.quote(1, 100, 5);
  feed.down(1);
  feed.up(2, 12);
  feed.quote(2, 3, 14);
  EXPECT_THAT(feed.stated_at_the_end(), ElementsAre("observed 100..100 5-5s"));
}

TEST(QuoteOutages, ALineThatEndedBeforeItWasSaidToBeLiveIsForgotten) {
  Feed feed;
  feed.outages.line(1);
  feed.down(1);
  feed.outages.live(1, "binance", {"BTCUSDT"}, at(1));
  feed.up(2, 12);
  feed.quote(2, 3, 14);
  EXPECT_THAT(feed.stated_at_the_end(), ElementsAre("observed 3..3 14-14s"));
}

class NewestQuotes : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(dir);
    log = LocalLog::open(dir + "/log.db").value();
  }
  void TearDown() override {
    log.reset();
    std::filesystem::remove_all(dir);
  }
  void put(const std::string& symbol, int64_t id, int64_t second) {
    Ingest ingest(*log, *log);
    Quote quote;
    quote.symbol = symbol;
    quote.exchange = "binance";
    quote.asset_class = AssetClass::kCrypto;
    quote.currency = "USDT";
    quote.source_sequence = id;
    quote.timestamp = quote.ingestion_timestamp = at(second);
    ASSERT_TRUE(ingest.put(quote, Numbering::kRising));
    ASSERT_TRUE(ingest.flush());
  }
  const std::string dir = testing::TempDir() + "k2-quotes-" + random_uuid();
  std::unique_ptr<LocalLog> log;
};

TEST_F(NewestQuotes, AreReadFromPositionsAndRecords) {
  EXPECT_THAT(*newest_quotes(*log, "binance", {"BTCUSDT"}), IsEmpty());
  put("BTCUSDT", 10, 1);
  put("ETHUSDT", 7, 2);
  put("BTCUSDT", 12, 3);
  put("ETHUSDT", 9, 4);
  const auto found = newest_quotes(*log, "binance", {"BTCUSDT", "ETHUSDT", "SOLUSDT"});
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ(found->at("BTCUSDT").id, 12);
  EXPECT_EQ(found->at("BTCUSDT").at, at(3));
  EXPECT_EQ(found->at("ETHUSDT").id, 9);
  EXPECT_EQ(found->at("ETHUSDT").at, at(4));
}

TEST_F(NewestQuotes, OneThatLiesFurtherBackHasTheTimeOfTheOldestRead) {
  put("BTCUSDT", 10, 1);
  put("ETHUSDT", 7, 2);
  put("ETHUSDT", 8, 3);
  const auto found = newest_quotes(*log, "binance", {"BTCUSDT", "ETHUSDT"}, 2);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->at("BTCUSDT").id, 10);
  EXPECT_EQ(found->at("BTCUSDT").at, at(2));
}

}  // namespace
}  // namespace k2
