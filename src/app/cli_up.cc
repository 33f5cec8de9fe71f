// k2 up, k2 feed binance, k2 serve.
#include <CLI/CLI.hpp>
#include <csignal>

#include "app/command.h"
#include "app/data_dir.h"
#include "app/node.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/stop_signal.h"

namespace k2 {
namespace {

void print_report(const CommandContext& context, const NodeReport& report) {
  if (report.ingest)
    say(context, with_commas(report.ingest->events_appended) + " events taken into the log, " +
                     with_commas(report.ingest->events_duplicate) + " there already, " + with_commas(report.ingest->dead_letters_appended) +
                     " dead letters");
  if (!report.archive) return;
  for (const ArchiveStatus::Table& table : report.archive->tables)
    say(context, table.name + ": " + with_commas(table.committed_rows) + " rows committed; has " + with_commas(table.committed_offset) +
                     " of the log's " + with_commas(table.end_offset));
}

/// Runs the parts until a signal, or until one of them has failed for good.
Result<int> run_node(const CommandContext& context, NodeOptions options) {
  if (options.feed)
    if (const Status files = check_files(context.config); !files) return usage_error(files.error().message);
  if (options.serve)
    if (const Status exposure = check_exposure(context.config); !exposure) return usage_error(exposure.error().message);
  if (const auto lake = lake_options(context.config); !lake) return usage_error(lake.error().message);
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe on our standard error must not end the recording
  StopSignal stop;
  options.on_failure = [&stop] { stop.request_stop(); };
  K2_TRY(const std::unique_ptr<Node> node, Node::start(context.config, std::move(options)));
  if (!node->url().empty()) say(context, "serving on " + node->url());
  stop.wait(-1);
  const Status stopped = node->stop();
  print_report(context, node->report());
  if (!stopped) return std::unexpected(stopped.error());
  return kExitOk;
}

void add_feed_flags(CommandLine& commands, CLI::App& command) {
  commands.add_config_flag(command, "--symbols", "binance.symbols", "what to record, comma-separated (BTCUSDT,ETHUSDT)");
  commands.add_config_flag(command, "--endpoint", "binance.endpoints", "WebSocket endpoint; may be given several times, tried in order");
  commands.add_config_flag(command, "--rest-endpoint", "binance.rest_endpoints", "REST endpoint, likewise");
  commands.add_config_flag(command, "--ca-file", "binance.ca_file", "further certificate authorities to trust (PEM)");
}

}  // namespace

void add_up_commands(CommandLine& commands) {
  CLI::App* up =
      commands.add(commands.root(), "up", "Feed, archive and serve in one process, by configuration",
                   {"k2 up                                       # BTCUSDT and ETHUSDT, http://127.0.0.1:8080",
                    "k2 up --symbols BTCUSDT,SOLUSDT --listen 127.0.0.1:9000", "K2_LAKE_COMMIT_INTERVAL=1s k2 up --data-dir /var/lib/k2"},
                   [](CommandContext& context) { return run_node(context, {.feed = true, .archive = true, .serve = true}); });
  add_feed_flags(commands, *up);
  commands.add_config_flag(*up, "--listen", "serve.listen", "HTTP: API, page, metrics (127.0.0.1:8080)");
  commands.add_config_flag(*up, "--allow-anonymous", "serve.allow_anonymous", "true: --listen may be reached from other machines");
  commands.add_config_flag(*up, "--commit-interval", "lake.commit_interval", "at most this long from log to table (5s)");

  CLI::App* group = commands.add_group(commands.root(), "feed", "Record an exchange into the log",
                                       {"k2 feed binance", "k2 feed binance --symbols BTCUSDT,ETHUSDT"});
  CLI::App* feed = commands.add(
      *group, "binance", "Trades of Binance's WebSocket streams",
      {"k2 feed binance", "k2 feed binance --symbols BTCUSDT,ETHUSDT,SOLUSDT",
       "k2 feed binance --endpoint wss://127.0.0.1:9443 --rest-endpoint https://127.0.0.1:9443 --ca-file k2-sim-ca.pem   # k2 sim"},
      [](CommandContext& context) { return run_node(context, {.feed = true}); });
  add_feed_flags(commands, *feed);

  CLI::App* serve = commands.add(
      commands.root(), "serve", "Serve API, page and metrics from a data directory",
      {"k2 serve", "k2 serve --listen 127.0.0.1:9000", "curl 'http://127.0.0.1:8080/v1/trades?symbol=BTCUSDT&window_minutes=15'"},
      [](CommandContext& context) { return run_node(context, {.serve = true}); });
  commands.add_config_flag(*serve, "--listen", "serve.listen", "HTTP: API, page, metrics (127.0.0.1:8080)");
  commands.add_config_flag(*serve, "--allow-anonymous", "serve.allow_anonymous", "true: --listen may be reached from other machines");
}

}  // namespace k2
