// What there is: coverage and symbols.
#include "api/answers.h"
#include "api/rows.h"

namespace k2 {

HttpReply answer_coverage(const Call& call) {
  return answer_rows(call, [&](const Cut& cut, const QueryLimits& limits) -> Result<Answer> {
    const EventQuery& events = call.query.events;
    const CoverageQuery query{.symbols = events.symbols,
                              .exchange = events.exchange,
                              .channel = call.query.coverage_channel,
                              .start = events.start,
                              .end = events.end,
                              .statuses = call.query.statuses,
                              .limit = *events.limit + 1};
    K2_TRY(auto result, call.api.engine.coverage(query, cut, limits));
    return Answer{std::move(result), events.limit, std::nullopt};
  });
}

HttpReply answer_symbols(const Call& call) {
  return answer_rows(call, [&](const Cut& cut, const QueryLimits& limits) -> Result<Answer> {
    K2_TRY(auto result, call.api.engine.symbols(call.query.events.channel, cut, limits));
    return Answer{std::move(result), std::nullopt, std::nullopt};
  });
}

}  // namespace k2
