#include "app/node.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "api/live_stream.h"
#include "api/pg_server.h"
#include "api/server.h"
#include "app/archive_options.h"
#include "app/data_dir.h"
#include "app/feed_binance.h"
#include "app/health.h"
#include "app/sql_workers.h"
#include "app/version.h"
#include "base/logging.h"
#include "base/metrics.h"
#include "codec/columns.h"
#include "query/engine.h"

namespace k2 {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kForeverUs = 365LL * 24 * 3'600 * kUsPerSecond;  // a feed waits for its log as long as it takes

constexpr int64_t kFreshnessFloorUs = 60 * kUsPerSecond;
constexpr int64_t kFreshnessIntervals = 12;  // commits missed before /readyz is red

int64_t sum_of_channel(const Offsets& offsets, Channel channel) {
  int64_t total = 0;
  for (const auto& [partition, offset] : offsets_of_channel(offsets, channel)) total += offset.value;
  return total;
}

}  // namespace

struct Node::Impl {
  Config config;
  NodeOptions options;
  TimestampUs started = system_clock().now();

  // In the order of the data path; destroyed in reverse.
  std::unique_ptr<LocalLog> log;
  std::unique_ptr<Lake> lake;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Ingest> ingest;
  std::unique_ptr<BinanceSource> feed;
  std::unique_ptr<Archive> archive;
  std::unique_ptr<LiveStream> stream;
  std::unique_ptr<SqlWorkers> sql;
  std::unique_ptr<PgServer> pg;
  std::unique_ptr<ApiServer> api;

  std::stop_source archive_stop;
  std::jthread archive_thread;
  mutable std::mutex mutex;
  Status archive_end;
  bool stopped = false;
  std::atomic<bool> is_complete = false;  // feed, ingest and archive are what they stay: the server's threads may look

  Status start();
  Status start_serving();
  void start_archive();
  Status stop();
  [[nodiscard]] Status health() const;
  [[nodiscard]] Status venue_reached() const;
  [[nodiscard]] Status freshness() const;
  [[nodiscard]] Status readiness() const {
    if (Status healthy = health(); !healthy) return healthy;
    if (Status reached = venue_reached(); !reached) return reached;
    return freshness();
  }
  [[nodiscard]] HealthFacts health_facts() const;
  [[nodiscard]] Json table_health(Channel channel, HealthFacts& facts) const;
  [[nodiscard]] std::string health_json() const;
};

Status Node::Impl::start() {
  K2_TRY(log, open_log(config));
  if (options.archive || options.serve) {
    K2_TRY(lake, open_lake(config));
  }
  if (options.serve) K2_RETURN_IF_ERROR(start_serving());
  if (options.archive) start_archive();
  if (options.feed) {
    Ingest::Options ingest_options;
    ingest_options.retry_for_us = kForeverUs;
    ingest_options.when_full = Ingest::WhenFull::kShed;  // a socket that is not read is cut off by its venue
    ingest_options.origin = Ingest::Origin::kFeed;
    ingest = std::make_unique<Ingest>(*log, *log, ingest_options);
    K2_TRY(feed, BinanceSource::start(config, *ingest,
                                      {.log = log.get(),
                                       .lock_file = below_data_dir(config, "feed.lock"),
                                       .trust = options.trust,
                                       .on_failure = options.on_failure}));
  }
  is_complete = true;
  return {};
}

Status Node::Impl::start_serving() {
  EngineOptions engine_options;
  engine_options.memory_limit = config.query.memory_limit;
  engine_options.threads = static_cast<int>(config.query.threads);
  K2_TRY(engine, Engine::open(*lake, *log, *log, engine_options));
  stream = std::make_unique<LiveStream>(*log, *log, *engine);
  SqlWorkersOptions sql_options;
  sql_options.warehouse = std::filesystem::absolute(below_data_dir(config, config.lake.warehouse)).lexically_normal();
  sql_options.workers = static_cast<int>(config.sql.workers);
  sql_options.threads = static_cast<int>(config.query.threads);
  sql_options.memory_bytes = config.sql.memory_mib << 20;
  sql_options.timeout_us = config.sql.timeout_us;
  sql = std::make_unique<SqlWorkers>(*engine, sql_options);
  K2_TRY(api, ApiServer::start(*engine, *stream,
                               {.listen = config.serve.listen,
                                .cors_origins = config.serve.cors_origins,
                                .version = version_number(),
                                .sql = sql.get(),
                                .health_json = [this] { return health_json(); },
                                .is_ready = [this] { return readiness().has_value(); }}));
  // Not by default yet: it asks for no password, and has no catalog (psql's backslash commands).
  if (const auto origin = config.origins.find("serve.pg_listen"); origin == config.origins.end() || origin->second == "default") return {};
  K2_TRY(pg, PgServer::start(*engine, *sql, {.listen = config.serve.pg_listen, .query_timeout_us = config.sql.timeout_us}));
  log_info("pg_listening", {{"port", pg->port()}});
  return {};
}

void Node::Impl::start_archive() {
  archive = std::make_unique<Archive>(*log, *log, *lake, archive_options(config));
  archive_thread = std::jthread([this] {
    pthread_setname_np(pthread_self(), "k2-archive");
    Status end = archive->run(archive_stop.get_token());
    const bool failed = !end;
    {
      const std::scoped_lock lock(mutex);
      archive_end = std::move(end);
    }
    if (!failed) return;
    // Where this process also records, it goes on: the log is whole, the exchange does not send again, and /readyz says that the tables stand still.
    log_error("archive_stopped", {{"error", health().error().message}, {"feed", options.feed ? "goes on" : "none"}});
    if (!options.feed && options.on_failure) options.on_failure();
  });
}

Status Node::Impl::stop() {
  if (std::exchange(stopped, true)) return {};
  Status worst;
  const auto note = [&](const Status& status) {
    if (!status && worst) worst = status;
  };
  if (ingest) ingest->stop_waiting();  // the feed's thread may be in put(), waiting for a log that does not come back
  if (feed) {
    feed->stop();
    note(ingest->flush());
    note(feed->health());
  }
  archive_stop.request_stop();
  if (archive_thread.joinable()) archive_thread.join();
  note(archive_end);
  pg.reset();
  api.reset();
  sql.reset();
  stream.reset();
  return worst;
}

Status Node::Impl::health() const {
  if (is_complete && feed) K2_RETURN_IF_ERROR(feed->health());
  if (is_complete && ingest) K2_RETURN_IF_ERROR(ingest->health());
  const std::scoped_lock lock(mutex);
  return archive_end;
}

// A connection that is made anew is everyday life; all endpoints in vain is not.
Status Node::Impl::venue_reached() const {
  if (!is_complete || !feed) return {};
  const BinanceFeedStatus status = feed->status();
  if (!status.has_tried_all) return {};
  return make_error(ErrorKind::kUnavailable,
                    "Binance: all endpoints were tried in vain; the last, " + status.endpoint + ": " + status.last_error);
}

// Commits that fail are tried again for ever, and one that hangs says nothing: what tells is rows that wait too long.
Status Node::Impl::freshness() const {
  if (!is_complete || !archive) return {};
  const int64_t patience_us = std::max(kFreshnessFloorUs, kFreshnessIntervals * config.lake.commit_interval_us);
  for (const ArchiveStatus::Table& table : archive->status().tables) {
    const int64_t waited_us = system_clock().now().us - std::max(table.last_commit_us, started.us);
    if (table.committed_offset >= table.end_offset || waited_us < patience_us) continue;
    return make_error(ErrorKind::kUnavailable, table.name + ": rows have waited " + std::to_string(waited_us / kUsPerSecond) +
                                                   " s for a commit" + (table.last_error.empty() ? "" : ": " + table.last_error));
  }
  return {};
}

HealthFacts Node::Impl::health_facts() const {
  HealthFacts facts{.now = system_clock().now()};
  if (const Status ready = readiness(); !ready) facts.not_ready = ready.error().message;
  if (is_complete && feed) {
    facts.feed = feed->status();
    facts.gaps = feed->gaps();
    facts.quotes = feed->quote_outages();
  }
  if (is_complete && ingest) facts.ingest = ingest->counts();
  return facts;
}

/// Adds what it finds wrong to `facts`.
Json Node::Impl::table_health(Channel channel, HealthFacts& facts) const {
  Json out = {{"name", std::string(table_of(channel).name)}};
  HealthFacts::Table& fact = facts.tables.emplace_back(std::string(table_of(channel).name));
  const auto state = lake->load(table_of(channel).name);
  const auto end = log->end_offsets();
  if (!state || !end) {
    out["error"] = fact.error = state ? end.error().message : state.error().message;
    return out;
  }
  const int64_t committed = sum_of_channel((*state)->offsets, channel);
  const int64_t logged = sum_of_channel(*end, channel);
  out["rows"] = (*state)->record_count;
  out["committed_offset"] = committed;
  out["end_offset"] = logged;
  out["lag"] = fact.lag = logged - committed;
  if (is_complete && archive)
    for (const ArchiveStatus::Table& table : archive->status().tables)
      if (table.name == table_of(channel).name && !table.last_error.empty()) out["last_error"] = fact.error = table.last_error;
  return out;
}

std::string Node::Impl::health_json() const {
  HealthFacts facts = health_facts();
  Json tables = Json::array();
  if (lake)
    for (const Channel channel : kChannels) tables.push_back(table_health(channel, facts));
  Json out = {{"status", std::string(health_word(facts))},
              {"problems", health_problems(facts)},
              {"version", version_number()},
              {"revision", git_revision()},
              {"uptime_seconds", (system_clock().now().us - started.us) / kUsPerSecond}};
  if (facts.not_ready) out["error"] = *facts.not_ready;
  if (!options.notice.empty()) out["notice"] = options.notice;
  if (facts.feed) {
    const BinanceFeedStatus& status = *facts.feed;
    out["feed"] = {{"exchange", "binance"},
                   {"state", std::string(session_state_name(status.state))},
                   {"connected", status.connected},
                   {"endpoint", status.endpoint},
                   {"messages", status.messages},
                   {"reconnects", status.reconnects},
                   {"errors", status.errors},
                   {"last_error", status.last_error},
                   {"lines", status.lines},
                   {"lines_live", status.lines_live},
                   {"replacements", status.replacements},
                   {"failovers", status.failovers}};
  }
  if (facts.gaps) {
    const BackfillStatus& gaps = *facts.gaps;
    out["gaps"] = {{"open", gaps.open}, {"missing", gaps.missing},   {"backfilled", gaps.backfilled}, {"not_issued", gaps.not_issued},
                   {"lost", gaps.lost}, {"requests", gaps.requests}, {"last_error", gaps.last_error}};
    out["gaps"]["symbols"] = Json::array();
    for (const SymbolGaps& symbol : gaps.symbols)
      out["gaps"]["symbols"].push_back(
          {{"exchange", symbol.exchange}, {"symbol", symbol.symbol}, {"open", symbol.open}, {"missing", symbol.missing}});
  }
  if (facts.quotes)
    out["quotes"] = {{"outages", facts.quotes->outages},
                     {"last_outage", facts.quotes->last_us == 0 ? Json() : Json(format_rfc3339({facts.quotes->last_us}))}};
  if (facts.ingest) {
    const Ingest::Counts& counts = *facts.ingest;
    out["ingest"] = {{"appended", counts.events_appended},
                     {"duplicates", counts.events_duplicate},
                     {"dead_letters", counts.dead_letters_appended},
                     {"pending", counts.pending},
                     {"queue_bytes", counts.queue_bytes},
                     {"shed", {{"trades", counts.trades_shed}, {"quotes", counts.quotes_shed}, {"others", counts.others_shed}}},
                     {"breaker", std::string(breaker_state_name(counts.breaker))},
                     {"last_append", counts.last_append_us == 0 ? Json() : Json(format_rfc3339({counts.last_append_us}))}};
  }
  out["tables"] = std::move(tables);
  return out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Node::Node(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Node::~Node() {
  if (const Status stopped = impl_->stop(); !stopped) log_error("stop_incomplete", {{"error", stopped.error().message}});
}

Result<std::unique_ptr<Node>> Node::start(const Config& config, NodeOptions options) {
  metrics().gauge("k2_build_info", "What is running.", {{"version", version_number()}, {"revision", git_revision()}}).set(1);
  auto impl = std::make_unique<Impl>();
  impl->config = config;
  impl->options = std::move(options);
  std::unique_ptr<Node> node(new Node(std::move(impl)));  // its destructor ends what was started when a later part fails
  K2_RETURN_IF_ERROR(node->impl_->start());
  return node;
}

Status Node::stop() { return impl_->stop(); }

NodeReport Node::report() const {
  NodeReport report;
  if (impl_->feed) report.feed = impl_->feed->status();
  if (impl_->ingest) report.ingest = impl_->ingest->counts();
  if (impl_->archive) report.archive = impl_->archive->status();
  return report;
}

Status Node::health() const { return impl_->health(); }
std::string Node::url() const { return impl_->api ? impl_->api->url() : ""; }
LocalLog& Node::log() { return *impl_->log; }

}  // namespace k2
