// The log under SIGKILL: children append and die, the parent reads what is left by the documented format alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <random>
#include <set>
#include <thread>

#include "base/crash_point.h"
#include "log/local_log.h"
#include "log/local_log_testing.h"

namespace k2 {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Lines a child writes and the parent reads, also after the child was killed. Each line is written by one system call.
class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe(ends_), 0); }
  ~Pipe() {
    ::close(ends_[0]);
    if (ends_[1] >= 0) ::close(ends_[1]);
  }
  void say(const std::string& line) const {
    const std::string text = line + "\n";
    [[maybe_unused]] const auto written = ::write(ends_[1], text.data(), text.size());
  }
  /// Everything said until all children are gone.
  std::vector<std::string> lines() {
    ::close(ends_[1]);
    ends_[1] = -1;
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = ::read(ends_[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(got));
    std::vector<std::string> lines;
    for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) lines.push_back(text.substr(at, end - at));
    return lines;
  }

 private:
  int ends_[2] = {-1, -1};
};

class LocalLogCrash : public testing::Test {
 protected:
  TemporaryDirectory directory_;
  std::string path_ = directory_.file("log.db");
};

/// A source that numbers its events, appended with its position, as the ingest loop does: after a restart it goes on from its position.
int append_events(const std::string& path, const std::string& source, const Pipe& acknowledged, int64_t events) {
  const auto log = LocalLog::open(path, {.checkpoint_bytes = 50'000});
  if (!log) return 1;
  const auto position = (*log)->positions({source});
  if (!position) return 2;
  int64_t version = position->front().version;
  for (int64_t i = 0; i < events; ++i, ++version) {
    const std::string first = source + ":" + std::to_string(version) + "a" + std::string(static_cast<size_t>(version % 7) * 500, '.');
    const std::string second = source + ":" + std::to_string(version) + "b";
    const auto appended = append(**log, {first, second}, {{source, version, std::to_string(version)}});
    if (!appended) return 3;
    acknowledged.say(source + ":" + std::to_string(version) + "@" + std::to_string(appended->front().value));
  }
  return 0;
}

struct Found {
  std::vector<std::string> faults;
  int64_t events = 0;
};

/// What the file says, and whether every source's events are there once, in order, both halves together, up to its position, and every
/// acknowledged one at the offset it was given.
Found examine(const std::string& path, const std::vector<std::string>& acknowledged) {
  const auto contents = log_verifier::verify(path);
  Found found{contents.faults};
  std::map<std::string, int64_t> next;
  std::set<std::string> stored;
  std::string half;
  for (const auto& [partition, records] : contents.records) {
    for (const auto& [offset, record] : records) {
      const std::string text = record.value.substr(0, record.value.find('.'));
      if (text.back() == 'a') {
        half = text.substr(0, text.size() - 1);
        const std::string source = half.substr(0, half.find(':'));
        if (half != source + ":" + std::to_string(next[source]))
          found.faults.push_back(half + " is not event " + std::to_string(next[source]));
        ++next[source];
        ++found.events;
        stored.insert(half + "@" + std::to_string(offset));
      } else if (text != half + "b") {
        found.faults.push_back(text + " follows " + half);
      }
    }
  }
  for (const auto& [source, position] : contents.positions)
    if (position.first != next[source])
      found.faults.push_back(source + " stands at " + std::to_string(position.first) + ", has " + std::to_string(next[source]));
  for (const std::string& event : acknowledged)
    if (!stored.contains(event)) found.faults.push_back("acknowledged, but not there: " + event);
  return found;
}

TEST_F(LocalLogCrash, TwoProcessesAppendToOneLogInTurns) {
  Pipe acknowledged;
  const pid_t feed = in_child([&] { return append_events(path_, "feed", acknowledged, 100); });
  const pid_t load = in_child([&] { return append_events(path_, "load", acknowledged, 100); });
  EXPECT_EQ(wait_for(feed), 0);
  EXPECT_EQ(wait_for(load), 0);
  const Found found = examine(path_, acknowledged.lines());
  EXPECT_THAT(found.faults, IsEmpty());
  EXPECT_EQ(found.events, 200);
}

TEST_F(LocalLogCrash, LosesNothingAcknowledgedWhenKilledAtAnyMoment) {
  constexpr int kRounds = 15;
  std::mt19937 random(20261123);
  Pipe before;  // the log is there: killed while it is being made, it may be a file without tables
  ASSERT_EQ(wait_for(in_child([&] { return append_events(path_, "first", before, 1); })), 0);
  std::vector<std::string> acknowledged = before.lines();
  int killed = 0;
  for (int round = 0; round < kRounds; ++round) {
    Pipe pipe;
    std::vector<pid_t> children;
    for (const std::string source : {"feed", "load"})
      children.push_back(in_child([&] { return append_events(path_, source, pipe, std::numeric_limits<int64_t>::max()); }));
    for (const pid_t child : children) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
      ::kill(child, SIGKILL);
    }
    for (const pid_t child : children) killed += wait_for(child) == 1000 + SIGKILL ? 1 : 0;
    for (std::string& line : pipe.lines()) acknowledged.push_back(std::move(line));
    ASSERT_THAT(examine(path_, acknowledged).faults, IsEmpty()) << "after round " << round;
  }
  EXPECT_EQ(killed, 2 * kRounds);
  EXPECT_GT(acknowledged.size(), 0u);
}

// Each named point: what was acknowledged is there, what was begun is there as a whole or not at all, and the next process goes on.
TEST_F(LocalLogCrash, GoesOnAfterDeathAtEachNamedPoint) {
  for (const std::string point : {"C10", "C11", "C12", "C14", "C15"}) {
    for (const int64_t count : {1, 2, 7}) {
      const std::string path = directory_.file(point + std::to_string(count));
      Pipe pipe;
      const pid_t child = in_child([&] {
        arm_crash_point(point, count);
        return append_events(path, "feed", pipe, 400);
      });
      EXPECT_EQ(wait_for(child), 1000 + SIGKILL) << point << " was not reached " << count << " times";
      const auto acknowledged = pipe.lines();
      if (!std::filesystem::exists(path) || point + std::to_string(count) == "C151") continue;  // Died while it was opening.
      const Found found = examine(path, acknowledged);
      EXPECT_THAT(found.faults, IsEmpty()) << point << " " << count;
      EXPECT_EQ(found.events, std::ssize(acknowledged) + (point == "C14" || point == "C15" ? 1 : 0)) << point << " " << count;
      Pipe after;
      EXPECT_EQ(wait_for(in_child([&] { return append_events(path, "feed", after, 3); })), 0);
      EXPECT_THAT(examine(path, after.lines()).faults, IsEmpty());
    }
  }
}

TEST_F(LocalLogCrash, DyingWhileItTrimsLeavesAllOrNothingOfTheTransaction) {
  Pipe pipe;
  ASSERT_EQ(wait_for(in_child([&] { return append_events(path_, "feed", pipe, 20); })), 0);
  const pid_t child = in_child([&] {
    const auto log = LocalLog::open(path_);
    arm_crash_point("C16");
    (void)(*log)->trim({{kTrades, {30}}}, {std::numeric_limits<int64_t>::max()});
    return 0;
  });
  EXPECT_EQ(wait_for(child), 1000 + SIGKILL);
  EXPECT_EQ(log_verifier::verify(path_).ranges.begin()->second, (std::pair<int64_t, int64_t>{0, 40}));
  expect_sound(path_);
}

// A reader in another process sees a growing prefix: no hole, no record before its predecessors, every pair of one append together.
TEST_F(LocalLogCrash, ReadersOfOtherProcessesSeeAPrefixWhileOneWrites) {
  {
    open_log(path_);
  }
  Pipe pipe;
  const pid_t writer = in_child([&] { return append_events(path_, "feed", pipe, 150); });
  const pid_t reader = in_child([&] {
    const auto log = LocalLog::open(path_, {.cache_bytes_max = 0});
    if (!log) return 1;
    int64_t seen = 0;
    while (seen < 300) {
      (*log)->wait_for_append({{kTrades, {seen}}}, 10'000'000);
      const int64_t end = offset_of((*log)->end_offsets().value(), kTrades).value;
      if (end % 2 != 0 || end < seen) return 2;
      const auto batch = (*log)->read(kTrades, {0}, {end}, kAnyBytes);
      if (!batch || std::ssize(batch->records()) != end) return 3;
      for (int64_t i = 0; i < end; ++i) {
        const std::string expected = "feed:" + std::to_string(i / 2) + (i % 2 == 0 ? "a" : "b");
        if (batch->records()[static_cast<size_t>(i)].value.substr(0, expected.size()) != expected) return 4;
      }
      seen = end;
    }
    return 0;
  });
  EXPECT_EQ(wait_for(writer), 0);
  EXPECT_EQ(wait_for(reader), 0);
}

// --- the verifier bites ---

class VerifierCanary : public LocalLogCrash {
 protected:
  std::vector<std::string> faults_after(const std::string& sql) {
    Pipe pipe;
    EXPECT_EQ(wait_for(in_child([&] { return append_events(path_, "feed", pipe, 10); })), 0);
    const auto acknowledged = pipe.lines();
    EXPECT_THAT(examine(path_, acknowledged).faults, IsEmpty());
    sqlite3* db = nullptr;
    sqlite3_open(path_.c_str(), &db);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
    return examine(path_, acknowledged).faults;
  }
};

TEST_F(VerifierCanary, FindsASkippedBatch) {
  EXPECT_THAT(faults_after("DELETE FROM batches WHERE first_offset = 8"), testing::SizeIs(testing::Ge(2u)));
}
TEST_F(VerifierCanary, FindsALostTail) {
  EXPECT_THAT(
      faults_after("DELETE FROM batches WHERE first_offset = 18; UPDATE partitions SET end_offset = 18; UPDATE positions SET version = 9"),
      ElementsAre("acknowledged, but not there: feed:9@18"));
}
TEST_F(VerifierCanary, FindsADoubledBatch) {
  EXPECT_THAT(
      faults_after("DROP INDEX batches_by_offset; INSERT INTO batches(partition_id, first_offset, next_offset, timestamp_max, data) "
                   "SELECT partition_id, first_offset, next_offset, timestamp_max, data FROM batches WHERE first_offset = 4"),
      testing::Contains(testing::HasSubstr("offset twice")));
}
TEST_F(VerifierCanary, FindsAPositionThatRanAhead) {
  EXPECT_THAT(faults_after("UPDATE positions SET version = 11"), ElementsAre("feed stands at 11, has 10"));
}
TEST_F(VerifierCanary, FindsTwoBlobsExchanged) {
  EXPECT_THAT(faults_after("UPDATE batches SET data = (SELECT data FROM batches b WHERE b.first_offset = 10 - batches.first_offset) WHERE "
                           "first_offset IN (4, 6)"),
              testing::Contains(testing::HasSubstr("header is not its row's")));
}

}  // namespace
}  // namespace k2
