// ServerFixture: a running API over a log and a lake in a directory of their own, with 20 trades, one a microsecond. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "api/server.h"
#include "base/uuid.h"
#include "codec/avro.h"
#include "codec/columns.h"
#include "codec/resolve.h"
#include "codec/schemas.h"
#include "log/local_log.h"
#include "net/http_client.h"

namespace k2 {

class ServerFixture : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "k2-server-" + random_uuid();
    std::filesystem::create_directories(dir_);
    log_ = LocalLog::open(dir_ + "/log.db").value();
    ASSERT_TRUE(Lake::init({.data_dir = dir_}));
    lake_ = Lake::open({.data_dir = dir_}).value();
    schema_ = log_->register_schema("market.crypto.trades.binance-value", trade_schema()).value();
    coverage_schema_ = log_->register_schema("market.crypto.coverage.binance-value", coverage_schema()).value();
    put(1, 20);
    engine_ = Engine::open(*lake_, *log_, *log_, {.memory_limit = "256MB", .threads = 1}).value();
    stream_ = std::make_unique<LiveStream>(*log_, *log_, *engine_);
    server_ = ApiServer::start(
                  *engine_, *stream_,
                  {.listen = "127.0.0.1:0", .health_json = [] { return "{\"status\":\"ok\"}\n"; }, .is_ready = [this] { return ready_; }})
                  .value();
  }
  void TearDown() override {
    server_.reset();
    stream_.reset();
    engine_.reset();
    lake_.reset();
    log_.reset();
    std::filesystem::remove_all(dir_);
  }

  /// Trades `first` to `last`, number n at n microseconds after the first midnight of 2021's eighth day.
  void put(int64_t first, int64_t last) {
    for (int64_t id = first; id <= last; ++id) put_at(id, id, 1'610'064'000'000'000 + id);
  }
  /// All at one time.
  void put_at(int64_t first, int64_t last, int64_t timestamp_us) {
    for (int64_t id = first; id <= last; ++id) {
      Trade trade;
      trade.message_id = MessageIdMaker("binance", "BTCUSDT", "trades").make(id);
      trade.trade_id = std::to_string(id);
      trade.symbol = id % 2 == 0 ? "ETHUSDT" : "BTCUSDT";
      trade.exchange = "binance";
      trade.asset_class = AssetClass::kCrypto;
      trade.timestamp = {timestamp_us};
      trade.price = *Decimal18_8::parse("39432.48");
      trade.quantity = *Decimal18_8::parse("0.000263");
      trade.currency = "USDT";
      trade.source_sequence = id;
      std::string message;
      encode_trade(trade, schema_, message);
      ASSERT_TRUE(log_->append({{"market.crypto.trades.binance", trade.symbol, message, {}}}, {}));
    }
  }

  /// Commits every trade that the table lacks; the snapshot's id.
  int64_t commit_trades() {
    const auto state = lake_->load("trades_v2").value();
    AppendRequest request;
    request.table = "trades_v2";
    request.log_id = log_->id().value;
    request.commit_id = random_uuid();
    SchemaResolver resolver(*log_);
    ColumnsBuilder builder(Channel::kTrades, resolver);
    const Offsets ends = log_->end_offsets().value();
    for (const auto& [partition, end] : ends) {
      if (topic_channel(partition.topic) != Channel::kTrades) continue;
      const Offset begin = offset_of(state->offsets, partition);
      if (begin == end) continue;
      request.start[partition] = begin;
      request.end[partition] = end;
      const LogBatch batch = log_->read(partition, begin, end, 1 << 20).value();
      for (const LogRecord& record : batch.records())
        EXPECT_TRUE(builder.append(record.value, partition.topic, partition.partition, record.offset.value));
    }
    request.batches = {builder.finish().value()};
    EXPECT_TRUE(lake_->append(request));
    return lake_->load("trades_v2").value()->snapshot->value;
  }

  /// Trade n happens n seconds after the first midnight of 2021's eighth day.
  void say(CoverageStatus status, int64_t first, int64_t last, std::string reason = "") {
    const Coverage coverage{.exchange = "binance",
                            .symbol = "BTCUSDT",
                            .first_sequence = first,
                            .last_sequence = last,
                            .timestamp = {1'610'064'000'000'000 + first * kUsPerSecond},
                            .end_timestamp = {1'610'064'000'000'000 + last * kUsPerSecond},
                            .status = status,
                            .reason = std::move(reason)};
    std::string message;
    encode_coverage(coverage, coverage_schema_, message);
    ASSERT_TRUE(log_->append({{"market.crypto.coverage.binance", coverage.symbol, message, {}}}, {}));
  }

  HttpAnswer get(const std::string& target, const HttpHeaders& headers = {}) {
    return HttpClient().get(server_->url() + target, headers).value();
  }
  nlohmann::json json(const std::string& target) { return nlohmann::json::parse(get(target).body); }
  HttpAnswer post(const std::string& target, const nlohmann::json& body) {
    return HttpClient().post(server_->url() + target, "application/json", body.dump()).value();
  }

  std::string dir_;
  bool ready_ = true;
  int32_t schema_ = 0;
  int32_t coverage_schema_ = 0;
  std::unique_ptr<LocalLog> log_;
  std::unique_ptr<Lake> lake_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<LiveStream> stream_;
  std::unique_ptr<ApiServer> server_;
};

}  // namespace k2
