#include "market/sequence_ranges.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace k2 {
namespace {

TEST(SequenceRanges, ACountWithoutHolesIsOneRange) {
  SequenceRanges ranges;
  for (int64_t sequence = 553287559; sequence <= 553289559; ++sequence) EXPECT_TRUE(ranges.insert(sequence));
  EXPECT_EQ(ranges.to_string(), "553287559-553289559");
  EXPECT_FALSE(ranges.insert(553287559));
  EXPECT_FALSE(ranges.insert(553289559));
}

TEST(SequenceRanges, RemembersAnySetInAnyOrder) {
  std::mt19937 random(7);
  SequenceRanges ranges;
  std::set<int64_t> reference;
  for (int i = 0; i < 20'000; ++i) {
    const int64_t sequence = random() % 3'000;
    EXPECT_EQ(ranges.insert(sequence), reference.insert(sequence).second);
  }
  for (int64_t sequence = 0; sequence < 3'001; ++sequence) EXPECT_EQ(ranges.contains(sequence), reference.contains(sequence));
  EXPECT_EQ(SequenceRanges::parse(ranges.to_string()).value(), ranges);
}

TEST(SequenceRanges, TakesWholeRangesLikeOneByOne) {
  std::mt19937 random(11);
  SequenceRanges ranges;
  SequenceRanges one_by_one;
  for (int i = 0; i < 2'000; ++i) {
    const int64_t first = random() % 3'000;
    const int64_t last = first + random() % 7;
    bool is_new = false;
    for (int64_t sequence = first; sequence <= last; ++sequence) is_new = one_by_one.insert(sequence) || is_new;
    EXPECT_EQ(ranges.insert(SequenceRanges::Range{first, last}), is_new);
    ASSERT_EQ(ranges, one_by_one);
  }
}

TEST(SequenceRanges, OverlapsAndDifferencesAreThoseOfSets) {
  std::mt19937 random(13);
  for (int round = 0; round < 200; ++round) {
    SequenceRanges a, b;
    for (int i = 0; i < 30; ++i) a.insert(static_cast<int64_t>(random() % 60));
    for (int i = 0; i < 30; ++i) b.insert(static_cast<int64_t>(random() % 60));
    const SequenceRanges::Range window{static_cast<int64_t>(random() % 30), 30 + static_cast<int64_t>(random() % 30)};
    SequenceRanges in_window;
    for (const SequenceRanges::Range& part : a.overlap(window)) in_window.insert(part);
    const SequenceRanges rest = a.without(b);
    SequenceRanges both = rest;
    both.insert(b);
    for (int64_t sequence = 0; sequence < 60; ++sequence) {
      EXPECT_EQ(in_window.contains(sequence), a.contains(sequence) && window.first <= sequence && sequence <= window.last);
      EXPECT_EQ(rest.contains(sequence), a.contains(sequence) && !b.contains(sequence));
      EXPECT_EQ(both.contains(sequence), a.contains(sequence) || b.contains(sequence));
    }
    EXPECT_EQ(SequenceRanges::parse(rest.to_string()).value(), rest);
  }
}

TEST(SequenceRanges, NothingOverlapsAnEmptyRange) {
  SequenceRanges ranges;
  ranges.insert(SequenceRanges::Range{1, 100});
  EXPECT_TRUE(ranges.overlap({50, 49}).empty());
  EXPECT_TRUE(ranges.overlap({50, 10}).empty());
}

TEST(SequenceRanges, ReadsOnlyItsOwnText) {
  EXPECT_EQ(SequenceRanges::parse("")->ranges().size(), 0u);
  EXPECT_EQ(SequenceRanges::parse("5-9,12")->ranges().size(), 2u);
  for (const char* text : {"5-", "9-5", "5-9,10", "5,5", "12,5", "-3", "a", "5-9,", ",5", "5 -9", "05", "5-5", "99999999999999999999"})
    EXPECT_FALSE(SequenceRanges::parse(text)) << text;
}

}  // namespace
}  // namespace k2
