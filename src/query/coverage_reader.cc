#include "query/coverage_reader.h"

#include <arrow/api.h>

#include <algorithm>
#include <atomic>
#include <string>

#include "base/logging.h"
#include "query/batch_column.h"

namespace k2 {
namespace {

void warn_of_status(const std::string& status) {
  static std::atomic<bool> has_warned = false;
  if (!has_warned.exchange(true))
    log_warning("coverage_status_unknown", {{"status", status}, {"meaning", "of a later program; what it speaks of counts as unknown"}});
}

}  // namespace

Status apply(const arrow::RecordBatch& batch, CoverageResolver& resolver) {
  const auto& exchanges = column_of<arrow::StringArray>(batch, "exchange");
  const auto& symbols = column_of<arrow::StringArray>(batch, "symbol");
  const auto& channels = column_of<arrow::StringArray>(batch, "channel");
  const auto& firsts = column_of<arrow::Int64Array>(batch, "first_sequence");
  const auto& lasts = column_of<arrow::Int64Array>(batch, "last_sequence");
  const auto& timestamps = column_of<arrow::TimestampArray>(batch, "timestamp");
  const auto& end_timestamps = column_of<arrow::TimestampArray>(batch, "end_timestamp");
  const auto& statuses = column_of<arrow::StringArray>(batch, "status");
  const auto& reasons = column_of<arrow::StringArray>(batch, "reason");
  for (int64_t row = 0; row < batch.num_rows(); ++row) {
    if (firsts.Value(row) > lasts.Value(row))
      return make_error(ErrorKind::kCorrupt, "coverage: a row of " + symbols.GetString(row) + " from " + std::to_string(firsts.Value(row)) +
                                                 " to " + std::to_string(lasts.Value(row)) + " with status " + statuses.GetString(row));
    const CoverageSource source{exchanges.GetString(row), symbols.GetString(row), channels.GetString(row)};
    const auto status = parse_coverage_status(statuses.GetView(row));
    if (!status) {
      warn_of_status(statuses.GetString(row));
      resolver.forget(source, firsts.Value(row), lasts.Value(row));
      continue;
    }
    resolver.state(source, {firsts.Value(row),
                            lasts.Value(row),
                            {timestamps.Value(row)},
                            {end_timestamps.Value(row)},
                            *status,
                            reasons.IsNull(row) ? std::string() : reasons.GetString(row)});
  }
  return {};
}

Result<std::shared_ptr<const CoverageState>> CoverageReader::at(const Cut& cut, const ReadAll& read_all) {
  const Offsets end = offsets_of_channel(cut.end, Channel::kCoverage);
  const std::lock_guard lock(mutex_);
  const auto known = std::ranges::find(known_, end, &Known::end);
  if (known != known_.end()) return known->state;
  if (end.empty()) return std::make_shared<const CoverageState>();
  const Status carried = is_ahead(end) ? carry_on(end) : make_error(ErrorKind::kNotFound, "an older cut");
  if (!carried && carried.error().kind != ErrorKind::kNotFound) return std::unexpected(carried.error());
  if (!carried) K2_RETURN_IF_ERROR(begin_again(cut, end, read_all));
  return known_.back().state;
}

/// Whether `end` can be reached by reading on.
bool CoverageReader::is_ahead(const Offsets& end) const {
  if (end_.empty()) return false;
  return std::ranges::all_of(end_, [&](const auto& at) { return at.second <= offset_of(end, at.first); });
}

/// NotFound: the log no longer has what lies between.
Status CoverageReader::carry_on(const Offsets& end) {
  K2_TRY(const std::vector<TailPiece> pieces, tail_.look(end_, end));
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (const TailPiece& piece : pieces) {
    K2_TRY(auto batch, tail_.load(piece));
    batches.push_back(std::move(batch));
  }
  for (const auto& batch : batches) {
    if (const Status applied = apply(*batch, resolver_); !applied) {
      end_.clear();  // half applied
      return applied;
    }
  }
  end_ = end;
  remember(end, std::make_shared<const CoverageState>(resolver_.resolved()));
  return {};
}

Status CoverageReader::begin_again(const Cut& cut, const Offsets& end, const ReadAll& read_all) {
  CoverageResolver resolver;
  K2_TRY(const auto rows, read_all(cut));
  while (true) {
    K2_TRY(const auto batch, rows->next());
    if (!batch) break;
    K2_RETURN_IF_ERROR(apply(*batch, resolver));
  }
  remember(end, std::make_shared<const CoverageState>(resolver.resolved()));
  // An old cut is answered, and the newest kept to carry on from.
  const bool is_older = std::ranges::any_of(end_, [&](const auto& at) { return at.second > offset_of(end, at.first); });
  if (is_older) return {};
  resolver_ = std::move(resolver);
  end_ = end;
  return {};
}

void CoverageReader::remember(const Offsets& end, std::shared_ptr<const CoverageState> state) {
  known_.push_back({end, std::move(state)});
  if (known_.size() > kStatesMax) known_.pop_front();
}

}  // namespace k2
