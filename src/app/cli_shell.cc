// k2 completion, k2 man.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/command.h"
#include "app/command_tree.h"
#include "app/completion.h"
#include "app/man_page.h"
#include "app/version.h"

namespace k2 {
namespace {

struct Shell {
  const char* name;
  std::string (*completion)(const CommandNode& root);
};

constexpr Shell kShells[] = {{"bash", bash_completion}, {"zsh", zsh_completion}, {"fish", fish_completion}};

Result<int> print_completion(const CommandNode& root, const std::string& name) {
  for (const Shell& shell : kShells)
    if (name == shell.name) std::fputs(shell.completion(root).c_str(), stdout);
  return kExitOk;
}

}  // namespace

void add_shell_commands(CommandLine& commands) {
  auto shell = std::make_shared<std::string>();
  CLI::App* completion =
      commands.add(commands.root(), "completion", "Print a script that completes k2's commands in your shell",
                   {"source <(k2 completion bash)                                # in this shell; in ~/.bashrc for all",
                    "k2 completion zsh > ~/.zfunc/_k2                            # a directory of zsh's fpath",
                    "k2 completion fish > ~/.config/fish/completions/k2.fish"},
                   [&commands, shell](CommandContext&) { return print_completion(command_tree(commands.root()), *shell); });
  commands.without_config(*completion);
  completion->add_option("shell", *shell, "which one")->required()->type_name("SHELL")->check(CLI::IsMember({"bash", "zsh", "fish"}));

  CLI::App* man = commands.add(commands.root(), "man", "Print the manual page",
                               {"k2 man | man -l -                   # read it", "k2 man > /usr/local/share/man/man1/k2.1"},
                               [&commands](CommandContext&) -> Result<int> {
                                 std::fputs(man_page(command_tree(commands.root()), config_keys(), version_number()).c_str(), stdout);
                                 return kExitOk;
                               });
  commands.without_config(*man);
}

}  // namespace k2
