#include "api/read_call.h"

#include <utility>
#include <vector>

#include "api/problem.h"
#include "net/http_message.h"

namespace k2 {
namespace {

using Read = std::expected<ReadCall, HttpResponse>;

bool is_json(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (content_type.ends_with(' ')) content_type.remove_suffix(1);
  return equal_ignoring_case(content_type, "application/json");
}

// `params` and the path's, as one table.
std::expected<RequestQuery, ParamError> read_with_path(const Route& route, std::span<const Param> params, const QueryParams& given,
                                                       TimestampUs now) {
  if (route.path_params.empty()) return read_params(params, given, now);
  std::vector<Param> all(params.begin(), params.end());
  all.insert(all.end(), route.path_params.begin(), route.path_params.end());
  return read_params(all, given, now);
}

Read read_body(const Route& route, const QueryParams& segments, const HttpRequest& request, TimestampUs now) {
  if (!request.query.empty())
    return std::unexpected(problem(request, 400, "this route takes its parameters in the body", request.query.front().first));
  if (!is_json(request.headers.get("Content-Type"))) return std::unexpected(problem(request, 415, "the body must be application/json"));
  auto members = read_members(route.body, request.body);
  if (!members && members.error().parameter.empty()) return std::unexpected(problem(request, 400, members.error().detail));
  if (!members) return std::unexpected(problem_of_member(request, members.error()));
  members->insert(members->end(), segments.begin(), segments.end());
  auto query = read_with_path(route, route.body, *members, now);
  if (!query) return std::unexpected(problem_of_member(request, query.error()));
  return ReadCall{*std::move(query), *std::move(members)};
}

Read read_query(const Route& route, const QueryParams& segments, const HttpRequest& request, TimestampUs now) {
  QueryParams given = segments;
  if (!route.takes_any_query) given.insert(given.end(), request.query.begin(), request.query.end());
  auto query = read_with_path(route, route.params, given, now);
  if (!query) return std::unexpected(problem(request, 400, query.error().detail, query.error().parameter));
  return ReadCall{*std::move(query), std::move(given)};
}

}  // namespace

Read read_call(const Route& route, const QueryParams& segments, const HttpRequest& request, TimestampUs now) {
  if (auto path = read_params(route.path_params, segments, now); !path)
    return std::unexpected(problem(request, 404, path.error().detail, path.error().parameter));
  return route.body.empty() ? read_query(route, segments, request, now) : read_body(route, segments, request, now);
}

}  // namespace k2
