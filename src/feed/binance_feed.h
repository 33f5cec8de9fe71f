// BinanceFeed: keeps lines to Binance's market streams up and hands every frame to a sink, unparsed.
//
// The streams are spread over shards of at most streams_per_connection, a symbol's streams together; each shard is a LineGroup
// (feed/line_group.h), which decides about its connections; this carries it out. Few streams go into the URL (/stream?streams=a/b), many are
// subscribed to by messages of streams_per_message names, paced. Symbols are lowercased (ASCII) and percent-encoded as UTF-8. Asks for times in
// microseconds, which binance.us is not known to have and is not asked for.
// During a replacement, and with two lines, the same message comes from two connections: who takes it drops what it has, by id.
// Sources: binance-spot-api-docs, web-socket-streams.md, 2026-07-21; binance-us-api-docs.
// Metrics (metrics()): k2_binance_connection_status, k2_binance_messages_received_total, k2_binance_reconnects_total,
// k2_binance_errors_total{reason}, k2_feed_received_bytes_total, k2_feed_last_frame_timestamp_seconds, k2_feed_lines{state},
// k2_feed_replacements_total{reason}, k2_feed_failovers_total, k2_feed_shards_on_fallback, k2_feed_stale_total.
// Threads: "k2-feed" (all lines' lives) and one "k2-ws" a connection, which calls the sink.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "feed/frame_sink.h"
#include "feed/line_group.h"
#include "feed/session.h"
#include "net/tls.h"

namespace k2 {

/// A connection is up and subscribed: from here on its symbols' messages come.
struct BinanceLineUp {
  std::string endpoint;  // the connection's URL
  uint64_t connection_id = 0;  // as in RawFrame
  std::vector<std::string> symbols;  // as in the options
  bool is_covered = false;  // another connection carried the same streams at that moment: nothing was missed
};

struct BinanceFeedOptions {
  std::vector<std::string> symbols = {"BTCUSDT", "ETHUSDT"};
  std::vector<std::string> channels = {"trade"};  // "trade", "aggTrade", "bookTicker", ...
  std::vector<std::string> endpoints = {"wss://stream.binance.com:9443", "wss://stream.binance.us:9443"};
  TlsTrust trust;  // further authorities (the simulator's) go here
  SessionPolicy session;
  LineGroupPolicy lines;  // its `session` is not looked at: the one above is
  ConnectBudget budget;  // of all shards together
  bool microseconds = true;  // timeUnit=MICROSECOND
  size_t streams_per_connection = 1024;  // 1024 is Binance's limit
  size_t streams_in_url_max = 100;  // more streams than these are subscribed to by message
  size_t streams_per_message = 100;
  size_t frame_bytes_max = 1 << 20;
  uint64_t seed = 0;  // of the jitter; 0: by chance
  /// Called on the feed's thread, which it must not hold up.
  std::function<void(const BinanceLineUp&)> on_live;
  /// With session.rounds_max: some shard has given up; called once, on the feed's thread. The other shards go on.
  std::function<void(const std::string& why)> on_exhausted;
};

struct BinanceFeedStatus {
  SessionState state = SessionState::kBackingOff;  // of the first line of the first shard that has no live line; kLive: all have one
  bool connected = false;  // and subscribed: every shard has a live line
  std::string endpoint;  // URL in use by that line, or by the first
  int attempts = 0;  // failures in a row of that line
  size_t shards = 0;
  size_t lines = 0;  // connections wanted; during replacements one more
  size_t lines_live = 0;
  bool is_exhausted = false;  // some shard has given up
  bool has_tried_all = false;  // some shard has tried all endpoints in vain since it was last live
  uint64_t messages = 0;  // frames handed to the sink
  uint64_t reconnects = 0;
  uint64_t errors = 0;
  uint64_t replacements = 0;  // lines replaced by a successor that was up before
  uint64_t failovers = 0;  // moves to another endpoint
  std::string last_error;
};

class BinanceFeed {
 public:
  /// Connects in the background. `sink` outlives the feed. InvalidInput: see plan_binance_shards() in feed/binance_plan.h.
  [[nodiscard]] static Result<std::unique_ptr<BinanceFeed>> start(const BinanceFeedOptions& options, FrameSink& sink);
  /// stop().
  ~BinanceFeed();
  BinanceFeed(const BinanceFeed&) = delete;
  BinanceFeed& operator=(const BinanceFeed&) = delete;

  /// Closes the connections in order (a close frame, and at most a second for the venue's) and ends the threads; the sink has had its last
  /// call when it returns. Not from the sink.
  void stop();

  [[nodiscard]] BinanceFeedStatus status() const;

 private:
  struct Impl;
  explicit BinanceFeed(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
