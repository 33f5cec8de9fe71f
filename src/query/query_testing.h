// Words for the query folder's tests: a data directory with a log, a lake and an engine; events put into the log, parts of it archived;
// and what a cut must contain, computed from the log's own messages without any of the code under test.
#pragma once

#include <arrow/api.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/uuid.h"
#include "codec/avro.h"
#include "codec/columns.h"
#include "codec/resolve.h"
#include "codec/schemas.h"
#include "log/local_log.h"
#include "query/engine.h"
#include "table/lake.h"

namespace k2::testing {

template <class T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << error_kind_name(result.error().kind) << ": " << result.error().message;
    std::abort();
  }
  return *std::move(result);
}

inline void must(Status status) {
  if (status) return;
  ADD_FAILURE() << error_kind_name(status.error().kind) << ": " << status.error().message;
  std::abort();
}

class TempDir {
 public:
  TempDir() {
    const std::filesystem::path memory = "/dev/shm";
    std::string pattern = (::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path()) / "k2-query-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline constexpr int64_t kMorningUs = 1'609'459'200'000'000;  // 2021-01-01T00:00:00Z
inline const std::string kTradesTopic = "market.crypto.trades.binance";
inline const std::string kCoverageTopic = "market.crypto.coverage.binance";
inline const std::string kQuotesTopic = "market.equities.quotes.asx";

/// The n-th trade of a market of six symbols, a second apart or less, some at the same microsecond; every kind of value occurs.
inline Trade nth_trade(int64_t n) {
  static const std::vector<std::string> symbols = {"BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "O'HARA", "LONGSYMBOLNAMEUSDT"};
  std::mt19937_64 random(static_cast<uint64_t>(n) * 7919 + 1);
  Trade trade;
  trade.symbol = symbols[random() % symbols.size()];
  trade.exchange = "binance";
  trade.trade_id = std::to_string(n);
  trade.message_id = MessageIdMaker("binance", trade.symbol, "trades").make(n);
  trade.asset_class = AssetClass::kCrypto;
  trade.timestamp = {kMorningUs + n * 300'000 - static_cast<int64_t>(random() % 4) * 300'000};
  trade.price = Decimal18_8::from_units_checked(static_cast<int64_t>(random() % 4'000'000'000'000));
  trade.quantity = Decimal18_8::from_units_checked(static_cast<int64_t>(random() % 900'000'000'000'000'000));
  trade.currency = "USDT";
  trade.side = static_cast<Side>(random() % 4);
  for (uint64_t i = random() % 3; i > 0; --i) trade.trade_conditions.push_back(i == 1 ? "X" : "a condition longer than twelve");
  if (random() % 5 != 0) trade.source_sequence = n;
  trade.ingestion_timestamp = {trade.timestamp.us + 1500};
  if (random() % 2 == 0) trade.vendor_data = VendorData{{"buyer", std::to_string(n)}, {"quote\"d", "naïve\nline"}};
  return trade;
}

inline Quote nth_quote(int64_t n) {
  const Trade trade = nth_trade(n);
  Quote quote;
  quote.message_id = MessageIdMaker("asx", "BHP", "quotes").make(n);
  quote.quote_id = trade.trade_id;
  quote.symbol = n % 3 == 0 ? "RIO" : "BHP";
  quote.exchange = "asx";
  quote.timestamp = trade.timestamp;
  quote.bid_price = trade.price;
  quote.bid_quantity = trade.quantity;
  quote.ask_price = trade.price;
  quote.ask_quantity = Decimal18_8{};
  quote.currency = "AUD";
  quote.source_sequence = n;
  quote.ingestion_timestamp = trade.ingestion_timestamp;
  return quote;
}

/// A log, a lake and an engine in a directory that goes away.
class World {
 public:
  explicit World(int32_t partitions = 3, EngineOptions engine_options = {}) {
    log_ = must(LocalLog::open((dir_.path() / "log.db").string(), {.partitions = partitions}));
    trade_schema_ = must(log_->register_schema(kTradesTopic + "-value", trade_schema()));
    quote_schema_ = must(log_->register_schema(kQuotesTopic + "-value", quote_schema()));
    coverage_schema_ = must(log_->register_schema(kCoverageTopic + "-value", coverage_schema()));
    must(Lake::init({.data_dir = dir_.path()}));
    lake_ = must(Lake::open({.data_dir = dir_.path()}));
    engine_options_ = engine_options;
    restart_engine();
  }

  void restart_engine() {
    engine_.reset();
    engine_ = must(Engine::open(*lake_, *log_, *log_, engine_options_));
  }

  [[nodiscard]] LocalLog& log() { return *log_; }
  [[nodiscard]] Lake& lake() { return *lake_; }
  [[nodiscard]] Engine& engine() { return *engine_; }
  [[nodiscard]] const std::filesystem::path& path() const { return dir_.path(); }

  /// The next `count` trades, in one append.
  void trades(int64_t count) {
    std::vector<std::string> keys, messages;
    for (int64_t i = 0; i < count; ++i) {
      const Trade trade = nth_trade(next_trade_++);
      keys.push_back(trade.symbol);
      encode_trade(trade, trade_schema_, messages.emplace_back());
    }
    append(kTradesTopic, keys, messages);
  }
  void quotes(int64_t count) {
    std::vector<std::string> keys, messages;
    for (int64_t i = 0; i < count; ++i) {
      const Quote quote = nth_quote(next_quote_++);
      keys.push_back(quote.symbol);
      encode_quote(quote, quote_schema_, messages.emplace_back());
    }
    append(kQuotesTopic, keys, messages);
  }
  void coverage(const std::vector<Coverage>& statements) {
    std::vector<std::string> keys, messages;
    for (const Coverage& statement : statements) {
      keys.push_back(statement.symbol);
      encode_coverage(statement, coverage_schema_, messages.emplace_back());
    }
    append(kCoverageTopic, keys, messages);
  }
  void raw(const std::string& topic, std::string_view value) { append(topic, {"key"}, {std::string(value)}); }

  /// Commits to the channel's table a part of what it lacks: of each partition, as many records as `share(lag)` says.
  void archive(Channel channel, const std::function<int64_t(int64_t lag)>& share = [](int64_t lag) { return lag; }) {
    const auto state = must(lake_->load(table_of(channel).name));
    AppendRequest request;
    request.table = table_of(channel).name;
    request.log_id = log_->id().value;
    request.commit_id = random_uuid();
    SchemaResolver resolver(*log_);
    ColumnsBuilder builder(channel, resolver);
    for (const auto& [partition, log_end] : must(log_->end_offsets())) {
      if (topic_channel(partition.topic) != channel) continue;
      const Offset from = offset_of(state->offsets, partition);
      const Offset to{from.value + share(log_end.value - from.value)};
      if (from == to) continue;
      request.start[partition] = from;
      request.end[partition] = to;
      for (Offset next = from; next < to;) {
        const LogBatch batch = must(log_->read(partition, next, to, 1 << 20));
        for (const LogRecord& record : batch.records())
          must(builder.append(record.value, partition.topic, partition.partition, record.offset.value));
        next = batch.next_offset();
      }
    }
    if (request.end.empty()) return;
    request.batches = {must(builder.finish())};
    must(lake_->append(request));
  }

 private:
  void append(const std::string& topic, const std::vector<std::string>& keys, const std::vector<std::string>& messages) {
    std::vector<NewRecord> records;
    for (size_t i = 0; i < messages.size(); ++i) records.push_back({topic, keys[i], messages[i], TimestampUs{kMorningUs}});
    must(log_->append(records, {}));
  }

  TempDir dir_;
  std::unique_ptr<LocalLog> log_;
  std::unique_ptr<Lake> lake_;
  EngineOptions engine_options_;
  std::unique_ptr<Engine> engine_;
  int32_t trade_schema_ = 0, quote_schema_ = 0, coverage_schema_ = 0;
  int64_t next_trade_ = 0, next_quote_ = 0;
};

// --- what an answer must be ---------------------------------------------------------------------------------------------

/// Count and order-independent 128-bit hash of rows.
struct RowSum {
  int64_t count = 0;
  uint64_t hash_low = 0, hash_high = 0;

  void add(std::string_view row) {
    ++count;
    hash_low += mix(std::hash<std::string_view>{}(row));
    hash_high += mix(std::hash<std::string_view>{}(row) ^ 0x9e3779b97f4a7c15);
  }
  bool operator==(const RowSum&) const = default;

 private:
  static uint64_t mix(uint64_t value) {
    value = (value ^ (value >> 31)) * 0x7fb5d329728ea185;
    value = (value ^ (value >> 27)) * 0x81dadef4bc2dd44d;
    return value ^ (value >> 33);
  }
};

inline std::ostream& operator<<(std::ostream& out, const RowSum& sum) {
  return out << sum.count << " rows, " << sum.hash_high << ":" << sum.hash_low;
}

inline std::string row_text(const Trade& trade, const TopicPartition& partition, Offset offset) {
  std::string text = trade.message_id.to_string() + "|" + trade.trade_id + "|" + trade.symbol + "|" + trade.exchange + "|" +
                     std::string(asset_class_name(trade.asset_class)) + "|" + std::to_string(trade.timestamp.us) + "|" +
                     trade.price.to_string() + "|" + trade.quantity.to_string() + "|" + trade.currency + "|" +
                     std::string(side_name(trade.side)) + "|";
  for (const std::string& condition : trade.trade_conditions) text += condition + ";";
  text += "|" + (trade.source_sequence ? std::to_string(*trade.source_sequence) : "null");
  text += "|" + std::to_string(trade.ingestion_timestamp.us);
  text += "|" + (trade.vendor_data ? vendor_data_json(*trade.vendor_data) : "null");
  return text + "|" + partition.topic + "|" + std::to_string(partition.partition) + "|" + std::to_string(offset.value);
}

/// What the trades of a cut are: every record below its end, decoded here and now; those that pass `wanted`.
inline RowSum expected_trades(
    const Log& log, const Offsets& end, const std::function<bool(const Trade&)>& wanted = [](const Trade&) { return true; }) {
  RowSum sum;
  for (const auto& [partition, stop] : end) {
    if (topic_channel(partition.topic) != Channel::kTrades) continue;
    for (Offset next{0}; next < stop;) {
      const LogBatch batch = must(log.read(partition, next, stop, 1 << 20));
      for (const LogRecord& record : batch.records()) {
        Trade trade;
        must(decode_trade(must(read_frame(record.value)).body, trade));
        if (wanted(trade)) sum.add(row_text(trade, partition, record.offset));
      }
      next = batch.next_offset();
    }
  }
  return sum;
}

template <class Array>
const Array& column(const arrow::RecordBatch& batch, const std::string& name) {
  const auto array = batch.GetColumnByName(name);
  EXPECT_NE(array, nullptr) << name;
  return static_cast<const Array&>(*array);
}

/// One row of an answer with all columns of trades_v2, in row_text()'s words.
inline std::string row_text(const arrow::RecordBatch& batch, int64_t row) {
  const auto text = [&](const std::string& name) { return std::string(column<arrow::StringArray>(batch, name).GetView(row)); };
  const auto decimal = [&](const std::string& name) { return column<arrow::Decimal128Array>(batch, name).FormatValue(row); };
  std::string all = text("message_id") + "|" + text("trade_id") + "|" + text("symbol") + "|" + text("exchange") + "|" +
                    text("asset_class") + "|" + std::to_string(column<arrow::TimestampArray>(batch, "timestamp").Value(row)) + "|" +
                    decimal("price") + "|" + decimal("quantity") + "|" + text("currency") + "|" + text("side") + "|";
  const auto& conditions = column<arrow::ListArray>(batch, "trade_conditions");
  const auto& elements = static_cast<const arrow::StringArray&>(*conditions.values());
  for (int64_t i = conditions.value_offset(row); i < conditions.value_offset(row + 1); ++i) all += std::string(elements.GetView(i)) + ";";
  const auto& sequence = column<arrow::Int64Array>(batch, "source_sequence");
  all += "|" + (sequence.IsNull(row) ? "null" : std::to_string(sequence.Value(row)));
  all += "|" + std::to_string(column<arrow::TimestampArray>(batch, "ingestion_timestamp").Value(row));
  all += "|" + (column<arrow::StringArray>(batch, "vendor_data").IsNull(row) ? "null" : text("vendor_data"));
  return all + "|" + text("log_topic") + "|" + std::to_string(column<arrow::Int32Array>(batch, "log_partition").Value(row)) + "|" +
         std::to_string(column<arrow::Int64Array>(batch, "log_offset").Value(row));
}

inline RowSum sum_of(const arrow::RecordBatch& batch) {
  RowSum sum;
  for (int64_t row = 0; row < batch.num_rows(); ++row) sum.add(row_text(batch, row));
  return sum;
}

inline std::shared_ptr<arrow::RecordBatch> rows_of(Result<std::unique_ptr<QueryResult>> result) {
  return must(read_all(*must(std::move(result))));
}

}  // namespace k2::testing
