// k2 sim.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>

#include "app/cli_values.h"
#include "app/command.h"
#include "app/command_tree.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/stop_signal.h"
#include "exchange/sim.h"

namespace k2 {
namespace {

struct SimFlags {
  SimOptions options;
  bool plain = false;
  std::vector<std::string> faults;
  std::string day = "24h";
  std::string ping_interval = "20s";
};

std::string fault_help() {
  std::string text =
      "--fault KIND[:SETTING=VALUE,...], with settings symbol, path (of REST), probability, at_trade, duration, count, clients, delay, "
      "value\n";
  constexpr size_t kNameWidth = 17;
  for (const FaultInfo& info : fault_table()) {
    std::string name(info.name);
    name.resize(kNameWidth, ' ');
    text.append("  ").append(name).append(info.doc).append("\n");
  }
  return text;
}

std::vector<std::string> fault_names() {
  std::vector<std::string> names;
  for (const FaultInfo& info : fault_table()) names.emplace_back(info.name);
  return names;
}

/// The flags that are more than text.
Status read_texts(SimFlags& flags) {
  for (const std::string& text : flags.faults) {
    K2_TRY(flags.options.faults.emplace_back(), parse_fault_rule(text));
  }
  K2_TRY(flags.options.connection_life_us, parse_duration_us(flags.day));
  K2_TRY(flags.options.ping_interval_us, parse_duration_us(flags.ping_interval));
  return {};
}

Result<int> run_sim(const CommandContext& context, SimFlags flags) {
  if (std::ranges::find(flags.faults, "help") != flags.faults.end()) {
    std::fputs(fault_help().c_str(), stdout);
    return kExitOk;
  }
  std::signal(SIGPIPE, SIG_IGN);
  StopSignal stop;
  flags.options.tls = !flags.plain;
  if (flags.plain) flags.options.ca_file.clear();
  if (const Status read = read_texts(flags); !read) return usage_error(read.error().message);
  auto started = SimExchange::start(flags.options);
  if (!started) return usage_or_failure(started.error());
  const auto sim = *std::move(started);
  say(context, "simulated exchange: " + sim->ws_url() + " and " + sim->rest_url());
  if (!flags.plain) say(context, "its certificate authority is in " + flags.options.ca_file);
  say(context, "record it, with its trades that are not real in a directory of their own:");
  say(context, "  k2 up --data-dir sim-data --endpoint " + sim->ws_url() + " --rest-endpoint " + sim->rest_url() +
                   (flags.plain ? "" : " --ca-file " + flags.options.ca_file));
  stop.wait(-1);
  const SimCounts counts = sim->counts();
  say(context, with_commas(static_cast<int64_t>(counts.trades)) + " trades, " + with_commas(static_cast<int64_t>(counts.frames)) +
                   " frames, " + with_commas(static_cast<int64_t>(counts.connections)) + " connections");
  for (const auto& [name, count] : counts.faults)
    if (count > 0) say(context, "fault " + name + ": " + with_commas(static_cast<int64_t>(count)) + " times");
  return kExitOk;
}

}  // namespace

void add_sim_command(CommandLine& commands) {
  auto flags = std::make_shared<SimFlags>();
  SimOptions& options = flags->options;
  options.listen = "127.0.0.1:9443";
  options.ca_file = "k2-sim-ca.pem";
  CLI::App* sim = commands.add(
      commands.root(), "sim", "A Binance-compatible exchange of your own: streams and REST",
      {"k2 sim                                        # a random market behind TLS on 127.0.0.1:9443",
       "k2 sim --rate 1000 --seed 7 --symbols BTCUSDT,ETHUSDT", "k2 sim --file BTCUSDT-trades-2021-01-08.csv --symbol BTCUSDT --speed 10",
       "k2 sim --plain --listen 127.0.0.1:9000         # without TLS",
       "k2 sim --fault hole:at_trade=500,count=20 --fault cut:probability=0.001,count=0",
       "curl --cacert k2-sim-ca.pem https://127.0.0.1:9443/sim/faults -d '{\"kind\":\"rest_429\",\"duration\":\"10s\"}'"},
      [flags](CommandContext& context) { return run_sim(context, *flags); });
  sim->add_option("--listen", options.listen, "where to serve")->capture_default_str()->type_name("HOST:PORT");
  sim->add_option("--ca-file", options.ca_file, "where to write the certificate that clients are to trust")
      ->capture_default_str()
      ->type_name("FILE");
  sim->add_flag("--plain", flags->plain, "no TLS");
  sim->add_option("--symbols", options.symbols, "of the random market")->delimiter(',')->capture_default_str()->type_name("A,B");
  sim->add_option("--seed", options.seed, "of the random market: the same seed, the same market")
      ->capture_default_str()
      ->check(whole_number(0))
      ->type_name("N");
  sim->add_option("--rate", options.trades_per_second, "trades a second of the random market, all symbols together")
      ->capture_default_str()
      ->check(number(0.001, 1e7))
      ->type_name("N");
  sim->add_option("--file", options.play_file, "play this trade dump instead")->type_name("FILE");
  sim->add_option("--symbol", options.play_symbol, "the file's symbol")->capture_default_str()->type_name("SYMBOL");
  sim->add_option("--play-rate", options.play_rate, "play the file at so many trades a second, not at its own times")
      ->check(number(0, 1e7))
      ->type_name("N");
  sim->add_option("--speed", options.speed, "times as fast; 0: without any pause")
      ->capture_default_str()
      ->check(number(0, 1e9))
      ->type_name("N");
  sim->add_flag("--loop", options.loop, "begin the file again and again");
  sim->add_flag("--now", options.play_as_now, "the file's trades have the time they are played at, not the recorded one");
  sim->add_option("--max-trades", options.trades_max, "per symbol, then the market is quiet; 0: no end")
      ->capture_default_str()
      ->check(whole_number(0))
      ->type_name("N");
  sim->add_option("--fault", flags->faults, "what is to go wrong, KIND or KIND:SETTING=VALUE,...; once or more; \"help\" lists them")
      ->take_all()
      ->type_name(type_offering("FAULT", fault_names()));
  sim->add_option("--day", flags->day, "a WebSocket older than this is closed")->capture_default_str()->type_name("DURATION");
  sim->add_option("--weight-limit", options.weight_per_minute_max, "REST's request weight a minute; more is answered with 429; 0: no limit")
      ->capture_default_str()
      ->check(whole_number(0))
      ->type_name("N");
  sim->add_option("--ping-interval", flags->ping_interval, "between the server's pings")->capture_default_str()->type_name("DURATION");
  sim->add_flag("--old-frames", options.old_frames, "trade frames as before 2024-06-18, with order ids");
}

}  // namespace k2
