// The OpenAPI 3.1 document of the routes, made from their table (api/routes.h).
//
// Thread rule: pure functions.
#pragma once

#include <span>
#include <string>

#include "api/routes.h"

namespace k2 {

/// The document as JSON, one line. HEAD is not listed: it answers wherever GET does.
[[nodiscard]] std::string openapi_json(std::span<const Route> routes, std::string_view version);

}  // namespace k2
