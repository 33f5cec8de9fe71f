// What appending to and reading from the local log costs, in CPU time of the whole process per message, beside limits of the same run:
// the same bytes written to a plain file and synced, and copied in memory.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "log/local_log.h"

namespace k2 {
namespace {

constexpr size_t kMessageBytes = 100;
constexpr Offset kNoEnd{std::numeric_limits<int64_t>::max()};

/// A directory on a real disk (K2_BENCH_DIR, else the current one): what is measured is durable.
class Directory {
 public:
  Directory() {
    const char* base = std::getenv("K2_BENCH_DIR");
    std::string pattern = std::string(base != nullptr ? base : ".") + "/k2_log_bench_XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// Bytes with about the entropy of Avro trades: a constant frame with changing numbers in it.
std::vector<std::string> messages(size_t count) {
  std::vector<std::string> values;
  uint64_t random = 88172645463325252u;
  for (size_t i = 0; i < count; ++i) {
    std::string value = "\0\0\0\0\1BTCUSDT binance crypto USDT BUY ....................................................................";
    value.resize(kMessageBytes, '.');
    for (size_t at = 30; at < 62; at += 8) {
      random ^= random << 13, random ^= random >> 7, random ^= random << 17;
      std::memcpy(value.data() + at, &random, 8);
    }
    values.push_back(std::move(value));
  }
  return values;
}

std::vector<NewRecord> records_of(const std::vector<std::string>& values, size_t count) {
  std::vector<NewRecord> records;
  for (size_t i = 0; i < count; ++i)
    records.push_back({"market.crypto.trades.binance", "BTCUSDT", values[i], {static_cast<int64_t>(1'700'000'000'000'000 + i)}});
  return records;
}

void report(benchmark::State& state, int64_t count_per_iteration) {
  const auto messages = static_cast<double>(state.iterations() * count_per_iteration);
  state.counters["messages"] = benchmark::Counter(messages, benchmark::Counter::kIsRate);
  state.counters["cpu_per_message"] = benchmark::Counter(messages, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void BM_LogAppend(benchmark::State& state) {
  const Directory directory;
  const auto log = LocalLog::open(directory.file("log.db")).value();
  const auto values = messages(static_cast<size_t>(state.range(0)));
  const auto records = records_of(values, values.size());
  const std::vector<PositionUpdate> none;
  for (auto _ : state) {
    if (!log->append(records, none)) state.SkipWithError("append failed");
  }
  report(state, state.range(0));
}
BENCHMARK(BM_LogAppend)->Arg(1)->Arg(100)->Arg(1'000)->Arg(10'000)->MeasureProcessCPUTime()->MinTime(0.5);

/// Eight callers who wait for each other's commits: group commit.
void BM_LogAppendByEightThreads(benchmark::State& state) {
  const Directory directory;
  const auto log = LocalLog::open(directory.file("log.db")).value();
  const auto values = messages(static_cast<size_t>(state.range(0)));
  const auto records = records_of(values, values.size());
  constexpr int kThreads = 8;
  constexpr int kAppends = 20;
  for (auto _ : state) {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kAppends; ++i) benchmark::DoNotOptimize(log->append(records, {}).has_value());
      });
    }
  }
  report(state, state.range(0) * kThreads * kAppends);
}
BENCHMARK(BM_LogAppendByEightThreads)->Arg(1)->Arg(100)->MeasureProcessCPUTime()->MinTime(0.5)->UseRealTime();

void read_whole(benchmark::State& state, size_t cache_bytes_max, int64_t per_append) {
  const Directory directory;
  constexpr int64_t kMessages = 100'000;
  const auto log = LocalLog::open(directory.file("log.db"), {.cache_bytes_max = cache_bytes_max}).value();
  const auto values = messages(static_cast<size_t>(per_append));
  const auto records = records_of(values, values.size());
  for (int64_t i = 0; i < kMessages; i += per_append) (void)log->append(records, {});
  const TopicPartition partition{"market.crypto.trades.binance", 0};
  for (auto _ : state) {
    size_t bytes = 0;
    for (Offset from{0}; from < Offset{kMessages};) {
      const auto batch = log->read(partition, from, kNoEnd, 1 << 20).value();
      for (const LogRecord& record : batch.records()) bytes += record.value.size();
      from = batch.next_offset();
    }
    benchmark::DoNotOptimize(bytes);
  }
  report(state, kMessages);
}
void BM_LogReadFromFile(benchmark::State& state) { read_whole(state, 0, state.range(0)); }
BENCHMARK(BM_LogReadFromFile)->Arg(100)->Arg(10'000)->MeasureProcessCPUTime();
void BM_LogReadFromMemory(benchmark::State& state) { read_whole(state, 64 << 20, state.range(0)); }
BENCHMARK(BM_LogReadFromMemory)->Arg(100)->Arg(10'000)->MeasureProcessCPUTime();

void BM_LogEndOffsets(benchmark::State& state) {
  const Directory directory;
  const auto log = LocalLog::open(directory.file("log.db")).value();
  const auto values = messages(1);
  (void)log->append(records_of(values, 1), {});
  for (auto _ : state) benchmark::DoNotOptimize(log->end_offsets().has_value());
}
BENCHMARK(BM_LogEndOffsets);

/// The limit of any durable log: write the bytes once to a plain file, fdatasync.
void BM_LogLimitWriteAndSync(benchmark::State& state) {
  const Directory directory;
  const int file = ::open(directory.file("plain").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  const std::string bytes(static_cast<size_t>(state.range(0)) * kMessageBytes, 'x');
  for (auto _ : state) {
    benchmark::DoNotOptimize(::write(file, bytes.data(), bytes.size()));
    benchmark::DoNotOptimize(::fdatasync(file));
  }
  ::close(file);
  report(state, state.range(0));
}
BENCHMARK(BM_LogLimitWriteAndSync)->Arg(1)->Arg(100)->Arg(1'000)->Arg(10'000)->MeasureProcessCPUTime()->MinTime(0.5);

void BM_LogLimitCopyInMemory(benchmark::State& state) {
  const std::string bytes(10'000 * kMessageBytes, 'x');
  std::string copy(bytes.size(), '\0');
  for (auto _ : state) {
    std::memcpy(copy.data(), bytes.data(), bytes.size());
    benchmark::ClobberMemory();
  }
  report(state, 10'000);
}
BENCHMARK(BM_LogLimitCopyInMemory);

}  // namespace
}  // namespace k2
