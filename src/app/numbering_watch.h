// NumberingWatch: notices when a venue's sequence numbers begin again.
//
// k2 tells events apart by their numbers, so after that new events look like ones it has. They can't be told from those for certain, but they
// contradict what a venue that counts up does:
// - a trade with no higher number than its source's newest, that happened after it;
// - a quote with a lower number than its source's newest, received more than kQuotePatienceUs after it. (Two lines bring the same quotes a moment apart;
//   quotes carry no time of their own.)
// What was taken before this process is told by seed(): such numbers were received before `at`, whatever the venue's clock said.
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/time.h"

namespace k2 {

class NumberingWatch {
 public:
  static constexpr int64_t kQuotePatienceUs = 10'000'000;

  void seed(const std::string& source, int64_t highest, TimestampUs at) {
    const std::scoped_lock lock(mutex_);
    newest_.insert_or_assign(source, Newest{highest, at});
  }

  /// Whether a trade that happened at `at` contradicts what came before; takes note of it otherwise.
  [[nodiscard]] bool is_trade_strange(const std::string& source, int64_t number, TimestampUs at) {
    const std::scoped_lock lock(mutex_);
    const auto [place, is_first] = newest_.try_emplace(source, Newest{number, at});
    if (is_first) return false;
    if (number <= place->second.number) return at > place->second.at;
    place->second = {number, at};
    return false;
  }

  /// The same of a quote that was received at `received`.
  [[nodiscard]] bool is_quote_strange(const std::string& source, int64_t number, TimestampUs received) {
    const std::scoped_lock lock(mutex_);
    const auto [place, is_first] = newest_.try_emplace(source, Newest{number, received});
    if (is_first || number == place->second.number) return false;
    if (number < place->second.number) return received.us - place->second.at.us > kQuotePatienceUs;
    place->second = {number, received};
    return false;
  }

 private:
  struct Newest {
    int64_t number = 0;
    TimestampUs at;
  };
  std::mutex mutex_;
  std::unordered_map<std::string, Newest> newest_;
};

}  // namespace k2
