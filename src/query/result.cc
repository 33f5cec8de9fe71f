#include "query/result.h"

#include <arrow/api.h>

#include <utility>

namespace k2 {
namespace {

class ReadyResult final : public QueryResult {
 public:
  ReadyResult(std::shared_ptr<arrow::Schema> schema, std::vector<std::shared_ptr<arrow::RecordBatch>> batches)
      : schema_(std::move(schema)), batches_(std::move(batches)) {}

  [[nodiscard]] const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> next() override {
    while (next_ < batches_.size()) {
      auto batch = std::move(batches_[next_++]);
      if (batch->num_rows() > 0) return batch;
    }
    return nullptr;
  }

 private:
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches_;
  size_t next_ = 0;
};

}  // namespace

std::unique_ptr<QueryResult> make_result(std::shared_ptr<arrow::Schema> schema, std::vector<std::shared_ptr<arrow::RecordBatch>> batches) {
  return std::make_unique<ReadyResult>(std::move(schema), std::move(batches));
}

Result<std::shared_ptr<arrow::RecordBatch>> LimitedResult::next() {
  if (has_more_) return nullptr;
  K2_TRY(auto batch, rows_->next());
  if (!batch) return nullptr;
  has_more_ = batch->num_rows() > left_;
  if (has_more_) batch = batch->Slice(0, left_);
  left_ -= batch->num_rows();
  if (batch->num_rows() == 0) return nullptr;
  return batch;
}

Result<std::shared_ptr<arrow::RecordBatch>> read_all(QueryResult& result) {
  arrow::RecordBatchVector batches;
  while (true) {
    K2_TRY(auto batch, result.next());
    if (!batch) break;
    batches.push_back(std::move(batch));
  }
  auto whole = batches.empty() ? arrow::RecordBatch::MakeEmpty(result.schema()) : arrow::ConcatenateRecordBatches(batches);
  if (!whole.ok()) return make_error(ErrorKind::kUnavailable, "query: cannot join batches: " + whole.status().ToString());
  return *std::move(whole);
}

Result<std::unique_ptr<QueryResult>> reversed(QueryResult& result) {
  K2_TRY(const auto whole, read_all(result));
  arrow::RecordBatchVector rows;
  for (int64_t row = whole->num_rows(); row-- > 0;) rows.push_back(whole->Slice(row, 1));
  return make_result(result.schema(), std::move(rows));
}

}  // namespace k2
