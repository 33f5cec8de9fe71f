// answer_rows(): what every route over rows does around its question: format, cut, peek for an early error, answer whole or streamed.
//
//   HttpReply answer_quotes(const Call& call) {
//     return answer_rows(call, [&](const Cut& cut, const QueryLimits& limits) -> Result<Answer> {
//       K2_TRY(auto result, call.api.engine.events(call.query.events, cut, limits));
//       return Answer{std::move(result), call.query.events.limit, std::nullopt};
//     });
//   }
//
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "api/routes.h"
#include "base/result.h"
#include "query/coverage.h"
#include "query/engine.h"
#include "query/result.h"

namespace k2 {

/// What a question was answered with.
struct Answer {
  std::unique_ptr<QueryResult> result;       // with a row more than `limit`, if there is one
  std::optional<int64_t> limit;              // nullopt: all rows
  std::optional<Completeness> completeness;  // nullopt: nothing is said of it
  std::optional<std::string> next_page_token = std::nullopt;  // of answers in pages; empty after the last
};

/// `ask` puts the question, on the cut of the call's read token or of now. Where it may have more than some thousand rows
/// (call.query.events.limit), the answer is streamed.
[[nodiscard]] HttpReply answer_rows(const Call& call, const std::function<Result<Answer>(const Cut&, const QueryLimits&)>& ask);

}  // namespace k2
