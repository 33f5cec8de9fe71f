// Node: the loops of one process, put together: feed, ingest, archive, serve; any of them alone, or all (k2 up, k2 demo).
//
// Threads of a whole node: k2-append (ingest), k2-archive, k2-stream (live stream, hot tail), k2-http-io and k2-http-work (HTTP), k2-feed and k2-ws
// (exchange), k2-query-limit and DuckDB's (engine), k2-signal (main).
// stop() ends them along the data path, so that nothing is lost: the feed takes no more, ingest appends what it has, the archive commits
// what the log has, then the server ends.
// Thread rule: one thread, but for what it starts itself.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "app/archive.h"
#include "app/config.h"
#include "app/ingest.h"
#include "base/result.h"
#include "feed/binance_feed.h"
#include "log/log.h"

namespace k2 {

class LocalLog;

struct NodeOptions {
  bool feed = false;
  bool archive = false;
  bool serve = false;
  TlsTrust trust;  // further authorities for the feed: the simulator's
  std::string notice;  // shown by /health and the page: "simulated exchange"
  std::function<void()> on_failure;  // something ended that must not: call stop() soon. From any thread, perhaps more than once.
};

struct NodeReport {
  std::optional<BinanceFeedStatus> feed;
  std::optional<Ingest::Counts> ingest;
  std::optional<ArchiveStatus> archive;
};

class Node {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Node>> start(const Config& config, NodeOptions options);
  /// stop().
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Ends everything in order. The error of whatever could not be completed. Calling it again does nothing.
  [[nodiscard]] Status stop();

  [[nodiscard]] NodeReport report() const;
  /// What went wrong for good while it ran.
  [[nodiscard]] Status health() const;
  /// Where it serves; empty where it does not.
  [[nodiscard]] std::string url() const;
  [[nodiscard]] LocalLog& log();

 private:
  struct Impl;
  explicit Node(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
