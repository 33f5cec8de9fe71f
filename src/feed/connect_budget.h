// ConnectBudget: how many connection attempts all lines of one address together may make.
//
// Binance allows 300 attempts in 5 minutes for each IP address and bans who makes more (web-socket-streams.md, 2026-07-21). The default
// leaves a part of them to whatever else runs behind the address, and to an earlier run of this program, which nobody remembers.
// Thread rule: one thread at a time. Times: monotonic microseconds from any start.
#pragma once

#include <cstdint>
#include <deque>

#include "base/assert.h"

namespace k2 {

class ConnectBudget {
 public:
  ConnectBudget() : ConnectBudget(240, 300'000'000) {}
  ConnectBudget(size_t attempts_max, int64_t window_us) : attempts_max_(attempts_max), window_us_(window_us) {
    K2_ASSERT(attempts_max > 0 && window_us > 0);
  }

  /// When the next attempt may be made; not after `now_us`: now.
  [[nodiscard]] int64_t ready_us(int64_t now_us) const {
    return attempts_.size() < attempts_max_ ? now_us : attempts_.front() + window_us_;
  }
  /// An attempt is made now; ready_us() said so.
  void take(int64_t now_us) {
    K2_ASSERT(ready_us(now_us) <= now_us);
    if (attempts_.size() == attempts_max_) attempts_.pop_front();
    attempts_.push_back(now_us);
  }

 private:
  size_t attempts_max_;
  int64_t window_us_;
  std::deque<int64_t> attempts_;  // times of the newest, attempts_max_ at most
};

}  // namespace k2
