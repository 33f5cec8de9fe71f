// Answers of Binance's REST API: GET /api/v3/historicalTrades to Trades, GET /api/v3/time to a time.
//
// A row and the same trade's frame (codec/binance.h) give the same Trade but for ingestion_timestamp and vendor_data, which here has
// "backfilled": "true" as well. Times in milliseconds or microseconds, told apart by magnitude.
// Source: binance-spot-api-docs, rest-api.md, "Old trade lookup" and "Check server time", 2026-07-21.
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "market/event.h"

namespace k2 {

/// Whose trades the rows are: they do not say.
struct BinanceRowsOf {
  std::string_view exchange;
  std::string_view symbol;
  std::string_view currency;
};

struct BinanceRestTrades {
  /// A row whose id can be read, but not all of the rest.
  struct Unreadable {
    int64_t id = 0;
    std::string reason;
    std::string raw;  // its JSON, without spaces
  };
  std::vector<int64_t> ids;  // of all rows, in the order sent
  std::vector<Trade> trades;
  std::vector<Unreadable> unreadable;
};

/// Reads [{"id":1,"price":"4.00","qty":"12.00","quoteQty":"48.00","time":1499865549590,"isBuyerMaker":true,"isBestMatch":true},...].
/// InvalidInput: not such a list, or a row without a readable id (which ids are there cannot be told then).
[[nodiscard]] Result<BinanceRestTrades> parse_binance_rest_trades(std::string_view json, const BinanceRowsOf& of, TimestampUs received);

/// Reads {"serverTime":1499827319559}. InvalidInput otherwise.
[[nodiscard]] Result<TimestampUs> parse_binance_server_time(std::string_view json);

}  // namespace k2
