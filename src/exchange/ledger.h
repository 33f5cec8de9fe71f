// Ledger: the trades of one simulated symbol that have happened, by id.
//
// Thread rule: its owner's lock.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <vector>

#include "exchange/sim.h"

namespace k2 {

class Ledger {
 public:
  explicit Ledger(size_t trades_max) : trades_max_(trades_max) {}

  void add(const SimTrade& trade) {
    if (trades_.size() == trades_max_) trades_.pop_front();
    trades_.push_back(trade);
  }
  [[nodiscard]] bool empty() const { return trades_.empty(); }
  [[nodiscard]] const SimTrade& last() const { return trades_.back(); }
  [[nodiscard]] std::vector<SimTrade> all() const { return {trades_.begin(), trades_.end()}; }

  /// The last `limit` trades.
  [[nodiscard]] std::vector<SimTrade> recent(size_t limit) const {
    return {trades_.end() - static_cast<std::ptrdiff_t>(std::min(limit, trades_.size())), trades_.end()};
  }
  /// At most `limit` trades from that id on.
  [[nodiscard]] std::vector<SimTrade> from_id(int64_t id, size_t limit) const {
    auto at = std::lower_bound(trades_.begin(), trades_.end(), id, [](const SimTrade& trade, int64_t wanted) { return trade.id < wanted; });
    std::vector<SimTrade> out;
    for (; at != trades_.end() && out.size() < limit; ++at) out.push_back(*at);
    return out;
  }
  /// At most `limit` trades with a time in [start, end], first ones first.
  [[nodiscard]] std::vector<SimTrade> between(TimestampUs start, TimestampUs end, size_t limit) const {
    std::vector<SimTrade> out;
    for (const SimTrade& trade : trades_) {
      if (out.size() == limit) break;
      if (trade.time >= start && trade.time <= end) out.push_back(trade);
    }
    return out;
  }

 private:
  size_t trades_max_;
  std::deque<SimTrade> trades_;
};

}  // namespace k2
