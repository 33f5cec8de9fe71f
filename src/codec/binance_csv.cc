#include "codec/binance_csv.h"

#include <algorithm>
#include <array>
#include <optional>

#include "codec/binance.h"
#include "codec/fields.h"

namespace k2 {
namespace {

constexpr const char* kWhat = "binance dump row";
constexpr size_t kFields = 7;

bool equal_ignoring_case(std::string_view a, std::string_view lowercase) {
  return std::ranges::equal(a, lowercase, [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x - 'A' + 'a' : x) == y; });
}

std::optional<bool> parse_bool(std::string_view text) {
  if (equal_ignoring_case(text, "true")) return true;
  if (equal_ignoring_case(text, "false")) return false;
  return std::nullopt;
}

std::string not_bool(std::string_view text) { return shown(text) + " is neither True nor False"; }

}  // namespace

BinanceCsvParser::BinanceCsvParser(std::string_view symbol, std::string_view currency)
    : symbol_(symbol), currency_(currency), ids_(kBinanceExchange, symbol, channel_name(Channel::kTrades)) {}

Result<BinanceCsvParser> BinanceCsvParser::make(std::string_view symbol, const InstrumentTable& instruments) {
  const Instrument* instrument = instruments.find(symbol);
  if (instrument == nullptr) return make_error(ErrorKind::kInvalidInput, "binance dump: currency of " + std::string(symbol) + " unknown");
  return BinanceCsvParser(symbol, instrument->quote_currency);
}

bool BinanceCsvParser::is_header(std::string_view line) {
  const std::string_view first = line.substr(0, line.find(','));
  return equal_ignoring_case(first, "id") || equal_ignoring_case(first, "trade_id");
}

Status BinanceCsvParser::parse(std::string_view line, TimestampUs received, Trade& out) const {
  std::array<std::string_view, kFields> fields;
  if (!split_row(line, fields)) return make_error(ErrorKind::kInvalidInput, std::string(kWhat) + ": " + split_refusal(line, kFields));
  const auto& [id_text, price, quantity, quote_quantity, time_text, buyer_maker, best_match] = fields;

  int64_t id = 0;
  if (!parse_integer(id_text, id) || id < 0 || id > kSequenceMax)
    return refuse_field(kWhat, "id", shown(id_text) + " is not an integer in 0..2^62-1");
  if (!parse_unsigned_decimal(price, out.price)) return refuse_field(kWhat, "price", decimal_refusal(price));
  if (!parse_unsigned_decimal(quantity, out.quantity)) return refuse_field(kWhat, "qty", decimal_refusal(quantity));
  // quoteQty is price x qty, of up to 16 fractional digits: not kept, and in the live stream not sent.
  if (quote_quantity.empty()) return refuse_field(kWhat, "quoteQty", "is empty");
  int64_t time = 0;
  if (!parse_integer(time_text, time) || !binance_time(time, out.timestamp))
    return refuse_field(kWhat, "time", shown(time_text) + " is not a time");
  const auto is_buyer_maker = parse_bool(buyer_maker);
  if (!is_buyer_maker) return refuse_field(kWhat, "isBuyerMaker", not_bool(buyer_maker));
  const auto is_best_match = parse_bool(best_match);
  if (!is_best_match) return refuse_field(kWhat, "isBestMatch", not_bool(best_match));

  out.message_id = ids_.make(id);
  out.trade_id.assign(id_text);
  out.symbol.assign(symbol_);
  out.exchange.assign(kBinanceExchange);
  out.asset_class = AssetClass::kCrypto;
  out.currency.assign(currency_);
  out.side = *is_buyer_maker ? Side::kSell : Side::kBuy;
  out.trade_conditions.clear();
  out.source_sequence = id;
  out.ingestion_timestamp = received;
  set_binance_vendor_data(*is_buyer_maker, &*is_best_match, out.vendor_data);
  return {};
}

}  // namespace k2
