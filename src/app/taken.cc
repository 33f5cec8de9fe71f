#include "app/taken.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/assert.h"

namespace k2 {
namespace {

constexpr size_t kHashDigits = 16;
constexpr std::string_view kHighestMark = "<=";

std::string hash_text(uint64_t hash) {
  char text[kHashDigits + 1];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return {text, kHashDigits};
}

}  // namespace

std::optional<int64_t> highest_taken(std::string_view position) {
  if (!position.starts_with(kHighestMark)) {
    const auto sequences = SequenceRanges::parse(position);
    return sequences ? sequences->last() : std::nullopt;
  }
  int64_t highest = -1;
  const std::string_view digits = position.substr(kHighestMark.size());
  std::from_chars(digits.data(), digits.data() + digits.size(), highest);
  if (highest < 0 || std::to_string(highest) != digits) return std::nullopt;
  return highest;
}

Result<Taken> Taken::parse(Kind kind, std::string_view text) {
  Taken taken(kind);
  if (kind == Kind::kSequences) {
    auto sequences = SequenceRanges::parse(text);
    if (!sequences) return make_error(ErrorKind::kCorrupt, "position: " + sequences.error().message);
    taken.sequences_ = *std::move(sequences);
    return taken;
  }
  if (kind == Kind::kHighest) {
    if (text.empty()) return taken;
    const auto highest = highest_taken(text);
    if (!highest)
      return make_error(ErrorKind::kCorrupt, "position: cannot read highest number \"" + std::string(text.substr(0, 64)) + "\"");
    taken.highest_ = *highest;
    return taken;
  }
  for (size_t at = 0; at < text.size(); at += kHashDigits + 1) {
    uint64_t hash = 0;
    const std::string_view digits = text.substr(at, kHashDigits);
    std::from_chars(digits.data(), digits.data() + digits.size(), hash, 16);
    taken.hashes_.push_back(hash);
  }
  // Writing it again is the check of spelling; order and uniqueness remain.
  const auto not_rising = std::ranges::adjacent_find(taken.hashes_, std::greater_equal<>());
  if (taken.to_string() != text || not_rising != taken.hashes_.end())
    return make_error(ErrorKind::kCorrupt, "position: cannot read hashes \"" + std::string(text.substr(0, 64)) + "\"");
  return taken;
}

std::string Taken::to_string() const {
  if (kind_ == Kind::kSequences) return sequences_.to_string();
  if (kind_ == Kind::kHighest) return highest_ < 0 ? "" : std::string(kHighestMark) + std::to_string(highest_);
  std::string text;
  for (const uint64_t hash : hashes_) text += (text.empty() ? "" : ",") + hash_text(hash);
  return text;
}

bool Taken::insert(uint64_t key) {
  if (kind_ == Kind::kSequences) return sequences_.insert(static_cast<int64_t>(key));
  if (kind_ == Kind::kHighest) {
    if (static_cast<int64_t>(key) <= highest_) return false;
    highest_ = static_cast<int64_t>(key);
    return true;
  }
  if (std::ranges::binary_search(previous_, key)) return false;
  const auto at = std::ranges::lower_bound(hashes_, key);
  if (at != hashes_.end() && *at == key) return false;
  hashes_.insert(at, key);
  return true;
}

bool Taken::insert(uint64_t first, uint64_t last) {
  if (first == last) return insert(first);
  K2_ASSERT(kind_ == Kind::kSequences);
  return sequences_.insert(SequenceRanges::Range{static_cast<int64_t>(first), static_cast<int64_t>(last)});
}

Taken Taken::next_batch() const {
  Taken next = *this;
  if (kind_ == Kind::kLastHashes) {
    next.previous_ = std::move(next.hashes_);
    next.hashes_.clear();
  }
  return next;
}

}  // namespace k2
