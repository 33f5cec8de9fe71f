// The tables themselves: how much they hold, and their snapshots.
#include "api/answers.h"
#include "api/rows.h"

namespace k2 {

HttpReply answer_stats(const Call& call) {
  return answer_rows(call, [&](const Cut& cut, const QueryLimits&) -> Result<Answer> {
    K2_TRY(auto result, call.api.engine.stats(cut));
    return Answer{std::move(result), std::nullopt, std::nullopt};
  });
}

HttpReply answer_snapshots(const Call& call) {
  return answer_rows(call, [&](const Cut&, const QueryLimits&) -> Result<Answer> {
    K2_TRY(auto result, call.api.engine.snapshots(call.query.table));
    return Answer{std::move(result), std::nullopt, std::nullopt};
  });
}

}  // namespace k2
