// The live page: web/index.html, whole, inside the binary. It needs nothing else, from here or from anywhere.
//
// Thread rule: a constant.
#pragma once

#include <string_view>

namespace k2 {

[[nodiscard]] std::string_view live_page();

/// What the page may do, as a Content-Security-Policy: its own inline style and script, and requests to where it came from.
inline constexpr std::string_view kPagePolicy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "frame-ancestors 'none'";

}  // namespace k2
