// Problems: what an HTTP client gets instead of an answer, as RFC 9457's application/problem+json.
//
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http_server.h"

namespace k2 {

/// {"type":"about:blank","title":...,"status":...,"detail":...,"instance":<path>,"request_id":...}; with `parameter`, also
/// "errors":[{"parameter":...,"detail":...}].
[[nodiscard]] HttpResponse problem(const HttpRequest& request, int status, std::string_view detail, std::string_view parameter = {});

/// The status an error kind is answered with; NotFound is 410: what a read token speaks of is gone.
[[nodiscard]] int http_status_of(ErrorKind kind);
[[nodiscard]] HttpResponse problem_of(const HttpRequest& request, const Error& error);

}  // namespace k2
