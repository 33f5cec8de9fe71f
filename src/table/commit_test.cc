#include "table/commit.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace k2 {
namespace {

const TopicPartition kPartition{"t", 0};

// A catalog small enough to try every interleaving: the table is the list of (first, last, commit id) it has taken. A snapshot may lose its commit id (expiry).
struct Table {
  int64_t version = 0;
  int64_t end = 0;
  std::vector<std::string> commits;
  std::vector<std::pair<int64_t, int64_t>> rows;
};

// One writer appends [start, start + 1); its request may be lost, or its reply.
struct Writer {
  std::string commit_id;
  int64_t start = 0;
  int64_t base_version = -1;
  bool maybe_landed = false;
  bool finished = false;
};

enum class Fate { kBothArrive, kRequestLost, kReplyLost };

using DecideFunction = std::function<Decision(const CommitIntent&, const TableView&, bool)>;

class Explorer {
 public:
  explicit Explorer(DecideFunction decide) : decide_(std::move(decide)) {}

  // Tries all sequences of `depth` steps of two writers, each step with each fate, and an expiry in between. Returns the violations.
  int explore(int depth) {
    step(Table{}, {Writer{"a"}, Writer{"b"}}, depth);
    return violations_;
  }

 private:
  static TableView view(const Table& table, const Writer& writer) {
    TableView seen;
    seen.empty = table.rows.empty();
    seen.has_offsets = table.end > 0;
    if (table.end > 0) seen.offsets[kPartition] = {table.end};
    seen.log_id = "log";
    for (const std::string& id : table.commits) seen.has_our_commit |= id == writer.commit_id;
    seen.is_at_our_base = writer.base_version == table.version;
    return seen;
  }

  static void land(Table& table, const Writer& writer) {
    table.rows.emplace_back(writer.start, writer.start + 1);
    table.end = writer.start + 1;
    table.commits.push_back(writer.commit_id);
    ++table.version;
  }

  void step(const Table& table, const std::vector<Writer>& writers, int depth) {
    check(table);
    if (depth == 0) return;
    for (size_t i = 0; i < writers.size(); ++i)
      for (const Fate fate : {Fate::kBothArrive, Fate::kRequestLost, Fate::kReplyLost}) act(table, writers, i, fate, depth);
    if (!table.commits.empty()) {
      Table expired = table;  // the ancestry forgets; the offsets were carried forward
      expired.commits.clear();
      ++expired.version;
      step(expired, writers, depth - 1);
    }
  }

  void act(Table table, std::vector<Writer> writers, size_t i, Fate fate, int depth) {
    Writer& writer = writers[i];
    if (writer.finished) return;
    const CommitIntent intent{{{kPartition, {writer.start}}}, {{kPartition, {writer.start + 1}}}, "log", writer.commit_id};
    const Decision decision = decide_(intent, view(table, writer), writer.maybe_landed);
    if (decision.step == NextStep::kDone || decision.step == NextStep::kConflict) {
      // The loop around append(): go on from where the table stands, with a new commit.
      writer = Writer{writer.commit_id + "+", table.end};
      writer.finished = table.end >= 3;
      return step(table, writers, depth - 1);
    }
    if (decision.step == NextStep::kStop) {
      ++violations_;
      return;
    }
    if (decision.step == NextStep::kCommit) writer.base_version = table.version;
    const bool arrives = fate != Fate::kRequestLost;
    const bool accepted = arrives && writer.base_version == table.version;
    if (accepted) land(table, writer);
    if (fate != Fate::kBothArrive) writer.maybe_landed = true;
    else if (accepted) writer = Writer{writer.commit_id + "+", table.end};
    step(table, writers, depth - 1);
  }

  void check(const Table& table) {
    std::set<int64_t> taken;
    for (const auto& [first, last] : table.rows)
      if (!taken.insert(first).second) ++violations_;
    if (!taken.empty() && (*taken.rbegin() + 1 != static_cast<int64_t>(taken.size()) || table.end != *taken.rbegin() + 1)) ++violations_;
  }

  DecideFunction decide_;
  int violations_ = 0;
};

TEST(Commit, NoInterleavingOfTwoWritersWithLostMessagesAndExpiryLosesOrDoublesARow) { EXPECT_EQ(Explorer(decide).explore(6), 0); }

TEST(Commit, TheExplorerCatchesAPlantedBugThatSkipsTheOffsets) {
  const auto broken = [](const CommitIntent& intent, const TableView& seen, bool tried) {
    Decision decision = decide(intent, seen, tried);
    if (decision.step == NextStep::kConflict) decision.step = NextStep::kCommit;
    return decision;
  };
  EXPECT_GT(Explorer(broken).explore(6), 0);
}

CommitIntent intent(int64_t start, int64_t end) { return {{{kPartition, {start}}}, {{kPartition, {end}}}, "log", "mine"}; }
TableView table_at(int64_t end) {
  TableView seen;
  seen.empty = end == 0;
  seen.has_offsets = end > 0;
  if (end > 0) seen.offsets[kPartition] = {end};
  seen.log_id = "log";
  return seen;
}

TEST(Commit, IsAllowedOnlyWhereTheTableStandsAtItsStart) {
  EXPECT_EQ(decide(intent(0, 5), table_at(0), false).step, NextStep::kCommit);
  EXPECT_EQ(decide(intent(5, 9), table_at(5), false).step, NextStep::kCommit);
  EXPECT_EQ(decide(intent(5, 9), table_at(4), false).step, NextStep::kConflict);
  EXPECT_EQ(decide(intent(5, 9), table_at(9), false).step, NextStep::kConflict);
  EXPECT_EQ(decide(intent(5, 9), table_at(7), true).step, NextStep::kConflict);
}

TEST(Commit, StopsAtATableWithRowsButNoOffsetsAndAtAnotherLog) {
  TableView unknown = table_at(5);
  unknown.has_offsets = false;
  EXPECT_EQ(decide(intent(0, 5), unknown, false).step, NextStep::kStop);
  TableView other = table_at(5);
  other.log_id = "other";
  EXPECT_EQ(decide(intent(5, 9), other, false).step, NextStep::kStop);
}

TEST(Commit, AfterAnUnknownOutcomeLooksForItselfAndResendsOnlyToTheSameBase) {
  TableView landed = table_at(9);
  landed.has_our_commit = true;
  EXPECT_EQ(decide(intent(5, 9), landed, true).step, NextStep::kDone);
  TableView same = table_at(5);
  same.is_at_our_base = true;
  EXPECT_EQ(decide(intent(5, 9), same, true).step, NextStep::kResend);
  EXPECT_EQ(decide(intent(5, 9), table_at(5), true).step, NextStep::kCommit);
}

}  // namespace
}  // namespace k2
