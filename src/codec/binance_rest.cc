#include "codec/binance_rest.h"

#define SIMDJSON_EXCEPTIONS 0  // an error that is not looked at then does not compile
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <optional>

#include "codec/fields.h"
#include "market/message_id.h"

namespace k2 {
namespace {

namespace dom = simdjson::dom;

constexpr const char* kWhat = "binance REST trade";
constexpr const char* kList = "binance REST trades";

std::unexpected<Error> refuse(const char* what, const std::string& why) {
  return make_error(ErrorKind::kInvalidInput, std::string(what) + ": " + why);
}

/// The one field of that name. Repeated, it could mean two things, and means none.
Result<dom::element> field(const dom::object& row, std::string_view name) {
  std::optional<dom::element> found;
  for (const auto& [key, value] : row) {
    if (key != name) continue;
    if (found) return refuse_field(kWhat, name, "occurs twice");
    found = value;
  }
  if (!found) return refuse_field(kWhat, name, "is missing");
  return *found;
}

Result<int64_t> integer(const dom::object& row, std::string_view name) {
  K2_TRY(const dom::element value, field(row, name));
  int64_t number = 0;
  if (!value.is_int64() || value.get_int64().get(number) != simdjson::SUCCESS)
    return refuse_field(kWhat, name, "is not an integer of 64 bits");
  return number;
}

Result<Decimal18_8> decimal(const dom::object& row, std::string_view name) {
  K2_TRY(const dom::element value, field(row, name));
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) return refuse_field(kWhat, name, "is not a string");
  Decimal18_8 number;
  if (!parse_unsigned_decimal(text, number)) return refuse_field(kWhat, name, decimal_refusal(text));
  return number;
}

Result<bool> boolean(const dom::object& row, std::string_view name) {
  K2_TRY(const dom::element value, field(row, name));
  bool truth = false;
  if (value.get_bool().get(truth) != simdjson::SUCCESS) return refuse_field(kWhat, name, "is not true or false");
  return truth;
}

Result<int64_t> row_id(const dom::object& row) {
  K2_TRY(const int64_t id, integer(row, "id"));
  if (id < 0 || id > kSequenceMax) return refuse_field(kWhat, "id", std::to_string(id) + " is not in 0..2^62-1");
  return id;
}

void mark_backfilled(std::optional<VendorData>& data) {
  const auto at =
      std::ranges::lower_bound(*data, std::string_view("backfilled"), {}, [](const auto& pair) { return std::string_view(pair.first); });
  data->emplace(at, "backfilled", "true");
}

/// All but the id. quoteQty is price x qty, of up to 16 fractional digits: not kept, and in the live stream not sent.
Result<Trade> read_row(const dom::object& row, int64_t id, const BinanceRowsOf& of, const MessageIdMaker& ids, TimestampUs received) {
  Trade trade;
  K2_TRY(trade.price, decimal(row, "price"));
  K2_TRY(trade.quantity, decimal(row, "qty"));
  K2_TRY(const int64_t time, integer(row, "time"));
  if (!binance_time(time, trade.timestamp)) return refuse_field(kWhat, "time", std::to_string(time) + " is not a time");
  K2_TRY(const bool is_buyer_maker, boolean(row, "isBuyerMaker"));
  std::optional<bool> is_best_match;
  if (row["isBestMatch"].error() == simdjson::SUCCESS) {
    K2_TRY(is_best_match, boolean(row, "isBestMatch"));
  }
  trade.message_id = ids.make(id);
  trade.trade_id = std::to_string(id);
  trade.symbol = of.symbol;
  trade.exchange = of.exchange;
  trade.asset_class = AssetClass::kCrypto;
  trade.currency = of.currency;
  trade.side = is_buyer_maker ? Side::kSell : Side::kBuy;
  trade.source_sequence = id;
  trade.ingestion_timestamp = received;
  set_binance_vendor_data(is_buyer_maker, is_best_match ? &*is_best_match : nullptr, trade.vendor_data);
  mark_backfilled(trade.vendor_data);
  return trade;
}

}  // namespace

Result<BinanceRestTrades> parse_binance_rest_trades(std::string_view json, const BinanceRowsOf& of, TimestampUs received) {
  dom::parser parser;
  const simdjson::padded_string padded(json);
  dom::element root;
  if (const auto error = parser.parse(padded).get(root))
    return refuse(kList, std::string("not readable as JSON: ") + simdjson::error_message(error));
  dom::array rows;
  if (root.get_array().get(rows) != simdjson::SUCCESS) return refuse(kList, "not a list: " + shown(json));
  const MessageIdMaker ids(of.exchange, of.symbol, channel_name(Channel::kTrades));
  BinanceRestTrades out;
  for (const dom::element element : rows) {
    dom::object row;
    if (element.get_object().get(row) != simdjson::SUCCESS)
      return refuse(kList, "row " + std::to_string(out.ids.size() + 1) + " is not an object");
    K2_TRY(const int64_t id, row_id(row));
    out.ids.push_back(id);
    auto trade = read_row(row, id, of, ids, received);
    if (trade) out.trades.push_back(*std::move(trade));
    else out.unreadable.push_back({id, trade.error().message, simdjson::minify(element)});
  }
  return out;
}

Result<TimestampUs> parse_binance_server_time(std::string_view json) {
  dom::parser parser;
  const simdjson::padded_string padded(json);
  dom::element root;
  int64_t time = 0;
  TimestampUs ts;
  if (parser.parse(padded).get(root) != simdjson::SUCCESS || root["serverTime"].get_int64().get(time) != simdjson::SUCCESS ||
      !binance_time(time, ts))
    return refuse("binance server time", "cannot read " + shown(json));
  return ts;
}

}  // namespace k2
