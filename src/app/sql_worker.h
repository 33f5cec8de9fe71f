// The locked worker process that runs SQL from outside: `k2 sql-worker`, started by SqlWorkers and by nobody else.
//
// Its standard input is one end of a socket pair (query/sql_channel.h). It locks itself before the first statement (app/sql_lock.h), answers one
// question after another, and ends when the other end does.
#pragma once

namespace k2 {

/// Returns the exit code.
[[nodiscard]] int run_sql_worker();

}  // namespace k2
