// Shell completion of k2: scripts made from the command tree, so that they know each command, flag, file argument and list of values.
// The scripts need nothing beside the shell (bash 4, zsh 5, fish 3).
// Thread rule: pure functions.
#pragma once

#include <string>

namespace k2 {

struct CommandNode;

[[nodiscard]] std::string bash_completion(const CommandNode& root);
[[nodiscard]] std::string zsh_completion(const CommandNode& root);
[[nodiscard]] std::string fish_completion(const CommandNode& root);

}  // namespace k2
