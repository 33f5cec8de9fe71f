#include "feed/binance_rest.h"

#include <algorithm>
#include <atomic>
#include <charconv>

#include "base/time.h"
#include "net/url.h"

namespace k2 {

namespace {

std::optional<int64_t> read_number(std::string_view text) {
  int64_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string excerpt(std::string_view body) { return std::string(body.substr(0, 200)); }

// {"code":-2014,"msg":"API-key format invalid."}, -2015: rejected (errors.md). Venues differ in the status that goes with it.
bool asks_for_key(const HttpAnswer& answer) {
  return answer.status == 401 || answer.body.find("\"code\":-2014") != std::string::npos ||
         answer.body.find("\"code\":-2015") != std::string::npos;
}

BinanceRestTrouble trouble_of(const HttpAnswer& answer) {
  switch (answer.status) {
    case 200: return BinanceRestTrouble::kNone;
    case 429: return BinanceRestTrouble::kRateLimited;
    case 418: return BinanceRestTrouble::kBanned;
    case 403:
    case 451: return BinanceRestTrouble::kForbidden;
    default:
      if (answer.status >= 500) return BinanceRestTrouble::kUnreachable;
      return asks_for_key(answer) ? BinanceRestTrouble::kKeyNeeded : BinanceRestTrouble::kRefused;
  }
}

}  // namespace

std::string_view binance_rest_trouble_name(BinanceRestTrouble trouble) {
  switch (trouble) {
    case BinanceRestTrouble::kNone: return "none";
    case BinanceRestTrouble::kUnreachable: return "unreachable";
    case BinanceRestTrouble::kRateLimited: return "rate_limited";
    case BinanceRestTrouble::kBanned: return "banned";
    case BinanceRestTrouble::kForbidden: return "forbidden";
    case BinanceRestTrouble::kKeyNeeded: return "key_needed";
    case BinanceRestTrouble::kRefused: return "refused";
  }
  return "unknown";
}

struct BinanceRest::Impl {
  struct Endpoint {
    std::string origin;
    std::atomic<int64_t> closed_until_us = 0;  // monotonic: 429 or 418 said so
    std::atomic<BinanceRestTrouble> closed_by = BinanceRestTrouble::kNone;
  };

  explicit Impl(BinanceRestOptions o) : options(std::move(o)), client(options.http) {
    for (const std::string& origin : options.endpoints) {
      endpoints.push_back(std::make_unique<Endpoint>());
      endpoints.back()->origin = origin.ends_with('/') ? origin.substr(0, origin.size() - 1) : origin;
    }
  }

  Result<BinanceRestAnswer> get(const std::string& target);
  Result<BinanceRestAnswer> get_from(Endpoint& endpoint, const std::string& target);

  BinanceRestOptions options;
  HttpClient client;
  std::vector<std::unique_ptr<Endpoint>> endpoints;
  std::atomic<BinanceRestTrouble> trouble = BinanceRestTrouble::kNone;
};

Result<BinanceRestAnswer> BinanceRest::Impl::get_from(Endpoint& endpoint, const std::string& target) {
  const std::string what = "GET " + endpoint.origin + target;
  const int64_t closed_us = endpoint.closed_until_us - system_clock().monotonic_us();
  if (closed_us > 0) {
    trouble = endpoint.closed_by.load();
    return make_error(ErrorKind::kUnavailable,
                      what + ": not asked, as its rate limit holds for another " + std::to_string(closed_us / 1000) + " ms");
  }
  trouble = BinanceRestTrouble::kUnreachable;  // unless an answer says otherwise
  HttpHeaders headers;
  if (options.microseconds) headers.add("X-MBX-TIME-UNIT", "MICROSECOND");
  K2_TRY(HttpAnswer answer, client.get(endpoint.origin + target, headers));
  trouble = trouble_of(answer);
  if (answer.status == 200)
    return BinanceRestAnswer{endpoint.origin, std::move(answer.body), read_number(answer.headers.get("X-MBX-USED-WEIGHT-1M"))};

  const std::string said = what + ": status " + std::to_string(answer.status) + ": " + excerpt(answer.body);
  if (answer.status == 429 || answer.status == 418) {
    // Rest of the minute, or the shortest ban, where Retry-After does not say (rest-api.md, "IP Limits").
    const int64_t fallback_s = answer.status == 429 ? 60 : 120;
    const int64_t wait_s = std::clamp<int64_t>(read_number(answer.headers.get("Retry-After")).value_or(fallback_s), 1, 3 * 86'400);
    for (const auto& other : endpoints) {
      if (other.get() != &endpoint && !options.one_exchange) continue;
      other->closed_by = trouble.load();
      other->closed_until_us = system_clock().monotonic_us() + wait_s * kUsPerSecond;
    }
    return make_error(ErrorKind::kUnavailable, said);
  }
  if (answer.status == 404) return make_error(ErrorKind::kNotFound, said);
  // 403 is the venue's firewall, 451 a place it does not serve: the next endpoint may.
  if (answer.status == 403 || answer.status == 451 || answer.status >= 500) return make_error(ErrorKind::kUnavailable, said);
  return make_error(ErrorKind::kInvalidInput, said);
}

Result<BinanceRestAnswer> BinanceRest::Impl::get(const std::string& target) {
  Error last{ErrorKind::kInvalidInput, "Binance REST: no endpoint"};
  for (const auto& endpoint : endpoints) {
    auto answer = get_from(*endpoint, target);
    if (answer || answer.error().kind != ErrorKind::kUnavailable) return answer;
    last = std::move(answer).error();
  }
  return std::unexpected(std::move(last));
}

BinanceRest::BinanceRest(BinanceRestOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
BinanceRest::~BinanceRest() = default;

Result<BinanceRestAnswer> BinanceRest::exchange_info(const std::vector<std::string>& symbols) {
  std::string list;
  for (const std::string& symbol : symbols) list += (list.empty() ? "[\"" : ",\"") + symbol + "\"";
  return impl_->get("/api/v3/exchangeInfo" + (list.empty() ? "" : "?symbols=" + percent_encode(list + "]")));
}

Result<BinanceRestAnswer> BinanceRest::time() { return impl_->get("/api/v3/time"); }

Result<BinanceRestAnswer> BinanceRest::historical_trades(std::string_view symbol, int64_t from_id, int limit) {
  return impl_->get("/api/v3/historicalTrades?symbol=" + percent_encode(symbol) + "&fromId=" + std::to_string(from_id) +
                    "&limit=" + std::to_string(limit));
}

Result<BinanceRestAnswer> BinanceRest::agg_trades_from(std::string_view symbol, int64_t from_agg_id, int limit) {
  return impl_->get("/api/v3/aggTrades?symbol=" + percent_encode(symbol) + "&fromId=" + std::to_string(from_agg_id) +
                    "&limit=" + std::to_string(limit));
}

Result<BinanceRestAnswer> BinanceRest::agg_trades_between(std::string_view symbol, int64_t start_us, int64_t end_us, int limit) {
  return impl_->get("/api/v3/aggTrades?symbol=" + percent_encode(symbol) + "&startTime=" + std::to_string(start_us) +
                    "&endTime=" + std::to_string(end_us) + "&limit=" + std::to_string(limit));
}

int64_t BinanceRest::retry_after_us() const {
  int64_t wait = INT64_MAX;
  for (const auto& endpoint : impl_->endpoints)
    wait = std::min(wait, std::max<int64_t>(0, endpoint->closed_until_us - system_clock().monotonic_us()));
  return impl_->endpoints.empty() ? 0 : wait;
}

BinanceRestTrouble BinanceRest::trouble() const { return impl_->trouble; }

void BinanceRest::cancel() { impl_->client.cancel(); }

}  // namespace k2
