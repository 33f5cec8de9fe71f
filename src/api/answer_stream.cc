// New trades as they come, as server-sent events.
#include <set>
#include <utility>

#include "api/answers.h"
#include "api/problem.h"

namespace k2 {

HttpReply answer_stream(const Call& call) {
  const auto from = call.api.stream.begin(call.request.headers.get("Last-Event-ID"));
  if (!from) return problem_of(call.request, from.error());
  std::set<std::string> symbols(call.query.events.symbols.begin(), call.query.events.symbols.end());
  return HttpStreamReply{
      .status = 200,
      .content_type = "text/event-stream",
      .headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}},
      .start = [&stream = call.api.stream, symbols = std::move(symbols), from = *from](const std::shared_ptr<HttpStream>& out) {
        if (!stream.subscribe(out, symbols, from)) out->abort();
      }};
}

}  // namespace k2
