// The manual page k2(1), made from the command tree and the table of settings, in roff with the man(7) macros.
// Thread rule: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "app/config.h"

namespace k2 {

struct CommandNode;

[[nodiscard]] std::string man_page(const CommandNode& root, std::span<const ConfigKey> keys, std::string_view version);

}  // namespace k2
