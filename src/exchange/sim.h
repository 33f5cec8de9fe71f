// SimExchange: an exchange shaped like Binance: market streams over WebSocket and the market-data part of the REST API.
//
// It plays either recorded trades (a public dump's CSV) or a seeded random market, at a chosen speed, and keeps a ledger of all it
// has sent. Streams: <symbol>@trade, @aggTrade (one per trade), @bookTicker (one tick around the last price). Paths: /ws,
// /ws/<stream>, /stream?streams=a/b. REST: /api/v3/{ping,time,exchangeInfo,trades,historicalTrades,aggTrades,depth,ticker/bookTicker}.
// Goes wrong on demand: faults.h says how, admin.h how to ask for it over HTTP.
// A client that does not keep up is disconnected (code 1008), except at kSpeedMax, where the market waits for its slowest client.
// Sources: binance-spot-api-docs, web-socket-streams.md and rest-api.md, 2026-07-21.
// Thread rule: all members from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/decimal.h"
#include "base/result.h"
#include "base/time.h"
#include "exchange/faults.h"
#include "net/tls.h"

namespace k2 {

/// One trade of the ledger.
struct SimTrade {
  int64_t id = 0;
  Decimal18_8 price;
  Decimal18_8 quantity;
  TimestampUs time;             // T
  bool buyer_is_maker = false;  // m
  bool is_best_match = true;    // M

  bool operator==(const SimTrade&) const = default;
};

struct SimOptions {
  std::string listen = "127.0.0.1:0";
  bool tls = false;
  TlsIdentity identity;          // with tls; empty: self-signed for localhost, 127.0.0.1, ::1
  std::string ca_file;           // where to write the authority that clients are to trust (PEM); empty: nowhere
  int io_threads = 1;

  std::vector<std::string> symbols = {"BTCUSDT", "ETHUSDT"};  // of the random market
  uint64_t seed = 1;
  double trades_per_second = 20;  // random market: of all symbols together, on average
  TimestampUs start_time;  // random market: trades begin there and step by their own intervals; 0: each has the time it happens at

  std::string play_file;  // a dump's CSV, plain; empty: random market
  std::string play_symbol = "BTCUSDT";
  bool loop = false;  // begin the file again, with ids and times going on
  bool play_as_now = false;  // played file: each trade has the time it happens at; otherwise the recorded time

  static constexpr double kSpeedMax = 0;
  double speed = 1;  // played file: times as fast as recorded; random market: factor on trades_per_second; kSpeedMax: no pause
  double play_rate = 0;  // played file: this many trades a second instead of recorded intervals; 0: as recorded
  int64_t trades_max = 0;  // per symbol, then the market is quiet; 0: no end
  bool wait_for_subscriber = true;  // a symbol's market begins when somebody first subscribes to a stream of it

  bool old_frames = false;  // order ids b and a in trade frames, as before 2024-06-18
  bool event_time_is_now = false;  // E: the clock's time; otherwise the trade's
  int64_t ping_interval_us = 20'000'000;
  int64_t pong_timeout_us = 60'000'000;
  int messages_per_second_max = 5;  // a client that sends more is disconnected (1008); 0: no limit
  size_t streams_max = 1024;  // per connection
  size_t client_queue_bytes_max = 16 << 20;
  int64_t connection_life_us = kUsPerDay;  // a WebSocket so old is closed (counted as the fault day_cut); 0: never
  int64_t weight_per_minute_max = 6000;  // REST beyond it is answered with 429; 0: no limit
  std::vector<FaultRule> faults;
  size_t ledger_trades_max = 4'000'000;  // per symbol; older ones are forgotten
  const Clock* clock = &system_clock();  // outlives the exchange, for any thread; of /api/v3/time as well as of the trades
};

struct SimCounts {
  uint64_t trades = 0;  // that happened, all symbols
  uint64_t frames = 0;  // market data queued for clients, each client's copy counted
  uint64_t messages = 0;  // all text messages queued for clients: frames, answers, events, garbage
  uint64_t connections = 0;  // WebSockets opened so far
  uint64_t connections_open = 0;
  uint64_t disconnected_slow = 0;
  uint64_t rest_requests = 0;
  std::map<int, uint64_t> rest_by_status;
  std::map<std::string, uint64_t> faults;  // firings by the kind's name; all kinds
};

class SimExchange {
 public:
  /// Reads the file where one is to be played, binds, serves. InvalidInput: options or file. NotFound: no such file. Unavailable: cannot bind
  /// or write ca_file.
  [[nodiscard]] static Result<std::unique_ptr<SimExchange>> start(const SimOptions& options);
  /// stop().
  ~SimExchange();
  SimExchange(const SimExchange&) = delete;
  SimExchange& operator=(const SimExchange&) = delete;

  [[nodiscard]] uint16_t port() const;
  [[nodiscard]] std::string ws_url() const;  // "ws://127.0.0.1:9443", without a path
  [[nodiscard]] std::string rest_url() const;  // "http://127.0.0.1:9443"
  /// The authority that clients are to trust, PEM; empty without TLS.
  [[nodiscard]] const std::string& ca_pem() const;

  [[nodiscard]] SimCounts counts() const;
  /// The ledger: all trades of that symbol so far that are remembered, in order of id. NotFound: no such symbol.
  [[nodiscard]] Result<std::vector<SimTrade>> trades(std::string_view symbol) const;
  /// Whether every symbol's market has come to its end (file played, or trades_max) and all its frames were queued.
  [[nodiscard]] bool is_finished() const;

  /// Tears all WebSocket connections without a close frame, as a failing network would. Returns how many.
  size_t cut_connections();
  /// Closes all WebSocket connections in order.
  size_t close_connections(uint16_t code, std::string_view reason);
  void add_fault(const FaultRule& rule);
  /// The market stands still; connections stay.
  void pause();
  void resume();

  /// Ends everything.
  void stop();

  struct Impl;

 private:
  explicit SimExchange(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
