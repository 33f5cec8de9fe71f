// k2 watch.
#include <CLI/CLI.hpp>

#include "app/command.h"
#include "app/data_dir.h"
#include "app/stop_signal.h"
#include "app/terminal.h"

namespace k2 {
namespace {

constexpr int64_t kPastTrades = 40;  // shown at the start, so that the screen is not empty

struct WatchFlags {
  std::vector<std::string> symbols;
  std::string url;
};

Result<int> run_watch(const CommandContext& context, const WatchFlags& flags) {
  StopSignal stop;
  std::unique_ptr<LocalLog> log;
  std::unique_ptr<WatchSource> source;
  if (flags.url.empty()) {
    K2_RETURN_IF_ERROR(require_data(context.config));
    K2_TRY(log, open_log(context.config));
    K2_TRY(source, watch_log(*log, *log, flags.symbols, can_draw() ? kPastTrades : 0));
  } else {
    source = watch_server(flags.url, flags.symbols);
  }
  WatchView view("k2 watch   " + (flags.url.empty() ? context.config.data_dir : flags.url));
  const TerminalOptions options{.is_screen = can_draw(), .color = !context.no_color, .on_draw = {}};
  K2_RETURN_IF_ERROR(watch(*source, view, options, stop.token()));
  return kExitOk;
}

}  // namespace

void add_watch_command(CommandLine& commands) {
  auto flags = std::make_shared<WatchFlags>();
  CLI::App* watch = commands.add(commands.root(), "watch", "Live trades in the terminal",
                                 {"k2 watch                                    # what comes into ./k2-data", "k2 watch BTCUSDT ETHUSDT",
                                  "k2 watch BTCUSDT --url http://127.0.0.1:8080   # from a running server",
                                  "k2 watch BTCUSDT | grep BUY                  # plain lines in a pipe"},
                                 [flags](CommandContext& context) { return run_watch(context, *flags); });
  watch->add_option("symbols", flags->symbols, "all without one")->type_name("SYMBOL ...");
  watch->add_option("--url", flags->url, "a server's address, in place of the data directory")->type_name("URL");
}

}  // namespace k2
