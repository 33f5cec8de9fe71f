#include "app/command_tree.h"

#include <CLI/CLI.hpp>
#include <sstream>

namespace k2 {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

/// "FORMAT:{table,json}" is how CLI11 spells a value with its choices; "NAME:[a,b]" is ours for one that may be others, too.
void read_value(const std::string& type, CommandOption& option) {
  option.value = value_name(type);
  option.kind = option.value.starts_with("FILE")  ? ValueKind::kFile
                : option.value.starts_with("DIR") ? ValueKind::kDirectory
                                                  : ValueKind::kAny;
  const std::string rest = type.substr(std::min(type.size(), option.value.size() + 1));
  if (!rest.starts_with('{') && !rest.starts_with('[')) return;
  option.kind = ValueKind::kChoice;
  option.is_open = rest.starts_with('[');
  option.choices = split(rest.substr(1, rest.find(option.is_open ? ']' : '}') - 1), ',');
}

CommandOption option_of(const CLI::Option& from) {
  CommandOption option;
  for (const std::string& name : from.get_snames()) option.names.push_back("-" + name);
  for (const std::string& name : from.get_lnames()) option.names.push_back("--" + name);
  if (option.names.empty()) option.names.push_back(from.get_name(true));
  option.doc = from.get_description();
  option.repeats = from.get_items_expected_max() > 1;
  option.is_required = from.get_required();
  option.is_common = from.get_group() == kCommonGroup;
  if (from.get_items_expected_max() > 0) read_value(from.get_type_name(), option);
  return option;
}

std::vector<std::string> example_lines(const std::string& footer) {
  std::vector<std::string> lines = split(footer, '\n');
  for (std::string& line : lines) line.erase(0, line.find_first_not_of(' '));
  std::erase(lines, "");
  return lines;
}

CommandNode node_of(const CLI::App& app, const std::string& before) {
  CommandNode node;
  node.name = app.get_name();
  node.words = before + node.name;
  node.summary = app.get_description();
  node.examples = example_lines(app.get_footer());
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    (option->nonpositional() ? node.flags : node.arguments).push_back(option_of(*option));
  }
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    node.commands.push_back(node_of(*command, node.words + " "));
  return node;
}

void collect(const CommandNode& node, std::vector<const CommandNode*>& all) {
  all.push_back(&node);
  for (const CommandNode& command : node.commands) collect(command, all);
}

}  // namespace

std::string value_name(const std::string& type_name) { return type_name.substr(0, std::min(type_name.find(":{"), type_name.find(":["))); }

std::string type_offering(const std::string& name, const std::vector<std::string>& values) {
  std::string list;
  for (const std::string& value : values) list += (list.empty() ? "" : ",") + value;
  return name + ":[" + list + "]";
}

CommandNode command_tree(const CLI::App& root) { return node_of(root, ""); }

std::vector<const CommandNode*> all_commands(const CommandNode& node) {
  std::vector<const CommandNode*> all;
  collect(node, all);
  return all;
}

}  // namespace k2
