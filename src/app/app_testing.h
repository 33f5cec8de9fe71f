// What this folder's tests put into logs. Thread rule: pure functions.
#pragma once

#include <string>
#include <utility>

#include "market/coverage.h"
#include "market/event.h"
#include "market/message_id.h"

namespace k2::test {

/// Binance's trade `id` of that symbol.
inline Trade binance_trade(int64_t id, TimestampUs happened = {}, const std::string& symbol = "BTCUSDT") {
  Trade trade;
  trade.message_id = MessageIdMaker("binance", symbol, "trades").make(id);
  trade.trade_id = std::to_string(id);
  trade.symbol = symbol;
  trade.exchange = "binance";
  trade.asset_class = AssetClass::kCrypto;
  trade.timestamp = happened;
  trade.currency = "USDT";
  trade.source_sequence = id;
  return trade;
}

/// A statement about Binance's trades first..last of BTCUSDT.
inline Coverage binance_coverage(CoverageStatus status, int64_t first, int64_t last, TimestampUs timestamp = {},
                                 TimestampUs end_timestamp = {}, std::string reason = "") {
  return {.exchange = "binance",
          .symbol = "BTCUSDT",
          .first_sequence = first,
          .last_sequence = last,
          .timestamp = timestamp,
          .end_timestamp = end_timestamp,
          .status = status,
          .reason = std::move(reason),
          .ingestion_timestamp = end_timestamp};
}

}  // namespace k2::test
