// The metrics k2_http_*: what is asked of the server, how it is answered, and what the server counts itself.
//
// Labels stay few whatever clients send: the route is a pattern of the route table ("other" where none matches), the method one of GET, HEAD
// and "other", the code a class ("2xx").
// Thread rule: everything from any thread.
#pragma once

#include <string_view>

namespace k2 {

class HttpServer;

inline constexpr std::string_view kOtherRoute = "other";

/// Counts one answer: k2_http_requests_total, k2_http_request_duration_seconds. `route` is a pattern, never the path that was asked for;
/// `seconds` until the answer's head was ready.
void count_http_answer(std::string_view route, std::string_view method, int status, double seconds);

/// Publishes a server's own counts for as long as it lives: connections, refusals, overload, time limits. One at a time in a process; of two, the
/// later one is shown.
class HttpServerMetrics {
 public:
  /// `server` outlives it.
  explicit HttpServerMetrics(const HttpServer& server);
  ~HttpServerMetrics();
  HttpServerMetrics(const HttpServerMetrics&) = delete;
  HttpServerMetrics& operator=(const HttpServerMetrics&) = delete;
};

}  // namespace k2
