// Trades and quotes of some symbols and some time: whole, in pages, of a snapshot.
#include <algorithm>
#include <utility>

#include "api/answers.h"
#include "api/page_token.h"
#include "api/problem.h"
#include "api/rows.h"
#include "query/page.h"

namespace k2 {
namespace {

bool wants_pages(const RequestQuery& query) { return query.page_size || !query.page_token.empty(); }

Result<Answer> whole_answer(const Call& call, const EventQuery& asked, const Cut& cut, const QueryLimits& limits) {
  EventQuery query = asked;
  query.limit = *asked.limit + 1;
  Answer answer;
  answer.limit = asked.limit;
  if (call.route.says_complete) {
    K2_TRY(answer.completeness, call.api.engine.completeness(query, cut, limits));
  }
  K2_TRY(answer.result, call.api.engine.events(query, cut, limits));
  return answer;
}

HttpReply answer_events(const Call& call, const EventQuery& query) {
  return answer_rows(call, [&](const Cut& cut, const QueryLimits& limits) { return whole_answer(call, query, cut, limits); });
}

/// The page that call.query asks for. `query` is the whole window.
HttpReply answer_page_of(Call call, EventQuery query) {
  const std::string question = question_text(call.request.path, call.given);
  std::optional<PageEnd> after;
  if (!call.query.page_token.empty()) {
    auto token = parse_page_token(call.query.page_token, question);
    if (!token) return problem_of_member(call.request, {"page_token", token.error().message});
    if (!call.query.read_token.empty() && call.query.read_token != token->read_token)
      return problem_of_member(call.request, {"read_token", "read_token is not that of page_token"});
    call.query.read_token = token->read_token;
    query.start = token->start;
    query.end = token->end;
    after = std::move(token->after);
  }
  return answer_rows(call, [&](const Cut& cut, const QueryLimits& limits) -> Result<Answer> {
    Answer answer;
    if (call.route.says_complete) {
      K2_TRY(answer.completeness, call.api.engine.completeness(query, cut, limits));
    }
    K2_TRY(EventPage page, event_page(call.api.engine, query, call.query.page_size.value_or(kPageSizeDefault), after, cut, limits));
    answer.result = std::move(page.rows);
    answer.next_page_token = page.end ? page_token({read_token(cut), query.start, query.end, *std::move(page.end)}, question) : "";
    return answer;
  });
}

HttpReply answer_channel(const Call& call, Channel channel) {
  EventQuery query = call.query.events;
  query.channel = channel;
  return wants_pages(call.query) ? answer_page_of(call, std::move(query)) : answer_events(call, query);
}

/// A member of `fields` that the channel does not have; empty: it has them all.
std::string foreign_field(const EventQuery& query) {
  const std::span<const Column> columns = query.channel == Channel::kTrades ? std::span<const Column>(kTradeColumns) : kQuoteColumns;
  for (const std::string& name : query.columns)
    if (std::ranges::find(columns, name, &Column::name) == columns.end()) return name;
  return {};
}

HttpResponse no_such_field(const Call& call, const std::string& name) {
  return problem_of_member(call.request,
                           {"fields", "\"" + name + "\" is no member of " + std::string(channel_name(call.query.events.channel))});
}

}  // namespace

HttpReply answer_trades(const Call& call) { return answer_channel(call, Channel::kTrades); }
HttpReply answer_quotes(const Call& call) { return answer_channel(call, Channel::kQuotes); }

HttpReply answer_replay(const Call& call) {
  EventQuery query = call.query.events;
  query.order = EventOrder::kOldestFirst;
  if (const std::string foreign = foreign_field(query); !foreign.empty()) return no_such_field(call, foreign);
  return answer_page_of(call, std::move(query));
}

HttpReply answer_snapshot_query(const Call& call) {
  const auto snapshot = snapshot_cut(call.api.engine, SnapshotId{call.query.snapshot_id});
  if (!snapshot) return problem_of(call.request, snapshot.error());
  if (!*snapshot)
    return problem(call.request, 404, "no snapshot " + std::to_string(call.query.snapshot_id) + " of trades or quotes: see /v1/snapshots",
                   "id");
  Call at = call;
  at.query.events.channel = (*snapshot)->channel;
  at.query.read_token = read_token((*snapshot)->cut);
  if (const std::string foreign = foreign_field(at.query.events); !foreign.empty()) return no_such_field(at, foreign);
  return answer_channel(at, (*snapshot)->channel);
}

}  // namespace k2
