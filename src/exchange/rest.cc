#include "exchange/rest.h"

#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "exchange/frames.h"

namespace k2 {

namespace {

using Json = nlohmann::ordered_json;

RestAnswer json_answer(std::string body, int weight = 1, int status = 200) {
  return {HttpResponse{.status = status, .content_type = "application/json;charset=UTF-8", .body = std::move(body)}, weight};
}

RestAnswer refused(int code, const std::string& message, int status = 400) {
  return json_answer(
      "{\"code\":" + std::to_string(code) + ",\"msg\":" + Json(message).dump(-1, ' ', false, Json::error_handler_t::replace) + "}", 1,
      status);
}

RestAnswer malformed(const std::string& parameter) {
  return refused(-1102, "Mandatory parameter '" + parameter + "' was not sent, was empty/null, or malformed.");
}

RestAnswer illegal(const std::string& parameter) { return refused(-1100, "Illegal characters found in parameter '" + parameter + "'."); }

RestAnswer invalid_symbol() { return refused(-1121, "Invalid symbol."); }

TimeUnit time_unit(const HttpRequest& request) {
  const std::string_view wanted = request.headers.get("X-MBX-TIME-UNIT");
  return equal_ignoring_case(wanted, "MICROSECOND") ? TimeUnit::kMicroseconds : TimeUnit::kMilliseconds;
}

// A number parameter; `wrong` is set where it is there and none.
std::optional<int64_t> number(const HttpRequest& request, std::string_view name, bool& wrong) {
  const auto text = request.param(name);
  if (!text) return std::nullopt;
  int64_t value = 0;
  const auto [end, status] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (text->empty() || status != std::errc() || end != text->data() + text->size() || value < 0) {
    wrong = true;
    return std::nullopt;
  }
  return value;
}

TimestampUs from_either_unit(int64_t time) {
  constexpr int64_t kFirstMicroseconds = 100'000'000'000'000;
  return {time >= kFirstMicroseconds ? time : time * 1000};
}

RestAnswer ping(const HttpRequest&, const RestContext&) { return json_answer("{}"); }

RestAnswer time(const HttpRequest& request, const RestContext& context) {
  return json_answer("{\"serverTime\":" + std::to_string(in_unit(context.now, time_unit(request))) + "}");
}

// What `symbol` or `symbols` ask for; all where neither is there.
std::expected<std::vector<std::string>, RestAnswer> wanted_symbols(const HttpRequest& request, const RestContext& context) {
  if (const auto one = request.param("symbol")) return std::vector{std::string(*one)};
  const auto many = request.param("symbols");
  if (!many) return context.symbols;
  const Json list = Json::parse(*many, nullptr, false);
  if (!list.is_array() || !std::all_of(list.begin(), list.end(), [](const Json& name) { return name.is_string(); }))
    return std::unexpected(illegal("symbols"));
  return list.get<std::vector<std::string>>();
}

std::string trade_list(const std::vector<SimTrade>& trades, TimeUnit unit, void (*append)(std::string&, const SimTrade&, TimeUnit)) {
  std::string body = "[";
  for (const SimTrade& trade : trades) {
    if (body.size() > 1) body += ',';
    append(body, trade, unit);
  }
  return body + "]";
}

// What trades, historicalTrades and aggTrades have in common.
struct TradeQuery {
  std::string symbol;
  size_t limit = 500;
  std::optional<int64_t> from_id;
  std::optional<int64_t> start;
  std::optional<int64_t> end;
};

std::expected<TradeQuery, RestAnswer> read_trade_query(const HttpRequest& request) {
  TradeQuery query;
  const auto symbol = request.param("symbol");
  if (!symbol || symbol->empty()) return std::unexpected(malformed("symbol"));
  query.symbol = *symbol;
  bool wrong = false;
  const auto limit = number(request, "limit", wrong);
  if (wrong) return std::unexpected(illegal("limit"));
  if (limit && (*limit < 1 || *limit > 1000)) return std::unexpected(refused(-1130, "Data sent for parameter 'limit' is not valid."));
  query.limit = static_cast<size_t>(limit.value_or(500));
  query.from_id = number(request, "fromId", wrong);
  if (wrong) return std::unexpected(illegal("fromId"));
  query.start = number(request, "startTime", wrong);
  if (wrong) return std::unexpected(illegal("startTime"));
  query.end = number(request, "endTime", wrong);
  if (wrong) return std::unexpected(illegal("endTime"));
  return query;
}

RestAnswer trades(const HttpRequest& request, const RestContext& context) {
  const auto query = read_trade_query(request);
  if (!query) return query.error();
  std::vector<SimTrade> rows;
  const bool by_id = request.path.ends_with("/historicalTrades") && query->from_id;
  const auto look = [&](const Ledger& ledger) {
    rows = by_id ? ledger.from_id(*query->from_id, query->limit, context.hidden) : ledger.recent(query->limit, context.hidden);
  };
  if (!context.read(query->symbol, look)) return invalid_symbol();
  return json_answer(trade_list(rows, time_unit(request), append_rest_trade), 25);
}

RestAnswer agg_trades(const HttpRequest& request, const RestContext& context) {
  const auto query = read_trade_query(request);
  if (!query) return query.error();
  if (query->from_id && (query->start || query->end)) return refused(-1128, "Combination of optional parameters invalid.");
  std::vector<SimTrade> rows;
  const auto look = [&](const Ledger& ledger) {
    if (query->from_id) rows = ledger.from_id(*query->from_id, query->limit, context.hidden);
    else if (query->start || query->end)
      rows = ledger.between(from_either_unit(query->start.value_or(0)), query->end ? from_either_unit(*query->end) : TimestampUs{INT64_MAX},
                            query->limit, context.hidden);
    else rows = ledger.recent(query->limit, context.hidden);
  };
  if (!context.read(query->symbol, look)) return invalid_symbol();
  return json_answer(trade_list(rows, time_unit(request), append_rest_agg_trade), 4);
}

Json ticker_of(const std::string& symbol, const Ledger& ledger) {
  std::string frame;
  append_book_ticker_frame(frame, symbol, ledger.empty() ? SimTrade{} : ledger.last());
  const Json ticker = Json::parse(frame);
  return {{"symbol", symbol}, {"bidPrice", ticker["b"]}, {"bidQty", ticker["B"]}, {"askPrice", ticker["a"]}, {"askQty", ticker["A"]}};
}

// One symbol's, those of `symbols`, or all.
RestAnswer book_ticker(const HttpRequest& request, const RestContext& context) {
  const auto wanted = wanted_symbols(request, context);
  if (!wanted) return wanted.error();
  Json tickers = Json::array();
  for (const std::string& symbol : *wanted)
    if (!context.read(symbol, [&](const Ledger& ledger) { tickers.push_back(ticker_of(symbol, ledger)); })) return invalid_symbol();
  return request.param("symbol") ? json_answer(tickers.front().dump(), 2) : json_answer(tickers.dump(), 4);
}

// One tick of 0.01 after another on either side of the last price, each with the last quantity.
RestAnswer depth(const HttpRequest& request, const RestContext& context) {
  const auto symbol = request.param("symbol");
  if (!symbol || symbol->empty()) return malformed("symbol");
  bool wrong = false;
  const int64_t limit = std::min<int64_t>(5000, number(request, "limit", wrong).value_or(100));
  if (wrong || limit < 1) return illegal("limit");
  Json body;
  const auto look = [&](const Ledger& ledger) {
    constexpr int64_t kTick = Decimal18_8::kUnitsPerOne / 100;
    const SimTrade last = ledger.empty() ? SimTrade{} : ledger.last();
    const auto side = [&](int64_t step) {
      Json levels = Json::array();
      int64_t price = last.price.units();
      for (int64_t i = 0; i < limit; ++i) {
        price += step;
        if (price <= 0 || price > Decimal18_8::kUnitsMax) break;
        levels.push_back({Decimal18_8::from_units_checked(price).to_string(), last.quantity.to_string()});
      }
      return levels;
    };
    body = {{"lastUpdateId", last.id}, {"bids", side(-kTick)}, {"asks", side(kTick)}};
  };
  if (!context.read(*symbol, look)) return invalid_symbol();
  return json_answer(body.dump(), limit <= 100 ? 5 : limit <= 500 ? 25 : limit <= 1000 ? 50 : 250);
}

// The exchange decides what its symbols are made of: here, a known quote currency at the end.
std::pair<std::string, std::string> currencies(const std::string& symbol) {
  for (const std::string_view quote : {"USDT", "USDC", "FDUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "USD"})
    if (symbol.size() > quote.size() && symbol.ends_with(quote))
      return {symbol.substr(0, symbol.size() - quote.size()), std::string(quote)};
  return {symbol, "USDT"};
}

Json symbol_info(const std::string& symbol) {
  const auto [base, quote] = currencies(symbol);
  return {{"symbol", symbol},
          {"status", "TRADING"},
          {"baseAsset", base},
          {"baseAssetPrecision", 8},
          {"quoteAsset", quote},
          {"quotePrecision", 8},
          {"quoteAssetPrecision", 8},
          {"baseCommissionPrecision", 8},
          {"quoteCommissionPrecision", 8},
          {"orderTypes", {"LIMIT", "MARKET"}},
          {"icebergAllowed", false},
          {"ocoAllowed", false},
          {"isSpotTradingAllowed", true},
          {"isMarginTradingAllowed", false},
          {"filters",
           {{{"filterType", "PRICE_FILTER"}, {"minPrice", "0.01000000"}, {"maxPrice", "1000000.00000000"}, {"tickSize", "0.01000000"}},
            {{"filterType", "LOT_SIZE"}, {"minQty", "0.00000100"}, {"maxQty", "9000.00000000"}, {"stepSize", "0.00000100"}}}},
          {"permissions", Json::array()},
          {"permissionSets", {{"SPOT"}}},
          {"defaultSelfTradePreventionMode", "EXPIRE_MAKER"},
          {"allowedSelfTradePreventionModes", {"EXPIRE_MAKER"}}};
}

RestAnswer exchange_info(const HttpRequest& request, const RestContext& context) {
  const auto wanted = wanted_symbols(request, context);
  if (!wanted) return wanted.error();
  Json symbols = Json::array();
  for (const std::string& symbol : *wanted) {
    if (std::find(context.symbols.begin(), context.symbols.end(), symbol) == context.symbols.end()) return invalid_symbol();
    symbols.push_back(symbol_info(symbol));
  }
  const Json body = {{"timezone", "UTC"},
                     {"serverTime", in_unit(context.now, time_unit(request))},
                     {"rateLimits",
                      {{{"rateLimitType", "REQUEST_WEIGHT"}, {"interval", "MINUTE"}, {"intervalNum", 1}, {"limit", 6000}},
                       {{"rateLimitType", "RAW_REQUESTS"}, {"interval", "MINUTE"}, {"intervalNum", 5}, {"limit", 300000}}}},
                     {"exchangeFilters", Json::array()},
                     {"symbols", symbols}};
  return json_answer(body.dump(-1, ' ', false, Json::error_handler_t::replace), 20);
}

}  // namespace

RestAnswer answer_rest(const HttpRequest& request, const RestContext& context) {
  using Route = RestAnswer (*)(const HttpRequest&, const RestContext&);
  static const std::map<std::string, Route, std::less<>> routes = {{"/api/v3/ping", ping},
                                                                   {"/api/v3/time", time},
                                                                   {"/api/v3/exchangeInfo", exchange_info},
                                                                   {"/api/v3/trades", trades},
                                                                   {"/api/v3/historicalTrades", trades},
                                                                   {"/api/v3/aggTrades", agg_trades},
                                                                   {"/api/v3/depth", depth},
                                                                   {"/api/v3/ticker/bookTicker", book_ticker}};
  const auto route = routes.find(request.path);
  if (route == routes.end()) return json_answer("{}", 1, 404);
  if (request.method != "GET" && request.method != "HEAD") return json_answer("{}", 1, 405);
  return route->second(request, context);
}

}  // namespace k2
