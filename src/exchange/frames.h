// The simulated exchange's messages, byte for byte as Binance's documents show them. Pure functions.
//
// Sources: binance-spot-api-docs, web-socket-streams.md and rest-api.md, 2026-07-21.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "exchange/sim.h"

namespace k2 {

enum class TimeUnit { kMilliseconds, kMicroseconds };

[[nodiscard]] inline int64_t in_unit(TimestampUs ts, TimeUnit unit) { return unit == TimeUnit::kMicroseconds ? ts.us : ts.us / 1000; }

/// {"e":"trade",...}; with the order ids b and a as before 2024-06-18 where `old_frame`.
void append_trade_frame(std::string& out, std::string_view symbol, const SimTrade& trade, TimestampUs event_time, TimeUnit unit,
                        bool old_frame);
/// {"e":"aggTrade",...} of one trade.
void append_agg_trade_frame(std::string& out, std::string_view symbol, const SimTrade& trade, TimestampUs event_time, TimeUnit unit);
/// {"u":...}: a book one tick of 0.01 around the trade's price.
void append_book_ticker_frame(std::string& out, std::string_view symbol, const SimTrade& trade);
/// {"stream":"<stream>","data":<data>}
void append_combined(std::string& out, std::string_view stream, std::string_view data);

/// A WebSocket frame's first bytes up to its mask (RFC 6455, 5.2): `first` has FIN and opcode; with `masked` four bytes of mask follow.
[[nodiscard]] std::string ws_frame_head(uint8_t first, uint64_t payload_bytes, bool masked);

/// A row of /api/v3/trades and historicalTrades.
void append_rest_trade(std::string& out, const SimTrade& trade, TimeUnit unit);
/// A row of /api/v3/aggTrades.
void append_rest_agg_trade(std::string& out, const SimTrade& trade, TimeUnit unit);

/// price x quantity, exact and then cut to 8 digits after the point.
[[nodiscard]] std::string quote_quantity(const SimTrade& trade);

}  // namespace k2
