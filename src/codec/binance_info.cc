#include "codec/binance_info.h"

#include <nlohmann/json.hpp>

#include <string>
#include <utility>

#include "codec/fields.h"

namespace k2 {
namespace {

using Json = nlohmann::json;

std::unexpected<Error> refuse(std::string why) { return make_error(ErrorKind::kInvalidInput, "binance exchangeInfo: " + std::move(why)); }

// Empty where the field is absent or no string; InstrumentTable::set() refuses what may not be empty.
std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// rest-api.md, "Filters": a list of objects, each with its filterType; of a type at most one.
Decimal18_8 filter_value(const Json& symbol, std::string_view type, const char* name) {
  const auto filters = symbol.find("filters");
  if (filters == symbol.end() || !filters->is_array()) return {};
  for (const Json& filter : *filters) {
    if (!filter.is_object() || text_of(filter, "filterType") != type) continue;
    const auto value = Decimal18_8::parse(text_of(filter, name));
    return value && value->units() > 0 ? *value : Decimal18_8();
  }
  return {};
}

}  // namespace

Result<InstrumentTable> parse_binance_exchange_info(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return refuse("a body of " + std::to_string(text.size()) + " bytes is not a JSON object: " + shown(text));
  const auto symbols = json.find("symbols");
  if (symbols == json.end() || !symbols->is_array()) return refuse("has no list of symbols: " + shown(text));
  InstrumentTable table;
  for (const Json& symbol : *symbols) {
    if (!symbol.is_object()) return refuse("an entry of symbols is not an object");
    const Status added = table.set({.symbol = text_of(symbol, "symbol"),
                                    .base_currency = text_of(symbol, "baseAsset"),
                                    .quote_currency = text_of(symbol, "quoteAsset"),
                                    .status = text_of(symbol, "status"),
                                    .price_tick = filter_value(symbol, "PRICE_FILTER", "tickSize"),
                                    .quantity_step = filter_value(symbol, "LOT_SIZE", "stepSize")});
    if (!added) return std::unexpected(added.error().with_context("binance exchangeInfo"));
  }
  return table;
}

}  // namespace k2
