// The simulated exchange's REST API: a request and the ledgers to an answer. Pure.
//
// Source: binance-spot-api-docs, rest-api.md and errors.md, 2026-07-21.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/ledger.h"
#include "exchange/sim.h"
#include "net/http_server.h"

namespace k2 {

/// What the API may ask of the exchange. The exchange's lock is held.
struct RestContext {
  TimestampUs now;
  std::vector<std::string> symbols;
  size_t hidden = 0;  // newest trades of each symbol that are not known here yet
  /// False: no such symbol.
  std::function<bool(std::string_view symbol, const std::function<void(const Ledger&)>& look)> read;
};

struct RestAnswer {
  HttpResponse response;
  int weight = 1;
};

/// Everything below /api/; 404 for what is not there.
[[nodiscard]] RestAnswer answer_rest(const HttpRequest& request, const RestContext& context);

}  // namespace k2
