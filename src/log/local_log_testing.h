// For tests: a log in a directory of its own, and words to write, read and crash with.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "log/local_log.h"
#include "log/local_log_verifier.h"

namespace k2 {

inline constexpr Offset kNoEnd{std::numeric_limits<int64_t>::max()};
inline constexpr size_t kAnyBytes = std::numeric_limits<size_t>::max();
inline const TopicPartition kTrades{"market.crypto.trades.binance", 0};

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "k2_log_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// Owns the values that NewRecord points at.
struct Messages {
  std::vector<std::string> values;
  std::string topic = kTrades.topic;
  std::string key = "BTCUSDT";
  TimestampUs timestamp{1'700'000'000'000'000};

  [[nodiscard]] std::vector<NewRecord> records() const {
    std::vector<NewRecord> records;
    for (const std::string& value : values) records.push_back({topic, key, value, timestamp});
    return records;
  }
};

inline Result<std::vector<Offset>> append(Log& log, std::vector<std::string> values, const std::vector<PositionUpdate>& positions = {}) {
  return log.append(Messages{std::move(values)}.records(), positions);
}

/// Appends with the source's position: the version it must have, and the value it then gets.
inline Result<std::vector<Offset>> append_at(Log& log, int64_t version, const std::string& value, std::vector<std::string> values) {
  return append(log, std::move(values), {{"source", version, value}});
}

inline std::vector<std::string> values_of(const LogBatch& batch) {
  std::vector<std::string> values;
  for (const LogRecord& record : batch.records()) values.emplace_back(record.value);
  return values;
}

/// All values of the partition from `from` on, read in bites of `bytes_max`.
inline std::vector<std::string> read_all(const Log& log, const TopicPartition& partition = kTrades, Offset from = {},
                                         size_t bytes_max = 1 << 20) {
  std::vector<std::string> values;
  for (;;) {
    const auto batch = log.read(partition, from, kNoEnd, bytes_max);
    if (!batch) {
      ADD_FAILURE() << batch.error().message;
      return values;
    }
    if (batch->empty()) return values;
    for (const LogRecord& record : batch->records()) {
      EXPECT_EQ(record.offset, from);
      ++from.value;
      values.emplace_back(record.value);
    }
    EXPECT_EQ(batch->next_offset(), from);
  }
}

inline std::unique_ptr<LocalLog> open_log(const std::string& path, LocalLogOptions options = {}) {
  auto log = LocalLog::open(path, std::move(options));
  if (!log) {
    ADD_FAILURE() << log.error().message;
    return nullptr;
  }
  return *std::move(log);
}

inline ErrorKind kind_of_error(const auto& result) {
  EXPECT_FALSE(result.has_value());
  return result.has_value() ? ErrorKind::kCancelled : result.error().kind;
}

/// Runs `body` in a child process, which must have no log open when it is made; gives its id. The child exits with what `body` returns.
inline pid_t in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  return child;
}

/// The child's exit code, or 1000 plus the signal that ended it.
inline int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

inline void expect_sound(const std::string& path) { EXPECT_EQ(log_verifier::verify(path).faults, std::vector<std::string>{}); }

}  // namespace k2
