#include "market/instrument.h"

#include "base/assert.h"

namespace k2 {

InstrumentTable InstrumentTable::binance_defaults() {
  InstrumentTable table;
  for (const char* entry : {"BTCUSDT=BTC/USDT", "ETHUSDT=ETH/USDT"}) {
    const Status status = table.set(parse_entry(entry).value());
    K2_ASSERT(status);
  }
  return table;
}

Result<Instrument> InstrumentTable::parse_entry(std::string_view entry) {
  const size_t equals = entry.find('=');
  const size_t slash = entry.find('/', equals == std::string_view::npos ? 0 : equals);
  if (equals == std::string_view::npos || slash == std::string_view::npos || equals == 0 || slash == equals + 1 ||
      slash + 1 == entry.size() || entry.find('/', slash + 1) != std::string_view::npos)
    return make_error(ErrorKind::kInvalidInput,
                      "instrument: cannot read \"" + std::string(entry.substr(0, 64)) + "\": want SYMBOL=BASE/QUOTE, as BTCUSDT=BTC/USDT");
  return Instrument{.symbol = std::string(entry.substr(0, equals)),
                    .base_currency = std::string(entry.substr(equals + 1, slash - equals - 1)),
                    .quote_currency = std::string(entry.substr(slash + 1)),
                    .status = {},
                    .price_tick = {},
                    .quantity_step = {}};
}

Status InstrumentTable::set(Instrument instrument) {
  if (instrument.symbol.empty() || instrument.quote_currency.empty())
    return make_error(ErrorKind::kInvalidInput, "instrument: \"" + instrument.symbol + "\" with quote currency \"" +
                                                    instrument.quote_currency + "\": neither may be empty");
  std::string symbol = instrument.symbol;
  by_symbol_.insert_or_assign(std::move(symbol), std::move(instrument));
  return {};
}

void InstrumentTable::merge(const InstrumentTable& newer) {
  for (const auto& [symbol, instrument] : newer.by_symbol_) by_symbol_.insert_or_assign(symbol, instrument);
}

const Instrument* InstrumentTable::find(std::string_view symbol) const {
  const auto found = by_symbol_.find(symbol);
  return found == by_symbol_.end() ? nullptr : &found->second;
}

std::vector<Instrument> InstrumentTable::all() const {
  std::vector<Instrument> instruments;
  instruments.reserve(by_symbol_.size());
  for (const auto& [symbol, instrument] : by_symbol_) instruments.push_back(instrument);
  return instruments;
}

}  // namespace k2
