// Params: the query parameters of the routes, read by tables: name, what is allowed, how it is set.
//
// Anything that is not in a route's table is refused, so that a slip never widens an answer in silence.
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "net/http_server.h"
#include "query/engine.h"
#include "query/format.h"

namespace k2 {

/// What a request asks for.
struct RequestQuery {
  EventQuery events;                    // limit is always set
  std::optional<int64_t> window_minutes;
  std::optional<Format> format;         // ?format=, else the Accept header decides
  std::string read_token;
  FormatOptions options;
  std::string coverage_channel;         // empty: all
  std::vector<CoverageStatus> statuses; // empty: all
};

inline constexpr int64_t kLimitDefault = 1'000;
inline constexpr int64_t kLimitMax = 1'000'000;

struct Param {
  std::string_view name;
  std::string_view allowed;  // for people: "a number from 1 to 1000000"
  bool repeats = false;
  bool (*set)(RequestQuery& query, std::string_view value, TimestampUs now) = nullptr;  // false: not allowed
};

struct ParamError {
  std::string parameter;
  std::string detail;
};

[[nodiscard]] std::span<const Param> event_params();
[[nodiscard]] std::span<const Param> symbol_params();
[[nodiscard]] std::span<const Param> coverage_params();
[[nodiscard]] std::span<const Param> stream_params();

/// Reads them all. An error names the parameter and what is allowed.
[[nodiscard]] std::expected<RequestQuery, ParamError> read_params(std::span<const Param> params, const QueryParams& given, TimestampUs now);

/// The format that an Accept header asks for first; JSON for "*/*" and where there is none; nullopt where it allows none of ours (406).
[[nodiscard]] std::optional<Format> accepted_format(std::string_view accept);

}  // namespace k2
