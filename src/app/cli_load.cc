// k2 load asx, k2 load binance.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/cli_values.h"
#include "app/command.h"
#include "app/data_dir.h"
#include "app/load.h"
#include "app/output.h"
#include "app/stop_signal.h"
#include "base/logging.h"

namespace k2 {
namespace {

struct LoadFlags {
  std::string reference;
  std::vector<std::string> trades;
  std::vector<std::string> quotes;
  std::vector<std::string> files;
  DumpSymbol whose;
  LoadOptions options;
};

void print_summary(const CommandContext& context, const LoadReport& report) {
  for (const std::string& note : report.notes) say(context, note);
  for (const std::string& bad : report.first_bad) std::fprintf(stderr, "k2: dead letter: %s\n", bad.c_str());
  const auto shown = static_cast<int64_t>(report.first_bad.size());
  if (report.bad_rows > shown)
    std::fprintf(stderr, "k2: ... and %s more (k2 query dead-letters)\n", with_commas(report.bad_rows - shown).c_str());
  say(context, with_commas(report.files) + (report.files == 1 ? " file, " : " files, ") + with_commas(report.rows) + " rows: " +
                   with_commas(report.added) + " new, " + with_commas(report.there) + " there already, " + with_commas(report.bad_rows) +
                   " dead letters" + (report.bad_there > 0 ? " (" + with_commas(report.bad_there) + " there already)" : ""));
}

/// Nothing is written, and no data directory made, before all files have been found to be what they are said to be.
Result<int> load_all(const CommandContext& context, const Result<std::vector<LoadFile>>& files, const LoadOptions& options) {
  if (!files) return usage_or_failure(files.error());
  for (const LoadFile& file : *files)
    if (const Status fits = examine(file); !fits) return usage_or_failure(fits.error());
  StopSignal stop;
  K2_TRY(const std::unique_ptr<LocalLog> log, open_log(context.config));
  Ingest ingest(*log, *log);
  Progress progress(Progress::style_for(context.quiet));
  Loader loader(ingest, progress, options, stop.token());
  Status done;
  for (const LoadFile& file : *files)
    if (done) done = loader.load(file);
  progress.finish();
  print_summary(context, loader.report());
  if (!done) return std::unexpected(done.error());
  return loader.report().bad_rows > 0 ? kExitPartial : kExitOk;
}

void add_bad_rows_flag(CLI::App& command, LoadOptions& options) {
  command.add_option("--max-bad-rows", options.bad_rows_max, "give a file up after so many rows that cannot be read")
      ->capture_default_str()
      ->check(whole_number(1, 1'000'000))
      ->type_name("N");
}

}  // namespace

void add_load_commands(CommandLine& commands) {
  CLI::App* group = commands.add_group(
      commands.root(), "load", "Load files into the log; a second load of a file adds nothing",
      {"k2 load asx --reference company_info.csv --trades trades/7078.csv", "k2 load binance BTCUSDT-trades-2021-01-08.zip"});
  auto flags = std::make_shared<LoadFlags>();
  CLI::App* asx = commands.add(*group, "asx", "ASX trade and quote files",
                               {"k2 load asx --reference company_info.csv --trades trades/*.csv --quotes quotes/*.csv",
                                "k2 load asx --reference company_info.csv --trades trades/7078.csv --data-dir /var/lib/k2",
                                "k2 archive --until-caught-up        # then the rows are in the Iceberg tables"},
                               [flags](CommandContext& context) -> Result<int> {
                                 if (flags->trades.empty() && flags->quotes.empty())
                                   return usage_error("load asx: name files with --trades or --quotes");
                                 return load_all(context, asx_files(flags->reference, flags->trades, flags->quotes), flags->options);
                               });
  asx->add_option("--reference", flags->reference, "company_info.csv: company ids and their symbols")->required()->type_name("FILE");
  asx->add_option("--trades", flags->trades, "trade files, named <company id>.csv")->type_name("FILE ...");
  asx->add_option("--quotes", flags->quotes, "quote files, named <company id>.csv")->type_name("FILE ...");
  add_bad_rows_flag(*asx, flags->options);

  CLI::App* binance = commands.add(
      *group, "binance", "Binance public trade dumps, plain or zipped",
      {"k2 load binance BTCUSDT-trades-2021-01-08.zip", "k2 load binance *-trades-2021-01-*.zip      # each is of the symbol in its name",
       "k2 load binance mine.csv --symbol BTCUSDT"},
      [flags](CommandContext& context) -> Result<int> {
        K2_TRY(const InstrumentTable instruments, known_binance_instruments(context.config));
        return load_all(context, binance_files(flags->files, flags->whose, instruments), flags->options);
      });
  binance->add_option("files", flags->files, "dump files")->required()->type_name("FILE ...");
  binance->add_option("--symbol", flags->whose.symbol, "whose trades these are, where the files' names do not say it")->type_name("SYMBOL");
  binance->add_flag("--any-name", flags->whose.any_name, "load them as --symbol says, whatever their names say");
  add_bad_rows_flag(*binance, flags->options);
}

}  // namespace k2
