#include "table/lake.h"

#include <arrow/api.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/uuid.h"

namespace k2 {
namespace {

const TopicPartition kTopic{"market.crypto.trades.binance", 0};
constexpr int64_t kDay = 1'610'064'000'000'000;  // 2021-01-08T00:00:00Z

// Rows [first, last) of the log as the archive would hand them over.
std::shared_ptr<arrow::RecordBatch> trades(int64_t first, int64_t last, int64_t step_us = 1'000'000) {
  arrow::FixedSizeBinaryBuilder message_id(arrow::fixed_size_binary(16));
  arrow::StringBuilder trade_id, symbol, exchange, asset_class, currency, side, vendor_data, log_topic;
  arrow::TimestampBuilder timestamp(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), arrow::default_memory_pool());
  arrow::TimestampBuilder ingestion(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), arrow::default_memory_pool());
  arrow::Decimal128Builder price(arrow::decimal128(18, 8)), quantity(arrow::decimal128(18, 8));
  arrow::ListBuilder conditions(
      arrow::default_memory_pool(), std::make_shared<arrow::StringBuilder>(),
      arrow::list(arrow::field("element", arrow::utf8(), false, arrow::key_value_metadata({"PARQUET:field_id"}, {"12"}))));
  arrow::Int64Builder sequence, log_offset;
  arrow::Int32Builder log_partition;
  for (int64_t i = first; i < last; ++i) {
    char id[16] = {};
    std::memcpy(id + 8, &i, sizeof i);
    EXPECT_TRUE(message_id.Append(id).ok());
    EXPECT_TRUE(trade_id.Append(std::to_string(i)).ok());
    EXPECT_TRUE(symbol.Append(i % 2 ? "ETHUSDT" : "BTCUSDT").ok());
    EXPECT_TRUE(exchange.Append("binance").ok());
    EXPECT_TRUE(asset_class.Append("crypto").ok());
    EXPECT_TRUE(timestamp.Append(kDay + i * step_us).ok());
    EXPECT_TRUE(price.Append(arrow::Decimal128(100'000'000 + i)).ok());
    EXPECT_TRUE(quantity.Append(arrow::Decimal128(-i)).ok());
    EXPECT_TRUE(currency.Append("USDT").ok());
    EXPECT_TRUE(side.Append("BUY").ok());
    EXPECT_TRUE(conditions.Append().ok());
    EXPECT_TRUE(sequence.Append(i).ok());
    EXPECT_TRUE(ingestion.Append(kDay).ok());
    EXPECT_TRUE(vendor_data.AppendNull().ok());
    EXPECT_TRUE(log_topic.Append(kTopic.topic).ok());
    EXPECT_TRUE(log_partition.Append(kTopic.partition).ok());
    EXPECT_TRUE(log_offset.Append(i).ok());
  }
  std::vector<std::shared_ptr<arrow::Field>> fields;
  std::vector<std::shared_ptr<arrow::Array>> columns;
  size_t at = 0;
  const auto add = [&](arrow::ArrayBuilder& builder) {
    const Column& column = kTradeColumns[at++];
    columns.push_back(builder.Finish().ValueOrDie());
    fields.push_back(arrow::field(std::string(column.name), columns.back()->type(), !column.required,
                                  arrow::key_value_metadata({"PARQUET:field_id"}, {std::to_string(column.field_id)})));
  };
  for (arrow::ArrayBuilder* builder : std::initializer_list<arrow::ArrayBuilder*>{
           &message_id, &trade_id, &symbol, &exchange, &asset_class, &timestamp, &price, &quantity, &currency, &side, &conditions,
           &sequence, &ingestion, &vendor_data, &log_topic, &log_partition, &log_offset})
    add(*builder);
  return arrow::RecordBatch::Make(arrow::schema(fields), last - first, columns);
}

class LakeTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "k2-lake-XXXXXX";
    options_.data_dir = ::mkdtemp(pattern.data());
    ASSERT_TRUE(Lake::init(options_));
    reopen();
  }
  void TearDown() override { std::filesystem::remove_all(options_.data_dir); }

  void reopen() { lake_ = Lake::open(options_).value(); }

  static AppendRequest rows(int64_t first, int64_t last, int64_t step_us = 1'000'000) {
    return {"trades_v2", {trades(first, last, step_us)}, {{kTopic, {first}}}, {{kTopic, {last}}}, "log-1", random_uuid()};
  }
  std::shared_ptr<const TableState> state() { return lake_->load("trades_v2").value(); }
  CheckReport check() { return lake_->check("").value(); }

  LakeOptions options_;
  std::unique_ptr<Lake> lake_;
};

TEST_F(LakeTest, InitMakesAllTablesAndDoesNothingTheSecondTime) {
  const std::string location = state()->metadata_location;
  ASSERT_TRUE(Lake::init(options_));
  EXPECT_EQ(state()->metadata_location, location);
  EXPECT_EQ(check().tables, static_cast<int64_t>(std::size(kTables)));
  EXPECT_TRUE(check().findings.empty());
}

TEST_F(LakeTest, OpeningWhatIsNotThereIsNotFound) {
  LakeOptions nowhere;
  nowhere.data_dir = options_.data_dir / "nowhere";
  EXPECT_EQ(Lake::open(nowhere).error().kind, ErrorKind::kNotFound);
}

TEST_F(LakeTest, ACatalogThatIsThereButCannotBeOpenedIsUnavailable) {
  const std::filesystem::path path = std::filesystem::path(::testing::TempDir()) / ("k2-no-catalog-" + random_uuid());
  std::filesystem::create_directories(path / "catalog.db");
  EXPECT_EQ(Lake::open({.data_dir = path}).error().kind, ErrorKind::kUnavailable);
  std::filesystem::remove_all(path);
}

TEST_F(LakeTest, AppendedRowsAreThereAndCarryTheirOffsets) {
  const auto result = lake_->append(rows(0, 100));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->record_count, 100);
  ASSERT_TRUE(lake_->append(rows(100, 150)));
  reopen();
  EXPECT_EQ(state()->record_count, 150);
  EXPECT_EQ(offset_of(state()->offsets, kTopic), Offset{150});
  EXPECT_EQ(state()->log_id, "log-1");
  const auto report = check();
  EXPECT_TRUE(report.findings.empty()) << report.findings.front().path << ": " << report.findings.front().what;
  EXPECT_EQ(report.rows, 150);
}

TEST_F(LakeTest, RowsAreSplitByDayAndPrunedByDaySymbolAndTime) {
  ASSERT_TRUE(lake_->append(rows(0, 4, kUsPerDay)));
  EXPECT_EQ(state()->files->size(), 4u);
  EXPECT_EQ(plan(*state(), {.symbols = {"BTCUSDT"}, .exchange = {}, .start = {}, .end = {}}).size(), 2u);
  EXPECT_EQ(plan(*state(), {.symbols = {"AAA"}, .exchange = {}, .start = {}, .end = {}}).size(), 0u);
  EXPECT_EQ(plan(*state(), {.symbols = {}, .exchange = "asx", .start = {}, .end = {}}).size(), 0u);
  const TimestampUs third{kDay + 2 * kUsPerDay};
  EXPECT_EQ(plan(*state(), {.symbols = {}, .exchange = {}, .start = third, .end = {}}).size(), 2u);
  EXPECT_EQ(plan(*state(), {.symbols = {}, .exchange = {}, .start = {}, .end = third}).size(), 2u);
}

TEST_F(LakeTest, ASecondAppendOfTheSameRowsIsAConflict) {
  ASSERT_TRUE(lake_->append(rows(0, 100)));
  EXPECT_EQ(lake_->append(rows(0, 100)).error().kind, ErrorKind::kConflict);
  EXPECT_EQ(lake_->append(rows(50, 150)).error().kind, ErrorKind::kConflict);
  EXPECT_EQ(lake_->append(rows(200, 300)).error().kind, ErrorKind::kConflict) << "a hole";
  EXPECT_EQ(state()->record_count, 100);
}

TEST_F(LakeTest, ARetryWithTheSameCommitIdFindsThatItLanded) {
  const AppendRequest request = rows(0, 100);
  const auto first = lake_->append(request);
  const auto again = lake_->append(request);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->snapshot, first->snapshot);
  EXPECT_EQ(state()->record_count, 100);
}

TEST_F(LakeTest, AnotherLogIsRefused) {
  ASSERT_TRUE(lake_->append(rows(0, 100)));
  AppendRequest other = rows(100, 200);
  other.log_id = "log-2";
  EXPECT_EQ(lake_->append(other).error().kind, ErrorKind::kCorrupt);
}

TEST_F(LakeTest, ReadOnlyTablesAndMiscountedRowsAreRefused) {
  AppendRequest v1 = rows(0, 100);
  v1.table = "trades";
  EXPECT_EQ(lake_->append(v1).error().kind, ErrorKind::kInvalidInput);
  AppendRequest miscounted = rows(0, 100);
  miscounted.end[kTopic] = {101};
  EXPECT_EQ(lake_->append(miscounted).error().kind, ErrorKind::kInvalidInput);
}

TEST_F(LakeTest, WritersBesideEachOtherLoseAndDoubleNothing) {
  constexpr int64_t kBatches = 12, kRows = 10;
  const auto write_all = [&] {
    const auto lake = Lake::open(options_).value();
    for (;;) {
      const int64_t next = offset_of(lake->load("trades_v2").value()->offsets, kTopic).value;
      if (next == kBatches * kRows) return;
      const auto result = lake->append(rows(next, next + kRows));
      EXPECT_TRUE(result || result.error().kind == ErrorKind::kConflict);
    }
  };
  {
    std::jthread one(write_all), two(write_all), three(write_all);
  }
  EXPECT_EQ(state()->record_count, kBatches * kRows);
  EXPECT_EQ(lake_->snapshots("trades_v2")->size(), static_cast<size_t>(kBatches));
  EXPECT_TRUE(check().findings.empty());
}

TEST_F(LakeTest, ManyCommitsKeepManifestsFewAndEveryRow) {
  constexpr int64_t kCommits = 105;
  for (int64_t i = 0; i < kCommits; ++i) ASSERT_TRUE(lake_->append(rows(i, i + 1)));
  EXPECT_EQ(state()->record_count, kCommits);
  EXPECT_EQ(state()->files->size(), static_cast<size_t>(kCommits));
  EXPECT_TRUE(check().findings.empty());
  int64_t metadata_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(options_.data_dir / "warehouse/market_data/trades_v2/metadata"))
    metadata_files += entry.path().string().ends_with(".metadata.json");
  EXPECT_LE(metadata_files, 102);
}

TEST_F(LakeTest, TimeTravelGivesTheTableAsItWas) {
  const auto first = lake_->append(rows(0, 10));
  ASSERT_TRUE(lake_->append(rows(10, 30)));
  EXPECT_EQ(lake_->state_at("trades_v2", first->snapshot).value()->record_count, 10);
  EXPECT_EQ(lake_->state_at("trades_v2", SnapshotId{42}).error().kind, ErrorKind::kNotFound);
}

TEST_F(LakeTest, CheckSaysWhichFileIsDamagedAndHow) {
  ASSERT_TRUE(lake_->append(rows(0, 100)));
  const std::string path = state()->files->front().path;
  const auto bytes = std::filesystem::file_size(path);
  std::filesystem::resize_file(path, bytes - 1);
  ASSERT_EQ(check().findings.front().path, path);
  std::filesystem::remove(path);
  ASSERT_EQ(check().findings.front().path, path);
}

TEST_F(LakeTest, CheckFindsADamagedManifest) {
  ASSERT_TRUE(lake_->append(rows(0, 100)));
  std::string manifest;
  for (const auto& entry : std::filesystem::directory_iterator(options_.data_dir / "warehouse/market_data/trades_v2/metadata"))
    if (entry.path().string().ends_with("-m0.avro")) manifest = entry.path();
  std::filesystem::resize_file(manifest, std::filesystem::file_size(manifest) / 2);
  const auto report = check();
  ASSERT_FALSE(report.findings.empty());
  EXPECT_NE(report.findings.front().path.find("-m0.avro"), std::string::npos);
}

}  // namespace
}  // namespace k2
