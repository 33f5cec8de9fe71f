#include "feed/session.h"

#include <algorithm>

#include "base/assert.h"

namespace k2 {

std::string_view session_state_name(SessionState state) {
  switch (state) {
    case SessionState::kBackingOff: return "backing_off";
    case SessionState::kConnecting: return "connecting";
    case SessionState::kSubscribing: return "subscribing";
    case SessionState::kLive: return "live";
    case SessionState::kExhausted: return "exhausted";
    case SessionState::kStopped: return "stopped";
  }
  return "unknown";
}

namespace {

constexpr SessionWait kUntilSomethingHappens{INT64_MAX};

}  // namespace

Session::Session(SessionPolicy policy, size_t endpoint_count, std::vector<std::string> subscribe_messages, uint64_t seed,
                 ConnectBudget* budget, size_t first_endpoint)
    : policy_(policy),
      endpoint_count_(endpoint_count),
      subscribe_messages_(std::move(subscribe_messages)),
      jitter_(seed),
      budget_(budget),
      endpoint_(first_endpoint) {
  K2_ASSERT(first_endpoint < endpoint_count && policy.attempts_max > 0 && policy.backoff_first_us > 0);
}

SessionAction Session::drop(std::string reason, bool is_orderly) {
  dropping_ = true;
  return SessionDrop{std::move(reason), is_orderly};
}

int64_t Session::stale_at_us() const { return policy_.stale_after_us > 0 ? last_received_us_ + policy_.stale_after_us : INT64_MAX; }

int64_t Session::ping_at_us() const {
  if (policy_.heartbeat_us <= 0) return INT64_MAX;
  return std::max(std::max(last_received_us_, last_ping_us_) + policy_.heartbeat_us, next_send_us_);
}

SessionAction Session::next(int64_t now_us) {
  if (dropping_) return kUntilSomethingHappens;
  switch (state_) {
    case SessionState::kBackingOff: return when_due(now_us);
    case SessionState::kConnecting:
      if (now_us - connect_started_us_ >= policy_.connect_timeout_us) return drop("connect time-out");
      return SessionWait{connect_started_us_ + policy_.connect_timeout_us};
    case SessionState::kSubscribing: return when_subscribing(now_us);
    case SessionState::kLive: return when_live(now_us);
    case SessionState::kStopped:
      if (connection_exists_) return drop("stopped", /*is_orderly=*/true);
      return kUntilSomethingHappens;
    case SessionState::kExhausted: return kUntilSomethingHappens;
  }
  return kUntilSomethingHappens;
}

SessionAction Session::when_due(int64_t now_us) {
  if (now_us < due_us_) return SessionWait{due_us_};
  if (budget_ != nullptr) {
    if (const int64_t ready_us = budget_->ready_us(now_us); ready_us > now_us) return SessionWait{ready_us};
    budget_->take(now_us);
  }
  state_ = SessionState::kConnecting;
  connection_exists_ = true;
  connect_started_us_ = now_us;
  return SessionConnect{endpoint_};
}

SessionAction Session::when_subscribing(int64_t now_us) {
  if (now_us >= stale_at_us()) return drop("stale");
  if (now_us < next_send_us_) return SessionWait{std::min(next_send_us_, stale_at_us())};
  next_send_us_ = now_us + policy_.send_interval_us;
  SessionSend send{subscribe_messages_[next_message_++]};
  if (next_message_ == subscribe_messages_.size()) {
    state_ = SessionState::kLive;
    live_since_us_ = now_us;
  }
  return send;
}

SessionAction Session::when_live(int64_t now_us) {
  if (now_us >= stale_at_us()) return drop("stale");
  if (now_us < ping_at_us()) return SessionWait{std::min(stale_at_us(), ping_at_us())};
  last_ping_us_ = now_us;
  next_send_us_ = now_us + policy_.send_interval_us;
  return SessionPing{};
}

void Session::opened(int64_t now_us) {
  if (dropping_ || state_ != SessionState::kConnecting) return;
  if (++counts_.connects > 1) ++counts_.reconnects;
  last_received_us_ = last_ping_us_ = now_us;
  next_message_ = 0;
  next_send_us_ = now_us;
  live_since_us_ = now_us;
  state_ = subscribe_messages_.empty() ? SessionState::kLive : SessionState::kSubscribing;
}

void Session::received(int64_t now_us) { last_received_us_ = now_us; }

void Session::ended(int64_t now_us, int64_t hold_us) {
  const bool was_stable = state_ == SessionState::kLive && now_us - live_since_us_ >= policy_.stable_after_us;
  connection_exists_ = false;
  dropping_ = false;
  if (state_ == SessionState::kStopped) return;
  ++counts_.failures;
  if (was_stable) {
    failures_in_row_ = rounds_ = 0;
    endpoints_failed_ = 0;
  }
  back_off(now_us, hold_us);
}

void Session::back_off(int64_t now_us, int64_t hold_us) {
  state_ = SessionState::kBackingOff;
  ++failures_in_row_;
  if (failures_in_row_ >= policy_.attempts_max && !stays_) next_endpoint();
  due_us_ = now_us + std::max(backoff_us(), hold_us);
}

void Session::next_endpoint() {
  failures_in_row_ = 0;
  endpoint_ = (endpoint_ + 1) % endpoint_count_;
  if (endpoint_count_ > 1) ++counts_.failovers;
  if (++endpoints_failed_ < endpoint_count_) return;
  endpoints_failed_ = 0;
  ++counts_.rounds;
  ++rounds_;
  if (policy_.rounds_max > 0 && rounds_ >= policy_.rounds_max) state_ = SessionState::kExhausted;
}

int64_t Session::backoff_us() {
  int64_t wait = policy_.backoff_first_us;
  for (int i = 1; i < failures_in_row_ && wait < policy_.backoff_max_us; ++i) wait *= 2;
  wait = std::min(wait, policy_.backoff_max_us);
  return wait + jitter_.part_of(wait, policy_.backoff_jitter);
}

void Session::stop() { state_ = SessionState::kStopped; }

}  // namespace k2
