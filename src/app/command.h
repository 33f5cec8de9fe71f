// Commands: how a command of k2 is declared, and what it gets when it runs.
//
// Each cli_*.cc declares its commands in one add_*() function and names what runs them. Everything common is here: --data-dir, --config,
// --quiet, --verbose, --no-color, -o, help that starts with examples, configuration by precedence, exit codes.
// Thread rule: main thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "base/result.h"

namespace CLI {
class App;
}

namespace k2 {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitPartial = 3;  // done, but some input was refused

/// What every command gets.
struct CommandContext {
  Config config;
  std::string output;    // -o as given; empty: by where standard output goes
  bool quiet = false;    // no progress, no summaries; errors only
  bool verbose = false;
  bool no_color = false;  // --no-color, NO_COLOR or TERM=dumb
  bool dry_run = false;
};

/// Returns the exit code. An error becomes its message on standard error and exit code 1.
using RunCommand = std::function<Result<int>(CommandContext&)>;

/// Prints "k2: <message>" on standard error; returns kExitUsage.
[[nodiscard]] int usage_error(std::string_view message);

/// What ends a command whose flags or arguments could not be used as given: InvalidInput and NotFound are the caller's mistake, shown here and
/// kExitUsage; any other error is passed on.
[[nodiscard]] Result<int> usage_or_failure(const Error& error);

class CommandLine {
 public:
  CommandLine();
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// Parses, loads the configuration, runs; returns the exit code.
  [[nodiscard]] int run(int argc, char** argv);

  [[nodiscard]] CLI::App& root();

  /// A command that can be run: `parent`'s subcommand with the common options. `examples` are whole lines, "k2 load asx ...".
  CLI::App* add(CLI::App& parent, std::string_view name, std::string_view summary, std::vector<std::string> examples, RunCommand run);
  /// A word that only groups commands: k2 load, k2 query.
  CLI::App* add_group(CLI::App& parent, std::string_view name, std::string_view summary, std::vector<std::string> examples);
  /// `command` runs with the default configuration: no file and no environment can break it.
  void without_config(CLI::App& command);
  /// -o, for commands whose output is rows.
  void add_output(CLI::App& command);
  /// A flag that sets a configuration key.
  void add_config_flag(CLI::App& command, const std::string& flag, std::string_view key, std::string_view doc);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Declared by their files, in the order of the help.
void add_demo_command(CommandLine& commands);
void add_up_commands(CommandLine& commands);
void add_load_commands(CommandLine& commands);
void add_watch_command(CommandLine& commands);
void add_query_commands(CommandLine& commands);
void add_gaps_command(CommandLine& commands);  // by add_query_commands()
void add_sim_command(CommandLine& commands);
void add_lake_commands(CommandLine& commands);
void add_config_commands(CommandLine& commands);
void add_shell_commands(CommandLine& commands);

}  // namespace k2
