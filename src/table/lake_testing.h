// Words for the table folder's tests and benchmarks: rows of trades_v2 as Arrow batches, and a directory that goes away.
#pragma once

#include <arrow/api.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/uuid.h"
#include "table/lake.h"

namespace k2::testing {

class TempDir {
 public:
  TempDir() {
    // In memory where there is such a place: syncing costs nothing there, and what is tested is not the disk.
    const std::filesystem::path memory = "/dev/shm";
    std::string pattern = (::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path()) / "k2-table-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline constexpr const char* kTopic = "market.crypto.trades.binance";
inline constexpr int64_t kMorning = 1'609'459'200'000'000;  // 2021-01-01T00:00:00Z

struct Row {
  std::string symbol = "BTCUSDT";
  int64_t timestamp_us = kMorning;
  int64_t offset = 0;
  std::string exchange = "binance";
  int64_t price_units = 2'900'000'000'000;
  int64_t quantity_units = 12'345'678;
  std::string topic = kTopic;
  int32_t partition = 0;
  int64_t sequence = -1;  // the source's; -1: the same as offset
  [[nodiscard]] int64_t source_sequence() const { return sequence < 0 ? offset : sequence; }
};

namespace detail {

template <class Builder, class Get>
std::shared_ptr<arrow::Array> build(Builder builder, const std::vector<Row>& rows, Get get) {
  for (const Row& row : rows) K2_ASSERT(builder.Append(get(row)).ok());
  return builder.Finish().ValueOrDie();
}

}  // namespace detail

/// Rows as a batch with the columns of trades_v2 (codec/columns.h says which types).
inline std::shared_ptr<arrow::RecordBatch> trades(const std::vector<Row>& rows) {
  using detail::build;
  auto* const pool = arrow::default_memory_pool();
  const auto text = [&](auto get) { return build(arrow::StringBuilder(pool), rows, get); };
  const auto micros = [&](auto get) {
    return build(arrow::TimestampBuilder(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), pool), rows, get);
  };
  const auto decimal = [&](auto get) {
    return build(arrow::Decimal128Builder(arrow::decimal128(18, 8), pool), rows,
                 [&](const Row& row) { return arrow::Decimal128(get(row)); });
  };
  const auto id = [](const Row& row) {
    const uint64_t source = std::hash<std::string>()(row.exchange + row.symbol);
    std::string bytes(reinterpret_cast<const char*>(&source), sizeof source);
    for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(row.source_sequence() >> shift));
    return bytes;
  };
  arrow::ListBuilder conditions(pool, std::make_shared<arrow::StringBuilder>(pool),
                                arrow::list(arrow::field("element", arrow::utf8(), false)));
  for (const Row& row : rows) {
    K2_ASSERT(conditions.Append().ok());
    for (int64_t i = 0; i < row.offset % 3; ++i)
      K2_ASSERT(static_cast<arrow::StringBuilder*>(conditions.value_builder())->Append("X").ok());
  }
  arrow::StringBuilder vendor_data(pool);
  for (const Row& row : rows) K2_ASSERT((row.offset % 2 ? vendor_data.Append(R"({"m":"true"})") : vendor_data.AppendNull()).ok());
  const arrow::ArrayVector columns{build(arrow::FixedSizeBinaryBuilder(arrow::fixed_size_binary(16), pool), rows, id),
                                   text([](const Row& row) { return std::to_string(row.source_sequence()); }),
                                   text([](const Row& row) { return row.symbol; }),
                                   text([](const Row& row) { return row.exchange; }),
                                   text([](const Row&) { return std::string("crypto"); }),
                                   micros([](const Row& row) { return row.timestamp_us; }),
                                   decimal([](const Row& row) { return row.price_units; }),
                                   decimal([](const Row& row) { return row.quantity_units; }),
                                   text([](const Row&) { return std::string("USDT"); }),
                                   text([](const Row& row) { return std::string(row.offset % 2 ? "BUY" : "SELL"); }),
                                   conditions.Finish().ValueOrDie(),
                                   build(arrow::Int64Builder(pool), rows, [](const Row& row) { return row.source_sequence(); }),
                                   micros([](const Row& row) { return row.timestamp_us + 1000; }),
                                   vendor_data.Finish().ValueOrDie(),
                                   text([](const Row& row) { return row.topic; }),
                                   build(arrow::Int32Builder(pool), rows, [](const Row& row) { return row.partition; }),
                                   build(arrow::Int64Builder(pool), rows, [](const Row& row) { return row.offset; })};
  arrow::FieldVector fields;
  for (size_t i = 0; i < columns.size(); ++i)
    fields.push_back(arrow::field(std::string(kTradesV2.columns[i].name), columns[i]->type(), !kTradesV2.columns[i].required));
  return arrow::RecordBatch::Make(arrow::schema(fields), static_cast<int64_t>(rows.size()), columns);
}

/// `count` rows of one partition from offset `first`: one a second, symbols in turn.
inline std::vector<Row> rows_from(int64_t first, int64_t count) {
  static const char* const kSymbols[] = {"BTCUSDT", "ETHUSDT", "BNBUSDT"};
  std::vector<Row> rows;
  for (int64_t offset = first; offset < first + count; ++offset)
    rows.push_back({.symbol = kSymbols[offset % 3], .timestamp_us = kMorning + offset * kUsPerSecond, .offset = offset});
  return rows;
}

/// The append of rows_from(first, count).
inline AppendRequest request_of(int64_t first, int64_t count, const std::string& log_id = "log-1") {
  AppendRequest request;
  request.table = "trades_v2";
  request.batches = {trades(rows_from(first, count))};
  if (first > 0) request.start[{kTopic, 0}] = {first};
  request.end[{kTopic, 0}] = {first + count};
  request.log_id = log_id;
  request.commit_id = random_uuid();
  return request;
}

}  // namespace k2::testing
