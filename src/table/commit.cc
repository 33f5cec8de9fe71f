#include "table/commit.h"

namespace k2 {
namespace {

// Whether the table's offsets of the intent's partitions equal `at`.
bool stands_at(const Offsets& table, const CommitIntent& intent, const Offsets& at) {
  for (const auto& [partition, end] : intent.end)
    if (offset_of(table, partition) != offset_of(at, partition)) return false;
  return true;
}

bool has_passed(const Offsets& table, const CommitIntent& intent) {
  for (const auto& [partition, end] : intent.end)
    if (offset_of(table, partition) < end) return false;
  return true;
}

}  // namespace

Decision decide(const CommitIntent& intent, const TableView& seen, bool tried) {
  if (seen.has_our_commit) return {NextStep::kDone, ""};
  if (tried && seen.is_at_our_base) return {NextStep::kResend, ""};
  if (!seen.empty && !seen.has_offsets)
    return {
        NextStep::kStop,
        "the table has rows but no snapshot says which log offsets they are (k2.offsets): refusing to append what may be there already"};
  if (seen.has_offsets && seen.log_id != intent.log_id)
    return {NextStep::kStop,
            "the table was filled from log " + seen.log_id + ", this is log " + intent.log_id + ": their offsets mean different rows"};
  if (stands_at(seen.offsets, intent, intent.start)) return {NextStep::kCommit, ""};
  if (has_passed(seen.offsets, intent))
    return {NextStep::kConflict, "the table has these rows already: it stands at " + offsets_json(seen.offsets)};
  return {NextStep::kConflict, "the table stands at " + offsets_json(seen.offsets) + ", the rows begin at " + offsets_json(intent.start)};
}

Offsets advance(const Offsets& base, const Offsets& end) {
  Offsets next = base;
  for (const auto& [partition, offset] : end) next[partition] = offset;
  return next;
}

}  // namespace k2
