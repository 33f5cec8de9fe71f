// Complete: what an answer says about whether it has all there is (query/coverage.h).
//
// In JSON, members beside "data"; in the other formats the header K2-Complete: true, false or unknown.
//
//   "complete":false,"known_until":"2026-11-23T04:00:00.000000Z","gap_count":12,"gaps":[{"exchange":...,"symbol":...,"channel":...,
//   "first_sequence":51,"last_sequence":54,"count":4,"timestamp":...,"end_timestamp":...,"status":"open","reason":...}]
//
// "complete" and "known_until" are null where unknown; "gap_count" and "gaps" are there only with false, "gaps" has the first ten.
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "query/coverage.h"

namespace k2 {

/// The members, without braces. `integer_times`: microseconds since the epoch in place of RFC 3339.
[[nodiscard]] std::string complete_json(const Completeness& found, bool integer_times);
[[nodiscard]] std::string_view complete_word(const Completeness& found);

}  // namespace k2
