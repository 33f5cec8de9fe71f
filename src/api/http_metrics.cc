#include "api/http_metrics.h"

#include <string>

#include "base/metrics.h"
#include "net/http_server.h"

namespace k2 {
namespace {

struct ServerCount {
  std::string_view name;
  std::string_view help;
  uint64_t HttpServerCounts::* count;
};

constexpr ServerCount kServerCounters[] = {
    {"k2_http_accepted_connections_total", "Connections that clients made.", &HttpServerCounts::connections_accepted},
    {"k2_http_refused_requests_total", "Requests refused by the parser's rules or limits, before any route.",
     &HttpServerCounts::requests_refused},
    {"k2_http_overloaded_total", "Requests answered 503 because the queue of the workers was full.", &HttpServerCounts::overloaded},
    {"k2_http_timeouts_total", "Connections ended by a time limit.", &HttpServerCounts::timeouts},
};

constexpr std::string_view kConnections = "k2_http_connections";

std::string method_label(std::string_view method) { return method == "GET" || method == "HEAD" ? std::string(method) : "other"; }

std::string code_class(int status) { return std::to_string(status / 100) + "xx"; }

}  // namespace

void count_http_answer(std::string_view route, std::string_view method, int status, double seconds) {
  metrics()
      .counter("k2_http_requests_total", "Requests by route, method and class of the answer's code.",
               {{"route", std::string(route)}, {"method", method_label(method)}, {"code", code_class(status)}})
      .add();
  metrics()
      .histogram("k2_http_request_duration_seconds", "Until the answer's head; streamed bodies take longer.", latency_bounds_seconds(),
                 {{"route", std::string(route)}})
      .observe(seconds);
}

HttpServerMetrics::HttpServerMetrics(const HttpServer& server) {
  metrics().gauge_function(kConnections, "Connections that are open.", {},
                           [&server] { return static_cast<double>(server.counts().connections_open); });
  for (const ServerCount& counter : kServerCounters)
    metrics().counter_function(counter.name, counter.help, {},
                               [&server, count = counter.count] { return static_cast<double>(server.counts().*count); });
}

HttpServerMetrics::~HttpServerMetrics() {
  metrics().remove_function(kConnections, {});
  for (const ServerCount& counter : kServerCounters) metrics().remove_function(counter.name, {});
}

}  // namespace k2
