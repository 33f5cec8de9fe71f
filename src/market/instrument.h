// InstrumentTable: what is known of one venue's instruments, first of all the currency their prices are quoted in.
//
// Filled from the venue's own list (Binance: /api/v3/exchangeInfo), from the configuration, or from the few that ship with k2. The
// currency of a symbol that is not in it is unknown: it is never guessed from the symbol's spelling.
// Thread rule: a value type; share it between threads as shared_ptr<const InstrumentTable>.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/decimal.h"
#include "base/result.h"

namespace k2 {

struct Instrument {
  std::string symbol;          // the venue's spelling: BTCUSDT
  std::string base_currency;   // what is traded: BTC
  std::string quote_currency;  // what the price is in: USDT
  std::string status;          // the venue's word (TRADING, BREAK, ...); empty where not known
  Decimal18_8 price_tick{};     // prices are multiples of it; 0 where not known
  Decimal18_8 quantity_step{};  // quantities are multiples of it; 0 where not known

  /// Whether both are multiples, as far as is known. Venues change their ticks: of a trade from before the change, false says nothing.
  [[nodiscard]] bool is_on_grid(Decimal18_8 price, Decimal18_8 quantity) const {
    return (price_tick.units() == 0 || price.units() % price_tick.units() == 0) &&
           (quantity_step.units() == 0 || quantity.units() % quantity_step.units() == 0);
  }

  bool operator==(const Instrument&) const = default;
};

class InstrumentTable {
 public:
  /// BTCUSDT and ETHUSDT on Binance, which k2 can read without asking anybody.
  [[nodiscard]] static InstrumentTable binance_defaults();

  /// One configured instrument, "SYMBOL=BASE/QUOTE" ("BTCUSDT=BTC/USDT"). InvalidInput otherwise.
  [[nodiscard]] static Result<Instrument> parse_entry(std::string_view entry);

  /// Adds it, or replaces what is known of that symbol. InvalidInput for an empty symbol or quote currency.
  [[nodiscard]] Status set(Instrument instrument);

  /// Takes over every instrument of `newer`, replacing those of the same symbol.
  void merge(const InstrumentTable& newer);

  /// nullptr where the symbol is unknown. The pointer lives until the table changes.
  [[nodiscard]] const Instrument* find(std::string_view symbol) const;

  [[nodiscard]] size_t size() const { return by_symbol_.size(); }
  /// In symbol order.
  [[nodiscard]] std::vector<Instrument> all() const;

 private:
  std::map<std::string, Instrument, std::less<>> by_symbol_;
};

}  // namespace k2
