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

// splitmix64: good enough for jitter, and the same everywhere for a seed.
uint64_t next_random(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

}  // namespace

Session::Session(SessionPolicy policy, size_t endpoint_count, std::vector<std::string> subscribe_messages, uint64_t seed)
    : policy_(policy), endpoint_count_(endpoint_count), subscribe_messages_(std::move(subscribe_messages)), random_(seed) {
  K2_ASSERT(endpoint_count > 0 && policy.attempts_max > 0 && policy.backoff_first_us > 0);
}

SessionAction Session::drop(std::string reason) {
  dropping_ = true;
  return SessionDrop{std::move(reason)};
}

SessionAction Session::next(int64_t now_us) {
  if (dropping_) return kUntilSomethingHappens;
  const bool is_stale = policy_.stale_after_us > 0 && now_us - last_received_us_ >= policy_.stale_after_us;
  const int64_t stale_at = policy_.stale_after_us > 0 ? last_received_us_ + policy_.stale_after_us : INT64_MAX;
  switch (state_) {
    case SessionState::kBackingOff:
      if (now_us < due_us_) return SessionWait{due_us_};
      state_ = SessionState::kConnecting;
      connection_exists_ = true;
      connect_started_us_ = now_us;
      return SessionConnect{endpoint_};
    case SessionState::kConnecting:
      if (now_us - connect_started_us_ >= policy_.connect_timeout_us) return drop("connect time-out");
      return SessionWait{connect_started_us_ + policy_.connect_timeout_us};
    case SessionState::kSubscribing: {
      if (is_stale) return drop("stale");
      if (now_us < next_send_us_) return SessionWait{std::min(next_send_us_, stale_at)};
      next_send_us_ = now_us + policy_.send_interval_us;
      SessionSend send{subscribe_messages_[next_message_++]};
      if (next_message_ == subscribe_messages_.size()) {
        state_ = SessionState::kLive;
        live_since_us_ = now_us;
      }
      return send;
    }
    case SessionState::kLive:
      if (is_stale) return drop("stale");
      return SessionWait{stale_at};
    case SessionState::kStopped:
      if (connection_exists_) return drop("stopped");
      return kUntilSomethingHappens;
    case SessionState::kExhausted: return kUntilSomethingHappens;
  }
  return kUntilSomethingHappens;
}

void Session::opened(int64_t now_us) {
  if (dropping_ || state_ != SessionState::kConnecting) return;
  if (++counts_.connects > 1) ++counts_.reconnects;
  last_received_us_ = now_us;
  next_message_ = 0;
  next_send_us_ = now_us;
  live_since_us_ = now_us;
  state_ = subscribe_messages_.empty() ? SessionState::kLive : SessionState::kSubscribing;
}

void Session::received(int64_t now_us) { last_received_us_ = now_us; }

void Session::ended(int64_t now_us) {
  const bool was_stable = state_ == SessionState::kLive && now_us - live_since_us_ >= policy_.stable_after_us;
  connection_exists_ = false;
  dropping_ = false;
  if (state_ == SessionState::kStopped) return;
  ++counts_.failures;
  if (was_stable) failures_in_row_ = rounds_ = 0;
  back_off(now_us);
}

void Session::back_off(int64_t now_us) {
  state_ = SessionState::kBackingOff;
  ++failures_in_row_;
  if (failures_in_row_ >= policy_.attempts_max) next_endpoint();
  due_us_ = now_us + backoff_us();
}

void Session::next_endpoint() {
  failures_in_row_ = 0;
  endpoint_ = (endpoint_ + 1) % endpoint_count_;
  if (endpoint_count_ > 1) ++counts_.failovers;
  if (endpoint_ == 0) ++rounds_;
  if (policy_.rounds_max > 0 && rounds_ >= policy_.rounds_max) state_ = SessionState::kExhausted;
}

int64_t Session::backoff_us() {
  int64_t wait = policy_.backoff_first_us;
  for (int i = 1; i < failures_in_row_ && wait < policy_.backoff_max_us; ++i) wait *= 2;
  wait = std::min(wait, policy_.backoff_max_us);
  const double chance = static_cast<double>(next_random(random_) >> 11) * 0x1p-53;
  return wait + static_cast<int64_t>(static_cast<double>(wait) * policy_.backoff_jitter * chance);
}

void Session::stop() { state_ = SessionState::kStopped; }

}  // namespace k2
