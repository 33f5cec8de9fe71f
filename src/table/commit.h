// What to do next with a commit: the protocol of docs/formats/table.md as pure functions of what is seen, so that every interleaving can be tried.
//
// Two questions, two proofs. May I append? Only offsets answer: the table's must equal the batch's first ones. Did mine land? The commit id in the
// ancestry proves yes; its absence proves no only while the catalog has moved on from the base with offsets still at our start.
// Thread rule: pure functions. Internal to the table folder.
#pragma once

#include <optional>
#include <string>

#include "market/offsets.h"
#include "table/metadata.h"

namespace k2 {

/// What a commit asks for: the rows of [start, end) of one log.
struct CommitIntent {
  Offsets start;
  Offsets end;
  std::string log_id;
  std::string commit_id;
};

/// What is seen of the table just now.
struct TableView {
  bool empty = true;  // no rows at all
  bool has_offsets = false;  // some ancestor carries k2.offsets
  Offsets offsets;
  std::string log_id;
  bool has_our_commit = false;  // our commit id is in the ancestry
  bool is_at_our_base = false;  // the catalog still points at the metadata that our last try was built on
};

enum class NextStep {
  kCommit,  // build on what is seen, and try
  kResend,  // same base: send the very same request again
  kDone,  // it has landed
  kConflict,  // the rows are not ours to append: the table is elsewhere; the caller reloads
  kStop,  // the table contradicts us: alarm
};

struct Decision {
  NextStep step;
  std::string why;  // for kConflict and kStop
};

/// `tried`: an earlier try of this intent may have landed (its outcome was unknown).
[[nodiscard]] Decision decide(const CommitIntent& intent, const TableView& seen, bool tried);

/// The offsets after the commit: `base` with the intent's partitions moved to their ends.
[[nodiscard]] Offsets advance(const Offsets& base, const Offsets& end);

}  // namespace k2
