#include "api/server.h"

#include <algorithm>
#include <chrono>

#include "api/complete.h"
#include "api/http_metrics.h"
#include "api/page.h"
#include "api/params.h"
#include "api/problem.h"
#include "base/logging.h"
#include "base/metrics.h"
#include "market/event.h"

namespace k2 {
namespace {

constexpr int64_t kBufferedRowsMax = 10'000;  // answers up to here are made whole before the first byte goes out

/// A result whose first batch was read already, to learn of an early error while a status can still be chosen.
class PeekedResult final : public QueryResult {
 public:
  PeekedResult(std::unique_ptr<QueryResult> rest, std::shared_ptr<arrow::RecordBatch> first)
      : rest_(std::move(rest)), first_(std::move(first)) {}
  [[nodiscard]] const std::shared_ptr<arrow::Schema>& schema() const override { return rest_->schema(); }
  [[nodiscard]] Result<std::shared_ptr<arrow::RecordBatch>> next() override {
    if (first_) return std::exchange(first_, nullptr);
    if (is_at_end_) return nullptr;
    auto batch = rest_->next();
    is_at_end_ = !batch || !*batch;
    return batch;
  }
  /// Reads the first batch of `result`.
  static Result<std::unique_ptr<QueryResult>> peek(std::unique_ptr<QueryResult> result) {
    K2_TRY(auto first, result->next());
    auto peeked = std::make_unique<PeekedResult>(std::move(result), first);
    peeked->is_at_end_ = first == nullptr;
    return peeked;
  }

 private:
  std::unique_ptr<QueryResult> rest_;
  std::shared_ptr<arrow::RecordBatch> first_;
  bool is_at_end_ = false;
};

/// What a question was answered with.
struct Answer {
  std::unique_ptr<QueryResult> result;     // with a row more than `limit`, if there is one
  std::optional<int64_t> limit;            // nullopt: all rows
  std::optional<Completeness> completeness;  // nullopt: nothing is said of it
};

/// One answer over rows: what to write, and what goes around it.
struct Rows {
  LimitedResult result;
  Format format = Format::kJson;
  FormatOptions options;
  std::optional<Completeness> completeness;
  std::string token;

  /// Writes the whole body.
  Status write_to(const Sink& sink) {
    if (format == Format::kJson) K2_RETURN_IF_ERROR(sink("{\"data\":"));
    K2_TRY(const int64_t count, write(result, format, options, sink));
    if (format != Format::kJson) return {};
    std::string rest = ",\"count\":" + std::to_string(count) + ",\"truncated\":" + (result.has_more() ? "true" : "false");
    if (completeness) rest += "," + complete_json(*completeness, options.integer_times);
    return sink(rest + ",\"read_token\":\"" + token + "\"}\n");
  }
  [[nodiscard]] HttpHeaders headers() const {
    HttpHeaders headers{{"K2-Read-Token", token}, {"Cache-Control", "no-store"}};
    if (completeness) headers.add("K2-Complete", std::string(complete_word(*completeness)));
    return headers;
  }
};

void write_stream(const std::shared_ptr<Rows>& rows, const std::shared_ptr<HttpStream>& stream) {
  const Status done = rows->write_to([&](std::string_view bytes) { return stream->write(bytes); });
  rows->result = LimitedResult(nullptr, 0);  // lets go of what the answer stood on
  if (done) return stream->finish();
  if (!stream->is_closed()) log_warning("answer_torn", {{"error", done.error().message}});
  stream->abort();
}

HttpResponse text_response(std::string body, std::string content_type) {
  return {.status = 200, .content_type = std::move(content_type), .headers = {{"Cache-Control", "no-store"}}, .body = std::move(body)};
}

}  // namespace

struct ApiServer::Impl final : HttpHandler {
  Impl(Engine& engine_in, LiveStream& stream_in, ApiOptions options_in)
      : engine(engine_in), stream(stream_in), options(std::move(options_in)) {}

  Engine& engine;
  LiveStream& stream;
  const ApiOptions options;
  std::unique_ptr<HttpServer> server;  // ends before what it uses
  std::optional<HttpServerMetrics> server_metrics;

  struct Route {
    std::string_view path;
    HttpReply (Impl::*answer)(const HttpRequest&);
  };
  static const Route kRoutes[];

  HttpReply handle(HttpRequest request) override;
  HttpReply answer(const Route& route, const HttpRequest& request);
  HttpReply answer_trades(const HttpRequest& request) { return answer_events(request, Channel::kTrades); }
  HttpReply answer_quotes(const HttpRequest& request) { return answer_events(request, Channel::kQuotes); }
  HttpReply answer_events(const HttpRequest& request, Channel channel);
  HttpReply answer_coverage(const HttpRequest& request);
  HttpReply answer_symbols(const HttpRequest& request);
  HttpReply answer_stream(const HttpRequest& request);
  HttpReply answer_health(const HttpRequest&) { return text_response(options.health_json(), "application/json"); }
  HttpReply answer_live(const HttpRequest&) { return text_response("ok\n", "text/plain; charset=utf-8"); }
  HttpReply answer_ready(const HttpRequest& request) {
    if (!options.is_ready()) return problem(request, 503, "not ready: see /health");
    return text_response("ready\n", "text/plain; charset=utf-8");
  }
  HttpReply answer_metrics(const HttpRequest&) { return text_response(metrics().prometheus_text(), std::string(kPrometheusContentType)); }
  HttpReply answer_page(const HttpRequest&) {
    HttpResponse page = text_response(std::string(live_page()), "text/html; charset=utf-8");
    page.headers.add("Content-Security-Policy", std::string(kPagePolicy));
    page.headers.add("X-Content-Type-Options", "nosniff");
    page.headers.add("Referrer-Policy", "no-referrer");
    return page;
  }

  template <class Ask>
  HttpReply answer_rows(const HttpRequest& request, std::span<const Param> params, Ask ask);
};

const ApiServer::Impl::Route ApiServer::Impl::kRoutes[] = {
    {"/", &Impl::answer_page},
    {"/v1/trades", &Impl::answer_trades},
    {"/v1/quotes", &Impl::answer_quotes},
    {"/v1/coverage", &Impl::answer_coverage},
    {"/v1/symbols", &Impl::answer_symbols},
    {"/v1/stream", &Impl::answer_stream},
    {"/health", &Impl::answer_health},
    {"/livez", &Impl::answer_live},
    {"/readyz", &Impl::answer_ready},
    {"/metrics", &Impl::answer_metrics},
};

HttpReply ApiServer::Impl::handle(HttpRequest request) {
  const auto started = std::chrono::steady_clock::now();
  const auto route = std::ranges::find(kRoutes, std::string_view(request.path), &Route::path);
  const bool is_known = route != std::end(kRoutes);
  HttpReply reply =
      is_known ? answer(*route, request)
               : problem(request, 404, "no such route: " + request.path.substr(0, 128) + "; / shows the page, /v1/trades is a good start");
  const auto* response = std::get_if<HttpResponse>(&reply);
  count_http_answer(is_known ? route->path : kOtherRoute, request.method, response != nullptr ? response->status : 200,
                    std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
  return reply;
}

HttpReply ApiServer::Impl::answer(const Route& route, const HttpRequest& request) {
  if (request.method == "GET" || request.method == "HEAD") return (this->*route.answer)(request);
  HttpResponse refused = problem(request, 405, request.method + " is not for " + request.path);
  refused.headers.add("Allow", "GET, HEAD");
  return refused;
}

/// What every route over rows does: parameters, format, cut, question, answer. `ask` puts the question.
template <class Ask>
HttpReply ApiServer::Impl::answer_rows(const HttpRequest& request, std::span<const Param> params, Ask ask) {
  const auto query = read_params(params, request.query, system_clock().now());
  if (!query) return problem(request, 400, query.error().detail, query.error().parameter);
  const auto format = query->format ? query->format : accepted_format(request.headers.get("Accept"));
  if (!format)
    return problem(request, 406,
                   "none of the accepted types is here: application/json, application/x-ndjson, text/csv, Arrow stream, Parquet");
  const auto cut = query->read_token.empty() ? engine.cut() : engine.cut_of(query->read_token);
  if (!cut) return problem_of(request, cut.error());
  auto asked = ask(*query, *cut, QueryLimits{.timeout_us = options.query_timeout_us, .stop = request.cancelled});
  if (!asked) return problem_of(request, asked.error());
  auto result = PeekedResult::peek(std::move(asked->result));
  if (!result) return problem_of(request, result.error());
  auto rows = std::make_shared<Rows>(Rows{LimitedResult(*std::move(result), asked->limit.value_or(INT64_MAX)), *format, query->options,
                                          std::move(asked->completeness), read_token(*cut)});
  if (query->events.limit > kBufferedRowsMax)
    return HttpStreamReply{.status = 200,
                           .content_type = std::string(media_type(*format)),
                           .headers = rows->headers(),
                           .start = [rows](const std::shared_ptr<HttpStream>& out) { write_stream(rows, out); }};
  std::string body;
  const Status written = rows->write_to([&](std::string_view bytes) -> Status {
    body += bytes;
    return {};
  });
  if (!written) return problem_of(request, written.error());
  return HttpResponse{.status = 200, .content_type = std::string(media_type(*format)), .headers = rows->headers(), .body = std::move(body)};
}

HttpReply ApiServer::Impl::answer_events(const HttpRequest& request, Channel channel) {
  return answer_rows(request, event_params(), [&](const RequestQuery& asked, const Cut& cut, const QueryLimits& limits) -> Result<Answer> {
    EventQuery query = asked.events;
    query.channel = channel;
    query.limit = *asked.events.limit + 1;
    Answer answer;
    answer.limit = asked.events.limit;
    if (channel == Channel::kTrades) {
      K2_TRY(answer.completeness, engine.completeness(query, cut, limits));
    }
    K2_TRY(answer.result, engine.events(query, cut, limits));
    return answer;
  });
}

HttpReply ApiServer::Impl::answer_coverage(const HttpRequest& request) {
  return answer_rows(request, coverage_params(),
                     [&](const RequestQuery& asked, const Cut& cut, const QueryLimits& limits) -> Result<Answer> {
                       const CoverageQuery query{.symbols = asked.events.symbols,
                                                 .exchange = asked.events.exchange,
                                                 .channel = asked.coverage_channel,
                                                 .start = asked.events.start,
                                                 .end = asked.events.end,
                                                 .statuses = asked.statuses,
                                                 .limit = *asked.events.limit + 1};
                       K2_TRY(auto result, engine.coverage(query, cut, limits));
                       return Answer{std::move(result), asked.events.limit, std::nullopt};
                     });
}

HttpReply ApiServer::Impl::answer_symbols(const HttpRequest& request) {
  return answer_rows(request, symbol_params(), [&](const RequestQuery& asked, const Cut& cut, const QueryLimits& limits) -> Result<Answer> {
    K2_TRY(auto result, engine.symbols(asked.events.channel, cut, limits));
    return Answer{std::move(result), std::nullopt, std::nullopt};
  });
}

HttpReply ApiServer::Impl::answer_stream(const HttpRequest& request) {
  const auto query = read_params(stream_params(), request.query, system_clock().now());
  if (!query) return problem(request, 400, query.error().detail, query.error().parameter);
  const auto from = stream.begin(request.headers.get("Last-Event-ID"));
  if (!from) return problem_of(request, from.error());
  std::set<std::string> symbols(query->events.symbols.begin(), query->events.symbols.end());
  return HttpStreamReply{.status = 200,
                         .content_type = "text/event-stream",
                         .headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}},
                         .start = [this, symbols = std::move(symbols), from = *from](const std::shared_ptr<HttpStream>& out) {
                           if (!stream.subscribe(out, symbols, from)) out->abort();
                         }};
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
