#include "api/problem.h"

#include "base/logging.h"
#include "market/event.h"

namespace k2 {

HttpResponse problem(const HttpRequest& request, int status, std::string_view detail, std::string_view parameter) {
  std::string body = R"({"type":"about:blank","title":)";
  append_json_string(body, http_status_text(status));
  body += ",\"status\":" + std::to_string(status) + ",\"detail\":";
  append_json_string(body, detail);
  body += ",\"instance\":";
  append_json_string(body, request.path);
  body += ",\"request_id\":";
  append_json_string(body, request.request_id);
  if (!parameter.empty()) {
    body += ",\"errors\":[{\"parameter\":";
    append_json_string(body, parameter);
    body += ",\"detail\":";
    append_json_string(body, detail);
    body += "}]";
  }
  body += "}\n";
  HttpResponse response{.status = status, .content_type = "application/problem+json", .headers = {}, .body = std::move(body)};
  if (status == 503) response.headers.add("Retry-After", "1");
  return response;
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
