// What this binary is: version, source revision, build, libraries. Thread rule: pure functions.
#pragma once

#include <string>

namespace k2 {

inline constexpr const char* kVersion = "0.1.0";

/// "0.1.0 (1a2b3c4, RelWithDebInfo, GCC 12.2.0)" and a line of library versions.
[[nodiscard]] std::string version_text();
/// The source revision it was built from; "unknown" outside a git checkout.
[[nodiscard]] std::string git_revision();

}  // namespace k2
