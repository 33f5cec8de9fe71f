// Trades and quotes of some symbols and some time.
#include "api/answers.h"
#include "api/rows.h"

namespace k2 {
namespace {

HttpReply answer_events(const Call& call, Channel channel) {
  return answer_rows(call, [&](const Cut& cut, const QueryLimits& limits) -> Result<Answer> {
    EventQuery query = call.query.events;
    query.channel = channel;
    query.limit = *call.query.events.limit + 1;
    Answer answer;
    answer.limit = call.query.events.limit;
    if (channel == Channel::kTrades) {
      K2_TRY(answer.completeness, call.api.engine.completeness(query, cut, limits));
    }
    K2_TRY(answer.result, call.api.engine.events(query, cut, limits));
    return answer;
  });
}

}  // namespace

HttpReply answer_trades(const Call& call) { return answer_events(call, Channel::kTrades); }
HttpReply answer_quotes(const Call& call) { return answer_events(call, Channel::kQuotes); }

}  // namespace k2
