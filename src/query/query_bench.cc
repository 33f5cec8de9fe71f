// Window queries on 20 million trades of one day: 8 million of one busy symbol, the rest spread over 500 small ones; 24 commits; the newest
// 100,000 records only in the log. Each question is asked of the hybrid engine, and beside it, as the limit, of plain DuckDB: read_parquet over the
// same snapshot's files with the same conditions, without the tail. p50 and p99 are wall time until the last row has arrived; cpu_ms is CPU time
// of all threads per question, which a busy machine changes less.
// The table is made once, in ${K2_CACHE:-~/.cache/k2}/bench; its contents depend on nothing but this file.
#include <arrow/api.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/uuid.h"
#include "codec/avro.h"
#include "codec/columns.h"
#include "codec/resolve.h"
#include "codec/schemas.h"
#include "log/log.h"
#include "query/duck.h"
#include "query/engine.h"
#include "query/sql_text.h"
#include "table/lake.h"

namespace k2 {
namespace {

constexpr int64_t kRows = 20'000'000;
constexpr int64_t kTailRows = 100'000;
constexpr int64_t kCommits = 24;
constexpr int64_t kMorningUs = 1'609'459'200'000'000;  // 2021-01-01T00:00:00Z
constexpr int64_t kWindowUs = 15 * 60 * kUsPerSecond;
const TopicPartition kPartition{"market.crypto.trades.binance", 0};

uint64_t mix(uint64_t value) {  // SplitMix64
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// The n-th trade of the day.
void make_trade(int64_t n, Trade& trade) {
  static const std::vector<std::string> symbols = [] {
    std::vector<std::string> made{"BTCUSDT"};
    for (int i = 0; i < 500; ++i) made.push_back("SYM" + std::to_string(1000 + i) + "USDT");
    return made;
  }();
  static std::vector<MessageIdMaker> ids = [] {
    std::vector<MessageIdMaker> made;
    for (const std::string& symbol : symbols) made.emplace_back("binance", symbol, "trades");
    return made;
  }();
  const uint64_t random = mix(static_cast<uint64_t>(n));
  const size_t symbol = random % 10 < 4 ? 0 : 1 + (random >> 8) % 500;
  trade.symbol = symbols[symbol];
  trade.exchange = "binance";
  trade.message_id = ids[symbol].make(n);
  trade.trade_id = std::to_string(500'000'000 + n);
  trade.asset_class = AssetClass::kCrypto;
  trade.timestamp = {kMorningUs + static_cast<int64_t>(static_cast<double>(n) * (86'400e6 / kRows))};
  trade.price = Decimal18_8::from_units_checked(2'900'000'000'000 + static_cast<int64_t>(random >> 40) * 10'000);
  trade.quantity = Decimal18_8::from_units_checked(1000 * static_cast<int64_t>(1 + (random >> 20) % 1'000'000));
  trade.currency = "USDT";
  trade.side = (random >> 16) % 2 == 0 ? Side::kBuy : Side::kSell;
  trade.source_sequence = n;
  trade.ingestion_timestamp = {trade.timestamp.us + 800};
  trade.vendor_data = VendorData{{"is_best_match", "true"}, {"is_buyer_maker", trade.side == Side::kSell ? "true" : "false"}};
}

// A log whose records are computed when they are read.
class ComputedLog final : public Log, public SchemaStore {
 public:
  [[nodiscard]] const LogId& id() const override { return id_; }
  Result<std::vector<Offset>> append(const std::vector<NewRecord>&, const std::vector<PositionUpdate>&) override { return refused(); }
  [[nodiscard]] Result<LogBatch> read(const TopicPartition&, Offset from, Offset end, size_t bytes_max) const override {
    auto bytes = std::make_shared<std::string>();
    std::vector<size_t> ends;
    Trade trade;
    for (int64_t n = from.value; n < std::min(end.value, kRows) && bytes->size() < bytes_max; ++n) {
      make_trade(n, trade);
      encode_trade(trade, 1, *bytes);
      ends.push_back(bytes->size());
    }
    std::vector<LogRecord> records;
    for (size_t i = 0; i < ends.size(); ++i) {
      const size_t begin = i == 0 ? 0 : ends[i - 1];
      records.push_back({Offset{from.value + static_cast<int64_t>(i)}, "", std::string_view(*bytes).substr(begin, ends[i] - begin), {}});
    }
    return LogBatch(std::move(records), Offset{from.value + static_cast<int64_t>(ends.size())}, {bytes});
  }
  [[nodiscard]] Result<Offsets> end_offsets() const override { return Offsets{{kPartition, Offset{kRows}}}; }
  [[nodiscard]] Result<Offsets> begin_offsets() const override { return Offsets{{kPartition, Offset{0}}}; }
  [[nodiscard]] Result<std::vector<Position>> positions(const std::vector<std::string>&) const override { return refused(); }
  void wait_for_append(const Offsets&, int64_t) const override {}
  Status trim(const Offsets&, TimestampUs) override { return refused(); }
  Result<int32_t> register_schema(std::string_view, std::string_view) override { return 1; }
  [[nodiscard]] Result<std::string> schema(int32_t) const override { return std::string(trade_schema()); }

 private:
  static std::unexpected<Error> refused() { return make_error(ErrorKind::kInvalidInput, "a computed log"); }
  LogId id_{"00000000-0000-4000-8000-00000000be4c"};
};

template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    std::abort();
  }
  return *std::move(result);
}

std::filesystem::path cache_dir() {
  if (const char* cache = std::getenv("K2_CACHE")) return cache;
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home == nullptr ? "/tmp" : home) / ".cache/k2";
}

struct Day {
  ComputedLog log;
  std::unique_ptr<Lake> lake;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<DuckDatabase> plain;

  Day() {
    const std::filesystem::path dir = cache_dir() / "bench/query-20m-v1";
    std::filesystem::create_directories(dir);
    K2_ASSERT(Lake::init({.data_dir = dir}).has_value());
    lake = must(Lake::open({.data_dir = dir}));
    fill();
    engine = must(Engine::open(*lake, log, log, {.memory_limit = "2GB"}));
    plain = must(DuckDatabase::open({.memory_limit = "2GB",
                                     .threads = 2,
                                     .spill_dir = (dir / "spill").string(),
                                     .spill_bytes_max = "1GB",
                                     .readable_dirs = {(dir / "warehouse").string()}}));
  }

  // Commits what is missing, so that an interrupted start goes on where it was.
  void fill() {
    const int64_t rows = (kRows - kTailRows) / kCommits;
    while (true) {
      const Offset from = offset_of(must(lake->load(kTradesV2.name))->offsets, kPartition);
      if (from.value >= rows * kCommits) return;
      std::fprintf(stderr, "making the benchmark's table: %lld of %lld rows\n", static_cast<long long>(from.value),
                   static_cast<long long>(kRows));
      const Offset to{std::min(from.value + rows, kRows - kTailRows)};
      SchemaResolver resolver(log);
      ColumnsBuilder builder(Channel::kTrades, resolver);
      for (Offset next = from; next < to;) {
        const LogBatch batch = must(log.read(kPartition, next, to, 1 << 20));
        for (const LogRecord& record : batch.records())
          K2_ASSERT(builder.append(record.value, kPartition.topic, kPartition.partition, record.offset.value).has_value());
        next = batch.next_offset();
      }
      AppendRequest request{
          .table = std::string(kTradesV2.name), .batches = {must(builder.finish())}, .log_id = log.id().value, .commit_id = random_uuid()};
      request.start[kPartition] = from;
      request.end[kPartition] = to;
      must(lake->append(request));
    }
  }
};

Day& day() {
  static Day made;
  return made;
}

int64_t drain(QueryResult& result) {
  int64_t rows = 0;
  while (const auto batch = must(result.next())) rows += batch->num_rows();
  return rows;
}

enum Place : int64_t { kRecent, kHistory };

EventQuery question(int64_t busy, int64_t place, std::mt19937_64& random) {
  EventQuery query;
  query.symbols = {busy != 0 ? "BTCUSDT" : "SYM" + std::to_string(1000 + random() % 500) + "USDT"};
  const int64_t end_us = place == kRecent
                             ? kMorningUs + kUsPerDay
                             : kMorningUs + kWindowUs + static_cast<int64_t>(random() % static_cast<uint64_t>(kUsPerDay - 2 * kWindowUs));
  query.start = TimestampUs{end_us - kWindowUs};
  query.end = TimestampUs{end_us};
  return query;
}

double cpu_ms() {  // of the whole process
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

template <class Ask>
void measure(benchmark::State& state, Ask ask) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 5; ++i) ask(question(state.range(0), state.range(1), random));  // footers and tail are in memory in a running server
  std::vector<double> times_ms;
  int64_t rows = 0;
  const double cpu_before_ms = cpu_ms();
  for (auto _ : state) {
    const EventQuery query = question(state.range(0), state.range(1), random);
    const auto started = std::chrono::steady_clock::now();
    rows += ask(query);
    times_ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started).count());
  }
  state.counters["cpu_ms"] = (cpu_ms() - cpu_before_ms) / static_cast<double>(times_ms.size());
  std::sort(times_ms.begin(), times_ms.end());
  state.counters["p50_ms"] = times_ms[times_ms.size() / 2];
  state.counters["p99_ms"] = times_ms[times_ms.size() * 99 / 100];
  state.counters["rows"] = static_cast<double>(rows) / static_cast<double>(times_ms.size());
}

void BM_window_hybrid(benchmark::State& state) {
  Engine& engine = *day().engine;
  measure(state, [&](const EventQuery& query) {
    const Cut cut = must(engine.cut());
    return drain(*must(engine.events(query, cut)));
  });
}

void BM_window_hybrid_by_duckdb(benchmark::State& state) {
  Day& made = day();
  const auto engine = must(Engine::open(*made.lake, made.log, made.log, {.memory_limit = "2GB", .window_rows_max = -1}));
  measure(state, [&](const EventQuery& query) {
    const Cut cut = must(engine->cut());
    return drain(*must(engine->events(query, cut)));
  });
}

void BM_window_plain_duckdb(benchmark::State& state) {
  Day& made = day();
  const auto files = must(made.lake->load(kTradesV2.name))->files;
  const auto connection = must(made.plain->connect());
  const std::string sql =
      "SELECT * FROM " + parquet_scan(*files) + " WHERE symbol = $1 AND \"timestamp\" >= $2 AND \"timestamp\" < $3 ORDER BY \"timestamp\"";
  measure(state, [&](const EventQuery& query) {
    return drain(*must(connection->query(sql, {query.symbols[0], *query.start, *query.end}, StatementAuthor::kOurselves)));
  });
}

void windows(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"busy", "history"})->Unit(benchmark::kMillisecond)->Iterations(200);
  for (const int64_t busy : {1, 0})
    for (const int64_t place : {kRecent, kHistory}) benchmark->Args({busy, place});
}
BENCHMARK(BM_window_hybrid)->Apply(windows);
BENCHMARK(BM_window_hybrid_by_duckdb)->Apply(windows);
BENCHMARK(BM_window_plain_duckdb)->Apply(windows);

}  // namespace
}  // namespace k2
