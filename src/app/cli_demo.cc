// k2 demo: everything in one process, to look at.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "app/cli_values.h"
#include "app/command.h"
#include "app/data_dir.h"
#include "app/node.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/stop_signal.h"
#include "app/terminal.h"
#include "base/logging.h"
#include "exchange/sim.h"
#include "feed/binance_rest.h"
#include "query/cut.h"

namespace k2 {
namespace {

constexpr int64_t kTryLiveUs = 3'000'000;  // how long the live exchange may take to answer before the demo goes on without it
constexpr int64_t kCommitIntervalUs = 1'000'000;  // so that one sees the table grow
constexpr double kSimTradesPerSecond = 25;

struct DemoFlags {
  bool offline = false;
  bool live = false;
  int64_t seconds = 0;
};

/// Empty: it answers. Otherwise why not.
std::string why_not_live(const Config& config) {
  BinanceRestOptions options;
  options.endpoints = config.binance.rest_endpoints;
  options.http.connect_timeout_us = kTryLiveUs;
  options.http.request_timeout_us = kTryLiveUs;
  const auto answer = BinanceRest(options).time();
  return answer ? "" : answer.error().message;
}

Status choose_data_dir(Config& config) {
  if (config.origins.at("data_dir") != "default") return {};
  const char* temporary = std::getenv("TMPDIR");
  std::string path = std::string(temporary != nullptr && *temporary != '\0' ? temporary : "/tmp") + "/k2-demo-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return make_error(ErrorKind::kUnavailable, path + ": cannot be made");
  config.data_dir = path;
  return {};
}

/// Starts the simulated exchange and points the configuration at it.
Result<std::unique_ptr<SimExchange>> start_sim(Config& config) {
  SimOptions options;
  options.tls = true;
  options.symbols = config.binance.symbols;
  options.seed = static_cast<uint64_t>(system_clock().now().us);
  options.trades_per_second = kSimTradesPerSecond;
  K2_TRY(auto sim, SimExchange::start(options));
  config.binance.endpoints = {sim->ws_url()};
  config.binance.rest_endpoints = {sim->rest_url()};
  return sim;
}

/// The default port may be taken by somebody else's server; a port the user named may not be changed.
Result<std::unique_ptr<Node>> start_node(Config config, const NodeOptions& options) {
  auto node = Node::start(config, options);
  if (node || node.error().kind != ErrorKind::kUnavailable || config.origins.at("serve.listen") != "default") return node;
  config.serve.listen = "127.0.0.1:0";
  return Node::start(config, options);
}

std::string status_line(const Node& node) {
  const NodeReport report = node.report();
  std::string text = "  " + with_commas(report.ingest->events_appended) + " in the log";
  for (const ArchiveStatus::Table& table : report.archive->tables)
    if (table.name == "trades_v2")
      text += ", " + with_commas(table.committed_offset) + " in the table, " + with_commas(table.commits) + " commits";
  if (!report.feed->connected) text += "   NOT CONNECTED: " + (report.feed->last_error.empty() ? "connecting" : report.feed->last_error);
  return text;
}

/// Events of everyday life are not what a demo is for; --verbose shows them.
LogLevel talk_level(const CommandContext& context) { return context.verbose ? LogLevel::kDebug : LogLevel::kWarning; }

/// The terminal view, or quiet waiting where there is no terminal.
Status show(const CommandContext& context, Node& node, const std::string& title, const std::vector<std::string>& notes,
            std::stop_token stop, StopSignal& signal, int64_t timeout_us) {
  if (!can_draw() || context.quiet) {
    signal.wait(timeout_us);
    return {};
  }
  set_log_level(LogLevel::kOff);  // lines would tear the screen; what matters is on it
  K2_TRY(const auto source, watch_log(node.log(), node.log(), {}, 0));
  WatchView view(title);
  const auto timer = std::jthread([&signal, timeout_us](const std::stop_token&) {
    signal.wait(timeout_us);
    signal.request_stop();
  });
  const TerminalOptions options{.is_screen = true, .color = !context.no_color, .on_draw = [&](WatchView& drawn) {
                                  std::vector<std::string> lines = notes;
                                  lines.push_back(status_line(node));
                                  drawn.set_notes(std::move(lines));
                                }};
  const Status shown = watch(*source, view, options, stop);
  set_log_level(talk_level(context));
  return shown;
}

/// Whether the log's and the table's books agree; says both.
Result<int> close_books(const CommandContext& context, const Config& config, const NodeReport& report) {
  K2_TRY(const auto log, open_log(config));
  K2_TRY(const auto lake, open_lake(config));
  K2_TRY(const Offsets end, log->end_offsets());
  K2_TRY(const auto table, lake->load("trades_v2"));
  int64_t logged = 0;
  for (const auto& [partition, offset] : offsets_of_channel(end, Channel::kTrades)) logged += offset.value;
  const bool equal = logged == table->record_count;
  say(context, with_commas(report.ingest->events_appended) + " trades received, " + with_commas(report.ingest->events_duplicate) +
                   " twice; " + with_commas(logged) + " in the log, " + with_commas(table->record_count) +
                   " in the table: " + (equal ? "equal, nothing lost" : "NOT EQUAL"));
  say(context, "the data stays in " + config.data_dir + ": k2 query trades --data-dir " + config.data_dir);
  return equal ? kExitOk : kExitFailure;
}

Result<int> run_demo(const CommandContext& context, const DemoFlags& flags) {
  std::signal(SIGPIPE, SIG_IGN);
  if (!context.quiet) set_log_level(talk_level(context));
  StopSignal stop;
  Config config = context.config;
  K2_RETURN_IF_ERROR(choose_data_dir(config));
  if (config.origins.at("lake.commit_interval") == "default") config.lake.commit_interval_us = kCommitIntervalUs;
  const std::string reason = flags.offline ? "--offline" : flags.live ? "" : why_not_live(config);
  std::unique_ptr<SimExchange> sim;
  NodeOptions options{.feed = true, .archive = true, .serve = true};
  options.on_failure = [&stop] { stop.request_stop(); };
  std::string exchange = "LIVE EXCHANGE: Binance, real trades, " + config.binance.endpoints.front();
  if (!reason.empty()) {
    K2_TRY(sim, start_sim(config));
    options.trust.ca_pem = sim->ca_pem();
    exchange = "SIMULATED EXCHANGE: these trades are not real (" +
               std::string(flags.offline ? "--offline" : "the live exchange could not be reached") + "), " + sim->ws_url();
    options.notice = "Simulated exchange: these trades are not real";
    if (!flags.offline) say(context, "live exchange: " + reason);
  }
  say(context, exchange);
  K2_TRY(std::unique_ptr<Node> node, start_node(config, options));
  const std::vector<std::string> urls = {
      "page     " + node->url() + "/",
      "trades   " + node->url() + "/v1/trades?symbol=" + config.binance.symbols.front() + "&window_minutes=15",
      "metrics  " + node->url() + "/metrics", "data     " + config.data_dir, "stop     Ctrl-C"};
  for (const std::string& url : urls) say(context, "  " + url);
  std::vector<std::string> notes = {"  " + exchange};
  for (const std::string& url : urls) notes.push_back("  " + url);
  const Status shown = show(context, *node, "k2 demo", notes, stop.token(), stop, flags.seconds > 0 ? flags.seconds * kUsPerSecond : -1);
  say(context, "stopping: the feed ends, the log and the tables are completed");
  const Status stopped = node->stop();
  const NodeReport report = node->report();
  node.reset();
  if (!stopped) return std::unexpected(stopped.error());
  if (!shown) return std::unexpected(shown.error());
  return close_books(context, config, report);
}

}  // namespace

void add_demo_command(CommandLine& commands) {
  auto flags = std::make_shared<DemoFlags>();
  CLI::App* demo = commands.add(commands.root(), "demo", "The whole thing in one process, to look at",
                                {"k2 demo                     # the live exchange where it can be reached, else a simulated one",
                                 "k2 demo --offline           # the simulated one", "k2 demo --seconds 10 --data-dir /tmp/demo"},
                                [flags](CommandContext& context) { return run_demo(context, *flags); });
  CLI::Option* offline = demo->add_flag("--offline", flags->offline, "the simulated exchange");
  demo->add_flag("--live", flags->live, "the live exchange, whatever happens")->excludes(offline);
  demo->add_option("--seconds", flags->seconds, "stop by itself after so long")->check(whole_number(1))->type_name("N");
  commands.add_config_flag(*demo, "--listen", "serve.listen", "HTTP: API, page, metrics (127.0.0.1:8080)");
  commands.add_config_flag(*demo, "--symbols", "binance.symbols", "what to show, comma-separated (BTCUSDT,ETHUSDT)");
}

}  // namespace k2
