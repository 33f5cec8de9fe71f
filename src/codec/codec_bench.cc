// What one event costs in codec, in CPU time, each stage beside the limit it cannot beat: simdjson alone on the same frame, and
// memcpy of the same bytes.

#include <arrow/api.h>
#include <benchmark/benchmark.h>
#define SIMDJSON_EXCEPTIONS 0
#include <simdjson.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/assert.h"
#include "codec/asx_csv.h"
#include "codec/avro.h"
#include "codec/binance.h"
#include "codec/binance_csv.h"
#include "codec/columns.h"
#include "codec/schemas.h"

namespace k2 {
namespace {

constexpr int kFrames = 1024;  // distinct events in a round, so that no branch predictor learns one by heart
constexpr int32_t kSchemaId = 1;
constexpr TimestampUs kReceived{1'700'000'000'000'000};

std::string number(int64_t i, int64_t base, int digits) {
  const std::string text = std::to_string(base + i * 7919 % 99'991);
  return text.substr(0, static_cast<size_t>(digits));
}

std::vector<std::string> make_frames() {
  std::vector<std::string> frames;
  for (int64_t i = 0; i < kFrames; ++i)
    frames.push_back(R"({"stream":"btcusdt@trade","data":{"e":"trade","E":1610064000280,"s":"BTCUSDT","t":)" +
                     std::to_string(553287559 + i) + R"(,"p":")" + number(i, 300'000, 5) + ".48000000" + R"(","q":"0.)" +
                     number(i, 10'000'000, 8) + R"(","T":)" + std::to_string(1610064000278 + i * 17) + R"(,"m":)" +
                     (i * 7919 % 3 == 0 ? "true" : "false") + R"(,"M":true}})");
  return frames;
}

const std::vector<std::string>& frames() {
  static const std::vector<std::string> made = make_frames();
  return made;
}

std::shared_ptr<const InstrumentTable> instruments() {
  return std::make_shared<const InstrumentTable>(InstrumentTable::binance_defaults());
}

std::vector<Trade> make_trades() {
  BinanceParser parser(instruments());
  BinanceFrame frame;
  std::vector<Trade> trades;
  for (const std::string& text : frames()) {
    K2_ASSERT(parser.parse(text, kReceived, frame));
    trades.push_back(frame.trade);
  }
  return trades;
}

std::vector<std::string> make_messages() {
  std::vector<std::string> messages;
  for (const Trade& trade : make_trades()) encode_trade(trade, kSchemaId, messages.emplace_back());
  return messages;
}

const std::vector<std::string>& messages() {
  static const std::vector<std::string> made = make_messages();
  return made;
}

class OneSchema final : public SchemaStore {
 public:
  Result<int32_t> register_schema(std::string_view, std::string_view) override { return kSchemaId; }
  Result<std::string> schema(int32_t) const override { return std::string(trade_schema()); }
};

size_t total_bytes(const std::vector<std::string>& texts) {
  size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  return bytes;
}

// Per event, not per round.
void report(benchmark::State& state, const std::vector<std::string>& texts) {
  state.SetItemsProcessed(state.iterations() * kFrames);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(total_bytes(texts)));
  state.counters["cpu_per_event"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kFrames, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void BM_ParseTradeFrame(benchmark::State& state) {
  BinanceParser parser(instruments());
  BinanceFrame frame;
  for (auto _ : state)
    for (const std::string& text : frames()) benchmark::DoNotOptimize(parser.parse(text, kReceived, frame));
  report(state, frames());
}
BENCHMARK(BM_ParseTradeFrame);

void BM_ParseAndEncodeTradeFrame(benchmark::State& state) {
  BinanceParser parser(instruments());
  BinanceFrame frame;
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (const std::string& text : frames()) {
      benchmark::DoNotOptimize(parser.parse(text, kReceived, frame));
      encode_trade(frame.trade, kSchemaId, out);
    }
    benchmark::DoNotOptimize(out.data());
  }
  report(state, frames());
}
BENCHMARK(BM_ParseAndEncodeTradeFrame);

// The limit: simdjson finds the structure of the same frames and checks their UTF-8, and no field is read.
void BM_Limit_SimdjsonStructureOnly(benchmark::State& state) {
  simdjson::ondemand::parser parser;
  std::vector<simdjson::padded_string> padded;
  for (const std::string& text : frames()) padded.emplace_back(text);
  for (auto _ : state)
    for (const simdjson::padded_string& text : padded) {
      simdjson::ondemand::document document;
      benchmark::DoNotOptimize(parser.iterate(text).get(document));
    }
  report(state, frames());
}
BENCHMARK(BM_Limit_SimdjsonStructureOnly);

// The next limit: it also walks all fields, without making a trade of them.
void BM_Limit_SimdjsonWalk(benchmark::State& state) {
  simdjson::ondemand::parser parser;
  std::vector<simdjson::padded_string> padded;
  for (const std::string& text : frames()) padded.emplace_back(text);
  for (auto _ : state)
    for (const simdjson::padded_string& text : padded) {
      simdjson::ondemand::document document;
      simdjson::ondemand::object object;
      if (parser.iterate(text).get(document) || document["data"].get_object().get(object)) continue;
      for (auto field : object) {
        simdjson::ondemand::json_type type;
        std::string_view value;
        if (!field.value().type().get(type) && type == simdjson::ondemand::json_type::string)
          benchmark::DoNotOptimize(field.value().get_string().get(value));
      }
    }
  report(state, frames());
}
BENCHMARK(BM_Limit_SimdjsonWalk);

void BM_AvroEncode(benchmark::State& state) {
  const std::vector<Trade> trades = make_trades();
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (const Trade& trade : trades) encode_trade(trade, kSchemaId, out);
    benchmark::DoNotOptimize(out.data());
  }
  report(state, messages());
}
BENCHMARK(BM_AvroEncode);

void BM_AvroDecode(benchmark::State& state) {
  Trade trade;
  for (auto _ : state)
    for (const std::string& message : messages())
      benchmark::DoNotOptimize(decode_trade(std::string_view(message).substr(kFrameHeaderBytes), trade));
  report(state, messages());
}
BENCHMARK(BM_AvroDecode);

void BM_DecodeToColumns(benchmark::State& state) {
  OneSchema store;
  SchemaResolver resolver(store);
  ColumnsBuilder builder(Channel::kTrades, resolver);
  int64_t offset = 0;
  for (auto _ : state) {
    for (int i = 0; i < 8; ++i)
      for (const std::string& message : messages()) K2_ASSERT(builder.append(message, "market.crypto.trades.binance", 0, offset++));
    benchmark::DoNotOptimize(builder.finish().value());
  }
  state.SetItemsProcessed(state.iterations() * kFrames * 8);
  state.counters["cpu_per_event"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kFrames * 8, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_DecodeToColumns);

// The limit of all three: the same bytes moved once.
void BM_Limit_MemcpyOfTheMessages(benchmark::State& state) {
  std::string out(total_bytes(messages()), '\0');
  for (auto _ : state) {
    char* to = out.data();
    for (const std::string& message : messages()) {
      std::memcpy(to, message.data(), message.size());
      to += message.size();
    }
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  report(state, messages());
}
BENCHMARK(BM_Limit_MemcpyOfTheMessages);

void BM_ParseBinanceCsvRow(benchmark::State& state) {
  const auto parser = BinanceCsvParser::make("BTCUSDT", *instruments()).value();
  std::vector<std::string> rows;
  for (int64_t i = 0; i < kFrames; ++i)
    rows.push_back(std::to_string(553287559 + i) + "," + number(i, 300'000, 5) + ".48000000,0." + number(i, 10'000'000, 8) +
                   ",10.37074224,1610064000278,True,True");
  Trade trade;
  for (auto _ : state)
    for (const std::string& row : rows) benchmark::DoNotOptimize(parser.parse(row, kReceived, trade));
  report(state, rows);
}
BENCHMARK(BM_ParseBinanceCsvRow);

void BM_ParseAsxTradeRow(benchmark::State& state) {
  AsxTradeParser parser({.company_id = "7078", .symbol = "BHP", .name = {}, .isin = {}});
  std::vector<std::string> rows;
  for (int64_t i = 0; i < kFrames; ++i)
    rows.push_back("03/10/2014,10:1" + std::to_string(i % 10) + ":14.754,36." + number(i, 300, 3) + "," + number(i, 10'000, 5) + ",3,X,");
  Trade trade;
  for (auto _ : state)
    for (const std::string& row : rows) benchmark::DoNotOptimize(parser.parse(row, kReceived, trade));
  report(state, rows);
}
BENCHMARK(BM_ParseAsxTradeRow);

}  // namespace
}  // namespace k2
