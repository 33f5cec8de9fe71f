#include "query/hybrid.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "codec/columns.h"
#include "query/sql_text.h"

namespace k2 {
namespace {

constexpr size_t kStatesMax = 32;
constexpr int kViewAttempts = 3;  // a trim may come between looking at the table and at the log; twice in a row is rare, thrice is wrong

Status same_log(const TableState& state, const LogId& id) {
  if (state.log_id.empty() || state.log_id == id.value) return {};
  return make_error(ErrorKind::kCorrupt, "table " + state.table + " was written from log " + state.log_id + ", this one is " + id.value);
}

Status within(const TableState& state, const Offsets& end) {
  for (const auto& [partition, offset] : state.offsets)
    if (offset > offset_of(end, partition))
      return make_error(ErrorKind::kCorrupt, "table " + state.table + " has " + partition.topic + "/" +
                                                 std::to_string(partition.partition) + " up to offset " + std::to_string(offset.value) +
                                                 ", the log ends at " + std::to_string(offset_of(end, partition).value) +
                                                 ": it has lost records");
  return {};
}

int64_t sum(const Offsets& offsets) {
  int64_t total = 0;
  for (const auto& [partition, offset] : offsets) total += offset.value;
  return total;
}

}  // namespace

HybridReader::HybridReader(Lake& lake, const Log& log, const SchemaStore& schemas, const HotTailOptions& options) : lake_(lake), log_(log) {
  for (const Channel channel : kChannels) tails_.push_back(std::make_unique<HotTail>(channel, log, schemas, options));
}

HotTail& HybridReader::tail_of(const TableSpec& table) {
  for (const Channel channel : kChannels)
    if (table_of(channel).name == table.name) return *tails_[static_cast<size_t>(channel)];
  K2_ASSERT(!"a table that no channel goes into");
}

Result<Cut> HybridReader::take() {
  Cut cut;
  cut.log_id = log_.id();
  std::vector<std::shared_ptr<const TableState>> states;
  for (const Channel channel : kChannels) {
    K2_TRY(auto state, current(table_of(channel).name));
    cut.tables.push_back({state->table, state->snapshot});
    states.push_back(std::move(state));
  }
  K2_TRY(cut.end, log_.end_offsets());  // after the snapshots: cut.h says why
  for (size_t i = 0; i < states.size(); ++i) {
    K2_RETURN_IF_ERROR(within(*states[i], cut.end));
    tails_[i]->release_below(states[i]->offsets);
  }
  return cut;
}

Result<Cut> HybridReader::cut_of(std::string_view token) const {
  K2_TRY(Cut cut, parse_read_token(token));
  if (cut.log_id != log_.id())
    return make_error(ErrorKind::kInvalidInput, "read_token is of log " + cut.log_id.value + ", this one is " + log_.id().value);
  // The checksum is no signature: what comes from outside may name any partition and offset, and the tail would keep a place for each.
  K2_TRY(const Offsets end, log_.end_offsets());
  for (const auto& [partition, offset] : cut.end)
    if (offset.value < 0 || offset > offset_of(end, partition))
      return make_error(ErrorKind::kInvalidInput, "read_token goes to offset " + std::to_string(offset.value) + " of " + partition.topic +
                                                      "/" + std::to_string(partition.partition) + ", the log ends at " +
                                                      std::to_string(offset_of(end, partition).value));
  return cut;
}

Result<TableView> HybridReader::view(const Cut& cut, const TableSpec& table) {
  const TableCut* wanted = cut.find(table.name);
  if (wanted == nullptr) return make_error(ErrorKind::kNotFound, "the cut does not have table " + std::string(table.name));
  auto state = state_of(*wanted);
  Error why{};
  for (int attempt = 0; attempt < kViewAttempts; ++attempt) {
    if (!state && state.error().kind != ErrorKind::kNotFound) return std::unexpected(std::move(state).error());
    if (state) {
      K2_RETURN_IF_ERROR(same_log(**state, log_.id()));
      auto view = view_through(*state, cut, table);
      if (view || view.error().kind != ErrorKind::kNotFound) return view;
      why = std::move(view).error();
    } else {
      why = std::move(state).error();
    }
    // The snapshot is gone, or the log no longer reaches back to it: whatever was let go of is in the current snapshot.
    state = current(table.name);
  }
  return make_error(ErrorKind::kNotFound, "read_token expired: " + why.message);
}

Result<TableView> HybridReader::view_through(std::shared_ptr<const TableState> state, const Cut& cut, const TableSpec& table) {
  TableView view;
  view.tail = &tail_of(table);
  K2_TRY(view.pieces, view.tail->look(state->offsets, cut.end));
  for (const TailPiece& piece : view.pieces) view.log_rows += piece.to.value - piece.from.value;
  view.condition = below_end_condition(state->offsets, cut.end);
  view.table_rows = state->record_count;
  if (!view.condition.empty()) {
    // Rows come from the log alone, each offset once: what the snapshot has beyond the cut can be counted without reading it.
    Offsets beyond;
    for (const auto& [partition, offset] : state->offsets)
      if (const Offset stop = offset_of(cut.end, partition); offset > stop) beyond[partition] = Offset{offset.value - stop.value};
    view.table_rows -= sum(beyond);
  }
  view.state = std::move(state);
  return view;
}

Result<std::shared_ptr<const TableState>> HybridReader::state_of(const TableCut& cut) {
  if (!cut.snapshot) {
    auto empty = std::make_shared<TableState>();
    empty->table = cut.table;
    empty->files = std::make_shared<std::vector<DataFileInfo>>();
    return empty;
  }
  {
    const std::lock_guard lock(mutex_);
    const auto found = states_.find({cut.table, *cut.snapshot});
    if (found != states_.end()) return found->second;
  }
  K2_TRY(auto state, lake_.state_at(cut.table, *cut.snapshot));
  remember(state);
  return state;
}

Result<std::shared_ptr<const TableState>> HybridReader::current(std::string_view table) {
  K2_TRY(auto state, lake_.load(table));
  K2_RETURN_IF_ERROR(same_log(*state, log_.id()));
  remember(state);
  return state;
}

void HybridReader::remember(const std::shared_ptr<const TableState>& state) {
  if (!state->snapshot) return;
  const std::lock_guard lock(mutex_);
  const auto key = std::make_pair(state->table, *state->snapshot);
  if (!states_.emplace(key, state).second) return;
  states_order_.push_back(key);
  if (states_order_.size() <= kStatesMax) return;
  states_.erase(states_order_.front());
  states_order_.erase(states_order_.begin());
}

}  // namespace k2
