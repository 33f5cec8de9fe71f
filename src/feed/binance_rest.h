// BinanceRest: the few REST calls of Binance that k2 makes, over a list of endpoints tried in order. Bodies are handed on unparsed.
//
// binance.com and binance.us are two exchanges with trade ids of their own: for calls that name ids, give endpoints of one of them only.
// Sources: binance-spot-api-docs, rest-api.md, 2026-07-21.
// Thread rule: one thread at a time; cancel() from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http_client.h"

namespace k2 {

struct BinanceRestOptions {
  std::vector<std::string> endpoints = {"https://api.binance.com", "https://api.binance.us"};
  HttpClientOptions http;
  bool microseconds = true;  // X-MBX-TIME-UNIT: MICROSECOND
  /// All endpoints belong to one exchange, which counts our address's requests wherever they arrive: a 429 or 418 of one closes them all.
  bool one_exchange = false;
};

/// Why a call failed, where the caller has to know more than the error's kind.
enum class BinanceRestTrouble : uint8_t {
  kNone,
  kUnreachable,  // no answer, 5xx
  kRateLimited,  // 429; see retry_after_us()
  kBanned,  // 418; see retry_after_us()
  kForbidden,  // 403, the venue's firewall; 451, a place that it does not serve
  kKeyNeeded,  // 401, or code -2014 or -2015
  kRefused,  // 400, 404, ...: this request, whoever asks
};
/// "none", "unreachable", "rate_limited", ...
[[nodiscard]] std::string_view binance_rest_trouble_name(BinanceRestTrouble trouble);

struct BinanceRestAnswer {
  std::string endpoint;  // who answered
  std::string body;  // JSON as sent
  std::optional<int64_t> used_weight_minute;  // X-MBX-USED-WEIGHT-1M
};

class BinanceRest {
 public:
  explicit BinanceRest(BinanceRestOptions options);
  ~BinanceRest();
  BinanceRest(const BinanceRest&) = delete;
  BinanceRest& operator=(const BinanceRest&) = delete;

  // All of them: Unavailable where no endpoint answers, for 5xx, and for 429 and 418, after which nothing is asked of that endpoint
  // until its Retry-After has passed (retry_after_us()). InvalidInput: the venue refused the request (400, with its code and msg).
  // NotFound: 404. Cancelled: cancel().

  /// GET /api/v3/exchangeInfo?symbols=[...]; no symbols: all (some 15 MB).
  [[nodiscard]] Result<BinanceRestAnswer> exchange_info(const std::vector<std::string>& symbols);
  /// GET /api/v3/time.
  [[nodiscard]] Result<BinanceRestAnswer> time();
  /// GET /api/v3/historicalTrades: trades with ids from `from_id` on, `limit` 1 to 1000. Weight 25.
  [[nodiscard]] Result<BinanceRestAnswer> historical_trades(std::string_view symbol, int64_t from_id, int limit = 1000);
  /// GET /api/v3/aggTrades from an aggregate trade id on, `limit` 1 to 1000. Weight 4.
  [[nodiscard]] Result<BinanceRestAnswer> agg_trades_from(std::string_view symbol, int64_t from_agg_id, int limit = 1000);
  /// The same for a range of time, both ends inclusive, microseconds since the epoch.
  [[nodiscard]] Result<BinanceRestAnswer> agg_trades_between(std::string_view symbol, int64_t start_us, int64_t end_us, int limit = 1000);

  /// Microseconds until some endpoint may be asked again; 0: now.
  [[nodiscard]] int64_t retry_after_us() const;

  /// Of the last call: what its last endpoint answered.
  [[nodiscard]] BinanceRestTrouble trouble() const;

  void cancel();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
