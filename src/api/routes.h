// Routes: everything ApiServer answers, as one table (routes.cc).
//
// A new route is one entry of the table and one function, declared in api/answers.h. The entry says all that a client may know: method, path,
// parameters, answer. The dispatcher reads parameters by it, and /openapi.json is made from it, so that neither can say something else.
//
//   GET  /v1/trades             {"GET", "/v1/trades", "Trades, newest first", .params = event_params(), ..., .answer = answer_trades}
//   GET  /v1/summary/{symbol}   a segment in braces is a parameter of the path: an entry of .path_params has its name
//   POST /v1/trades/query       .body has the members of a JSON object
//
// Thread rule: constants and pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/live_stream.h"
#include "api/params.h"
#include "market/columns.h"
#include "net/http_server.h"
#include "query/engine.h"

namespace k2 {

struct ApiOptions;
struct Route;

/// What the answers stand on; lives as long as the server.
struct Api {
  Engine& engine;
  LiveStream& stream;
  const ApiOptions& options;
};

/// One request that reached a route.
struct Call {
  const Api& api;
  const Route& route;
  const HttpRequest& request;
  RequestQuery query;  // parameters of query, path and body, as the route's tables read them
  QueryParams given;  // the same as they were given
};

enum class AnswerKind : uint8_t {
  kRows,  // rows of `row`, in any format (api/rows.h)
  kJson,  // one JSON object of `schema`
  kText,  // text/plain
  kPage,  // text/html
  kEvents,  // server-sent events
};

/// What a caller must be allowed, where keys are asked for.
enum class Scope : uint8_t { kNone, kRead, kSql, kAdmin };

struct Route {
  std::string_view method;  // "GET", which answers HEAD too, or "POST"
  std::string_view path;  // "/v1/summary/{symbol}": literal segments and {names}
  std::string_view summary;
  std::span<const Param> params = {};  // of the query; anything else is refused, unless takes_any_query
  std::span<const Param> path_params = {};  // one for each {name}
  std::span<const Param> body = {};  // members of a JSON object; empty: no body
  AnswerKind kind = AnswerKind::kRows;
  std::string_view row_name = {};  // kRows: what the document calls a row: "Trade"
  std::span<const Column> row = {};  // kRows: its members; empty: as the question says
  bool says_complete = false;  // kRows: with the members of api/complete.h
  bool has_pages = false;  // kRows: with next_page_token
  std::string_view schema = {};  // kJson: a JSON Schema
  std::span<const int> further_statuses = {};  // of this route's own, beside those of every route of its shape
  Scope scope = Scope::kRead;
  bool takes_any_query = false;
  HttpReply (*answer)(const Call& call) = nullptr;
};

[[nodiscard]] std::span<const Route> routes();

/// What a request's method and path come to. HEAD goes where GET goes.
struct RouteMatch {
  const Route* route = nullptr;  // nullptr: none takes the method, or the path
  QueryParams segments;  // the path's {names} with their values
  std::string_view pattern;  // of the path; empty: there is none such
  std::string allow;  // the methods that the path takes: "GET, HEAD"
};
[[nodiscard]] RouteMatch find_route(std::string_view method, std::string_view path);

/// 200 with a body that is never kept by caches.
[[nodiscard]] HttpResponse text_response(std::string body, std::string content_type);

}  // namespace k2
