// CommandNode: the commands of k2 as plain values, read from the tree that parses the command line. The shell completions and the manual
// are made from it, so neither can say what the program does not do.
// Thread rule: values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace k2 {

enum class ValueKind { kNone, kAny, kFile, kDirectory, kChoice };

/// A flag, or an argument that has its place.
struct CommandOption {
  std::vector<std::string> names;  // "-o", "--output"; an argument's single name is without dashes: "files"
  std::string value;               // what help calls the value: "FORMAT", "FILE ..."; empty for a flag without one
  std::string doc;
  ValueKind kind = ValueKind::kNone;
  std::vector<std::string> choices;  // of kChoice
  bool is_open = false;              // of kChoice: other values are allowed, too
  bool repeats = false;              // takes several values
  bool is_required = false;
  bool is_common = false;  // every command has it
};

struct CommandNode {
  std::string name;                   // "trades"
  std::string words;                  // "k2 query trades"
  std::string summary;                // one line; of the root two
  std::vector<std::string> examples;  // whole lines
  std::vector<CommandOption> flags;
  std::vector<CommandOption> arguments;
  std::vector<CommandNode> commands;  // in the order of the help
};

/// Everything that `root` parses.
[[nodiscard]] CommandNode command_tree(const CLI::App& root);

/// `node` and all below it, parents before children.
[[nodiscard]] std::vector<const CommandNode*> all_commands(const CommandNode& node);
std::vector<const CommandNode*> all_commands(CommandNode&&) = delete;  // the answer points into the node

/// What help calls a value, of what CLI11 has as the type's name: "FORMAT" of "FORMAT:{table,json}".
[[nodiscard]] std::string value_name(const std::string& type_name);

/// The name of a type with values that completions offer while any other is allowed: "NAME:[asx,binance]".
[[nodiscard]] std::string type_offering(const std::string& name, const std::vector<std::string>& values);

/// The group of the options that every command has.
inline constexpr const char* kCommonGroup = "Common options";

}  // namespace k2
