// CoverageReader: the resolved coverage of a cut, kept between questions. Private to query/.
//
// What the newest cut asked about came to is kept, and carried on with what the log's coverage topics have gained since; so a question
// costs a look at offsets as long as nothing was stated. Older cuts (read tokens) are resolved from the start; the newest kStatesMax
// of all are kept.
// Thread rule: any thread; questions take turns.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "base/result.h"
#include "market/offsets.h"
#include "query/coverage.h"
#include "query/cut.h"
#include "query/result.h"
#include "query/tail.h"

namespace arrow {
class RecordBatch;
}

namespace k2 {

class CoverageReader {
 public:
  static constexpr size_t kStatesMax = 8;

  /// Every statement of a cut, in the log's order per partition, with all columns of the table.
  using ReadAll = std::function<Result<std::unique_ptr<QueryResult>>(const Cut& cut)>;

  /// `tail` is that of the coverage channel, and outlives the reader.
  explicit CoverageReader(HotTail& tail) : tail_(tail) {}

  /// The errors of HotTail::look() and load(), and of `read_all`, which is asked where the cut cannot be reached from what is known.
  [[nodiscard]] Result<std::shared_ptr<const CoverageState>> at(const Cut& cut, const ReadAll& read_all);

 private:
  struct Known {
    Offsets end;
    std::shared_ptr<const CoverageState> state;
  };
  [[nodiscard]] bool is_ahead(const Offsets& end) const;
  Status carry_on(const Offsets& end);
  Status begin_again(const Cut& cut, const Offsets& end, const ReadAll& read_all);
  void remember(const Offsets& end, std::shared_ptr<const CoverageState> state);

  HotTail& tail_;
  std::mutex mutex_;  // guards everything below
  CoverageResolver resolver_;
  Offsets end_;  // what resolver_ has been told
  std::deque<Known> known_;
};

/// Tells `resolver` the statements of `batch`, which has the columns of the coverage table. A status of a later program makes unknown what it
/// speaks of, and is warned of once. Corrupt: a range whose first lies behind its last.
[[nodiscard]] Status apply(const arrow::RecordBatch& batch, CoverageResolver& resolver);

}  // namespace k2
