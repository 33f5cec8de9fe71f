#include "app/command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "app/command_tree.h"
#include "app/output.h"
#include "app/version.h"
#include "base/logging.h"

namespace k2 {
namespace {

constexpr const char* kRootSummary =
    "k2, a market-data lakehouse: trades and quotes from an exchange or a file into a durable log and open Iceberg\n"
    "tables, and back through SQL, REST, a terminal and a web page; each one exactly once.";

constexpr const char* kRootExamples =
    "  k2 demo                                            look at the whole thing, live or simulated\n"
    "  k2 load asx --reference company_info.csv --trades 7078.csv    files into the log; a second time adds nothing\n"
    "  k2 up                                              record BTCUSDT and ETHUSDT, serve http://127.0.0.1:8080\n"
    "  k2 archive --until-caught-up                       the log into the Iceberg tables\n"
    "  k2 query trades BHP --start 2014-03-10 --limit 5   rows, newest tick included\n"
    "  k2 sql \"SELECT symbol, count(*) FROM trades GROUP BY symbol\"\n"
    "  k2 config show --origin                            every setting and where it came from\n";

constexpr const char* kRootNotes =
    "Settings: flag > K2_<SECTION>_<KEY> > ./k2.toml > ~/.config/k2/k2.toml > /etc/k2/k2.toml > default.\n"
    "Data goes to standard output, talk to standard error. Exit codes: 0 ok, 1 failure, 2 usage, 3 partial data.\n"
    "Dates and times are UTC, unless they have an offset (2014-03-10T09:30+11:00) or --tz says whose they are.\n"
    "Help on a command: k2 <command> --help\n";

bool wants_no_color() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return (no_color != nullptr && *no_color != '\0') || (term != nullptr && std::string_view(term) == "dumb");
}

/// Summary, examples, then the rest: examples are what readers look for. A command's footer holds its examples.
class ExamplesFirst final : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    if (mode == CLI::AppFormatMode::Sub) return make_expanded(app);
    std::string out = app->get_description() + "\n\n";
    if (!app->get_footer().empty()) out += "Examples:\n" + app->get_footer() + "\n";
    out += make_usage(app, std::move(name)) + make_positionals(app) + options_of(app) + make_subcommands(app, mode);
    if (app->get_parent() == nullptr) out += std::string("\n") + kRootNotes;
    return out;
  }

  /// What the value is called, without the choices that completions are made from: the description names them.
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_type_size() == 0) return "";
    std::string text = value_name(option->get_type_name());
    if (!text.empty()) text.insert(0, 1, ' ');
    if (option->get_items_expected_max() > 1 && !text.ends_with("...")) text += " ...";
    return option->get_required() ? text + " REQUIRED" : text;
  }

  std::string make_option_desc(const CLI::Option* option) const override {
    std::string preset = option->get_default_str();
    if (preset.starts_with('[') && preset.ends_with(']')) preset = preset.substr(1, preset.size() - 2);  // CLI11's way of a list
    return option->get_description() + (preset.empty() ? "" : " (" + preset + ")");
  }

 private:
  /// The command's own options, then those that every command has.
  [[nodiscard]] std::string options_of(const CLI::App* app) const {
    std::string common;
    std::string own;
    for (const std::string& group : app->get_groups()) {
      const auto options =
          app->get_options([&](const CLI::Option* option) { return option->get_group() == group && option->nonpositional(); });
      if (!group.empty() && !options.empty()) (group == kCommonGroup ? common : own) += make_group(group, false, options);
    }
    return own + common;
  }
};

std::string example_lines(const std::vector<std::string>& examples) {
  std::string lines;
  for (const std::string& example : examples) lines += "  " + example + "\n";
  return lines;
}

std::string did_you_mean(const std::string& near) { return near.empty() ? "" : "; did you mean \"" + near + "\"?"; }

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::vector<std::string> names_of(const std::vector<const CLI::App*>& commands) {
  std::vector<std::string> names;
  for (const CLI::App* command : commands) names.push_back(command->get_name());
  return names;
}

bool some_command_has(const CLI::App& app, const std::string& flag) {
  return app.get_option_no_throw(flag) != nullptr ||
         std::ranges::any_of(commands_of(app), [&](const CLI::App* command) { return some_command_has(*command, flag); });
}

std::string unknown_flag(const CLI::App& app, const std::string& words, const std::string& given) {
  const std::string flag = given.substr(0, given.find('='));
  if (!commands_of(app).empty() && some_command_has(app, flag)) return flag + " stands after the command: " + words + " COMMAND " + flag;
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  const std::string near = nearest_name(flag, known);
  return words + " has no flag " + flag + (near.empty() ? " (" + words + " --help lists them)" : did_you_mean(near));
}

std::string unknown_word(const CLI::App& app, const std::string& words, const std::string& given) {
  const std::vector<std::string> known = names_of(commands_of(app));
  if (known.empty()) return words + " has no use for \"" + given + "\"";
  return "\"" + given + "\" is no command of " + words + did_you_mean(nearest_name(given, known));
}

std::string missing_command(const CLI::App& app, const std::string& words) {
  std::string known;
  for (const std::string& name : names_of(commands_of(app))) known += (known.empty() ? "" : ", ") + name;
  return words + " needs a command: " + known + " (" + words + " --help says more)";
}

/// Why the command line cannot be understood: the word or flag that nobody knows, with the nearest that is known, before anything else.
std::string complaint(const CLI::App& root, const CLI::ParseError& error) {
  const CLI::App* app = &root;
  std::string words = root.get_name();
  while (!app->get_subcommands().empty()) {
    app = app->get_subcommands().front();
    words += " " + app->get_name();
  }
  for (const std::string& left : root.remaining(true))
    if (left != "--") return left.starts_with('-') ? unknown_flag(*app, words, left) : unknown_word(*app, words, left);
  if (!commands_of(*app).empty()) return missing_command(*app, words);
  const std::string why = error.what();
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr && why.ends_with("missing"))
    return why.substr(0, why.find(':')) + " wants a value (" + words + " --help)";
  return why + " (" + words + " --help)";
}

}  // namespace

struct CommandLine::Impl {
  CLI::App app{kRootSummary, "k2"};
  CommandContext context;
  std::string data_dir;
  std::string config_file;
  std::vector<std::pair<std::string, std::unique_ptr<std::vector<std::string>>>> config_flags;  // key, texts given
  std::set<const CLI::App*> without_config;
  RunCommand chosen;
  bool needs_config = true;

  Result<Config> load() {
    ConfigFlags flags;
    if (!data_dir.empty()) flags.push_back({"data_dir", {data_dir}});
    for (const auto& [key, texts] : config_flags)
      if (!texts->empty()) flags.push_back({key, *texts});
    return load_config(ConfigPlaces::of_process(config_file.empty() ? std::nullopt : std::optional(config_file)), flags);
  }
};

int usage_error(std::string_view message) {
  std::fprintf(stderr, "k2: %.*s\n", static_cast<int>(message.size()), message.data());
  return kExitUsage;
}

Result<int> usage_or_failure(const Error& error) {
  if (error.kind == ErrorKind::kInvalidInput || error.kind == ErrorKind::kNotFound) return usage_error(error.message);
  return std::unexpected(error);
}

CommandLine::CommandLine() : impl_(std::make_unique<Impl>()) {
  CLI::App& app = impl_->app;
  app.formatter(std::make_shared<ExamplesFirst>());
  app.get_formatter()->column_width(34);
  app.footer(kRootExamples);
  app.require_subcommand(1);
  app.set_version_flag("--version,-V", version_text());
  for (const auto add : {add_demo_command, add_up_commands, add_load_commands, add_watch_command, add_query_commands, add_sim_command,
                         add_lake_commands, add_config_commands, add_shell_commands})
    add(*this);
}

CommandLine::~CommandLine() = default;

CLI::App& CommandLine::root() { return impl_->app; }

CLI::App* CommandLine::add(CLI::App& parent, std::string_view name, std::string_view summary, std::vector<std::string> examples,
                           RunCommand run) {
  CLI::App* command = parent.add_subcommand(std::string(name), std::string(summary));
  command->footer(example_lines(examples));
  command->set_help_flag("-h,--help", "show this")->group(kCommonGroup);
  command->add_option("--data-dir", impl_->data_dir, "where log, catalog and tables are (./k2-data)")
      ->type_name("DIR")
      ->group(kCommonGroup);
  command->add_option("--config", impl_->config_file, "configuration file, instead of the usual ones")
      ->type_name("FILE")
      ->group(kCommonGroup);
  command->add_flag("-q,--quiet", impl_->context.quiet, "errors only")->group(kCommonGroup);
  command->add_flag("-v,--verbose", impl_->context.verbose, "say more")->group(kCommonGroup);
  command->add_flag("--no-color", impl_->context.no_color, "no colours (also NO_COLOR)")->group(kCommonGroup);
  command->callback([this, command, run = std::move(run)] {
    impl_->chosen = run;
    impl_->needs_config = !impl_->without_config.contains(command);
  });
  return command;
}

CLI::App* CommandLine::add_group(CLI::App& parent, std::string_view name, std::string_view summary, std::vector<std::string> examples) {
  CLI::App* group = parent.add_subcommand(std::string(name), std::string(summary));
  group->footer(example_lines(examples));
  group->require_subcommand(1);
  return group;
}

void CommandLine::without_config(CLI::App& command) { impl_->without_config.insert(&command); }

void CommandLine::add_output(CLI::App& command) {
  command.add_option("-o,--output", impl_->context.output, "table, json, ndjson, csv, parquet or arrow (table on a terminal, else ndjson)")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json", "ndjson", "csv", "parquet", "arrow"}));
}

void CommandLine::add_config_flag(CLI::App& command, const std::string& flag, std::string_view key, std::string_view doc) {
  auto& [name, texts] = impl_->config_flags.emplace_back(std::string(key), std::make_unique<std::vector<std::string>>());
  command.add_option(flag, *texts, std::string(doc))->type_name(key.ends_with("_file") ? "FILE" : "VALUE");
}

int CommandLine::run(int argc, char** argv) {
  try {
    impl_->app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) return usage_error(complaint(impl_->app, error));
    static_cast<void>(impl_->app.exit(error));  // help or version
    return kExitOk;
  }
  if (impl_->needs_config) {
    auto config = impl_->load();
    if (!config) return usage_error(config.error().message);
    impl_->context.config = *std::move(config);
  }
  impl_->context.no_color |= wants_no_color();
  if (const Status fits = check_output(impl_->context); !fits) return usage_error(fits.error().message);
  set_log_level(impl_->context.quiet ? LogLevel::kError : impl_->context.verbose ? LogLevel::kDebug : LogLevel::kInfo);
  const Result<int> code = impl_->chosen(impl_->context);
  if (code) return *code;
  std::fprintf(stderr, "k2: %s\n", code.error().message.c_str());
  return kExitFailure;
}

}  // namespace k2
