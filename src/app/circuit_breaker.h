// CircuitBreaker: whether to try something that has failed lately. Asked before each append to the log.
//
//   kClosed  --failures_to_open in a row-->  kOpen  --open_us later-->  kHalfOpen  --successes_to_close in a row-->  kClosed
//                                              ^---------- a failure, twice as long ----------'
//
// Open means: nothing is tried, so that a log that is away is not hammered and its return is met by one try, not by a crowd. How long it
// stays open doubles with each failed trial, from open_first_us up to open_max_us; closing forgets that. kHalfOpen lets tries through one after the other.
// Thread rule: one thread at a time. Times: monotonic microseconds from any start.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace k2 {

class CircuitBreaker {
 public:
  enum class State : uint8_t { kClosed, kHalfOpen, kOpen };

  struct Policy {
    int failures_to_open = 5;
    int successes_to_close = 3;
    int64_t open_first_us = 500'000;
    int64_t open_max_us = 5'000'000;
  };

  explicit CircuitBreaker(const Policy& policy) : policy_(policy), open_us_(policy.open_first_us) {}

  /// How long to wait before the next try; 0: try now.
  [[nodiscard]] int64_t wait_us(int64_t now_us) {
    if (state_ == State::kOpen && now_us >= open_until_us_) {
      state_ = State::kHalfOpen;
      in_a_row_ = 0;
    }
    return state_ == State::kOpen ? open_until_us_ - now_us : 0;
  }

  void succeeded() {
    if (state_ == State::kClosed) in_a_row_ = 0;
    else if (++in_a_row_ >= policy_.successes_to_close) close();
  }

  void failed(int64_t now_us) {
    if (state_ == State::kClosed && ++in_a_row_ < policy_.failures_to_open) return;
    if (state_ == State::kHalfOpen) open_us_ = std::min(open_us_ * 2, policy_.open_max_us);
    state_ = State::kOpen;
    open_until_us_ = now_us + open_us_;
  }

  [[nodiscard]] State state() const { return state_; }

 private:
  void close() {
    state_ = State::kClosed;
    in_a_row_ = 0;
    open_us_ = policy_.open_first_us;
  }

  Policy policy_;
  State state_ = State::kClosed;
  int in_a_row_ = 0;  // failures while closed, successes while half-open
  int64_t open_us_;
  int64_t open_until_us_ = 0;
};

/// "closed", "half_open", "open".
[[nodiscard]] constexpr std::string_view breaker_state_name(CircuitBreaker::State state) {
  switch (state) {
    case CircuitBreaker::State::kClosed: return "closed";
    case CircuitBreaker::State::kHalfOpen: return "half_open";
    case CircuitBreaker::State::kOpen: return "open";
  }
  return "";
}

}  // namespace k2
