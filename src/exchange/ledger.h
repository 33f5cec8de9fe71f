// Ledger: the trades of one simulated symbol that have happened, in their order.
//
// Their ids rise, until begin_ids_anew(): from then on REST's questions are about the trades since, while all() and from_ordinal() still
// know those before. `hidden` newest trades are left out of REST's answers (a REST API that lags behind its streams).
// Thread rule: its owner's lock.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "exchange/sim.h"

namespace k2 {

class Ledger {
 public:
  explicit Ledger(size_t trades_max) : trades_max_(trades_max) {}

  void add(const SimTrade& trade) {
    if (trades_.size() == trades_max_) {
      trades_.pop_front();
      ++forgotten_;
      if (ids_begin_ > 0) --ids_begin_;
    }
    trades_.push_back(trade);
  }
  void begin_ids_anew() { ids_begin_ = trades_.size(); }

  /// Of the trades with the present ids, whether there is none, and the last.
  [[nodiscard]] bool empty() const { return trades_.size() == ids_begin_; }
  [[nodiscard]] const SimTrade& last() const { return trades_.back(); }

  [[nodiscard]] std::vector<SimTrade> all() const { return {trades_.begin(), trades_.end()}; }
  /// At most `limit` trades, from the n-th that ever happened on, n from 1; those forgotten are left out. `first` becomes the first one's n.
  [[nodiscard]] std::vector<SimTrade> from_ordinal(size_t& first, size_t limit) const {
    first = std::max(first, forgotten_ + 1);
    const size_t begin = std::min(trades_.size(), first - forgotten_ - 1);
    return {at(begin), at(begin + std::min(limit, trades_.size() - begin))};
  }

  /// The last `limit` trades.
  [[nodiscard]] std::vector<SimTrade> recent(size_t limit, size_t hidden = 0) const {
    const size_t end = visible_end(hidden);
    return {at(end - std::min(limit, end - ids_begin_)), at(end)};
  }
  /// At most `limit` trades from that id on.
  [[nodiscard]] std::vector<SimTrade> from_id(int64_t id, size_t limit, size_t hidden = 0) const {
    const auto end = at(visible_end(hidden));
    const auto begin = std::lower_bound(at(ids_begin_), end, id, [](const SimTrade& trade, int64_t wanted) { return trade.id < wanted; });
    return {begin, begin + static_cast<std::ptrdiff_t>(std::min(limit, static_cast<size_t>(end - begin)))};
  }
  /// At most `limit` trades with a time in [start, end], first ones first.
  [[nodiscard]] std::vector<SimTrade> between(TimestampUs start, TimestampUs end, size_t limit, size_t hidden = 0) const {
    std::vector<SimTrade> out;
    for (auto trade = at(ids_begin_); trade != at(visible_end(hidden)) && out.size() < limit; ++trade)
      if (trade->time >= start && trade->time <= end) out.push_back(*trade);
    return out;
  }

 private:
  using Iterator = std::deque<SimTrade>::const_iterator;
  [[nodiscard]] Iterator at(size_t index) const { return trades_.begin() + static_cast<std::ptrdiff_t>(index); }
  [[nodiscard]] size_t visible_end(size_t hidden) const { return trades_.size() - std::min(hidden, trades_.size() - ids_begin_); }

  size_t trades_max_;
  std::deque<SimTrade> trades_;
  size_t forgotten_ = 0;  // trades before the first that is remembered
  size_t ids_begin_ = 0;  // index of the first trade with the present ids
};

}  // namespace k2
