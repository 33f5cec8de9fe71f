// SQL from outside, run in a locked worker: docs/decisions/0019-sql-from-outside.md.
#include <optional>
#include <utility>

#include "api/answers.h"
#include "api/problem.h"
#include "api/rows.h"
#include "api/server.h"
#include "query/outside_sql.h"

namespace k2 {
namespace {

/// Classes of SQLSTATE that have a status of their own; else the error's kind decides.
int status_of(const SqlFailure& failure) {
  if (failure.sqlstate == "53300") return 429;
  if (failure.sqlstate == "42501") return 403;
  return http_status_of(failure.error.kind);
}

HttpResponse sql_problem(const HttpRequest& request, const SqlFailure& failure) {
  const std::string where = failure.position > 0 ? ", at letter " + std::to_string(failure.position) : std::string();
  HttpResponse response = problem(request, status_of(failure), failure.error.message + where + " (SQLSTATE " + failure.sqlstate + ")");
  if (response.status == 429) response.headers.add("Retry-After", "1");
  return response;
}

}  // namespace

HttpReply answer_sql(const Call& call) {
  OutsideSql* const sql = call.api.options.sql;
  if (sql == nullptr) return problem(call.request, 503, "SQL from outside is switched off here");
  std::optional<SqlFailure> failure;
  HttpReply reply = answer_rows(call, [&](const Cut& cut, const QueryLimits& limits) -> Result<Answer> {
    auto rows = sql->run({.text = call.query.sql, .parameters = {}, .cut = cut, .limits = limits});
    if (!rows) {
      failure = std::move(rows).error();
      return std::unexpected(failure->error);
    }
    return Answer{*std::move(rows), call.query.events.limit, std::nullopt};
  });
  if (failure) return sql_problem(call.request, *failure);
  return reply;
}

}  // namespace k2
