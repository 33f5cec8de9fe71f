// The streams of a Binance feed, spread over connections: which symbols each carries, where it connects to and what it says then.
//
// Sources: binance-spot-api-docs, web-socket-streams.md, 2026-07-21. Thread rule: pure functions.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace k2 {

struct BinanceFeedOptions;

inline constexpr size_t kBinanceStreamsMax = 1024;  // per connection

/// The part of the streams that one connection carries.
struct BinanceShard {
  std::vector<std::string> symbols;             // as in the options
  std::vector<std::string> streams;             // "btcusdt@trade": every symbol with every channel
  std::vector<std::string> urls;                // to connect to, one per endpoint
  std::vector<std::string> subscribe_messages;  // where the streams are not in the URL
};

/// At least one shard; their sizes differ by one symbol at most, and a symbol's streams stay together. InvalidInput: an empty symbol or
/// channel, none at all, a stream twice, streams_per_connection beyond 1024 or less than a symbol has channels, no endpoint, or one that is no
/// ws or wss URL. An endpoint may have a path in front; none is usual.
[[nodiscard]] Result<std::vector<BinanceShard>> plan_binance_shards(const BinanceFeedOptions& options);

}  // namespace k2
