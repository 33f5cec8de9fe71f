// LiveStream: new trades to everybody who listens, as server-sent events (WHATWG HTML, "Server-sent events").
//
//   retry: 1000
//
//   id: {"market.crypto.trades.binance":{"0":1234}}      the offsets after this trade, over all trade topics: where to go on
//   event: trade
//   data: {"message_id":"...",...}                       the record as /v1/trades has it
//
//   event: gap          data: {"reason":"..."}           the log no longer has what Last-Event-ID asks for; it goes on with the oldest kept
//   event: dropped      data: {"reason":"..."}           this reader is too far behind; the stream ends. Come back with Last-Event-ID
//
// The log is the buffer: a reader who is slow falls back to reading the log at its own pace and misses nothing, until it is
// lag_records_max behind. A comment every 15 s keeps quiet lines open.
// Thread rule: subscribe() from any thread. One thread, "k2-stream", reads the log, keeps the engine's hot tail fresh and writes to all.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "log/log.h"
#include "market/schema_store.h"
#include "net/http_server.h"
#include "query/engine.h"

namespace k2 {

/// A trade with its place in the log as one JSON object, columns in the table's order, decimals as strings, times as RFC 3339.
[[nodiscard]] std::string trade_json(const Trade& trade, std::string_view topic, int32_t partition, int64_t offset);

struct LiveStreamOptions {
  int64_t lag_records_max = 1'000'000;
  size_t subscribers_max = 1'000;
  int64_t heartbeat_us = 15'000'000;
};

class LiveStream {
 public:
  /// All outlive it.
  LiveStream(const Log& log, const SchemaStore& schemas, Engine& engine, const LiveStreamOptions& options = {});
  /// Ends all streams.
  ~LiveStream();
  LiveStream(const LiveStream&) = delete;
  LiveStream& operator=(const LiveStream&) = delete;

  /// Where a new reader begins: after `last_event_id`, or at the log's end where that is empty. InvalidInput: no id of ours, or of another log.
  [[nodiscard]] Result<Offsets> begin(std::string_view last_event_id) const;
  /// Adds a reader. No symbols: all. False: there are too many already.
  bool subscribe(std::shared_ptr<HttpStream> stream, std::set<std::string> symbols, Offsets from);
  [[nodiscard]] size_t subscribers() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
