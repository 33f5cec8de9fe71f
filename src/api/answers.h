// The functions that answer, one or more for each route of routes.cc. Each theme has a file of its own: answer_events.cc, ...
//
// Thread rule: any thread.
#pragma once

#include "api/routes.h"

namespace k2 {

// answer_sql.cc
[[nodiscard]] HttpReply answer_sql(const Call& call);

// answer_pages.cc
[[nodiscard]] HttpReply answer_page(const Call& call);
[[nodiscard]] HttpReply answer_docs(const Call& call);
[[nodiscard]] HttpReply answer_openapi(const Call& call);

// answer_events.cc
[[nodiscard]] HttpReply answer_trades(const Call& call);
[[nodiscard]] HttpReply answer_quotes(const Call& call);
[[nodiscard]] HttpReply answer_replay(const Call& call);
[[nodiscard]] HttpReply answer_snapshot_query(const Call& call);

// answer_tables.cc
[[nodiscard]] HttpReply answer_stats(const Call& call);
[[nodiscard]] HttpReply answer_snapshots(const Call& call);

// answer_coverage.cc
[[nodiscard]] HttpReply answer_coverage(const Call& call);
[[nodiscard]] HttpReply answer_symbols(const Call& call);

// answer_stream.cc
[[nodiscard]] HttpReply answer_stream(const Call& call);

// answer_health.cc
[[nodiscard]] HttpReply answer_health(const Call& call);
[[nodiscard]] HttpReply answer_live(const Call& call);
[[nodiscard]] HttpReply answer_ready(const Call& call);
[[nodiscard]] HttpReply answer_metrics(const Call& call);

}  // namespace k2
