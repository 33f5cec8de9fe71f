#include "query/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "query/format.h"
#include "query/hybrid.h"
#include "query/query_testing.h"

namespace k2 {
namespace {

using namespace k2::testing;  // NOLINT: the words of this folder's tests
using ::testing::HasSubstr;

int64_t half(int64_t lag) { return lag / 2; }

std::string as_bytes(Result<std::unique_ptr<QueryResult>> result) {
  std::string bytes;
  const auto rows = must(std::move(result));
  must(write(*rows, Format::kNdjson, {}, [&](std::string_view part) -> Status {
    bytes += part;
    return {};
  }));
  return bytes;
}

TEST(Events, OfAnEmptyLakeAreNone) {
  World world;
  const auto batch = rows_of(world.engine().events({}, must(world.engine().cut())));
  EXPECT_EQ(batch->num_rows(), 0);
  EXPECT_EQ(batch->num_columns(), static_cast<int>(std::size(kTradeColumns)));
}

TEST(Events, ComeFromTheLogAlone) {
  World world;
  world.trades(500);
  const Cut cut = must(world.engine().cut());
  EXPECT_EQ(sum_of(*rows_of(world.engine().events({}, cut))), expected_trades(world.log(), cut.end));
}

TEST(Events, ComeFromTheTableAlone) {
  World world;
  world.trades(500);
  world.archive(Channel::kTrades);
  const Cut cut = must(world.engine().cut());
  EXPECT_EQ(sum_of(*rows_of(world.engine().events({}, cut))), expected_trades(world.log(), cut.end));
}

TEST(Events, ComeFromBothEachRowOnce) {
  World world;
  world.trades(2000);
  world.archive(Channel::kTrades, half);
  world.trades(100);
  world.archive(Channel::kTrades, half);
  const Cut cut = must(world.engine().cut());
  const auto batch = rows_of(world.engine().events({}, cut));
  EXPECT_EQ(batch->num_rows(), 2100);
  EXPECT_EQ(sum_of(*batch), expected_trades(world.log(), cut.end));
}

TEST(Events, AreFilteredTheSameInTableAndLog) {
  World world;
  world.trades(3000);
  world.archive(Channel::kTrades, half);
  const Cut cut = must(world.engine().cut());
  EventQuery query;
  query.symbols = {"ETHUSDT", "O'HARA"};
  query.exchange = "binance";
  query.start = TimestampUs{kMorningUs + 60'000'000};
  query.end = TimestampUs{kMorningUs + 700'000'000};
  const auto expected = expected_trades(world.log(), cut.end, [&](const Trade& trade) {
    return (trade.symbol == "ETHUSDT" || trade.symbol == "O'HARA") && trade.timestamp >= *query.start && trade.timestamp < *query.end;
  });
  EXPECT_GT(expected.count, 100);
  EXPECT_EQ(sum_of(*rows_of(world.engine().events(query, cut))), expected);
  query.exchange = "asx";
  EXPECT_EQ(rows_of(world.engine().events(query, cut))->num_rows(), 0);
  query.exchange = "";
  query.symbols = {"' OR 1=1 --"};
  EXPECT_EQ(rows_of(world.engine().events(query, cut))->num_rows(), 0);
}

TEST(Events, AreTheSameByPageIndexAndByDuckDb) {
  World world;
  world.trades(5000);
  world.archive(Channel::kTrades, half);
  world.trades(400);
  world.archive(Channel::kTrades, half);
  world.quotes(300);
  world.archive(Channel::kQuotes, half);
  const Cut cut = must(world.engine().cut());
  const auto by_duckdb = must(Engine::open(world.lake(), world.log(), world.log(), {.window_rows_max = -1}));
  const TimestampUs middle{kMorningUs + 700'000'000};
  for (const EventQuery& query :
       {EventQuery{}, EventQuery{.symbols = {"BTCUSDT"}}, EventQuery{.symbols = {"XRPUSDT", "O'HARA"}, .start = middle},
        EventQuery{.symbols = {"ETHUSDT"}, .end = middle, .limit = 100, .order = EventOrder::kNewestFirst},
        EventQuery{.exchange = "binance", .start = middle, .columns = {"log_offset", "message_id", "trade_conditions"}},
        EventQuery{.start = middle, .end = middle}, EventQuery{.channel = Channel::kQuotes, .symbols = {"RIO"}}, EventQuery{.limit = 0}}) {
    const auto window = rows_of(world.engine().events(query, cut));
    const auto sql = rows_of(by_duckdb->events(query, cut));
    EXPECT_TRUE(window->schema()->Equals(sql->schema(), /*check_metadata=*/true))
        << window->schema()->ToString() << sql->schema()->ToString();
    EXPECT_TRUE(window->Equals(*sql)) << window->num_rows() << " and " << sql->num_rows();
    EXPECT_EQ(as_bytes(world.engine().events(query, cut)), as_bytes(by_duckdb->events(query, cut)));
  }
}

TEST(Events, ComeInOneOrderWhateverTheirPlace) {
  World world;
  world.trades(1000);
  const std::string token = read_token(must(world.engine().cut()));
  const auto ask = [&](EventOrder order) {
    return as_bytes(world.engine().events({.limit = 700, .order = order}, must(world.engine().cut_of(token))));
  };
  const std::string oldest = ask(EventOrder::kOldestFirst), newest = ask(EventOrder::kNewestFirst);
  EXPECT_NE(oldest, newest);
  world.archive(Channel::kTrades, half);
  world.trades(50);
  EXPECT_EQ(ask(EventOrder::kOldestFirst), oldest);
  world.archive(Channel::kTrades);
  EXPECT_EQ(ask(EventOrder::kOldestFirst), oldest);
  EXPECT_EQ(ask(EventOrder::kNewestFirst), newest);

  const auto forward = rows_of(world.engine().events({}, must(world.engine().cut_of(token))));
  const auto backward = rows_of(world.engine().events({.order = EventOrder::kNewestFirst}, must(world.engine().cut_of(token))));
  ASSERT_EQ(forward->num_rows(), 1000);
  for (int64_t row = 0; row < 1000; ++row) ASSERT_EQ(row_text(*forward, row), row_text(*backward, 999 - row));
}

TEST(Events, HaveTheColumnsAskedForAndNoOthers) {
  World world;
  world.trades(10);
  const Cut cut = must(world.engine().cut());
  const auto batch = rows_of(world.engine().events({.limit = 3, .columns = {"price", "symbol"}}, cut));
  EXPECT_EQ(batch->schema()->field_names(), (std::vector<std::string>{"price", "symbol"}));
  EXPECT_EQ(batch->num_rows(), 3);
  const auto refused = world.engine().events({.columns = {"volume"}}, cut);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalidInput);
  EXPECT_THAT(refused.error().message, HasSubstr("volume"));
}

TEST(Events, OfQuotesDoNotMixWithTrades) {
  World world;
  world.trades(30);
  world.quotes(40);
  world.archive(Channel::kQuotes, half);
  const Cut cut = must(world.engine().cut());
  const auto batch = rows_of(world.engine().events({.channel = Channel::kQuotes}, cut));
  EXPECT_EQ(batch->num_rows(), 40);
  EXPECT_EQ(rows_of(world.engine().events({}, cut))->num_rows(), 30);
}

TEST(Events, RefuseWhatMakesNoSense) {
  World world;
  const Cut cut = must(world.engine().cut());
  for (const EventQuery& query : {EventQuery{.start = TimestampUs{2}, .end = TimestampUs{1}}, EventQuery{.limit = -1},
                                  EventQuery{.symbols = {std::string("A\0B", 3)}}}) {
    const auto refused = world.engine().events(query, cut);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kInvalidInput);
  }
}

TEST(Events, AreAnErrorWhenARecordCannotBeDecoded) {
  World world;
  world.trades(10);
  world.raw(kTradesTopic, "no message of ours");
  const auto answer = world.engine().events({}, must(world.engine().cut()));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kCorrupt);
  EXPECT_THAT(answer.error().message, HasSubstr(kTradesTopic));
}

TEST(Events, AreReadFromTheLogWhereMemoryHasNoRoom) {
  World world(2, {.tail_bytes_max = 20'000});
  world.trades(20'000);
  world.archive(Channel::kTrades, [](int64_t lag) { return lag / 10; });
  const Cut cut = must(world.engine().cut());
  EXPECT_EQ(sum_of(*rows_of(world.engine().events({}, cut))), expected_trades(world.log(), cut.end));
  const auto is_btc = [](const Trade& trade) { return trade.symbol == "BTCUSDT"; };
  EXPECT_EQ(sum_of(*rows_of(world.engine().events({.symbols = {"BTCUSDT"}}, cut))), expected_trades(world.log(), cut.end, is_btc));
}

TEST(Events, ThatAreNotInMemoryAreAnErrorWhenTheyCannotBeDecoded) {
  World world(1, {.tail_bytes_max = 3'000});
  world.trades(10);
  world.raw(kTradesTopic, "no message of ours");
  world.trades(500);
  const auto answer = world.engine().events({}, must(world.engine().cut()));
  const Error error = answer ? read_all(**answer).error() : answer.error();
  EXPECT_EQ(error.kind, ErrorKind::kCorrupt);
}

TEST(Events, EndWhenAskedTo) {
  World world;
  world.trades(1000);
  std::stop_source source;
  source.request_stop();
  const auto answer = world.engine().events({}, must(world.engine().cut()), {.stop = source.get_token()});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kCancelled);
}

// --- tokens ---------------------------------------------------------------------------------------------------------------

TEST(ReadTokens, GiveTheSameBytesAfterMoreCommits) {
  World world;
  world.trades(300);
  world.archive(Channel::kTrades, half);
  world.trades(77);
  const std::string token = read_token(must(world.engine().cut()));
  const std::string before = as_bytes(world.engine().events({}, must(world.engine().cut_of(token))));
  for (int i = 0; i < 20; ++i) {
    world.trades(13);
    world.archive(Channel::kTrades, half);
    ASSERT_EQ(as_bytes(world.engine().events({}, must(world.engine().cut_of(token)))), before) << i;
  }
  world.restart_engine();
  EXPECT_EQ(as_bytes(world.engine().events({}, must(world.engine().cut_of(token)))), before);
}

TEST(ReadTokens, AreReadThroughANewerSnapshotWhereTheLogWasTrimmed) {
  World world;
  world.trades(300);
  world.archive(Channel::kTrades, half);
  const std::string token = read_token(must(world.engine().cut()));
  const Cut cut = must(world.engine().cut_of(token));
  const RowSum expected = expected_trades(world.log(), cut.end);
  const std::string before = as_bytes(world.engine().events({}, cut));
  const auto stats_before = as_bytes(world.engine().sql("SELECT count(*), sum(price) FROM trades", cut));

  world.trades(200);
  world.archive(Channel::kTrades);
  must(world.log().trim(must(world.log().end_offsets()), TimestampUs{INT64_MAX}));
  world.restart_engine();  // nothing of it in memory
  EXPECT_EQ(sum_of(*rows_of(world.engine().events({}, cut))), expected);
  EXPECT_EQ(as_bytes(world.engine().events({}, cut)), before);
  EXPECT_EQ(as_bytes(world.engine().sql("SELECT count(*), sum(price) FROM trades", cut)), stats_before);
  const auto stats = rows_of(world.engine().stats(cut));
  EXPECT_EQ(column<arrow::Int64Array>(*stats, "rows").Value(0), 300);
}

TEST(ReadTokens, ExpireWhenTheRowsAreNowhereAnyMore) {
  World world(1);
  world.trades(100);
  const Cut cut = must(world.engine().cut());
  world.trades(10);
  // A log that lets go of what no table has: not ours, but a Kafka topic with too short a retention does it.
  must(world.log().trim(must(world.log().end_offsets()), TimestampUs{INT64_MAX}));
  world.restart_engine();
  const auto answer = world.engine().events({}, cut);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kNotFound);
  EXPECT_THAT(answer.error().message, HasSubstr("read_token expired"));
}

TEST(ReadTokens, OfAnotherLogAreRefused) {
  World world, other;
  const auto answer = world.engine().cut_of(read_token(must(other.engine().cut())));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kInvalidInput);
}

// --- commit storm ---------------------------------------------------------------------------------------------------------

// A writer and an archiver at random paces, until told to end.
class Storm {
 public:
  explicit Storm(World& world)
      : writer_([&world](const std::stop_token& stop) {
          std::mt19937 random(1);
          while (!stop.stop_requested()) {
            world.trades(1 + random() % 10);
            std::this_thread::sleep_for(std::chrono::milliseconds(1 + random() % 10));
          }
        }),
        archiver_([&world, this](const std::stop_token& stop) {
          std::mt19937 random(2);
          while (!stop.stop_requested()) {
            world.archive(Channel::kTrades,
                          [&](int64_t lag) { return lag == 0 ? 0 : static_cast<int64_t>(random() % static_cast<uint64_t>(lag + 1)); });
            ++commits_;
            std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 40));
          }
        }) {}
  [[nodiscard]] int commits() const { return commits_; }

 private:
  std::atomic<int> commits_ = 0;
  std::jthread writer_, archiver_;
};

TEST(CommitStorm, EveryCutIsTheLogsPrefix) {
  World world(3);
  std::vector<std::pair<Cut, RowSum>> answers;
  {
    Storm storm(world);
    std::mt19937 random(3);
    while (answers.size() < 60) {
      const Cut cut = must(world.engine().cut());
      answers.emplace_back(cut, sum_of(*rows_of(world.engine().events({}, cut))));
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 5));
    }
    EXPECT_GT(storm.commits(), 3);
  }
  for (const auto& [cut, sum] : answers) ASSERT_EQ(sum, expected_trades(world.log(), cut.end));
  // And again by token, when everything has moved on.
  world.archive(Channel::kTrades);
  for (size_t i = 0; i < answers.size(); i += 10)
    ASSERT_EQ(sum_of(*rows_of(world.engine().events({}, must(world.engine().cut_of(read_token(answers[i].first)))))), answers[i].second);
}

TEST(CommitStorm, ConcurrentQuestionsShareTheTail) {
  World world(2, {.tail_bytes_max = 200'000});
  std::atomic<int> wrong = 0;
  {
    Storm storm(world);
    std::vector<std::jthread> askers;
    for (int i = 0; i < 3; ++i)
      askers.emplace_back([&] {
        for (int asked = 0; asked < 6; ++asked) {
          const Cut cut = must(world.engine().cut());
          if (sum_of(*rows_of(world.engine().events({}, cut))) != expected_trades(world.log(), cut.end)) ++wrong;
        }
      });
  }
  EXPECT_EQ(wrong, 0);
}

// The verifier bites: the same check on a tail that begins one record late.
TEST(CommitStorm, ATailThatIsOffByOneIsCaught) {
  World world(1);
  world.trades(100);
  world.archive(Channel::kTrades, half);
  const Cut cut = must(world.engine().cut());
  HybridReader reader(world.lake(), world.log(), world.log(), {});
  const auto view = must(reader.view(cut, kTradesV2));
  const auto history = rows_of(world.engine().events({}, [&] {
    Cut below = cut;
    below.end = view.state->offsets;
    return below;
  }()));
  for (const int64_t skipped : {0, 1, -1}) {
    Offsets from = view.state->offsets;
    for (auto& [partition, offset] : from) offset.value += skipped;
    RowSum sum = sum_of(*history);
    HotTail tail(Channel::kTrades, world.log(), world.log(), {});
    for (const TailPiece& piece : must(tail.look(from, cut.end)))
      for (Offset offset = piece.from; offset < piece.to; ++offset.value) {
        Trade trade;
        const LogBatch batch = must(world.log().read(piece.partition, offset, Offset{offset.value + 1}, 1));
        must(decode_trade(must(read_frame(batch.records()[0].value)).body, trade));
        sum.add(row_text(trade, piece.partition, offset));
      }
    EXPECT_EQ(sum == expected_trades(world.log(), cut.end), skipped == 0) << skipped;
  }
}

// --- SQL ------------------------------------------------------------------------------------------------------------------

TEST(Sql, SeesTablesAndLogAsOne) {
  World world;
  world.trades(400);
  world.quotes(50);
  world.archive(Channel::kTrades, half);
  const Cut cut = must(world.engine().cut());
  const auto ask = [&](std::string_view sql) { return as_bytes(world.engine().sql(sql, cut)); };
  EXPECT_EQ(ask("SELECT count(*) AS n, count(DISTINCT log_partition * 1000000 + log_offset) AS d FROM trades"), "{\"n\":400,\"d\":400}\n");
  EXPECT_EQ(ask("SELECT (SELECT count(*) FROM trades) AS t, (SELECT count(*) FROM quotes) AS q, (SELECT count(*) FROM coverage) AS c;"),
            "{\"t\":400,\"q\":50,\"c\":0}\n");
  EXPECT_EQ(ask("SELECT count(*) AS n FROM trades a JOIN trades b USING (message_id)"), "{\"n\":400}\n");
  EXPECT_THAT(ask("EXPLAIN SELECT * FROM trades"), HasSubstr("READ_PARQUET"));
  EXPECT_THAT(ask(" explain\nANALYZE SELECT count(*) FROM trades"), HasSubstr("Total Time"));
}

TEST(Sql, RefusesEverythingButOneSelect) {
  World world;
  world.trades(10);
  world.archive(Channel::kTrades);
  const Cut cut = must(world.engine().cut());
  const std::string file = (world.path() / "warehouse" / "x.parquet").string();
  for (const std::string& sql :
       {std::string("DROP VIEW trades"), std::string("SELECT 1; SELECT 2"), std::string(""), std::string("SELEC 1"),
        std::string("CREATE TABLE t (a INT)"), "COPY (SELECT 1) TO '" + file + "'", "EXPLAIN ANALYZE COPY (SELECT 1) TO '" + file + "'",
        "explain /* x */ analyze COPY (SELECT 1) TO '" + file + "'", "/**/ EXPLAIN ANALYZE COPY (SELECT 1) TO '" + file + "'",
        "EXPLAIN (ANALYZE) COPY (SELECT 1) TO '" + file + "'", std::string("SET threads = 4"), "ATTACH '" + file + ".db'",
        std::string("SELECT * FROM nothing"), std::string("INSTALL httpfs"), std::string("PRAGMA threads = 4"),
        std::string("SELECT * FROM read_csv('/etc/passwd')"), std::string("SELECT * FROM read_text('/etc/hostname')"),
        std::string("CALL enable_logging()")}) {
    auto answer = world.engine().sql(sql, cut);
    Status status;
    if (!answer) status = std::unexpected(answer.error());
    else if (auto rows = read_all(**answer); !rows) status = std::unexpected(rows.error());
    EXPECT_FALSE(status) << sql;
    EXPECT_TRUE(status || status.error().kind == ErrorKind::kInvalidInput) << sql << ": " << status.error().message;
    EXPECT_FALSE(std::filesystem::exists(file)) << sql;
  }
}

TEST(Sql, EndsAtItsTimeLimit) {
  World world;
  const Cut cut = must(world.engine().cut());
  const auto started = std::chrono::steady_clock::now();
  auto answer = world.engine().sql("SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b", cut, {.timeout_us = 200'000});
  const Error error = answer ? read_all(**answer).error() : answer.error();
  EXPECT_EQ(error.kind, ErrorKind::kCancelled);
  EXPECT_THAT(error.message, HasSubstr("200 ms"));
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(3));
  EXPECT_EQ(as_bytes(world.engine().sql("SELECT 1 AS a", cut)), "{\"a\":1}\n");
}

TEST(Sql, EndsWhenAskedTo) {
  World world;
  const Cut cut = must(world.engine().cut());
  std::stop_source source;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    source.request_stop();
  });
  auto answer =
      world.engine().sql("SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b", cut, {.stop = source.get_token()});
  const Error error = answer ? read_all(**answer).error() : answer.error();
  EXPECT_EQ(error.kind, ErrorKind::kCancelled);
}

// --- the other questions --------------------------------------------------------------------------------------------------

TEST(Symbols, HaveTheirCountsTimesAndLastPrice) {
  World world;
  world.trades(1000);
  world.archive(Channel::kTrades, half);
  const Cut cut = must(world.engine().cut());
  const auto batch = rows_of(world.engine().symbols(Channel::kTrades, cut));
  ASSERT_EQ(batch->num_rows(), 6);
  EXPECT_EQ(column<arrow::StringArray>(*batch, "symbol").GetString(0), "BTCUSDT");
  int64_t count = 0;
  for (int64_t row = 0; row < 6; ++row) count += column<arrow::Int64Array>(*batch, "count").Value(row);
  EXPECT_EQ(count, 1000);
  // The last row in the order of rows, by another way.
  const auto last = rows_of(world.engine().events({.symbols = {"BTCUSDT"}, .limit = 1, .order = EventOrder::kNewestFirst}, cut));
  EXPECT_EQ(column<arrow::Decimal128Array>(*batch, "last_price").FormatValue(0),
            column<arrow::Decimal128Array>(*last, "price").FormatValue(0));
  EXPECT_EQ(rows_of(world.engine().symbols(Channel::kQuotes, cut))->num_rows(), 0);
}

TEST(Summary, HasExactSums) {
  World world;
  world.trades(1000);
  world.archive(Channel::kTrades, half);
  const Cut cut = must(world.engine().cut());
  const auto batch = rows_of(world.engine().summary({.symbols = {"BTCUSDT"}}, cut));
  ASSERT_EQ(batch->num_rows(), 1);
  __int128 quantity = 0, notional = 0;
  expected_trades(world.log(), cut.end, [&](const Trade& trade) {
    if (trade.symbol != "BTCUSDT") return false;
    quantity += trade.quantity.units();
    notional += static_cast<__int128>(trade.price.units()) * trade.quantity.units();
    return true;
  });
  const auto text = [](__int128 units, int scale) {
    return arrow::Decimal128(static_cast<int64_t>(units >> 64), static_cast<uint64_t>(units)).ToString(scale);
  };
  EXPECT_EQ(column<arrow::Decimal128Array>(*batch, "sum_quantity").FormatValue(0), text(quantity, 8));
  EXPECT_EQ(column<arrow::Decimal128Array>(*batch, "sum_price_quantity").FormatValue(0), text(notional, 16));
}

TEST(Summary, DoesNotOverflowWithTheLargestValues) {
  World world;
  Trade trade = nth_trade(1);
  trade.price = trade.quantity = Decimal18_8::from_units_checked(Decimal18_8::kUnitsMax);
  std::string message;
  encode_trade(trade, must(world.log().register_schema(kTradesTopic + "-value", trade_schema())), message);
  for (int i = 0; i < 50; ++i) world.raw(kTradesTopic, message);
  const auto batch = rows_of(world.engine().summary({}, must(world.engine().cut())));
  EXPECT_EQ(column<arrow::Decimal128Array>(*batch, "sum_price_quantity").FormatValue(0), "4999999999999999990000.0000000000000050");
}

TEST(Stats, CountTablesAndLog) {
  World world;
  world.trades(100);
  world.archive(Channel::kTrades, half);
  world.raw(std::string(kDeadLetterTopic), "letter");
  const auto batch = rows_of(world.engine().stats(must(world.engine().cut())));
  ASSERT_EQ(batch->num_rows(), 4);
  EXPECT_EQ(column<arrow::Int64Array>(*batch, "rows").Value(0), 100);
  EXPECT_EQ(column<arrow::Int64Array>(*batch, "log_end").Value(0), 100);
  EXPECT_EQ(column<arrow::Int64Array>(*batch, "table_rows").Value(0), column<arrow::Int64Array>(*batch, "committed").Value(0));
  EXPECT_EQ(column<arrow::Int64Array>(*batch, "rows").Value(3), 1);
  EXPECT_EQ(rows_of(world.engine().snapshots("trades_v2"))->num_rows(), 1);
  EXPECT_EQ(rows_of(world.engine().snapshots("quotes_v2"))->num_rows(), 0);
}

}  // namespace
}  // namespace k2
