// What an append costs beside the bare Parquet writer on the same batch, in CPU time per row: "bare" is Arrow's writer with zstd and dictionaries on
// the columns of few values, rows as they come; "encode" splits, sorts and encodes; "append" stores, syncs and commits as well.
#include <arrow/api.h>
#include <arrow/io/api.h>
#include <benchmark/benchmark.h>
#include <parquet/arrow/writer.h>

#include "base/assert.h"
#include "table/data_file.h"
#include "table/lake_testing.h"

namespace k2 {
namespace {

constexpr int64_t kRows = 1 << 18;

// A quarter of an hour of `symbols` markets, each with its own random walk and ids without holes, in the order of a log.
std::shared_ptr<arrow::RecordBatch> batch_of(int64_t symbols) {
  std::vector<testing::Row> rows;
  rows.reserve(kRows);
  uint64_t random = 42;
  std::vector<int64_t> prices(static_cast<size_t>(symbols), 3'943'248'000'000), sequences(static_cast<size_t>(symbols), 553'287'559);
  for (int64_t offset = 0; offset < kRows; ++offset) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const auto symbol = static_cast<size_t>((random >> 20) % static_cast<uint64_t>(symbols));
    prices[symbol] += static_cast<int64_t>(random >> 33) % 2001 * 1'000'000 - 1'000'000'000;
    rows.push_back({.symbol = "SYM" + std::to_string(symbol) + "USDT",
                    .timestamp_us = testing::kMorning + offset * 3000 + static_cast<int64_t>(random >> 40) % 3000,
                    .offset = offset,
                    .price_units = prices[symbol],
                    .quantity_units = static_cast<int64_t>(random >> 35) % 50'000 * 1000,
                    .sequence = sequences[symbol]++});
  }
  return testing::trades(rows);
}

void per_row(benchmark::State& state) {
  state.counters["cpu_per_row"] =
      benchmark::Counter(static_cast<double>(state.iterations() * kRows), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void BM_bare_parquet(benchmark::State& state) {
  const auto batch = batch_of(state.range(0));
  parquet::WriterProperties::Builder builder;
  builder.compression(parquet::Compression::ZSTD)->disable_dictionary()->enable_store_decimal_as_integer();
  for (const char* name : {"symbol", "exchange", "asset_class", "currency", "side", "log_topic"}) builder.enable_dictionary(name);
  const auto properties = builder.build();
  int64_t bytes = 0;
  for (auto _ : state) {
    const auto sink = arrow::io::BufferOutputStream::Create().ValueOrDie();
    const auto table = arrow::Table::FromRecordBatches({batch}).ValueOrDie();
    K2_ASSERT(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), sink, 128 << 10, properties).ok());
    bytes = sink->Finish().ValueOrDie()->size();
  }
  per_row(state);
  state.counters["bytes_per_row"] = static_cast<double>(bytes) / kRows;
}
BENCHMARK(BM_bare_parquet)->Arg(2)->Arg(500)->Unit(benchmark::kMillisecond);

void BM_encode(benchmark::State& state) {
  const auto batch = batch_of(state.range(0));
  int64_t bytes = 0;
  for (auto _ : state) {
    bytes = 0;
    const auto files = encode_data_files(kTradesV2, {batch});
    for (const EncodedFile& file : *files) bytes += file.bytes->size();
  }
  per_row(state);
  state.counters["bytes_per_row"] = static_cast<double>(bytes) / kRows;
}
BENCHMARK(BM_encode)->Arg(2)->Arg(500)->Unit(benchmark::kMillisecond);

void BM_append(benchmark::State& state) {
  const auto batch = batch_of(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    const testing::TempDir directory;
    const LakeOptions options{.data_dir = directory.path()};
    K2_ASSERT(Lake::init(options).has_value());
    const auto lake = Lake::open(options).value();
    AppendRequest request = {.table = "trades_v2",
                             .batches = {batch},
                             .start = {},
                             .end = {{{testing::kTopic, 0}, {kRows}}},
                             .log_id = "log",
                             .commit_id = random_uuid()};
    state.ResumeTiming();
    K2_ASSERT(lake->append(request).has_value());
  }
  per_row(state);
}
BENCHMARK(BM_append)->Arg(2)->Arg(500)->Unit(benchmark::kMillisecond);

// A small commit on a table that has had many: what a commit costs by itself.
void BM_small_commits(benchmark::State& state) {
  const testing::TempDir directory;
  const LakeOptions options{.data_dir = directory.path()};
  K2_ASSERT(Lake::init(options).has_value());
  const auto lake = Lake::open(options).value();
  int64_t next = 0;
  for (; next < state.range(0) * 3; next += 3) K2_ASSERT(lake->append(testing::request_of(next, 3)).has_value());
  for (auto _ : state) {
    K2_ASSERT(lake->append(testing::request_of(next, 3)).has_value());
    K2_ASSERT(lake->load("trades_v2").has_value());
    next += 3;
  }
}
BENCHMARK(BM_small_commits)->Arg(0)->Arg(400)->Iterations(50)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace k2
