// k2 lake init, k2 lake check, k2 archive.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/archive.h"
#include "app/archive_options.h"
#include "app/command.h"
#include "app/data_dir.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/stop_signal.h"

namespace k2 {
namespace {

Result<int> lake_init(const CommandContext& context) {
  K2_TRY(const std::unique_ptr<Lake> lake, open_lake(context.config));
  K2_TRY(const std::unique_ptr<LocalLog> log, open_log(context.config));
  say(context, "the lake is ready in " + context.config.data_dir);
  return kExitOk;
}

/// The log is part of what is checked: tables without their log could not go on.
Result<int> lake_check(const CommandContext& context, const std::string& table) {
  K2_RETURN_IF_ERROR(require_data(context.config));
  K2_TRY(const LakeOptions options, lake_options(context.config));
  K2_TRY(const std::unique_ptr<Lake> lake, Lake::open(options));
  K2_TRY(const CheckReport report, lake->check(table));
  for (const CheckFinding& finding : report.findings)
    std::printf("%s: %s: %s\n", finding.table.c_str(), finding.path.c_str(), finding.what.c_str());
  std::fflush(stdout);
  K2_TRY(const std::unique_ptr<LocalLog> log, open_log(context.config));
  K2_TRY(const Offsets end, log->end_offsets());
  int64_t records = 0;
  for (const auto& [partition, offset] : end) records += offset.value;
  say(context,
      with_commas(report.tables) + (table.empty() ? " tables (those of v1, which stay empty, among them), " : " table, ") +
          with_commas(report.snapshots) + " snapshots, " + with_commas(report.files) + " files, " + with_commas(report.rows) + " rows, " +
          bytes_text(report.bytes) + "; " + with_commas(records) + " records were logged: " +
          (report.findings.empty() ? "all is well" : with_commas(static_cast<int64_t>(report.findings.size())) + " things are wrong"));
  return report.findings.empty() ? kExitOk : kExitFailure;
}

Result<int> archive(const CommandContext& context, bool until_caught_up) {
  StopSignal stop;
  K2_TRY(const std::unique_ptr<LocalLog> log, open_log(context.config));
  K2_TRY(const std::unique_ptr<Lake> lake, open_lake(context.config));
  Archive archive(*log, *log, *lake, archive_options(context.config));
  const Status done = until_caught_up ? archive.catch_up(stop.token()) : archive.run(stop.token());
  for (const ArchiveStatus::Table& table : archive.status().tables)
    say(context, table.name + ": " + with_commas(table.committed_rows) + " rows in " + with_commas(table.commits) + " commits; has " +
                     with_commas(table.committed_offset) + " of the log's " + with_commas(table.end_offset));
  if (!done) return std::unexpected(done.error());
  return kExitOk;
}

}  // namespace

void add_lake_commands(CommandLine& commands) {
  auto until_caught_up = std::make_shared<bool>(false);
  CLI::App* run =
      commands.add(commands.root(), "archive", "Move the log into the Iceberg tables",
                   {"k2 archive                          # goes on until stopped", "k2 archive --until-caught-up        # for scripts"},
                   [until_caught_up](CommandContext& context) { return archive(context, *until_caught_up); });
  run->add_flag("--until-caught-up", *until_caught_up, "end when the tables have all the log has");
  commands.add_config_flag(*run, "--commit-interval", "lake.commit_interval", "at most this long from log to table (5s)");

  CLI::App* group = commands.add_group(commands.root(), "lake", "Make or verify the Iceberg tables", {"k2 lake init", "k2 lake check"});
  commands.add(*group, "init", "Make catalog, tables and log where they are absent",
               {"k2 lake init", "k2 lake init --data-dir /var/lib/k2"}, lake_init);
  auto table = std::make_shared<std::string>();
  CLI::App* check =
      commands.add(*group, "check", "Verify metadata, files, counts and offsets; says what is wrong and where",
                   {"k2 lake check", "k2 lake check trades_v2"}, [table](CommandContext& context) { return lake_check(context, *table); });
  check->add_option("table", *table, "one table; all without it");
}

}  // namespace k2
