#include "api/problem.h"

#include "base/logging.h"
#include "market/event.h"

namespace k2 {

namespace {

// `errors`: the text of the member, with its name; or nothing.
HttpResponse problem_with(const HttpRequest& request, int status, std::string_view detail, std::string_view errors) {
  std::string body = R"({"type":"about:blank","title":)";
  append_json_string(body, http_status_text(status));
  body += ",\"status\":" + std::to_string(status) + ",\"detail\":";
  append_json_string(body, detail);
  if (!request.path.empty()) {
    body += ",\"instance\":";
    append_json_string(body, request.path);
  }
  body += ",\"request_id\":";
  append_json_string(body, request.request_id);
  body.append(errors).append("}\n");
  HttpResponse response{.status = status, .content_type = "application/problem+json", .headers = {}, .body = std::move(body)};
  if (status == 503) response.headers.add("Retry-After", "1");
  return response;
}

std::string errors_json(std::string_view kind, std::string_view place, std::string_view detail) {
  std::string json = ",\"errors\":[{\"";
  json.append(kind).append("\":");
  append_json_string(json, place);
  json += ",\"detail\":";
  append_json_string(json, detail);
  return json + "}]";
}

}  // namespace

HttpResponse problem(const HttpRequest& request, int status, std::string_view detail, std::string_view parameter) {
  return problem_with(request, status, detail, parameter.empty() ? "" : errors_json("parameter", parameter, detail));
}

HttpResponse problem_of_member(const HttpRequest& request, const ParamError& error) {
  std::string pointer = "#/";
  for (const char letter : error.parameter) pointer += letter == '~' ? "~0" : letter == '/' ? "~1" : std::string(1, letter);
  return problem_with(request, 422, error.detail, errors_json("pointer", pointer, error.detail));
}

int http_status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidInput: return 400;
    case ErrorKind::kNotFound: return 410;
    case ErrorKind::kConflict: return 409;
    case ErrorKind::kUnknownOutcome:
    case ErrorKind::kUnavailable:
    case ErrorKind::kCancelled: return 503;
    case ErrorKind::kCorrupt: return 500;
  }
  return 500;
}

HttpResponse problem_of(const HttpRequest& request, const Error& error) {
  const int status = http_status_of(error.kind);
  if (status >= 500)
    log_warning(
        "request_failed",
        {{"request_id", request.request_id}, {"path", request.path}, {"kind", error_kind_name(error.kind)}, {"error", error.message}});
  return problem(request, status, error.message);
}

}  // namespace k2
