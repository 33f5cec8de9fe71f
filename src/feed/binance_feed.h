// BinanceFeed: keeps a line to Binance's market streams up and hands every frame to a sink, unparsed.
//
// One session (feed/session.h) over one connection: few streams go into the URL (/stream?streams=a/b), many are subscribed to by
// messages of streams_per_message names, paced. Symbols are lowercased (ASCII) and percent-encoded as UTF-8. Asks for times in
// microseconds, which binance.us is not known to have and is not asked for.
// Sources: binance-spot-api-docs, web-socket-streams.md, 2026-07-21; binance-us-api-docs.
// Metrics (metrics()): k2_binance_connection_status, k2_binance_messages_received_total, k2_binance_reconnects_total,
// k2_binance_errors_total{reason}, k2_feed_received_bytes_total, k2_feed_last_frame_timestamp_seconds.
// Threads: "k2-feed" (the session) and one "k2-ws" a connection, which calls the sink.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "feed/frame_sink.h"
#include "feed/session.h"
#include "net/tls.h"

namespace k2 {

struct BinanceFeedOptions {
  std::vector<std::string> symbols = {"BTCUSDT", "ETHUSDT"};
  std::vector<std::string> channels = {"trade"};  // "trade", "aggTrade", "bookTicker", ...
  std::vector<std::string> endpoints = {"wss://stream.binance.com:9443", "wss://stream.binance.us:9443"};
  TlsTrust trust;                          // further authorities (the simulator's) go here
  SessionPolicy session;
  bool microseconds = true;                // timeUnit=MICROSECOND
  size_t streams_in_url_max = 100;         // more streams than these are subscribed to by message
  size_t streams_per_message = 100;
  size_t streams_max = 1024;               // Binance's limit a connection
  size_t frame_bytes_max = 1 << 20;
  uint64_t seed = 0;                       // of the jitter; 0: by chance
};

/// "btcusdt@trade" for every symbol and channel. InvalidInput: an empty symbol or channel, none at all, or more than streams_max.
[[nodiscard]] Result<std::vector<std::string>> binance_streams(const BinanceFeedOptions& options);

/// The URL to connect to and, where the streams are not in it, the SUBSCRIBE messages.
struct BinanceConnectPlan {
  std::vector<std::string> urls;  // one per endpoint
  std::vector<std::string> subscribe_messages;
};
/// InvalidInput as binance_streams(), and for an endpoint that is no ws or wss URL. An endpoint may have a path in front, none is usual.
[[nodiscard]] Result<BinanceConnectPlan> plan_binance_connection(const BinanceFeedOptions& options);

struct BinanceFeedStatus {
  SessionState state = SessionState::kBackingOff;
  bool connected = false;       // and subscribed
  std::string endpoint;         // URL in use
  int attempts = 0;             // failures in a row
  uint64_t messages = 0;        // frames handed to the sink
  uint64_t reconnects = 0;
  uint64_t errors = 0;
  std::string last_error;
};

class BinanceFeed {
 public:
  /// Connects in the background. `sink` outlives the feed. InvalidInput: see plan_binance_connection().
  [[nodiscard]] static Result<std::unique_ptr<BinanceFeed>> start(const BinanceFeedOptions& options, FrameSink& sink);
  /// stop().
  ~BinanceFeed();
  BinanceFeed(const BinanceFeed&) = delete;
  BinanceFeed& operator=(const BinanceFeed&) = delete;

  /// Ends the connection and the threads; the sink has had its last call when it returns. Not from the sink.
  void stop();

  [[nodiscard]] BinanceFeedStatus status() const;

 private:
  struct Impl;
  explicit BinanceFeed(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
