// The log on a disk that fails or loses power at operation n, for n = 1, 2, 3, ... until the scenario meets no fault any more
// (the way SQLite tests itself).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/fault_vfs.h"
#include "log/local_log.h"
#include "log/local_log_testing.h"

namespace k2 {
namespace {

using fault_vfs::Fault;
using fault_vfs::Survives;
using testing::IsEmpty;

constexpr int64_t kEvents = 6;
constexpr int64_t kTrimBelow = 3;

struct Outcome {
  int64_t acknowledged = 0;           // events that append() said are durable
  bool schema_registered = false;
  bool opened = false;
  int unknown = 0;
  bool nothing_under_way = false;     // stopped by an answer that nothing was written
  std::vector<std::string> faults;    // answers that contradict each other
};

std::string event_value(int64_t event) {
  return "event " + std::to_string(event) + std::string(static_cast<size_t>(event % 3) * 3000, '.');
}

/// What a caller does who is told that nothing was written.
enum class Then { kTryAgain, kDie };

/// Appends one event as the ingest loop would: after an error it looks at its position before it tries again. False: gives up.
bool take_event(LocalLog& log, int64_t event, Then then, Outcome& outcome) {
  for (int attempt = 0; attempt < 4; ++attempt) {
    const auto appended = append_at(log, event, std::to_string(event), {event_value(event)});
    if (appended) {
      if (appended->front() != Offset{event}) outcome.faults.push_back("event " + std::to_string(event) + " got another offset");
      return true;
    }
    if (appended.error().kind == ErrorKind::kConflict) {
      outcome.faults.push_back("conflict: " + appended.error().message);
      return false;
    }
    const auto position = log.positions({"source"});
    if (appended.error().kind == ErrorKind::kUnknownOutcome) {
      ++outcome.unknown;
      if (!position) return false;
      if (position->front().version == event + 1) return true;
    } else if (position && position->front().version != event) {
      outcome.faults.push_back("said that nothing was written: " + appended.error().message);
    } else if (then == Then::kDie) {
      outcome.nothing_under_way = true;
      return false;
    }
  }
  return false;
}

/// Opens, appends with checkpoints between, registers a schema, trims, closes, opens again and appends more.
Outcome scenario(const std::string& path, Then then) {
  Outcome outcome;
  for (const int64_t last : {kEvents / 2, kEvents}) {
    const auto log = LocalLog::open(path, {.checkpoint_bytes = 40'000, .vfs = fault_vfs::name()});
    if (!log) {
      if (log.error().kind != ErrorKind::kUnavailable) outcome.faults.push_back("open: " + log.error().message);
      return outcome;
    }
    outcome.opened = true;
    for (int64_t event = outcome.acknowledged; event < last; ++event) {
      if (!take_event(**log, event, then, outcome)) return outcome;
      ++outcome.acknowledged;
    }
    const auto schema = (*log)->register_schema("t-value", "{}");
    if (schema && *schema != 1) outcome.faults.push_back("schema got another id");
    outcome.schema_registered = outcome.schema_registered || schema.has_value();
    (void)(*log)->trim({{kTrades, {std::min(kTrimBelow, outcome.acknowledged)}}}, {std::numeric_limits<int64_t>::max()});
    const auto batch = (*log)->read(kTrades, {kTrimBelow}, kNoEnd, kAnyBytes);
    if (batch && !batch->empty() && values_of(*batch).front() != event_value(kTrimBelow)) outcome.faults.push_back("read something else");
  }
  return outcome;
}

/// What a new process finds: the events acknowledged, perhaps the one under way, nothing else; and it can go on.
std::vector<std::string> examine(const std::string& path, Outcome outcome) {
  std::vector<std::string> faults = std::move(outcome.faults);
  {
    const auto log = LocalLog::open(path);
    if (!log) return {"open again: " + log.error().message};
    const auto position = (*log)->positions({"source"}).value().front();
    const int64_t end = offset_of((*log)->end_offsets().value(), kTrades).value;
    const int64_t begin = offset_of((*log)->begin_offsets().value(), kTrades).value;
    if (position.version != end)
      faults.push_back("position " + std::to_string(position.version) + ", but " + std::to_string(end) + " events");
    if (end != outcome.acknowledged && (outcome.nothing_under_way || end != outcome.acknowledged + 1))
      faults.push_back(std::to_string(outcome.acknowledged) + " acknowledged, " + std::to_string(end) + " there");
    if (begin > std::min(kTrimBelow, end)) faults.push_back("trimmed up to " + std::to_string(begin));
    const auto values = read_all(**log, kTrades, {begin});
    for (int64_t event = begin; event < end; ++event)
      if (values[static_cast<size_t>(event - begin)] != event_value(event)) faults.push_back("not event " + std::to_string(event));
    if (outcome.schema_registered && !(*log)->schema(1)) faults.push_back("the schema is gone");
    if (!append_at(**log, position.version, "", {event_value(end)})) faults.push_back("cannot go on");
  }
  const auto contents = log_verifier::verify(path);
  faults.insert(faults.end(), contents.faults.begin(), contents.faults.end());
  return faults;
}

struct Case {
  const char* name;
  Fault fault;
  Survives survives;
  Then then = Then::kTryAgain;
};

class LocalLogOnABadDisk : public testing::TestWithParam<Case> {};

TEST_P(LocalLogOnABadDisk, LosesNothingAcknowledgedWhereverItFails) {
  const Case& test = GetParam();
  // Memory, where there is some: nothing here needs a real disk.
  if (std::filesystem::is_directory("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", /*overwrite=*/0);
  int runs = 0;
  int unknown = 0;
  for (int64_t n = 1;; ++n, ++runs) {
    ASSERT_LT(n, 5000) << "the scenario never runs clean";
    const TemporaryDirectory directory;
    const std::string path = directory.file("log.db");
    fault_vfs::arm(test.fault, n);
    const Outcome outcome = scenario(path, test.then);
    const bool clean = fault_vfs::disarm() == 0;
    unknown += outcome.unknown;
    fault_vfs::survive(test.survives, static_cast<uint32_t>(n));
    ASSERT_THAT(examine(path, outcome), IsEmpty()) << test.name << " at operation " << n;
    if (!clean) continue;
    EXPECT_EQ(outcome.acknowledged, kEvents);
    break;
  }
  RecordProperty("runs", runs);
  RecordProperty("unknown_outcomes", unknown);
  std::printf("%s: %d faults, %d unknown outcomes\n", test.name, runs, unknown);
  EXPECT_GT(runs, 10);
}

INSTANTIATE_TEST_SUITE_P(Faults, LocalLogOnABadDisk,
                         testing::Values(Case{"PowerCutKeepingSyncedWrites", Fault::kPowerCut, Survives::kNothing},
                                         Case{"PowerCutKeepingSomeSectors", Fault::kPowerCut, Survives::kSomeSectors},
                                         Case{"DeathKeepingAllWrites", Fault::kPowerCut, Survives::kEverything, Then::kDie},
                                         Case{"IoErrorThenPowerCut", Fault::kIoError, Survives::kNothing},
                                         Case{"IoErrorsForAWhile", Fault::kIoErrors, Survives::kEverything},
                                         Case{"SyncErrorThenPowerCut", Fault::kSyncError, Survives::kNothing},
                                         Case{"SyncErrorThenSomeSectors", Fault::kSyncError, Survives::kSomeSectors},
                                         // Frames of a failed commit must not come back with the recovery of the WAL.
                                         Case{"IoErrorThenDeathAtOnce", Fault::kIoError, Survives::kEverything, Then::kDie},
                                         Case{"SyncErrorThenDeathAtOnce", Fault::kSyncError, Survives::kEverything, Then::kDie},
                                         Case{"ReadError", Fault::kReadError, Survives::kNothing},
                                         Case{"DiskFullForAWhile", Fault::kDiskFull, Survives::kNothing},
                                         Case{"DiskStaysFull", Fault::kDiskStaysFull, Survives::kEverything}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace k2
