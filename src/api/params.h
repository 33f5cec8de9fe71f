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
  std::optional<int64_t> page_size;
  std::string page_token;
  int64_t snapshot_id = 0;              // of the path
  std::string table = "trades_v2";
  std::string sql;
  std::vector<CoverageStatus> statuses; // empty: all
};

inline constexpr int64_t kLimitDefault = 1'000;
inline constexpr int64_t kLimitMax = 1'000'000;
inline constexpr int64_t kPageSizeDefault = 1'000;
inline constexpr int64_t kPageSizeMax = 10'000;

enum class ParamType : uint8_t {
  kText,     // 1 to 256 bytes, unless `most` says otherwise
  kInteger,  // least to most
  kTime,     // what base/time.h, parse_time reads; in a JSON body also an integer of microseconds
  kChoice,   // one of `choices`
};

/// One parameter of a route: in its query, its path or its JSON body. The OpenAPI document is made from the same entries.
struct Param {
  std::string_view name;
  std::string_view allowed;  // for people, in errors and in the document: "a number from 1 to 1000000"
  bool repeats = false;      // several, by comma or by repetition; in a JSON body an array
  bool (*set)(RequestQuery& query, std::string_view value, TimestampUs now) = nullptr;  // false: not allowed
  ParamType type = ParamType::kText;
  int64_t least = 1;               // kInteger
  int64_t most = 256;              // kInteger; of kText the bytes
  std::string_view choices = {};   // kChoice: "newest|oldest"
  std::string_view fallback = {};  // what holds where it is not given; empty: nothing
  bool required = false;           // refused where it is not given
};

struct ParamError {
  std::string parameter;
  std::string detail;
};

/// A number in decimal digits, at_least to at_most; false for anything else.
[[nodiscard]] bool read_count(std::string_view text, int64_t at_least, int64_t at_most, int64_t& count);

[[nodiscard]] std::span<const Param> event_params();
[[nodiscard]] std::span<const Param> symbol_params();
[[nodiscard]] std::span<const Param> coverage_params();
[[nodiscard]] std::span<const Param> stream_params();
[[nodiscard]] std::span<const Param> stats_params();
[[nodiscard]] std::span<const Param> snapshots_params();
[[nodiscard]] std::span<const Param> snapshot_id_params();
[[nodiscard]] std::span<const Param> trades_query_members();
[[nodiscard]] std::span<const Param> quotes_query_members();
[[nodiscard]] std::span<const Param> snapshot_query_members();
[[nodiscard]] std::span<const Param> sql_members();
[[nodiscard]] std::span<const Param> replay_members();

/// Reads them all. An error names the parameter and what is allowed.
[[nodiscard]] std::expected<RequestQuery, ParamError> read_params(std::span<const Param> params, const QueryParams& given, TimestampUs now);

/// The members of a JSON object as read_params() takes them: numbers as digits, each element of an array by itself. An error where the text is no
/// JSON object (then without a parameter), a member is repeated, or its type is not that of its parameter. Unknown members pass.
[[nodiscard]] std::expected<QueryParams, ParamError> read_members(std::span<const Param> params, std::string_view json);

/// The format that an Accept header asks for first; JSON for "*/*" and where there is none; nullopt where it allows none of ours (406).
[[nodiscard]] std::optional<Format> accepted_format(std::string_view accept);

}  // namespace k2
