// base64url: bytes as letters that need no escape in a URL or a header (RFC 4648, section 5), without padding.
//
// Thread rule: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace k2 {

[[nodiscard]] std::string to_base64url(std::string_view bytes);

/// nullopt for other letters. Bits left over at the end are not looked at: whoever needs one text per value writes it again and compares.
[[nodiscard]] std::optional<std::string> from_base64url(std::string_view text);

}  // namespace k2
