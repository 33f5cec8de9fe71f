#include "codec/columns.h"

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "codec/asx_csv.h"
#include "codec/avro.h"
#include "codec/binance_csv.h"
#include "codec/test_data.h"

namespace k2 {
namespace {

using testing::HasSubstr;

constexpr std::string_view kTopic = "market.crypto.trades.binance";

template <class Array>
const Array& column(const arrow::RecordBatch& batch, std::string_view name) {
  return dynamic_cast<const Array&>(*batch.GetColumnByName(std::string(name)));
}
int64_t units(const arrow::RecordBatch& batch, std::string_view name, int64_t row) {
  const auto value = arrow::Decimal128(column<arrow::Decimal128Array>(batch, name).GetValue(row));
  EXPECT_EQ(value.high_bits(), static_cast<int64_t>(value.low_bits()) >> 63);
  return static_cast<int64_t>(value.low_bits());
}
std::string text(const arrow::RecordBatch& batch, std::string_view name, int64_t row) {
  return column<arrow::StringArray>(batch, name).GetString(row);
}
int64_t time_us(const arrow::RecordBatch& batch, std::string_view name, int64_t row) {
  return column<arrow::TimestampArray>(batch, name).Value(row);
}

// The columns that trades and quotes share.
template <class Event>
void expect_common(const arrow::RecordBatch& batch, int64_t row, const Event& event) {
  EXPECT_EQ(column<arrow::FixedSizeBinaryArray>(batch, "message_id").GetString(row),
            std::string(reinterpret_cast<const char*>(event.message_id.bytes.data()), 16));
  EXPECT_EQ(text(batch, "symbol", row), event.symbol);
  EXPECT_EQ(text(batch, "exchange", row), event.exchange);
  EXPECT_EQ(text(batch, "asset_class", row), asset_class_name(event.asset_class));
  EXPECT_EQ(time_us(batch, "timestamp", row), event.timestamp.us);
  EXPECT_EQ(text(batch, "currency", row), event.currency);
  const auto& sequence = column<arrow::Int64Array>(batch, "source_sequence");
  EXPECT_EQ(sequence.IsNull(row), !event.source_sequence);
  if (event.source_sequence) {
    EXPECT_EQ(sequence.Value(row), *event.source_sequence);
  }
  EXPECT_EQ(time_us(batch, "ingestion_timestamp", row), event.ingestion_timestamp.us);
  EXPECT_EQ(column<arrow::StringArray>(batch, "vendor_data").IsNull(row), !event.vendor_data);
  if (event.vendor_data) {
    EXPECT_EQ(text(batch, "vendor_data", row), vendor_data_json(*event.vendor_data));
  }
}

void expect_row(const arrow::RecordBatch& batch, int64_t row, const Trade& trade) {
  expect_common(batch, row, trade);
  EXPECT_EQ(text(batch, "trade_id", row), trade.trade_id);
  EXPECT_EQ(units(batch, "price", row), trade.price.units());
  EXPECT_EQ(units(batch, "quantity", row), trade.quantity.units());
  EXPECT_EQ(text(batch, "side", row), side_name(trade.side));
  const auto& lists = column<arrow::ListArray>(batch, "trade_conditions");
  const auto& elements = dynamic_cast<const arrow::StringArray&>(*lists.values());
  std::vector<std::string> conditions;
  for (int32_t i = lists.value_offset(row); i < lists.value_offset(row + 1); ++i) conditions.push_back(elements.GetString(i));
  EXPECT_EQ(conditions, trade.trade_conditions);
}

void expect_row(const arrow::RecordBatch& batch, int64_t row, const Quote& quote) {
  expect_common(batch, row, quote);
  EXPECT_EQ(text(batch, "quote_id", row), quote.quote_id);
  EXPECT_EQ(units(batch, "bid_price", row), quote.bid_price.units());
  EXPECT_EQ(units(batch, "bid_quantity", row), quote.bid_quantity.units());
  EXPECT_EQ(units(batch, "ask_price", row), quote.ask_price.units());
  EXPECT_EQ(units(batch, "ask_quantity", row), quote.ask_quantity.units());
}

struct Columns : testing::Test {
  test::MemorySchemaStore store;
  SchemaResolver resolver{store};
  int32_t trade_id = store.register_schema("t", trade_schema()).value();
  int32_t quote_id = store.register_schema("q", quote_schema()).value();

  std::string message(const Trade& trade) const {
    std::string bytes;
    encode_trade(trade, trade_id, bytes);
    return bytes;
  }
  std::string message(const Quote& quote) const {
    std::string bytes;
    encode_quote(quote, quote_id, bytes);
    return bytes;
  }
};

TEST_F(Columns, SchemasFollowTheTables) {
  for (const TableSpec& table : kTables) {
    const auto schema = arrow_schema(table);
    ASSERT_EQ(static_cast<size_t>(schema->num_fields()), table.columns.size());
    for (int i = 0; i < schema->num_fields(); ++i) {
      const Column& want = table.columns[static_cast<size_t>(i)];
      EXPECT_EQ(schema->field(i)->name(), want.name);
      EXPECT_EQ(schema->field(i)->nullable(), !want.required);
      EXPECT_EQ(schema->field(i)->metadata()->Get("PARQUET:field_id").ValueOrDie(), std::to_string(want.field_id));
    }
  }
  const auto trades = arrow_schema(kTradesV2);
  EXPECT_EQ(arrow_schema(kTradesV2), trades);
  EXPECT_EQ(trades->GetFieldByName("message_id")->type()->ToString(), "fixed_size_binary[16]");
  EXPECT_EQ(trades->GetFieldByName("price")->type()->ToString(), "decimal128(18, 8)");
  EXPECT_EQ(trades->GetFieldByName("timestamp")->type()->ToString(), "timestamp[us, tz=UTC]");
  EXPECT_EQ(trades->GetFieldByName("trade_conditions")->type()->ToString(), "list<element: string not null>");
  EXPECT_EQ(trades->GetFieldByName("trade_conditions")->type()->field(0)->metadata()->Get("PARQUET:field_id").ValueOrDie(), "12");
}

TEST_F(Columns, ATradeIsARow) {
  ColumnsBuilder builder(Channel::kTrades, resolver);
  Trade plain = test::full_trade();
  plain.trade_conditions.clear();
  plain.source_sequence.reset();
  plain.vendor_data.reset();
  plain.price = Decimal18_8::from_units(-1).value();
  ASSERT_TRUE(builder.append(message(test::full_trade()), kTopic, 3, 100));
  ASSERT_TRUE(builder.append(message(plain), kTopic, 3, 101));
  EXPECT_EQ(builder.rows(), 2);
  const auto batch = builder.finish().value();
  ASSERT_TRUE(batch->ValidateFull().ok()) << batch->ValidateFull().ToString();
  ASSERT_EQ(batch->num_rows(), 2);
  expect_row(*batch, 0, test::full_trade());
  expect_row(*batch, 1, plain);
  EXPECT_EQ(text(*batch, "log_topic", 1), kTopic);
  EXPECT_EQ(column<arrow::Int32Array>(*batch, "log_partition").Value(1), 3);
  EXPECT_EQ(column<arrow::Int64Array>(*batch, "log_offset").Value(1), 101);
}

TEST_F(Columns, ACoverageStatementIsARow) {
  const int32_t id = store.register_schema("c", coverage_schema()).value();
  ColumnsBuilder builder(Channel::kCoverage, resolver);
  const Coverage lost = test::full_coverage();
  Coverage observed = lost;
  observed.status = CoverageStatus::kObserved;
  observed.reason.clear();
  for (const Coverage& coverage : {lost, observed}) {
    std::string message;
    encode_coverage(coverage, id, message);
    ASSERT_TRUE(builder.append(message, "market.crypto.coverage.binance", 2, builder.rows() + 7));
  }
  EXPECT_GT(builder.size_bytes(), 0);
  const auto batch = builder.finish().value();
  ASSERT_TRUE(batch->ValidateFull().ok()) << batch->ValidateFull().ToString();
  ASSERT_TRUE(batch->schema()->Equals(*arrow_schema(kCoverage)));
  ASSERT_EQ(batch->num_rows(), 2);
  EXPECT_EQ(text(*batch, "exchange", 0), "binance");
  EXPECT_EQ(text(*batch, "symbol", 0), "BTCUSDT");
  EXPECT_EQ(text(*batch, "channel", 0), "trades");
  EXPECT_EQ(column<arrow::Int64Array>(*batch, "first_sequence").Value(0), lost.first_sequence);
  EXPECT_EQ(column<arrow::Int64Array>(*batch, "last_sequence").Value(0), lost.last_sequence);
  EXPECT_EQ(time_us(*batch, "timestamp", 0), lost.timestamp.us);
  EXPECT_EQ(time_us(*batch, "end_timestamp", 0), lost.end_timestamp.us);
  EXPECT_EQ(text(*batch, "status", 0), "lost");
  EXPECT_EQ(text(*batch, "status", 1), "observed");
  EXPECT_EQ(text(*batch, "reason", 0), lost.reason);
  EXPECT_TRUE(column<arrow::StringArray>(*batch, "reason").IsNull(1));
  EXPECT_EQ(time_us(*batch, "ingestion_timestamp", 1), lost.ingestion_timestamp.us);
  EXPECT_EQ(text(*batch, "log_topic", 1), "market.crypto.coverage.binance");
  EXPECT_EQ(column<arrow::Int64Array>(*batch, "log_offset").Value(1), 8);
  EXPECT_EQ(builder.rows(), 0);
}

TEST_F(Columns, ACoverageStatementOfNoRangeIsCorrupt) {
  const int32_t id = store.register_schema("c", coverage_schema()).value();
  ColumnsBuilder builder(Channel::kCoverage, resolver);
  Coverage backwards = test::full_coverage();
  backwards.last_sequence = backwards.first_sequence - 1;
  std::string message;
  encode_coverage(backwards, id, message);
  EXPECT_EQ(builder.append(message, "market.crypto.coverage.binance", 0, 0).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(builder.rows(), 0);
}

TEST_F(Columns, AQuoteIsARow) {
  ColumnsBuilder builder(Channel::kQuotes, resolver);
  ASSERT_TRUE(builder.append(message(test::full_quote()), "market.equities.quotes.asx", 0, 5));
  const auto batch = builder.finish().value();
  ASSERT_TRUE(batch->ValidateFull().ok());
  EXPECT_TRUE(batch->schema()->Equals(*arrow_schema(kQuotesV2), true));
  expect_row(*batch, 0, test::full_quote());
}

TEST_F(Columns, FinishStartsOver) {
  ColumnsBuilder builder(Channel::kTrades, resolver);
  EXPECT_EQ(builder.finish().value()->num_rows(), 0);
  for (int round = 0; round < 3; ++round) {
    for (int64_t i = 0; i < 3'000; ++i) ASSERT_TRUE(builder.append(message(test::full_trade()), kTopic, 0, i));
    EXPECT_GT(builder.size_bytes(), 3'000 * 100);
    const auto batch = builder.finish().value();
    ASSERT_TRUE(batch->ValidateFull().ok());
    EXPECT_EQ(batch->num_rows(), 3'000);
    expect_row(*batch, 2'999, test::full_trade());
    EXPECT_EQ(builder.rows(), 0);
  }
}

TEST_F(Columns, AMessageThatCannotBeDecodedNamesItsPlaceAndLeavesNothing) {
  ColumnsBuilder builder(Channel::kTrades, resolver);
  const std::string good = message(test::full_trade());
  ASSERT_TRUE(builder.append(good, kTopic, 2, 7));
  for (const std::string& bad : {std::string(), good.substr(0, good.size() - 1), good + "x", std::string("\1") + good}) {
    const Status status = builder.append(bad, kTopic, 2, 8);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, ErrorKind::kCorrupt);
    EXPECT_THAT(status.error().message, HasSubstr("market.crypto.trades.binance/2 offset 8"));
  }
  EXPECT_FALSE(builder.append(message(test::full_quote()), kTopic, 2, 8));
  ASSERT_TRUE(builder.append(good, kTopic, 2, 8));
  const auto batch = builder.finish().value();
  ASSERT_TRUE(batch->ValidateFull().ok());
  EXPECT_EQ(batch->num_rows(), 2);
}

TEST_F(Columns, OtherWriterSchemasAreResolved) {
  auto schema = nlohmann::json::parse(trade_schema());
  std::rotate(schema["fields"].begin(), schema["fields"].end() - 1, schema["fields"].end());  // vendor_data comes first
  const int32_t id = store.register_schema("t", schema.dump()).value();
  Trade trade = test::full_trade();
  trade.vendor_data.reset();
  std::string bytes = message(trade);
  bytes.pop_back();
  bytes.insert(kFrameHeaderBytes, 1, '\0');
  bytes[4] = static_cast<char>(id);
  ColumnsBuilder builder(Channel::kTrades, resolver);
  const Status status = builder.append(bytes, kTopic, 0, 0);
  ASSERT_TRUE(status) << status.error().message;
  expect_row(*builder.finish().value(), 0, trade);
}

TEST_F(Columns, AllRecordedRowsComeBackFromTheirColumns) {
  const auto dir = test::data_dir();
  if (!std::filesystem::exists(dir / "asx")) GTEST_SKIP() << "recorded data is not at " << dir;
  const auto reference = AsxReference::parse(test::read_file(dir / "asx" / "reference" / "company_info.csv")).value();
  constexpr TimestampUs kReceived{1'700'000'000'000'000};
  ColumnsBuilder trade_columns(Channel::kTrades, resolver);
  ColumnsBuilder quote_columns(Channel::kQuotes, resolver);
  std::vector<Trade> trades;
  std::vector<Quote> quotes;
  for (const char* id : {"3153", "7078", "7181", "7458"}) {
    AsxTradeParser trade_parser(*reference.find(id));
    for (const std::string& line : test::read_lines(dir / "asx" / "trades" / (std::string(id) + ".csv")))
      ASSERT_TRUE(trade_parser.parse(line, kReceived, trades.emplace_back()));
    AsxQuoteParser quote_parser(*reference.find(id));
    for (const std::string& line : test::read_lines(dir / "asx" / "quotes" / (std::string(id) + ".csv")))
      ASSERT_TRUE(quote_parser.parse(line, kReceived, quotes.emplace_back()));
  }
  const auto dump = BinanceCsvParser::make("BTCUSDT", *test::default_instruments());
  for (const std::string& line : test::read_lines(dir / "binance" / "BTCUSDT-trades-2021-01-08.csv"))
    ASSERT_TRUE(dump->parse(line, kReceived, trades.emplace_back()));
  ASSERT_EQ(trades.size(), 200'545u + 2'001u);
  ASSERT_EQ(quotes.size(), 169'629u);

  Trade trade;
  Quote quote;
  int64_t offset = 0;
  for (const Trade& want : trades) {
    const std::string bytes = message(want);
    ASSERT_TRUE(decode_trade(std::string_view(bytes).substr(kFrameHeaderBytes), trade));
    ASSERT_EQ(trade, want);
    ASSERT_TRUE(trade_columns.append(bytes, kTopic, 0, offset++));
  }
  for (const Quote& want : quotes) {
    const std::string bytes = message(want);
    ASSERT_TRUE(decode_quote(std::string_view(bytes).substr(kFrameHeaderBytes), quote));
    ASSERT_EQ(quote, want);
    ASSERT_TRUE(quote_columns.append(bytes, kTopic, 0, offset++));
  }
  const auto trade_batch = trade_columns.finish().value();
  const auto quote_batch = quote_columns.finish().value();
  ASSERT_TRUE(trade_batch->ValidateFull().ok());
  ASSERT_TRUE(quote_batch->ValidateFull().ok());
  for (size_t i = 0; i < trades.size(); i += 7) expect_row(*trade_batch, static_cast<int64_t>(i), trades[i]);
  for (size_t i = 0; i < quotes.size(); i += 7) expect_row(*quote_batch, static_cast<int64_t>(i), quotes[i]);
}

}  // namespace
}  // namespace k2
