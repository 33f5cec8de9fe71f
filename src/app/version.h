// What this binary is: version, source revision, build, libraries. Thread rule: pure functions.
#pragma once

#include <string>

namespace k2 {

/// "0.1.0".
[[nodiscard]] std::string version_number();
/// The source revision it was built from; "unknown" outside a git checkout.
[[nodiscard]] std::string git_revision();
/// "optimized", "debug", with the sanitizer where there is one.
[[nodiscard]] std::string build_kind();
/// Two lines: version, revision, build and compiler; the libraries in use at run time.
[[nodiscard]] std::string version_text();

}  // namespace k2
