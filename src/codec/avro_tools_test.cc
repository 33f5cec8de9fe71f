// Our schemas and bytes against Apache Avro's own implementation: org.apache.avro:avro-tools, whose jar K2_AVRO_TOOLS names.
#include <gtest/gtest.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "codec/avro.h"
#include "codec/test_data.h"

namespace k2 {
namespace {

using Json = nlohmann::json;

struct AvroTools : testing::Test {
  std::filesystem::path dir;
  std::string jar;

  void SetUp() override {
    const char* configured = std::getenv("K2_AVRO_TOOLS");
    if (configured == nullptr || !std::filesystem::exists(configured)) GTEST_SKIP() << "K2_AVRO_TOOLS does not name the avro-tools jar";
    jar = configured;
    std::string pattern = (std::filesystem::temp_directory_path() / "k2_avro_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir = pattern;
  }
  void TearDown() override {
    if (!dir.empty()) std::filesystem::remove_all(dir);
  }

  // Runs a tool and gives what it wrote to standard output; a failure of the test if it failed.
  std::string run(const std::string& arguments) const {
    const std::string command = "java -jar '" + jar + "' " + arguments + " 2>" + (dir / "stderr").string();
    FILE* pipe = ::popen(command.c_str(), "r");
    std::string output;
    std::array<char, 4096> piece;
    for (size_t got; (got = std::fread(piece.data(), 1, piece.size(), pipe)) > 0;) output.append(piece.data(), got);
    EXPECT_EQ(::pclose(pipe), 0) << command << "\n" << test::read_file(dir / "stderr");
    return output;
  }

  std::string write(const std::string& name, std::string_view bytes) const {
    std::ofstream(dir / name, std::ios::binary) << bytes;
    return (dir / name).string();
  }

  static std::string schema_path(const std::string& name) { return (std::filesystem::path(K2_SOURCE_DIR) / "schemas" / name).string(); }
};

// Avro's JSON writes bytes as a string with one code point a byte; these are the units of a decimal.
int64_t units_of(const std::string& utf8) {
  int64_t units = 0;
  bool first = true;
  for (size_t i = 0; i < utf8.size(); ++i, first = false) {
    auto byte = static_cast<uint8_t>(utf8[i]);
    if (byte >= 0x80) byte = static_cast<uint8_t>(byte << 6 | (utf8[++i] & 0x3f));
    units = first ? static_cast<int8_t>(byte) : units * 256 + byte;
  }
  return units;
}

TEST_F(AvroTools, AcceptsEverySchema) {
  for (const char* name : {"v2/trade.avsc", "v2/quote.avsc", "v2/coverage.avsc", "v2/reference_data.avsc", "v2/dead_letter.avsc"})
    run("compile schema " + schema_path(name) + " " + (dir / "out").string());
  for (const char* name : {"v1/trade.avsc", "v1/quote.avsc", "v1/reference_data.avsc"})
    run("compile schema " + schema_path(name) + " " + (dir / "out_v1").string());
  EXPECT_TRUE(std::filesystem::exists(dir / "out" / "com" / "k2" / "marketdata" / "TradeV2.java"));
}

TEST_F(AvroTools, ReadsOurTrades) {
  std::string message;
  encode_trade(test::full_trade(), 1, message);
  const Json read = Json::parse(
      run("fragtojson --schema-file " + schema_path("v2/trade.avsc") + " " + write("trade", message.substr(kFrameHeaderBytes))));
  const Trade want = test::full_trade();
  EXPECT_EQ(read["message_id"], want.message_id.to_string());
  EXPECT_EQ(read["trade_id"], want.trade_id);
  EXPECT_EQ(read["symbol"], want.symbol);
  EXPECT_EQ(read["exchange"], want.exchange);
  EXPECT_EQ(read["asset_class"], "crypto");
  EXPECT_EQ(read["timestamp"], want.timestamp.us);
  EXPECT_EQ(units_of(read["price"]), want.price.units());
  EXPECT_EQ(units_of(read["quantity"]), want.quantity.units());
  EXPECT_EQ(read["currency"], want.currency);
  EXPECT_EQ(read["side"], "SELL");
  EXPECT_EQ(read["trade_conditions"], Json(want.trade_conditions));
  EXPECT_EQ(read["source_sequence"]["long"], *want.source_sequence);
  EXPECT_EQ(read["ingestion_timestamp"], want.ingestion_timestamp.us);
  EXPECT_EQ(read["vendor_data"]["map"], Json(std::map<std::string, std::string>(want.vendor_data->begin(), want.vendor_data->end())));
}

TEST_F(AvroTools, ReadsOurQuotesAndDeadLetters) {
  std::string message;
  encode_quote(test::full_quote(), 1, message);
  const Json quote = Json::parse(
      run("fragtojson --schema-file " + schema_path("v2/quote.avsc") + " " + write("quote", message.substr(kFrameHeaderBytes))));
  EXPECT_EQ(quote["quote_id"], test::full_quote().quote_id);
  EXPECT_EQ(units_of(quote["bid_price"]), test::full_quote().bid_price.units());
  EXPECT_EQ(units_of(quote["ask_quantity"]), test::full_quote().ask_quantity.units());
  message.clear();
  encode_dead_letter({"file:1", "reason", std::string("\0\xff", 2), {5}}, 1, message);
  const Json letter = Json::parse(
      run("fragtojson --schema-file " + schema_path("v2/dead_letter.avsc") + " " + write("letter", message.substr(kFrameHeaderBytes))));
  EXPECT_EQ(letter["source"], "file:1");
  EXPECT_EQ(letter["raw"], std::string("\0\xc3\xbf", 3));
  EXPECT_EQ(letter["ingestion_timestamp"], 5);
}

TEST_F(AvroTools, ReadsOurCoverage) {
  std::string message;
  encode_coverage(test::full_coverage(), 1, message);
  const Json read = Json::parse(
      run("fragtojson --schema-file " + schema_path("v2/coverage.avsc") + " " + write("coverage", message.substr(kFrameHeaderBytes))));
  EXPECT_EQ(read["channel"], "trades");
  EXPECT_EQ(read["first_sequence"], test::full_coverage().first_sequence);
  EXPECT_EQ(read["last_sequence"], test::full_coverage().last_sequence);
  EXPECT_EQ(read["end_timestamp"], test::full_coverage().end_timestamp.us);
  EXPECT_EQ(read["status"], "lost");
  EXPECT_EQ(read["reason"]["string"], test::full_coverage().reason);
  EXPECT_EQ(read["ingestion_timestamp"], test::full_coverage().ingestion_timestamp.us);
}

TEST_F(AvroTools, WritesTradesThatWeRead) {
  std::string message;
  encode_trade(test::full_trade(), 1, message);
  const std::string json =
      run("fragtojson --schema-file " + schema_path("v2/trade.avsc") + " " + write("ours", message.substr(kFrameHeaderBytes)));
  const std::string body = run("jsontofrag --schema-file " + schema_path("v2/trade.avsc") + " " + write("json", json));
  Trade trade;
  const Status status = decode_trade(body, trade);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(trade, test::full_trade());
}

}  // namespace
}  // namespace k2
