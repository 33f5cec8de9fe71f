// read_call(): what a request asks of its route, read by the route's tables.
//
// Thread rule: a pure function.
#pragma once

#include <expected>

#include "api/routes.h"

namespace k2 {

struct ReadCall {
  RequestQuery query;
  QueryParams given;
};

/// Parameters of path, query and body as one. Refused as problems: 400 for the query and for a body that is no JSON object, 404 for a segment of the
/// path, 415 for a body of another type than application/json, 422 for a member of it.
[[nodiscard]] std::expected<ReadCall, HttpResponse> read_call(const Route& route, const QueryParams& segments, const HttpRequest& request,
                                                              TimestampUs now);

}  // namespace k2
