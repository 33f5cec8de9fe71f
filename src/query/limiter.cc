#include "query/limiter.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>

namespace k2 {
namespace {

constexpr int64_t kRepeatNs = 20'000'000;
constexpr int64_t kForeverNs = 3'600'000'000'000;

}  // namespace

QueryLimiter::QueryLimiter() : thread_([this](const std::stop_token& stop) { run(stop); }) {
  pthread_setname_np(thread_.native_handle(), "k2-query-limit");
}

QueryLimiter::~QueryLimiter() = default;

void QueryLimiter::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const int64_t now_ns = system_clock().monotonic_ns();
    int64_t wait_ns = kForeverNs;
    for (const Entry& entry : entries_) {
      const bool late = entry.deadline_ns != 0 && entry.deadline_ns <= now_ns;
      if (late || entry.stop.stop_requested()) {
        entry.connection->interrupt();
        wait_ns = std::min(wait_ns, kRepeatNs);
      } else if (entry.deadline_ns != 0) {
        wait_ns = std::min(wait_ns, entry.deadline_ns - now_ns);
      }
    }
    const uint64_t seen = changes_;
    changed_.wait_for(lock, stop, std::chrono::nanoseconds(wait_ns), [&] { return changes_ != seen; });
  }
}

QueryLimiter::Guard::Guard(QueryLimiter& limiter, DuckConnection& connection, const QueryLimits& limits) : limiter_(limiter) {
  const int64_t deadline_ns = limits.timeout_us <= 0 ? 0 : system_clock().monotonic_ns() + limits.timeout_us * 1000;
  {
    const std::lock_guard lock(limiter_.mutex_);
    entry_ = limiter_.entries_.insert(limiter_.entries_.end(), {&connection, deadline_ns, limits.stop, limits.timeout_us});
  }
  if (deadline_ns != 0) wake();
  if (limits.stop.stop_possible()) on_stop_.emplace(limits.stop, [this] { wake(); });
}

QueryLimiter::Guard::~Guard() {
  on_stop_.reset();  // before the entry goes, and outside of the lock that the callback takes
  const std::lock_guard lock(limiter_.mutex_);
  limiter_.entries_.erase(entry_);
}

void QueryLimiter::Guard::wake() {
  const std::lock_guard lock(limiter_.mutex_);
  ++limiter_.changes_;
  limiter_.changed_.notify_all();
}

Status QueryLimiter::Guard::check() const {
  if (entry_->stop.stop_requested()) return make_error(ErrorKind::kCancelled, "query: cancelled");
  if (entry_->deadline_ns != 0 && entry_->deadline_ns <= system_clock().monotonic_ns())
    return make_error(ErrorKind::kCancelled, "query: over its time limit of " + std::to_string(entry_->timeout_us / 1000) + " ms");
  return {};
}

}  // namespace k2
