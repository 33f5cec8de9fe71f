// What codec's tests share: recorded data, a schema store in memory, and one trade and quote with every field set.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "codec/schemas.h"
#include "market/coverage.h"
#include "market/event.h"
#include "market/instrument.h"
#include "market/schema_store.h"

namespace k2::test {

/// Recorded venue data: $K2_TEST_DATA, or shared/data beside the source tree. May not exist.
inline std::filesystem::path data_dir() {
  if (const char* configured = std::getenv("K2_TEST_DATA")) return configured;
  return std::filesystem::path(K2_SOURCE_DIR) / ".." / "shared" / "data";
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The lines of a file, without LF or CR LF.
inline std::vector<std::string> read_lines(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(line);
  }
  return lines;
}

class MemorySchemaStore final : public SchemaStore {
 public:
  Result<int32_t> register_schema(std::string_view, std::string_view schema) override {
    for (const auto& [id, text] : schemas_)
      if (text == schema) return id;
    schemas_.emplace(next_id_, schema);
    return next_id_++;
  }
  Result<std::string> schema(int32_t id) const override {
    ++look_ups;
    const auto found = schemas_.find(id);
    if (found == schemas_.end()) return make_error(ErrorKind::kNotFound, "no schema " + std::to_string(id));
    return found->second;
  }
  mutable int look_ups = 0;

 private:
  std::map<int32_t, std::string> schemas_;
  int32_t next_id_ = 1;
};

inline Trade full_trade() {
  return {.message_id = MessageIdMaker("binance", "BTCUSDT", "trades").make(553287559),
          .trade_id = "553287559",
          .symbol = "BTCUSDT",
          .exchange = "binance",
          .asset_class = AssetClass::kCrypto,
          .timestamp = {1610064000278000},
          .price = Decimal18_8::parse("39432.48").value(),
          .quantity = Decimal18_8::parse("0.000263").value(),
          .currency = "USDT",
          .side = Side::kSell,
          .trade_conditions = {"A", "b,\"c\""},
          .source_sequence = 553287559,
          .ingestion_timestamp = {1610064000300123},
          .vendor_data = VendorData{{"is_best_match", "true"}, {"is_buyer_maker", "true"}, {"text", "a\"b\\c\n\x01\xc3\xa9"}}};
}

inline Quote full_quote() {
  return {.message_id = MessageIdMaker("asx", "BHP", "quotes").make(17),
          .quote_id = "BHP-2014-03-10-17",
          .symbol = "BHP",
          .exchange = "asx",
          .asset_class = AssetClass::kEquities,
          .timestamp = {1394390625676000},
          .bid_price = Decimal18_8::parse("37.7").value(),
          .bid_quantity = Decimal18_8::parse("300").value(),
          .ask_price = Decimal18_8::parse("37.73").value(),
          .ask_quantity = Decimal18_8::parse("600").value(),
          .currency = "AUD",
          .source_sequence = 17,
          .ingestion_timestamp = {1610064000300123},
          .vendor_data = VendorData{{"company_id", "7078"}}};
}

inline Coverage full_coverage() {
  return {.exchange = "binance",
          .symbol = "BTCUSDT",
          .asset_class = AssetClass::kCrypto,
          .channel = Channel::kTrades,
          .first_sequence = 553287559,
          .last_sequence = 553287600,
          .timestamp = {1610064000278000},
          .end_timestamp = {1610064000300123},
          .status = CoverageStatus::kLost,
          .reason = "HTTP 400: \"no such trade\"",
          .ingestion_timestamp = {1610064001300123}};
}

inline std::shared_ptr<const InstrumentTable> default_instruments() {
  return std::make_shared<const InstrumentTable>(InstrumentTable::binance_defaults());
}

}  // namespace k2::test
