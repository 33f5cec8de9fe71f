#include "query/tail.h"

#include <gtest/gtest.h>

#include "query/query_testing.h"

namespace k2 {
namespace {

using namespace k2::testing;  // NOLINT: the words of this folder's tests

const TopicPartition kPartition{kTradesTopic, 0};

Offsets at(int64_t offset) { return {{kPartition, Offset{offset}}}; }

class TailTest : public ::testing::Test {
 protected:
  World world{1};

  // The pieces are [from, to) without hole or overlap, and their rows say so themselves.
  static void expect_covers(HotTail& tail, int64_t from, int64_t to) {
    const auto pieces = must(tail.look(at(from), at(to)));
    int64_t next = from;
    for (const TailPiece& piece : pieces) {
      ASSERT_EQ(piece.from.value, next);
      const auto batch = must(tail.load(piece));
      ASSERT_EQ(batch->num_rows(), piece.to.value - piece.from.value);
      for (int64_t row = 0; row < batch->num_rows(); ++row)
        ASSERT_EQ(column<arrow::Int64Array>(*batch, "log_offset").Value(row), next + row);
      next = piece.to.value;
    }
    EXPECT_EQ(next, to);
  }
};

TEST_F(TailTest, HasExactlyTheRowsAskedFor) {
  world.trades(300);
  HotTail tail(Channel::kTrades, world.log(), world.log(), {});
  expect_covers(tail, 0, 300);
  expect_covers(tail, 17, 300);
  expect_covers(tail, 17, 123);
  expect_covers(tail, 123, 124);
  EXPECT_TRUE(must(tail.look(at(300), at(300))).empty());
  EXPECT_TRUE(must(tail.look(at(200), at(100))).empty());
  EXPECT_EQ(tail.stats().rows_decoded, 300);
}

TEST_F(TailTest, DecodesEachRecordOnceAsTheLogGrows) {
  HotTail tail(Channel::kTrades, world.log(), world.log(), {});
  for (int64_t end = 7; end <= 700; end += 7) {
    world.trades(7);
    expect_covers(tail, 0, end);
  }
  EXPECT_EQ(tail.stats().rows_decoded, 700);
  EXPECT_EQ(tail.stats().rows, 700);
}

TEST_F(TailTest, KeepsFewChunksHoweverSmallTheAppends) {
  HotTail tail(Channel::kTrades, world.log(), world.log(), {});
  for (int64_t end = 1; end <= 1000; ++end) {
    world.trades(1);
    must(tail.look(at(0), at(end)));
    ASSERT_LE(tail.stats().chunks, 11) << end;
  }
}

TEST_F(TailTest, LetsGoOfWhatTheTableHas) {
  HotTail tail(Channel::kTrades, world.log(), world.log(), {.chunk_rows_max = 100});
  world.trades(1000);
  expect_covers(tail, 0, 1000);
  EXPECT_EQ(tail.stats().rows, 1000);
  tail.release_below(at(555));
  EXPECT_EQ(tail.stats().rows, 500);
  expect_covers(tail, 555, 1000);
  tail.release_below(at(1000));
  EXPECT_EQ(tail.stats().rows, 0);
  EXPECT_EQ(tail.stats().bytes, 0);
  world.trades(10);
  expect_covers(tail, 1000, 1010);
  EXPECT_EQ(tail.stats().rows_decoded, 1010);
  expect_covers(tail, 555, 1010);  // an older cut still has its rows, from the log
  EXPECT_EQ(tail.stats().rows, 10);
}

TEST_F(TailTest, JumpsOverWhatTheTableGotInTheMeantime) {
  HotTail tail(Channel::kTrades, world.log(), world.log(), {});
  world.trades(100);
  expect_covers(tail, 0, 100);
  world.trades(400);
  tail.release_below(at(450));
  expect_covers(tail, 450, 500);
  EXPECT_EQ(tail.stats().rows_decoded, 150);
}

TEST_F(TailTest, StaysWithinItsMemory) {
  HotTail tail(Channel::kTrades, world.log(), world.log(), {.bytes_max = 30'000, .chunk_rows_max = 32});
  world.trades(2000);
  expect_covers(tail, 0, 2000);
  EXPECT_LE(tail.stats().bytes, 30'000);
  EXPECT_GT(tail.stats().rows, 0);
  EXPECT_GT(tail.stats().rows_loaded, 1000);
}

TEST_F(TailTest, PiecesOutliveTheirChunks) {
  HotTail tail(Channel::kTrades, world.log(), world.log(), {});
  world.trades(50);
  const auto pieces = must(tail.look(at(0), at(50)));
  tail.release_below(at(50));
  world.trades(50);
  expect_covers(tail, 50, 100);
  EXPECT_EQ(must(tail.load(pieces[0]))->num_rows(), 50);
}

TEST_F(TailTest, IsAnErrorWhereTheLogWasTrimmed) {
  world.trades(100);
  world.trades(100);
  must(world.log().trim(at(100), TimestampUs{INT64_MAX}));
  HotTail tail(Channel::kTrades, world.log(), world.log(), {});
  const auto pieces = tail.look(at(50), at(200));
  ASSERT_FALSE(pieces);
  EXPECT_EQ(pieces.error().kind, ErrorKind::kNotFound);
  expect_covers(tail, 100, 200);
}

TEST_F(TailTest, IsAnErrorBeyondTheLogsEnd) {
  world.trades(10);
  HotTail tail(Channel::kTrades, world.log(), world.log(), {});
  EXPECT_FALSE(tail.look(at(0), at(11)));
  EXPECT_FALSE(tail.look(at(20), at(30)));
  expect_covers(tail, 0, 10);
}

TEST_F(TailTest, AfterABadRecordItStillHasTheRowsBefore) {
  world.trades(10);
  world.raw(kTradesTopic, "nonsense");
  HotTail tail(Channel::kTrades, world.log(), world.log(), {});
  for (int i = 0; i < 2; ++i) {
    const auto pieces = tail.look(at(0), at(11));
    ASSERT_FALSE(pieces);
    EXPECT_EQ(pieces.error().kind, ErrorKind::kCorrupt);
  }
  expect_covers(tail, 0, 10);
}

// A log whose answers are not what was asked for.
class LyingLog final : public Log {
 public:
  explicit LyingLog(const Log& log) : log_(log) {}
  int64_t shift = 0;
  [[nodiscard]] const LogId& id() const override { return log_.id(); }
  Result<std::vector<Offset>> append(const std::vector<NewRecord>&, const std::vector<PositionUpdate>&) override { std::abort(); }
  [[nodiscard]] Result<LogBatch> read(const TopicPartition& partition, Offset from, Offset end, size_t bytes_max) const override {
    return log_.read(partition, Offset{from.value + shift}, Offset{end.value + shift}, bytes_max);
  }
  [[nodiscard]] Result<Offsets> end_offsets() const override { return log_.end_offsets(); }
  [[nodiscard]] Result<Offsets> begin_offsets() const override { return log_.begin_offsets(); }
  [[nodiscard]] Result<std::vector<Position>> positions(const std::vector<std::string>& sources) const override {
    return log_.positions(sources);
  }
  void wait_for_append(const Offsets&, int64_t) const override {}
  Status trim(const Offsets&, TimestampUs) override { std::abort(); }

 private:
  const Log& log_;
};

TEST_F(TailTest, DoesNotBelieveALogThatSkips) {
  world.trades(100);
  LyingLog log(world.log());
  HotTail tail(Channel::kTrades, log, world.log(), {});
  must(tail.look(at(0), at(50)));
  log.shift = 1;
  const auto pieces = tail.look(at(0), at(99));
  ASSERT_FALSE(pieces);
  EXPECT_EQ(pieces.error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace k2
