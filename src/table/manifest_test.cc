#include "table/manifest.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "base/bytes.h"

namespace k2 {
namespace {

DataFile some_file(int32_t day, const std::string& exchange) {
  DataFile file;
  file.file_path = "file:///w/" + exchange + ".parquet";
  file.day = day;
  file.exchange = exchange;
  file.record_count = 10;
  file.file_size_in_bytes = 1000;
  file.column_sizes = {{1, 100}, {12, 7}};
  file.value_counts = {{1, 10}};
  file.null_value_counts = {{1, 0}};
  file.lower_bounds = {{3, "BTC"}, {6, long_bound(-5)}};
  file.upper_bounds = {{3, "ETH"}, {6, long_bound(5)}};
  file.split_offsets = {4, 400};
  file.sort_order_id = 1;
  return file;
}

const ManifestHeader kHeader{R"({"type":"struct","schema-id":0,"fields":[]})", "[]", 0, true};

TEST(Manifest, KeepsWhatWasWritten) {
  const std::vector<ManifestEntry> entries{{EntryStatus::kAdded, {}, {}, {}, some_file(18628, "binance")},
                                           {EntryStatus::kExisting, 7, 3, 2, some_file(-1, "asx")}};
  const auto read = read_manifest(write_manifest(kHeader, entries), "m");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 2u);
  EXPECT_FALSE((*read)[0].snapshot_id || (*read)[0].sequence_number) << "an added entry inherits them";
  EXPECT_EQ((*read)[1].snapshot_id, 7);
  EXPECT_EQ((*read)[1].sequence_number, 3);
  EXPECT_EQ((*read)[1].file_sequence_number, 2);
  const DataFile &file = (*read)[1].file, want = some_file(-1, "asx");
  EXPECT_EQ(file.file_path, want.file_path);
  EXPECT_EQ(file.day, want.day);
  EXPECT_EQ(file.exchange, want.exchange);
  EXPECT_EQ(file.column_sizes, want.column_sizes);
  EXPECT_EQ(file.lower_bounds, want.lower_bounds);
  EXPECT_EQ(file.upper_bounds, want.upper_bounds);
  EXPECT_EQ(file.split_offsets, want.split_offsets);
  EXPECT_EQ(file.sort_order_id, want.sort_order_id);
}

TEST(Manifest, TheSameEntriesGiveTheSameBytes) {
  const std::vector<ManifestEntry> entries{{EntryStatus::kAdded, {}, {}, {}, some_file(1, "x")}};
  EXPECT_EQ(write_manifest(kHeader, entries), write_manifest(kHeader, entries));
}

TEST(Manifest, OfATableWithoutPartitionsHasAnEmptyTuple) {
  DataFile file = some_file(0, "");
  file.day.reset();
  file.exchange.reset();
  ManifestHeader header = kHeader;
  header.partitioned = false;
  const auto read = read_manifest(write_manifest(header, {{EntryStatus::kAdded, {}, {}, {}, file}}), "m");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_FALSE(read->at(0).file.day);
}

TEST(Manifest, ASummaryCountsByStatusAndSpansThePartitions) {
  const auto summary = summarize_manifest(
      {{EntryStatus::kAdded, {}, {}, {}, some_file(5, "b")}, {EntryStatus::kExisting, 1, 2, 2, some_file(3, "a")}}, 9, 4, true);
  EXPECT_EQ(summary.added_files_count, 1);
  EXPECT_EQ(summary.existing_rows_count, 10);
  EXPECT_EQ(summary.min_sequence_number, 2);
  ASSERT_EQ(summary.partitions.size(), 2u);
  EXPECT_EQ(summary.partitions[0].lower_bound, int_bound(3));
  EXPECT_EQ(summary.partitions[1].upper_bound, "b");
}

TEST(ManifestList, KeepsWhatWasWritten) {
  ManifestFile manifest = summarize_manifest({{EntryStatus::kAdded, {}, {}, {}, some_file(5, "b")}}, 9, 4, true);
  manifest.manifest_path = "file:///m";
  manifest.manifest_length = 99;
  const auto read = read_manifest_list(write_manifest_list(9, 8, 4, {manifest, manifest}), "l");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ(read->at(1).manifest_path, "file:///m");
  EXPECT_EQ(read->at(1).manifest_length, 99);
  EXPECT_EQ(read->at(1).added_snapshot_id, 9);
  EXPECT_EQ(read->at(1).sequence_number, 4);
  EXPECT_EQ(read->at(1).added_rows_count, 10);
  EXPECT_EQ(read->at(1).partitions.at(0).upper_bound, int_bound(5));
  EXPECT_TRUE(read_manifest_list(write_manifest_list(9, {}, 1, {}), "l").value().empty());
}

TEST(Bounds, AreTheSpecificationsSingleValues) {
  EXPECT_EQ(to_hex(long_bound(1)), "0100000000000000");
  EXPECT_EQ(to_hex(long_bound(-2)), "feffffffffffffff");
  EXPECT_EQ(to_hex(int_bound(20'370)), "924f0000");  // 2025-10-09, as PyIceberg wrote it
  EXPECT_EQ(to_hex(decimal_bound(0)), "00");
  EXPECT_EQ(to_hex(decimal_bound(127)), "7f");
  EXPECT_EQ(to_hex(decimal_bound(128)), "0080");
  EXPECT_EQ(to_hex(decimal_bound(-128)), "80");
  EXPECT_EQ(to_hex(decimal_bound(-129)), "ff7f");
  EXPECT_EQ(to_hex(decimal_bound(-1)), "ff");
  EXPECT_EQ(to_hex(decimal_bound(58'337)), "00e3e1");  // 0.00058337, as PyIceberg wrote it
  EXPECT_EQ(to_hex(decimal_bound(999'999'999'999'999'999)), "0de0b6b3a763ffff");
  EXPECT_EQ(read_long_bound(long_bound(-2)), -2);
  EXPECT_EQ(read_long_bound(int_bound(-2)), -2);
  EXPECT_EQ(read_long_bound("abc"), std::nullopt);
}

TEST(Bounds, OfLongTextsAreShortAndStillBounds) {
  for (const std::string text : {"", "BTCUSDT", "0123456789abcdef", "0123456789abcdefg", "0123456789abcde\x7f",
                                 "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7fx",
                                 "日本語日本語日本語日本語日本語日本語日本語", "0123456789abcd\u00e9\u00e9\u00e9"}) {
    SCOPED_TRACE(text);
    EXPECT_LE(string_lower_bound(text), text);
    EXPECT_LE(string_lower_bound(text).size(), 64u);
    const auto upper = string_upper_bound(text);
    EXPECT_TRUE(!upper || *upper >= text);
  }
  EXPECT_EQ(string_upper_bound("BTCUSDT"), "BTCUSDT");
  EXPECT_EQ(string_upper_bound("0123456789abcdefg"), "0123456789abcdeg");
}

// --- whatever the bytes are ---------------------------------------------------------------------------------------------

std::string reference(const char* name) {
  const char* const root = std::getenv("K2_TEST_ICEBERG_REFERENCE");
  std::ifstream file(std::string(root ? root : K2_SOURCE_DIR "/../shared/stack/iceberg/ref") + "/" + name, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

TEST(Manifest, ReadsWhatPyIcebergWrote) {
  const std::string bytes = reference("manifest.avro");
  if (bytes.empty()) GTEST_SKIP() << "no reference files: set K2_TEST_ICEBERG_REFERENCE";
  const auto entries = read_manifest(bytes, "manifest.avro");
  ASSERT_TRUE(entries) << entries.error().message;
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_EQ(entries->at(1).file.exchange, "binance");
  EXPECT_EQ(entries->at(1).file.day, 20'370);
  EXPECT_EQ(entries->at(1).file.record_count, 33'366);
  EXPECT_EQ(to_hex(entries->at(1).file.upper_bounds.at(4)), "048e7b429420");
  const auto manifests = read_manifest_list(reference("manifest-list.avro"), "manifest-list.avro");
  ASSERT_TRUE(manifests) << manifests.error().message;
  ASSERT_GE(manifests->size(), 1u);
  EXPECT_EQ(manifests->at(0).added_rows_count, 100'000);
  EXPECT_EQ(manifests->at(0).partitions.at(1).lower_bound, "binance");
}

TEST(Manifest, DamageGivesAnErrorOrOtherValuesButNoCrash) {
  const std::string good =
      write_manifest(kHeader, {{EntryStatus::kAdded, {}, {}, {}, some_file(1, "x")}, {EntryStatus::kDeleted, 1, 1, 1, some_file(2, "y")}});
  for (size_t length = 0; length < good.size(); ++length) {
    const auto cut = read_manifest(good.substr(0, length), "m");
    // Cut right after the header it is a file of no records; a manifest's length is checked against its list.
    EXPECT_TRUE(!cut || cut->empty()) << length;
  }
  std::mt19937 random(1);
  for (int i = 0; i < 5'000; ++i) {
    std::string bad = good;
    for (int changes = 1 + static_cast<int>(random() % 3); changes > 0; --changes) bad[random() % bad.size()] = static_cast<char>(random());
    (void)read_manifest(bad, "m");
    (void)read_manifest_list(bad, "l");
  }
}

}  // namespace
}  // namespace k2
