// How the server is: health, readiness, metrics.
#include "api/answers.h"
#include "api/problem.h"
#include "api/server.h"
#include "base/metrics.h"

namespace k2 {

HttpReply answer_health(const Call& call) { return text_response(call.api.options.health_json(), "application/json"); }

HttpReply answer_live(const Call&) { return text_response("ok\n", "text/plain; charset=utf-8"); }

HttpReply answer_ready(const Call& call) {
  if (!call.api.options.is_ready()) return problem(call.request, 503, "not ready: see /health");
  return text_response("ready\n", "text/plain; charset=utf-8");
}

HttpReply answer_metrics(const Call&) { return text_response(metrics().prometheus_text(), std::string(kPrometheusContentType)); }

}  // namespace k2
