#include "app/completion.h"

#include <algorithm>

#include "app/command_tree.h"

namespace k2 {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

std::string names_of(const std::vector<CommandNode>& commands) {
  std::string out;
  for (const CommandNode& command : commands) out += (out.empty() ? "" : " ") + command.name;
  return out;
}

/// `text` with a backslash before each of `special`.
std::string escaped(const std::string& text, std::string_view special) {
  std::string out;
  for (const char c : text) {
    if (special.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

/// In single quotes, as bash and zsh read them.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string header(std::string_view shell) {
  return "# Completion of k2 for " + std::string(shell) + ": what `k2 completion " + std::string(shell) +
         "` printed. It is made from the program's own commands.\n";
}

// --- bash ----------------------------------------------------------------------------------------------------------------------------

/// How the script spells what can be offered for a value: "files", "dirs", "any", "words A B"; with a "+" before it where several may follow.
std::string bash_kind(const CommandOption& option) {
  const std::string several = option.repeats ? "+" : "";
  switch (option.kind) {
    case ValueKind::kNone: return "";
    case ValueKind::kAny: return several + "any";
    case ValueKind::kFile: return several + "files";
    case ValueKind::kDirectory: return several + "dirs";
    case ValueKind::kChoice: return several + "words " + joined(option.choices);
  }
  return "";
}

std::string bash_case(const std::string& pattern, const std::string& answer) {
  return "    " + pattern + ") echo " + quoted(answer) + " ;;\n";
}

std::string bash_function(const std::string& name, const std::string& what, const std::string& cases) {
  return name + "() {  # " + what + "\n  case $1 in\n" + cases + "  esac\n}\n\n";
}

constexpr const char* kBashBody = R"sh(_k2_offer() {  # kind, word begun
  case ${1#+} in
    files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
    dirs) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$2") ;;
    words\ *) mapfile -t COMPREPLY < <(compgen -W "${1#*words }" -- "$2") ;;
  esac
}

_k2() {
  local cur=${COMP_WORDS[COMP_CWORD]} command=k2 kind='' values=0 word i commands
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $word == = && -n $kind ]]; then
      continue  # bash breaks --flag=value at the sign
    elif [[ -n $kind ]] && { ((values == 0)) || [[ $kind == +* && $word != -* ]]; }; then
      values=$((values + 1))
    elif [[ $word == -* ]]; then
      kind=$(_k2_value "$command $word") values=0
    else
      kind=''
      [[ " $(_k2_commands "$command") " == *" $word "* ]] && command+=" $word"
    fi
  done
  [[ $cur == = && -n $kind ]] && cur=''
  commands=$(_k2_commands "$command")
  if [[ -n $kind ]] && { ((values == 0)) || [[ $kind == +* && $cur != -* ]]; }; then
    _k2_offer "$kind" "$cur"
  elif [[ $cur == -* ]]; then
    _k2_offer "words $(_k2_flags "$command")" "$cur"
  elif [[ -n $commands ]]; then
    _k2_offer "words $commands" "$cur"
  else
    _k2_offer "$(_k2_argument "$command")" "$cur"
  fi
}

complete -F _k2 k2
)sh";

// --- zsh -----------------------------------------------------------------------------------------------------------------------------

std::string zsh_text(const std::string& text) { return escaped(text, "[]:\\"); }

/// The end of a specification for _arguments: ":name:what to offer".
std::string zsh_value(const CommandOption& option) {
  const std::string name = ":" + zsh_text(option.value.empty() ? option.names.front() : option.value) + ":";
  switch (option.kind) {
    case ValueKind::kNone: return "";
    case ValueKind::kAny: return name + " ";
    case ValueKind::kFile: return name + "_files";
    case ValueKind::kDirectory: return name + "_files -/";
    case ValueKind::kChoice: return name + "(" + joined(option.choices) + ")";
  }
  return "";
}

std::string zsh_flag(const CommandOption& flag) {
  std::string out;
  for (const std::string& name : flag.names) {
    const char* joint = flag.kind == ValueKind::kNone ? "" : name.starts_with("--") ? "=" : "+";
    out += "    " + quoted((flag.repeats ? "*" : "") + name + joint + "[" + zsh_text(flag.doc) + "]" + zsh_value(flag)) + " \\\n";
  }
  return out;
}

std::string zsh_argument(const CommandOption& argument) {
  return "    " + quoted((argument.repeats ? "*" : "") + zsh_value(argument)) + " \\\n";
}

std::string zsh_function_name(const CommandNode& node) {
  std::string name = "_" + node.words;
  std::ranges::replace(name, ' ', '_');
  return name;
}

std::string zsh_function(const CommandNode& node) {
  std::string out = zsh_function_name(node) + "() {\n  local line state ret=1\n  _arguments -C \\\n";
  for (const CommandOption& flag : node.flags) out += zsh_flag(flag);
  for (const CommandOption& argument : node.arguments) out += zsh_argument(argument);
  if (node.commands.empty()) return out + "    && ret=0\n  return ret\n}\n\n";
  out += "    ': :->command' '*::: :->rest' && ret=0\n  case $state in\n    command)\n      local -a commands=(\n";
  for (const CommandNode& command : node.commands) out += "        " + quoted(command.name + ":" + command.summary) + "\n";
  out += "      )\n      _describe -t commands command commands && ret=0\n      ;;\n    rest)\n";
  out += "      words=($line[1] \"${words[@]}\")\n      (( CURRENT += 1 ))\n      case $line[1] in\n";
  for (const CommandNode& command : node.commands) out += "        " + command.name + ") " + zsh_function_name(command) + " && ret=0 ;;\n";
  return out + "      esac\n      ;;\n  esac\n  return ret\n}\n\n";
}

// --- fish ----------------------------------------------------------------------------------------------------------------------------

/// In single quotes, as fish reads them.
std::string fish_quoted(const std::string& text) { return "'" + escaped(text, "\\'") + "'"; }

std::string fish_value(const CommandOption& option) {
  switch (option.kind) {
    case ValueKind::kNone: return "";
    case ValueKind::kAny: return " -x";
    case ValueKind::kFile: return " -r -F";
    case ValueKind::kDirectory: return " -x -a '(__fish_complete_directories)'";
    case ValueKind::kChoice: return " -x -a " + fish_quoted(joined(option.choices));
  }
  return "";
}

std::string fish_line(const CommandNode& node) { return "complete -c k2 -n 'test (__k2_command) = \"" + node.words + "\"'"; }

std::string fish_flag(const CommandNode& node, const CommandOption& flag) {
  std::string names;
  for (const std::string& name : flag.names) names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  return fish_line(node) + names + fish_value(flag) + " -d " + fish_quoted(flag.doc) + "\n";
}

std::string fish_argument(const CommandNode& node, const CommandOption& argument) {
  if (argument.kind == ValueKind::kFile) return fish_line(node) + " -F\n";
  if (argument.kind == ValueKind::kChoice) return fish_line(node) + " -a " + fish_quoted(joined(argument.choices)) + "\n";
  return "";
}

constexpr const char* kFishBody = R"sh(
function __k2_command  # the commands on the line, without flags and values: "k2 query trades"
    set -l command k2
    for word in (commandline -opc)[2..-1]
        contains -- "$command $word" $__k2_commands; and set command "$command $word"
    end
    echo $command
end

complete -c k2 -f
)sh";

}  // namespace

std::string bash_completion(const CommandNode& root) {
  std::string commands, flags, values, arguments;
  for (const CommandNode* node : all_commands(root)) {
    const std::string words = quoted(node->words);
    if (!node->commands.empty()) commands += bash_case(words, names_of(node->commands));
    std::string names;
    for (const CommandOption& flag : node->flags) {
      names += (names.empty() ? "" : " ") + joined(flag.names);
      std::string patterns;
      for (const std::string& name : flag.names) patterns += (patterns.empty() ? "" : " | ") + quoted(node->words + " " + name);
      if (flag.kind != ValueKind::kNone) values += bash_case(patterns, bash_kind(flag));
    }
    flags += bash_case(words, names);
    if (!node->arguments.empty()) arguments += bash_case(words, bash_kind(node->arguments.front()));
  }
  return header("bash") + "\n" + bash_function("_k2_commands", "what can follow these commands", commands) +
         bash_function("_k2_flags", "the flags of this command", flags) +
         bash_function("_k2_value", "what the value of this command's flag is; nothing where it takes none", values) +
         bash_function("_k2_argument", "what this command's arguments are", arguments) + kBashBody;
}

std::string zsh_completion(const CommandNode& root) {
  std::string out = "#compdef k2\n" + header("zsh") + "\n";
  for (const CommandNode* node : all_commands(root)) out += zsh_function(*node);
  // Read by autoload, the file is the function's body at first; sourced, it registers itself.
  return out + "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n  _k2 \"$@\"\nelse\n  compdef _k2 k2\nfi\n";
}

std::string fish_completion(const CommandNode& root) {
  std::string commands, lines;
  for (const CommandNode* node : all_commands(root)) {
    for (const CommandNode& command : node->commands) {
      commands += " " + fish_quoted(command.words);
      lines += fish_line(*node) + " -a " + command.name + " -d " + fish_quoted(command.summary) + "\n";
    }
    for (const CommandOption& flag : node->flags) lines += fish_flag(*node, flag);
    for (const CommandOption& argument : node->arguments) lines += fish_argument(*node, argument);
  }
  return header("fish") + "\nset -g __k2_commands" + commands + "\n" + kFishBody + lines;
}

}  // namespace k2
