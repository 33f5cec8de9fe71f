// QueryLimiter: ends questions that run over their time or are no longer wanted, by interrupting their connection.
//
// DuckDB forgets an interrupt that comes just before a statement starts, so it is repeated until the question has ended.
// Private to query/. Thread rule: any thread. One thread of its own, "k2-query-limit".
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include "base/result.h"
#include "base/time.h"
#include "query/duck.h"
#include "query/engine.h"

namespace k2 {

class QueryLimiter {
 private:
  struct Entry {
    DuckConnection* connection;
    int64_t deadline_ns;  // monotonic; 0: none
    std::stop_token stop;
    int64_t timeout_us;
  };

 public:
  QueryLimiter();
  ~QueryLimiter();
  QueryLimiter(const QueryLimiter&) = delete;
  QueryLimiter& operator=(const QueryLimiter&) = delete;

  /// One question under its limits, from construction to destruction. The connection outlives it.
  class Guard {
   public:
    Guard(QueryLimiter& limiter, DuckConnection& connection, const QueryLimits& limits);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

    /// Cancelled once the time is over or the token says stop.
    [[nodiscard]] Status check() const;

   private:
    void wake();

    QueryLimiter& limiter_;
    std::list<Entry>::iterator entry_;
    std::optional<std::stop_callback<std::function<void()>>> on_stop_;
  };

 private:
  void run(const std::stop_token& stop);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::list<Entry> entries_;
  uint64_t changes_ = 0;  // counts what should make the thread look again
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace k2
