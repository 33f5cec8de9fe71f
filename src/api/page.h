// The pages: web/index.html (live) and web/docs.html (the API, out of /openapi.json), whole, inside the binary. They need nothing from anywhere else.
//
// Thread rule: constants.
#pragma once

#include <string_view>

namespace k2 {

[[nodiscard]] std::string_view live_page();
[[nodiscard]] std::string_view docs_page();

/// What a page may do, as a Content-Security-Policy: its own inline style and script, and requests to where it came from.
inline constexpr std::string_view kPagePolicy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "frame-ancestors 'none'";

}  // namespace k2
