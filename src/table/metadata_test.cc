#include "table/metadata.h"

#include <gtest/gtest.h>

#include <random>

namespace k2 {
namespace {

using nlohmann::json;

constexpr TimestampUs kNow{1'610'064'000'000'000};

TableMetadata fresh() { return TableMetadata::create(kTradesV2, "file:///w/t", "0e6e9358-4e47-4c12-a86b-188f9a4b1c3e", kNow); }

SnapshotInfo snapshot(int64_t id, std::optional<int64_t> parent, std::optional<int64_t> offset) {
  SnapshotInfo info;
  info.id = {id};
  if (parent) info.parent = SnapshotId{*parent};
  info.sequence_number = id;
  info.committed = {kNow.us + id * 1'000'000};
  info.operation = "append";
  info.summary = {{"operation", "append"}, {std::string(kSummaryCommitId), "c" + std::to_string(id)}};
  if (offset) {
    info.offsets = Offsets{{{"t", 0}, {*offset}}};
    info.summary[std::string(kSummaryOffsets)] = offsets_json(*info.offsets);
    info.summary[std::string(kSummaryLogId)] = "log";
  }
  return info;
}

TableMetadata commit(const TableMetadata& base, int64_t id, std::optional<int64_t> offset, std::vector<std::string>* dropped = nullptr) {
  std::vector<std::string> ignored;
  const auto parent = base.current_snapshot();
  return base.with_snapshot(snapshot(id, parent ? std::optional(parent->value) : std::nullopt, offset), "file:///w/l" + std::to_string(id),
                            "file:///w/v" + std::to_string(id - 1), dropped ? dropped : &ignored);
}

TableMetadata read_back(const TableMetadata& metadata) { return TableMetadata::parse(metadata.to_json()).value(); }

TEST(TableMetadata, OfANewTableHasNoSnapshotAndReadsBack) {
  for (const TableSpec& spec : kTables) {
    const auto metadata = read_back(TableMetadata::create(spec, "file:///w/t", "u", kNow));
    EXPECT_FALSE(metadata.current_snapshot());
    EXPECT_EQ(metadata.schema()["fields"].size(), spec.columns.size());
    EXPECT_EQ(metadata.property(kPropertyReadOnly) == "true", spec.read_only);
  }
}

TEST(TableMetadata, ACommitIsTheNewHeadAndReadsBack) {
  const auto metadata = read_back(commit(commit(fresh(), 1, 10), 2, 15));
  EXPECT_EQ(metadata.current_snapshot(), SnapshotId{2});
  EXPECT_EQ(metadata.last_sequence_number(), 2);
  EXPECT_EQ(metadata.manifest_list({1}), "file:///w/l1");
  EXPECT_EQ(metadata.find({2})->parent, SnapshotId{1});
  EXPECT_EQ(metadata.find_commit("c1")->id, SnapshotId{1});
  EXPECT_EQ(metadata.find_commit("c3"), nullptr);
}

TEST(TableMetadata, ProgressIsTheNewestAncestorsThatHasSome) {
  const auto metadata = read_back(commit(commit(commit(fresh(), 1, 10), 2, 15), 3, std::nullopt));
  EXPECT_EQ(offset_of(metadata.progress(SnapshotId{3}).offsets, {"t", 0}), Offset{15});
  EXPECT_EQ(offset_of(metadata.progress(SnapshotId{1}).offsets, {"t", 0}), Offset{10});
  EXPECT_FALSE(read_back(commit(fresh(), 1, std::nullopt)).progress(SnapshotId{1}).found);
  EXPECT_FALSE(fresh().progress(std::nullopt).found);
}

TEST(TableMetadata, KeepsWhatItDoesNotKnow) {
  json file = json::parse(commit(fresh(), 1, 10).to_json());
  file["statistics"] = json::array({{{"snapshot-id", 1}}});
  file["x-future"] = {{"a", 1}};
  file["snapshots"][0]["x-future"] = true;
  file["properties"]["owner"] = "somebody";
  file["refs"]["kept"] = {{"snapshot-id", 1}, {"type", "tag"}};
  const json after = json::parse(commit(TableMetadata::parse(file.dump()).value(), 2, 15).to_json());
  EXPECT_EQ(after["statistics"], file["statistics"]);
  EXPECT_EQ(after["x-future"], file["x-future"]);
  EXPECT_EQ(after["snapshots"][0], file["snapshots"][0]);
  EXPECT_EQ(after["properties"], file["properties"]);
  EXPECT_EQ(after["refs"]["kept"], file["refs"]["kept"]);
}

TEST(TableMetadata, LetsGoOfOldSnapshotsAndLogEntriesButNotOfTagged) {
  json file = json::parse(commit(commit(commit(fresh(), 1, 1), 2, 2), 3, 3).to_json());
  file["properties"][std::string(kPropertySnapshotsKept)] = "2";
  file["properties"]["write.metadata.previous-versions-max"] = "2";
  file["refs"]["kept"] = {{"snapshot-id", 1}, {"type", "tag"}};
  std::vector<std::string> dropped;
  const json after = json::parse(commit(TableMetadata::parse(file.dump()).value(), 4, 4, &dropped).to_json());
  std::vector<int64_t> ids;
  for (const json& item : after["snapshots"]) ids.push_back(item["snapshot-id"]);
  EXPECT_EQ(ids, (std::vector<int64_t>{1, 3, 4}));
  EXPECT_EQ(after["metadata-log"].size(), 2u);
  EXPECT_EQ(dropped, (std::vector<std::string>{"file:///w/v0", "file:///w/v1", "file:///w/l2"}));
}

TEST(TableMetadata, AClockThatStepsBackNeverShows) {
  const auto first = commit(fresh(), 5, 1);
  std::vector<std::string> dropped;
  SnapshotInfo early = snapshot(6, 5, 2);
  early.committed = {0};
  const auto second = first.with_snapshot(early, "l", "v", &dropped);
  EXPECT_EQ(second.find({6})->committed, second.find({5})->committed);
}

TEST(TableMetadata, SaysWhatIsWrong) {
  const auto error_of = [](const char* pointer, const json& value) {
    json file = json::parse(commit(fresh(), 1, 10).to_json());
    file[json::json_pointer(pointer)] = value;
    const auto parsed = TableMetadata::parse(file.dump());
    return parsed ? "no error" : parsed.error().kind == ErrorKind::kCorrupt ? parsed.error().message : "another kind";
  };
  EXPECT_NE(error_of("/format-version", 3).find("format-version"), std::string::npos);
  EXPECT_NE(error_of("/current-schema-id", 7).find("current-schema-id"), std::string::npos);
  EXPECT_NE(error_of("/current-snapshot-id", 7).find("current-snapshot-id"), std::string::npos);
  EXPECT_NE(error_of("/refs/main/snapshot-id", 7).find("main"), std::string::npos);
  EXPECT_NE(error_of("/snapshots/0/sequence-number", "x").find("number"), std::string::npos);
  EXPECT_NE(error_of("/snapshots/0/manifest-list", nullptr).find("manifest-list"), std::string::npos);
  EXPECT_NE(error_of("/snapshots/0/summary/k2.offsets", "[]").find("snapshot 1"), std::string::npos);
  EXPECT_EQ(TableMetadata::parse("").error().kind, ErrorKind::kCorrupt);
}

TEST(TableMetadata, DamageGivesAnErrorOrOtherValuesButNoCrash) {
  const std::string good = commit(commit(fresh(), 1, 10), 2, 15).to_json();
  std::mt19937 random(1);
  for (int i = 0; i < 3'000; ++i) {
    std::string bad = good;
    for (int changes = 1 + static_cast<int>(random() % 3); changes > 0; --changes)
      bad[random() % bad.size()] = "0\"{}[],:ntx-"[random() % 13];
    const auto parsed = TableMetadata::parse(bad);
    if (!parsed) continue;
    const auto next = commit(*parsed, 99, 20);
    ASSERT_TRUE(TableMetadata::parse(next.to_json())) << bad;
  }
}

}  // namespace
}  // namespace k2
