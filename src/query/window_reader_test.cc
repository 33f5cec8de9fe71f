#include "query/window_reader.h"

#include <gtest/gtest.h>

#include "query/query_testing.h"

namespace k2 {
namespace {

using namespace k2::testing;  // NOLINT: the words of this folder's tests

class WindowReaderTest : public ::testing::Test {
 protected:
  World world{1};
  WindowReader reader;

  std::shared_ptr<const TableState> state() { return must(world.lake().load(kTradesV2.name)); }

  static WindowRequest request(RowFilter filter, int64_t rows_max = 1'000'000) {
    std::vector<std::string_view> columns;
    for (const Column& column : kTradeColumns) columns.push_back(column.name);
    return {kTradesV2, columns, std::move(filter), rows_max};
  }

  // Offsets of the rows read, sorted.
  std::vector<int64_t> read(RowFilter filter) {
    const auto parts = must(reader.read(*state()->files, request(std::move(filter)), [] { return Status{}; }));
    EXPECT_TRUE(parts.has_value()) << "left to DuckDB";
    std::vector<int64_t> offsets;
    if (!parts) return offsets;
    for (const SelectedRows& part : *parts) {
      const auto& column = testing::column<arrow::Int64Array>(*part.batch, "log_offset");
      if (part.rows)
        for (const int32_t row : *part.rows) offsets.push_back(column.Value(row));
      else
        for (int64_t row = 0; row < column.length(); ++row) offsets.push_back(column.Value(row));
    }
    std::sort(offsets.begin(), offsets.end());
    return offsets;
  }

  static std::vector<int64_t> expected(int64_t count, const std::function<bool(const Trade&)>& wanted) {
    std::vector<int64_t> offsets;
    for (int64_t n = 0; n < count; ++n)
      if (wanted(nth_trade(n))) offsets.push_back(n);
    return offsets;
  }
};

TEST_F(WindowReaderTest, ReadsOurOwnFiles) {
  world.trades(60'000);  // several pages a column
  world.archive(Channel::kTrades);
  for (const int64_t start_s : {0, 7'000, 15'000}) {
    RowFilter filter{.symbols = {"SOLUSDT"},
                     .exchange = "",
                     .start = TimestampUs{kMorningUs + start_s * 1'000'000},
                     .end = TimestampUs{kMorningUs + (start_s + 900) * 1'000'000}};
    EXPECT_EQ(read(filter), expected(60'000, [&](const Trade& trade) {
                return trade.symbol == "SOLUSDT" && trade.timestamp >= *filter.start && trade.timestamp < *filter.end;
              }));
  }
  EXPECT_EQ(read({.symbols = {"ETHUSDT", "BTCUSDT"}}),
            expected(60'000, [](const Trade& trade) { return trade.symbol == "ETHUSDT" || trade.symbol == "BTCUSDT"; }));
  EXPECT_EQ(read({}).size(), 60'000u);
  EXPECT_TRUE(read({.symbols = {"NONE"}}).empty());
}

TEST_F(WindowReaderTest, LeavesLargeWindowsAlone) {
  world.trades(1000);
  world.archive(Channel::kTrades);
  EXPECT_FALSE(must(reader.read(*state()->files, request({}, 999), [] { return Status{}; })));
  EXPECT_TRUE(must(reader.read(*state()->files, request({}, 1000), [] { return Status{}; })));
}

// The timestamps of the first rows, by brute force and by the reader, from the archived half and the half that was read before.
TEST_F(WindowReaderTest, ReadsNoMoreThanTheFirstRowsNeed) {
  world.trades(40'000);
  world.archive(Channel::kTrades);
  world.trades(40'000);
  world.archive(Channel::kTrades);
  const auto timestamps_of = [](const std::vector<SelectedRows>& parts) {
    std::vector<int64_t> timestamps;
    for (const SelectedRows& part : parts) {
      const auto& column = testing::column<arrow::TimestampArray>(*part.batch, "timestamp");
      if (part.rows)
        for (const int32_t row : *part.rows) timestamps.push_back(column.Value(row));
      else
        for (int64_t row = 0; row < column.length(); ++row) timestamps.push_back(column.Value(row));
    }
    return timestamps;
  };
  const auto everything = must(reader.read(*state()->files, request({.symbols = {"SOLUSDT"}}), [] { return Status{}; }));
  std::vector<int64_t> all = timestamps_of(*everything);
  for (const EventOrder order : {EventOrder::kOldestFirst, EventOrder::kNewestFirst}) {
    if (order == EventOrder::kNewestFirst) std::ranges::sort(all, std::greater());
    else std::ranges::sort(all);
    for (const int64_t limit : {int64_t{0}, int64_t{1}, int64_t{7}, int64_t{1'000}, int64_t{1'000'000}}) {
      auto wanted = request({.symbols = {"SOLUSDT"}});
      wanted.first = FirstRows{limit, order};
      std::vector<int64_t> read = timestamps_of(*must(reader.read(*state()->files, wanted, [] { return Status{}; })));
      if (order == EventOrder::kNewestFirst) std::ranges::sort(read, std::greater());
      else std::ranges::sort(read);
      const size_t needed = std::min(all.size(), static_cast<size_t>(limit));
      ASSERT_GE(read.size(), needed);
      EXPECT_TRUE(std::equal(all.begin(), all.begin() + static_cast<ptrdiff_t>(needed), read.begin()));
      if (limit > 0 && limit < 1'000) {
        EXPECT_LT(read.size(), 2'000u);
      }
    }
  }
}

TEST_F(WindowReaderTest, ThreadsReadTheSame) {
  world.trades(60'000);
  world.archive(Channel::kTrades);
  auto wanted = request({.symbols = {"SOLUSDT", "BTCUSDT"}});
  const auto one = must(reader.read(*state()->files, wanted, [] { return Status{}; }));
  wanted.threads = 4;
  const auto four = must(reader.read(*state()->files, wanted, [] { return Status{}; }));
  ASSERT_EQ(one->size(), four->size());
  for (size_t i = 0; i < one->size(); ++i) {
    EXPECT_TRUE((*one)[i].batch->Equals(*(*four)[i].batch));
    EXPECT_EQ((*one)[i].rows, (*four)[i].rows);
  }
}

TEST_F(WindowReaderTest, LeavesBrokenFilesToDuckDb) {
  world.trades(1000);
  world.archive(Channel::kTrades);
  const std::string path = state()->files->front().path;
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  std::filesystem::resize_file(path, state()->files->front().size_bytes / 2);
  EXPECT_FALSE(must(reader.read(*state()->files, request({}), [] { return Status{}; })));
  const auto answer = world.engine().events({}, must(world.engine().cut()));
  EXPECT_TRUE(!answer || !read_all(**answer));
}

TEST_F(WindowReaderTest, EndsWhenTheCheckSaysSo) {
  world.trades(1000);
  world.archive(Channel::kTrades);
  const auto answer = reader.read(*state()->files, request({}), []() -> Status { return make_error(ErrorKind::kCancelled, "enough"); });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kCancelled);
}

}  // namespace
}  // namespace k2
