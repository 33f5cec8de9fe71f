// k2 watch.
#include <CLI/CLI.hpp>

#include "app/command.h"
#include "app/data_dir.h"
#include "app/output.h"
#include "app/query_sources.h"
#include "app/stop_signal.h"
#include "app/terminal.h"
#include "net/url.h"
#include "query/known_symbols.h"

namespace k2 {
namespace {

constexpr int64_t kPastTrades = 40;  // shown at the start, so that the screen is not empty

struct WatchFlags {
  std::vector<std::string> symbols;
  std::string url;
};

Result<int> run_watch(const CommandContext& context, const WatchFlags& flags) {
  if (const auto url = parse_url(flags.url); !flags.url.empty() && !url) return usage_error("--url " + url.error().message);
  StopSignal stop;
  std::vector<std::string> notes;
  std::unique_ptr<LocalLog> log;
  std::unique_ptr<WatchSource> source;
  if (flags.url.empty()) {
    K2_RETURN_IF_ERROR(require_data(context.config));
    K2_TRY(log, open_log(context.config));
    if (const auto sources = QuerySources::open(context, ""); sources) notes = absent_in_words(*sources, flags.symbols, "");
    K2_TRY(source, watch_log(*log, *log, flags.symbols, can_draw() ? kPastTrades : 0));
  } else {
    const auto known = symbols_of_server(flags.url);
    if (known)
      for (const std::string& symbol : flags.symbols)
        if (const std::string why = why_absent(*known, Channel::kTrades, symbol, ""); !why.empty()) notes.push_back(why);
    source = watch_server(flags.url, flags.symbols);
  }
  for (const std::string& note : notes) say(context, note + " (waiting for some)");
  WatchView view("k2 watch   " + (flags.url.empty() ? context.config.data_dir : flags.url));
  for (std::string& note : notes) note.insert(0, "  ");
  view.set_notes(notes);
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
