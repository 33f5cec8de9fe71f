#include "api/server.h"

#include <chrono>
#include <optional>
#include <utility>
#include <variant>

#include "api/finish.h"
#include "api/http_metrics.h"
#include "api/problem.h"
#include "api/read_call.h"
#include "api/routes.h"

namespace k2 {

struct ApiServer::Impl final : HttpHandler {
  Impl(Engine& engine, LiveStream& stream, ApiOptions options_in)
      : options(std::move(options_in)), api{.engine = engine, .stream = stream, .options = options} {}

  HttpReply handle(HttpRequest request) override;
  /// /livez says that the process answers, also while every worker thread is busy with questions.
  HttpPolicy policy(std::string_view, std::string_view path) override { return {.inline_handler = path == "/livez"}; }
  HttpResponse refusal(const HttpRequest& request, int status, std::string_view reason) override {
    return problem(request, status, reason);
  }
  HttpReply answer(const RouteMatch& match, const HttpRequest& request);

  const ApiOptions options;
  const Api api;
  std::unique_ptr<HttpServer> server;  // ends before what it uses
  std::optional<HttpServerMetrics> server_metrics;
};

HttpReply ApiServer::Impl::handle(HttpRequest request) {
  const auto started = std::chrono::steady_clock::now();
  const RouteMatch match = find_route(request.method, request.path);
  HttpReply reply = finish_reply(request, options.cors_origins, answer(match, request));
  const auto* response = std::get_if<HttpResponse>(&reply);
  count_http_answer(match.pattern.empty() ? kOtherRoute : match.pattern, request.method, response != nullptr ? response->status : 200,
                    std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
  return reply;
}

HttpReply ApiServer::Impl::answer(const RouteMatch& match, const HttpRequest& request) {
  if (match.pattern.empty())
    return problem(request, 404, "no such route: " + request.path.substr(0, 128) + "; / shows the page, /v1/trades is a good start");
  if (auto preflight = preflight_reply(request, options.cors_origins, match.allow)) return *std::move(preflight);
  if (match.route == nullptr) {
    HttpResponse refused = problem(request, 405, request.method + " is not for " + request.path);
    refused.headers.add("Allow", match.allow);
    return refused;
  }
  auto read = read_call(*match.route, match.segments, request, system_clock().now());
  if (!read) return std::move(read).error();
  return match.route->answer(
      {.api = api, .route = *match.route, .request = request, .query = std::move(read->query), .given = std::move(read->given)});
}

ApiServer::ApiServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ApiServer::~ApiServer() = default;

Result<std::unique_ptr<ApiServer>> ApiServer::start(Engine& engine, LiveStream& stream, ApiOptions options) {
  HttpServerOptions server;
  server.listen = options.listen;
  auto impl = std::make_unique<Impl>(engine, stream, std::move(options));
  K2_TRY(impl->server, HttpServer::start(server, *impl));
  impl->server_metrics.emplace(*impl->server);
  return std::unique_ptr<ApiServer>(new ApiServer(std::move(impl)));
}

std::string ApiServer::url() const { return impl_->server->url(); }

}  // namespace k2
