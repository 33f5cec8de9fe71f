#include "app/man_page.h"

#include <algorithm>

#include "app/command_tree.h"

namespace k2 {
namespace {

/// Text as roff prints it: a dash that can be copied, no escape, no line that looks like a request.
std::string roff(std::string_view text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    line_begins = c == '\n';
    if (c == '\\') out += "\\e";
    else if (c == '-') out += "\\-";
    else out += c;
  }
  return out;
}

std::string bold(std::string_view text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + roff(text) + "\\fR"; }

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += between;
    out += word;
  }
  return out;
}

std::string option_entry(const CommandOption& option, bool is_flag) {
  std::string tag;
  for (const std::string& name : option.names) tag += (tag.empty() ? "" : ", ") + (is_flag ? bold(name) : italic(name));
  if (is_flag && !option.value.empty()) tag += " " + italic(option.value);
  std::string text = option.doc;
  if (!option.choices.empty())
    text += (text.empty() ? "" : "; ") + std::string(option.is_open ? "such as " : "one of ") + joined(option.choices, ", ");
  if (option.is_required) text += " (required)";
  return ".TP\n" + tag + "\n" + roff(text) + "\n";
}

std::string synopsis(const CommandNode& node) {
  std::string out = bold(node.words);
  if (std::ranges::any_of(node.flags, [](const CommandOption& flag) { return !flag.is_common; })) out += " [" + italic("flags") + "]";
  for (const CommandOption& argument : node.arguments) {
    const std::string name = italic(argument.names.front()) + (argument.repeats ? " ..." : "");
    out += argument.is_required ? " " + name : " [" + name + "]";
  }
  return out + "\n";
}

std::string examples_of(const CommandNode& node) {
  if (node.examples.empty()) return "";
  std::string out = ".PP\n.EX\n";
  for (const std::string& example : node.examples) out += roff(example) + "\n";
  return out + ".EE\n";
}

std::string command_section(const CommandNode& node) {
  std::string out =
      ".SS " + roff("\"" + node.words + "\"") + "\n" + synopsis(node) + ".PP\n" + roff(node.summary) + ".\n" + examples_of(node);
  for (const CommandOption& argument : node.arguments) out += option_entry(argument, false);
  for (const CommandOption& flag : node.flags)
    if (!flag.is_common) out += option_entry(flag, true);
  return out;
}

/// Those of the first command that has them: they are the same everywhere.
std::string common_options(const CommandNode& root) {
  std::string out;
  for (const CommandNode* node : all_commands(root)) {
    for (const CommandOption& flag : node->flags)
      if (flag.is_common) out += option_entry(flag, true);
    if (!out.empty()) break;
  }
  return out;
}

std::string settings(std::span<const ConfigKey> keys) {
  const Config defaults;
  std::string out;
  for (const ConfigKey& key : keys) {
    const std::string value = joined(key.get(defaults), ",");
    out += ".TP\n" + bold(key.name) + ", " + bold(key.environment_name()) + "\n" + roff(key.doc) +
           (value.empty() ? "" : roff(" (" + value + ")")) + "\n";
  }
  return out;
}

constexpr const char* kExitStatus =
    ".TP\n.B 0\ndone; also where a question has no rows for an answer\n"
    ".TP\n.B 1\nit failed; standard error says what was tried\n"
    ".TP\n.B 2\nthe command line or the configuration cannot be used as it is; nothing was done\n"
    ".TP\n.B 3\ndone, but not all is there: part of the input was refused and is kept as dead letters (\n.BR \"k2 load\" ),\n"
    "gaps are known (\n.BR \"k2 gaps\" ,\n.BR \"k2 query trades \\-\\-complete\" )\n";

constexpr const char* kFiles =
    ".TP\n.I ./k2.toml, ~/.config/k2/k2.toml, /etc/k2/k2.toml\nsettings; of each key the nearest file wins\n"
    ".TP\n.I ./k2\\-data\nthe data directory: log.db, catalog.db and warehouse/\n";

}  // namespace

std::string man_page(const CommandNode& root, std::span<const ConfigKey> keys, std::string_view version) {
  std::string out =
      ".\\\" Made by `k2 man` from the program's own commands.\n.TH K2 1 \"\" \"k2 " + std::string(version) + "\" \"User Commands\"\n";
  out += ".SH NAME\nk2 \\- a market\\-data lakehouse in one program\n";
  out += ".SH SYNOPSIS\n.B k2\n.I command\n.RI [ arguments ]\n.br\n.B k2\n.I command\n.B \\-\\-help\n";
  out += ".SH DESCRIPTION\n" + roff(root.summary) + "\n";
  out += ".PP\nData goes to standard output, talk to standard error. Dates and times are UTC, unless they have an offset\n";
  out += "(2014\\-03\\-10T09:30+11:00) or\n.B \\-\\-tz\nsays whose they are.\n";
  out += examples_of(root);
  out += ".SH COMMANDS\n";
  for (const CommandNode* node : all_commands(root))
    if (node->commands.empty()) out += command_section(*node);
  out += ".SH COMMON OPTIONS\nEvery command has these.\n" + common_options(root);
  out +=
      ".SH ENVIRONMENT\nSettings, strongest first: flag, environment, file, default. Each as in a file and in the environment, with its "
      "default.\n";
  out += "Lists are comma\\-separated in the environment; durations are a number and a unit (ms, s, m, h).\n" + settings(keys);
  out += ".TP\n.B NO_COLOR\nno colours, whatever its value\n";
  return out + ".SH FILES\n" + kFiles + ".SH EXIT STATUS\n" + kExitStatus;
}

}  // namespace k2
