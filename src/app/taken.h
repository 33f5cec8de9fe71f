// Taken: what has been taken of one source, and the text in which the log keeps it as that source's position.
//
//   kSequences   "5-9,12"                     sequence numbers, as SequenceRanges writes them; never forgets
//   kHashes      "00c0ffee00c0ffee,..."       64-bit hashes, 16 hexadecimal digits each, sorted; never forgets
//   kLastHashes  the same                     only the last batch's hashes: enough to learn whether an append of unknown outcome landed
//   kHighest     "<=9000"                     the highest sequence number; lower ones count as taken. For numbers that have holes by nature.
//                                             The text of kSequences is read as well, for its last one
//
// Thread rule: a value type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "market/sequence_ranges.h"

namespace k2 {

class Taken {
 public:
  enum class Kind : uint8_t { kSequences, kHashes, kLastHashes, kHighest };

  explicit Taken(Kind kind) : kind_(kind) {}

  /// Corrupt unless it is exactly what to_string() writes for that kind.
  [[nodiscard]] static Result<Taken> parse(Kind kind, std::string_view text);
  [[nodiscard]] std::string to_string() const;

  /// Takes `key`; false if it was taken already. A sequence is below 2^62.
  bool insert(uint64_t key);
  /// kSequences: takes all of them; false if all were taken already.
  bool insert(uint64_t first, uint64_t last);

  /// What to start the next batch with: everything taken so far; kLastHashes remembers it for insert() but no longer writes it.
  [[nodiscard]] Taken next_batch() const;

 private:
  Kind kind_;
  SequenceRanges sequences_;
  int64_t highest_ = -1;  // kHighest; -1: none yet
  std::vector<uint64_t> hashes_;  // sorted
  std::vector<uint64_t> previous_;  // kLastHashes: the batch before; sorted
};

/// The highest sequence number that a position of kSequences or kHighest names; nullopt for none, and for any other text.
[[nodiscard]] std::optional<int64_t> highest_taken(std::string_view position);

}  // namespace k2
