// QueryResult: the rows of one answer, as a schema and a stream of Arrow record batches.
//
// Types of its columns: int32, int64, double, bool, utf8, timestamp(us, UTC), decimal128(p, s), list<...>; a uuid is its 36-character text
// (utf8); SQL from users may bring others of Arrow's. Memory is bounded by what one batch takes, except where the query had to
// sort or aggregate.
// Thread rule: one thread at a time. A result holds its engine's resources until it is destroyed, and is destroyed before the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace k2 {

class QueryResult {
 public:
  virtual ~QueryResult() = default;

  [[nodiscard]] virtual const std::shared_ptr<arrow::Schema>& schema() const = 0;

  /// The next rows, at least one of them; nullptr after the last. After an error there is nothing more to come, and what came before is
  /// not the answer. Cancelled: the caller's stop token, or the time limit. Unavailable: the memory limit, or a source that is away.
  /// Corrupt, NotFound: a source that contradicts itself, or is gone.
  [[nodiscard]] virtual Result<std::shared_ptr<arrow::RecordBatch>> next() = 0;
};

/// A result that is there already. All batches have `schema`.
[[nodiscard]] std::unique_ptr<QueryResult> make_result(std::shared_ptr<arrow::Schema> schema,
                                                       std::vector<std::shared_ptr<arrow::RecordBatch>> batches);

/// The first rows of another result. Ask that one for a row more than `limit`: has_more() then tells whether there were others.
class LimitedResult final : public QueryResult {
 public:
  LimitedResult(std::unique_ptr<QueryResult> rows, int64_t limit) : rows_(std::move(rows)), left_(limit) {}
  [[nodiscard]] const std::shared_ptr<arrow::Schema>& schema() const override { return rows_->schema(); }
  [[nodiscard]] Result<std::shared_ptr<arrow::RecordBatch>> next() override;
  /// Valid after the last row.
  [[nodiscard]] bool has_more() const { return has_more_; }

 private:
  std::unique_ptr<QueryResult> rows_;
  int64_t left_;
  bool has_more_ = false;
};

/// Everything that is left of `result`, as one batch; which may have no rows. For small answers.
[[nodiscard]] Result<std::shared_ptr<arrow::RecordBatch>> read_all(QueryResult& result);

/// The same, its rows in reverse order. For small answers.
[[nodiscard]] Result<std::unique_ptr<QueryResult>> reversed(QueryResult& result);

}  // namespace k2
