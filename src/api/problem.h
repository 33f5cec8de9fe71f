// Problems: what an HTTP client gets instead of an answer, as RFC 9457's application/problem+json.
//
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "api/params.h"
#include "base/result.h"
#include "net/http_server.h"

namespace k2 {

/// Where the path was not read, there is no "instance".
/// {"type":"about:blank","title":...,"status":...,"detail":...,"instance":<path>,"request_id":...}; with `parameter`, also
/// "errors":[{"parameter":...,"detail":...}].
[[nodiscard]] HttpResponse problem(const HttpRequest& request, int status, std::string_view detail, std::string_view parameter = {});

/// 422 for a member of the body: "errors":[{"pointer":"#/limit","detail":...}] (RFC 9457, section 3; RFC 6901, section 6).
[[nodiscard]] HttpResponse problem_of_member(const HttpRequest& request, const ParamError& error);

/// The status an error kind is answered with; NotFound is 410: what a read token speaks of is gone.
[[nodiscard]] int http_status_of(ErrorKind kind);
[[nodiscard]] HttpResponse problem_of(const HttpRequest& request, const Error& error);

}  // namespace k2
