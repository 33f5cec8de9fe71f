// NumberingWatch: notices when a venue's sequence numbers begin again.
//
// k2 tells events apart by their numbers, so after that new events look like ones it has. They can't be told from those for certain, but they
// contradict what a venue that counts up does:
// - a trade with no higher number than its source's newest, that happened after it;
// - a quote with a lower number than its source's newest, received more than kQuotePatienceUs after it. (Two lines bring the same quotes a moment apart;
//   quotes carry no time of their own.)
// What was taken before this process is told by seed(): such numbers were received before `at`, whatever the venue's clock said.
// A source is looked up once and kept: its watch lives as long as the whole.
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/time.h"

namespace k2 {

class NumberingWatch {
 public:
  static constexpr int64_t kQuotePatienceUs = 10'000'000;

  class Source {
   public:
    /// A number that was taken before `at`, and none higher.
    void seed(int64_t highest, TimestampUs at) {
      const std::scoped_lock lock(mutex_);
      newest_ = Newest{highest, at};
    }

    /// Whether a trade that happened at `at` contradicts what came before; takes note of it otherwise.
    [[nodiscard]] bool is_trade_strange(int64_t number, TimestampUs at) {
      const std::scoped_lock lock(mutex_);
      if (newest_ && number <= newest_->number) return at > newest_->at;
      newest_ = Newest{number, at};
      return false;
    }

    /// The same of a quote that was received at `received`.
    [[nodiscard]] bool is_quote_strange(int64_t number, TimestampUs received) {
      const std::scoped_lock lock(mutex_);
      if (newest_ && number == newest_->number) return false;
      if (newest_ && number < newest_->number) return received.us - newest_->at.us > kQuotePatienceUs;
      newest_ = Newest{number, received};
      return false;
    }

   private:
    struct Newest {
      int64_t number = 0;
      TimestampUs at;
    };
    std::mutex mutex_;
    std::optional<Newest> newest_;
  };

  /// The source of that name, made when first asked for.
  [[nodiscard]] Source& source(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    return sources_[name];
  }

 private:
  std::mutex mutex_;
  std::map<std::string, Source> sources_;
};

}  // namespace k2
