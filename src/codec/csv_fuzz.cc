// Any bytes as a row of each CSV format, and as a reference file: read or refused, never a crash.
#include <cstddef>
#include <cstdint>

#include "codec/asx_csv.h"
#include "codec/binance_csv.h"
#include "codec/binance_info.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace k2;
  const std::string_view row(reinterpret_cast<const char*>(data), size);
  static const AsxCompany company{.company_id = "7078", .symbol = "BHP", .name = {}, .isin = {}};
  static AsxTradeParser trades(company);
  static AsxQuoteParser quotes(company);
  static const auto dump = BinanceCsvParser::make("BTCUSDT", InstrumentTable::binance_defaults()).value();
  Trade trade;
  Quote quote;
  static_cast<void>(trades.parse(row, {1}, trade).has_value());
  static_cast<void>(quotes.parse(row, {1}, quote).has_value());
  static_cast<void>(BinanceCsvParser::is_header(row));
  static_cast<void>(dump.parse(row, {1}, trade).has_value());
  static_cast<void>(AsxReference::parse(row).has_value());
  static_cast<void>(parse_binance_exchange_info(row).has_value());
  return 0;
}
