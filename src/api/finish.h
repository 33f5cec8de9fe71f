// finish_reply(): what every answer gets before it goes out, whatever its route: content coding, CORS, trace context.
//
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/encoding.h"
#include "net/http_server.h"

namespace k2 {

/// Adds to `reply`: Content-Encoding where the client takes one, Access-Control-* where the request's Origin is one of `cors_origins` ("*": any),
/// traceparent as the request had it (W3C Trace Context), Vary.
[[nodiscard]] HttpReply finish_reply(const HttpRequest& request, const std::vector<std::string>& cors_origins, HttpReply reply);

/// The answer to a CORS preflight (Fetch Standard, "CORS-preflight request") from one of those origins; nullopt: it is none.
/// `allow` lists the methods of the path.
[[nodiscard]] std::optional<HttpResponse> preflight_reply(const HttpRequest& request, const std::vector<std::string>& cors_origins,
                                                          std::string_view allow);

/// Version 00 of W3C Trace Context: "00-" 32 "-" 16 "-" 2 lowercase hexadecimal digits.
[[nodiscard]] bool is_traceparent(std::string_view text);

}  // namespace k2
