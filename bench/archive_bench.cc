// What it costs to move a trade from the log into an Iceberg table (read, decode, sort, Parquet, manifests, commit, syncs), in CPU time of the
// whole process per row, beside the limit of the same run: the bare Parquet writer of Arrow, zstd, on the same rows as columns.
#include <arrow/api.h>
#include <arrow/io/api.h>
#include <benchmark/benchmark.h>
#include <parquet/arrow/writer.h>
#include <stdlib.h>

#include <filesystem>
#include <random>
#include <stop_token>

#include "app/archive.h"
#include "base/assert.h"
#include "codec/avro.h"
#include "codec/columns.h"
#include "codec/schemas.h"
#include "log/local_log.h"

namespace k2 {
namespace {

constexpr int64_t kRows = 1'000'000;
constexpr int64_t kStart = 1'610'064'000'000'000;

// A directory on a real disk: K2_BENCH_DIR, else the current one.
class Directory {
 public:
  Directory() {
    const char* const base = std::getenv("K2_BENCH_DIR");
    std::string pattern = std::string(base ? base : ".") + "/k2_archive_bench_XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string path() const { return path_; }

 private:
  std::string path_;
};

// Two busy symbols in one hour: random walks, ids without holes, times that climb.
class TradeMaker {
 public:
  Trade next() {
    const size_t which = random_() % 2;
    Market& market = markets_[which];
    market.price += static_cast<int64_t>(random_() % 2001) - 1000;
    now_us_ += static_cast<int64_t>(random_() % 7000);
    Trade trade;
    trade.message_id = market.ids.make(market.id);
    trade.trade_id = std::to_string(market.id);
    trade.symbol = market.symbol;
    trade.exchange = "binance";
    trade.asset_class = AssetClass::kCrypto;
    trade.timestamp = {now_us_};
    trade.price = Decimal18_8::from_units_checked(market.price * 1'000'000);
    trade.quantity = Decimal18_8::from_units_checked(static_cast<int64_t>(random_() % 50'000 + 1) * 1000);
    trade.currency = "USDT";
    const bool buyer_is_maker = random_() % 2;
    trade.side = buyer_is_maker ? Side::kSell : Side::kBuy;
    trade.source_sequence = market.id++;
    trade.ingestion_timestamp = {now_us_ + 1500};
    trade.vendor_data = VendorData{{"is_best_match", "true"}, {"is_buyer_maker", buyer_is_maker ? "true" : "false"}};
    return trade;
  }

 private:
  struct Market {
    std::string symbol;
    MessageIdMaker ids;
    int64_t id;
    int64_t price;  // cents
  };
  std::mt19937_64 random_{42};
  int64_t now_us_ = kStart;
  Market markets_[2] = {{"BTCUSDT", {"binance", "BTCUSDT", "trades"}, 553'287'559, 3'943'248},
                        {"ETHUSDT", {"binance", "ETHUSDT", "trades"}, 312'000'000, 123'456}};
};

// A log with kRows trades, made once for all benchmarks of the run.
struct Input {
  Directory directory;
  std::unique_ptr<LocalLog> log = LocalLog::open(directory.path() + "/log.db").value();
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;

  Input() {
    const std::string topic = topic_name(AssetClass::kCrypto, Channel::kTrades, "binance");
    const int32_t schema_id = log->register_schema(topic + "-value", trade_schema()).value();
    SchemaResolver resolver(*log);
    ColumnsBuilder columns(Channel::kTrades, resolver);
    TradeMaker trades;
    constexpr int64_t kBatch = 5000;
    for (int64_t first = 0; first < kRows; first += kBatch) {
      std::vector<std::string> values(kBatch), keys(kBatch);
      std::vector<NewRecord> records;
      for (size_t i = 0; i < kBatch; ++i) {
        const Trade trade = trades.next();
        keys[i] = trade.symbol;
        encode_trade(trade, schema_id, values[i]);
        K2_ASSERT(columns.append(values[i], topic, 0, first + static_cast<int64_t>(i)));
      }
      for (size_t i = 0; i < kBatch; ++i) records.push_back({topic, keys[i], values[i], {kStart}});
      K2_ASSERT(log->append(records, {}));
    }
    batches.push_back(columns.finish().value());
  }
};

Input& input() {
  static Input made;
  return made;
}

void report(benchmark::State& state) {
  const auto rows = static_cast<double>(state.iterations() * kRows);
  state.counters["rows"] = benchmark::Counter(rows, benchmark::Counter::kIsRate);
  state.counters["cpu_per_row"] = benchmark::Counter(rows, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void BM_LogToIceberg(benchmark::State& state) {
  Input& in = input();
  for (auto _ : state) {
    state.PauseTiming();
    auto directory = std::make_unique<Directory>();
    LakeOptions options;
    options.data_dir = directory->path();
    K2_ASSERT(Lake::init(options));
    auto lake = Lake::open(options).value();
    state.ResumeTiming();
    {
      ArchiveOptions archive_options;
      archive_options.retention_us = 1000 * 365 * kUsPerDay;  // each round reads the same log
      Archive archive(*in.log, *in.log, *lake, archive_options);
      if (const Status done = archive.catch_up(std::stop_token()); !done) return state.SkipWithError(done.error().message.c_str());
    }
    state.PauseTiming();
    K2_ASSERT(lake->load("trades_v2").value()->record_count == kRows);
    lake.reset();
    directory.reset();
    state.ResumeTiming();
  }
  report(state);
}
BENCHMARK(BM_LogToIceberg)->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond)->Iterations(3)->Repetitions(3);

// The limit: the same rows, already columns, in the order they came, written by Arrow with zstd and otherwise its defaults.
void BM_LimitBareParquet(benchmark::State& state) {
  Input& in = input();
  const auto table = arrow::Table::FromRecordBatches(in.batches).ValueOrDie();
  const auto properties = parquet::WriterProperties::Builder().compression(parquet::Compression::ZSTD)->build();
  int64_t bytes = 0;
  for (auto _ : state) {
    const Directory directory;
    const auto sink = arrow::io::FileOutputStream::Open(directory.path() + "/bare.parquet").ValueOrDie();
    K2_ASSERT(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), sink, 128 << 10, properties).ok());
    bytes = sink->Tell().ValueOrDie();
    K2_ASSERT(sink->Close().ok());
  }
  state.counters["bytes_per_row"] = static_cast<double>(bytes) / static_cast<double>(kRows);
  report(state);
}
BENCHMARK(BM_LimitBareParquet)->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond)->Iterations(3)->Repetitions(3);

}  // namespace
}  // namespace k2
