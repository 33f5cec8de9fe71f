// Appends through stores and catalogs that fail: at each single operation in turn, and by every script of a few fates for the catalog's swaps.
// What must hold after each: the table is readable and whole, and after the usual retry its rows are there once.
#include <gtest/gtest.h>

#include <functional>

#include "table/lake_parts.h"
#include "table/lake_testing.h"

namespace k2 {
namespace {

using testing::kTopic;
using testing::request_of;

constexpr const char* kTable = "trades_v2";

// Fails operation number `fail_at` (counted from 1 over store and catalog together) in one of three ways, and from there on for `fail_count` operations.
enum class Failure {
  kBefore,
  kAfter,
  kHalf
};  // nothing happened; it happened but the answer was lost; half a file was left under another name

struct Faults {
  int64_t seen = 0;
  int64_t fail_at = 0;  // 0: never
  int64_t fail_count = 1;
  Failure failure = Failure::kBefore;
  int64_t fired = 0;

  bool hits() {
    ++seen;
    const bool hit = fail_at > 0 && seen >= fail_at && seen < fail_at + fail_count;
    fired += hit;
    return hit;
  }
};

class FaultyStore final : public Store {
 public:
  explicit FaultyStore(Faults& faults) : faults_(faults) {}

  Status put_if_absent(const std::string& path, std::string_view bytes) override {
    if (!faults_.hits()) return store_->put_if_absent(path, bytes);
    if (faults_.failure == Failure::kBefore) return make_error(ErrorKind::kUnavailable, "no space left (planted)");
    if (faults_.failure == Failure::kHalf) {
      (void)store_->put_if_absent(path + ".part-0-0", bytes.substr(0, bytes.size() / 2));
      return make_error(ErrorKind::kUnavailable, "disk error (planted)");
    }
    (void)store_->put_if_absent(path, bytes);
    return make_error(ErrorKind::kUnknownOutcome, "answer lost (planted)");
  }
  Result<std::string> get(const std::string& path) override {
    if (faults_.hits()) return make_error(ErrorKind::kUnavailable, "read error (planted)");
    return store_->get(path);
  }
  Result<int64_t> size(const std::string& path) override { return store_->size(path); }
  Result<std::vector<std::string>> list(const std::string& directory) override { return store_->list(directory); }
  Status remove(const std::string& path) override {
    if (faults_.hits()) return make_error(ErrorKind::kUnavailable, "not removed (planted)");
    return store_->remove(path);
  }

 private:
  Faults& faults_;
  std::unique_ptr<Store> store_ = make_local_store();
};

class FaultyCatalog final : public Catalog {
 public:
  FaultyCatalog(Faults& faults, std::unique_ptr<Catalog> catalog) : faults_(faults), catalog_(std::move(catalog)) {}

  Result<std::string> metadata_location(std::string_view table) override {
    if (faults_.hits()) return make_error(ErrorKind::kUnavailable, "busy (planted)");
    return catalog_->metadata_location(table);
  }
  Status create_table(std::string_view table, const std::string& location) override { return catalog_->create_table(table, location); }
  Status swap(std::string_view table, const std::string& base, const std::string& next) override {
    if (!faults_.hits()) return catalog_->swap(table, base, next);
    if (faults_.failure == Failure::kBefore) return make_error(ErrorKind::kUnavailable, "busy (planted)");
    if (faults_.failure == Failure::kAfter) (void)catalog_->swap(table, base, next);
    return make_error(ErrorKind::kUnknownOutcome, "answer lost (planted)");
  }

 private:
  Faults& faults_;
  std::unique_ptr<Catalog> catalog_;
};

class LakeFaultTest : public ::testing::Test {
 protected:
  static LakeOptions fresh(const testing::TempDir& directory) {
    const LakeOptions options{.data_dir = directory.path()};
    EXPECT_TRUE(Lake::init(options));
    return options;
  }

  static std::unique_ptr<Lake> faulty(const LakeOptions& options, Faults& faults) {
    auto catalog = open_sqlite_catalog(options.data_dir / options.catalog, false).value();
    return make_lake(options, std::make_unique<FaultyStore>(faults), std::make_unique<FaultyCatalog>(faults, std::move(catalog)),
                     /*retry_pause_us=*/0);
  }

  static int64_t next_offset(Lake& lake) { return offset_of(lake.load(kTable).value()->offsets, {kTopic, 0}).value; }

  // What the archive does: begin where the table stands, append, and after anything but success look again.
  static ::testing::AssertionResult append_up_to(Lake& lake, int64_t end, int64_t rows) {
    for (int attempt = 0; attempt < 20; ++attempt) {
      const auto state = lake.load(kTable);
      if (!state) continue;
      const int64_t first = offset_of((*state)->offsets, {kTopic, 0}).value;
      if (first == end) return ::testing::AssertionSuccess();
      const auto result = lake.append(request_of(first, std::min(rows, end - first)));
      if (!result && (result.error().kind == ErrorKind::kCorrupt || result.error().kind == ErrorKind::kInvalidInput))
        return ::testing::AssertionFailure() << result.error().message;
    }
    return ::testing::AssertionFailure() << "no end of it";
  }

  static void expect_whole(const LakeOptions& options, int64_t rows) {
    const auto lake = Lake::open(options).value();
    const auto report = lake->check(kTable);
    ASSERT_TRUE(report) << report.error().message;
    for (const CheckFinding& finding : report->findings) ADD_FAILURE() << finding.path << ": " << finding.what;
    EXPECT_EQ(report->rows, rows);
    EXPECT_EQ(next_offset(*lake), rows);
  }
};

TEST_F(LakeFaultTest, AFailureAtAnyOneOperationLosesAndDoublesNothing) {
  for (const Failure failure : {Failure::kBefore, Failure::kAfter, Failure::kHalf}) {
    for (const int64_t fail_count : {1, 3}) {
      bool clean = false;
      for (int64_t n = 1; !clean; ++n) {
        const testing::TempDir directory;
        const LakeOptions options = fresh(directory);
        ASSERT_TRUE(Lake::open(options).value()->append(request_of(0, 4)));
        Faults faults{.fail_at = n, .fail_count = fail_count, .failure = failure};
        const auto lake = faulty(options, faults);
        const auto first_try = lake->append(request_of(4, 3));
        clean = faults.fired == 0;
        ASSERT_TRUE(!clean || first_try) << first_try.error().message;
        {
          // Another process sees a whole table of either 4 or 7 rows, whatever the writer was told.
          const int64_t there = next_offset(*Lake::open(options).value());
          ASSERT_TRUE(there == 4 || there == 7) << there;
          ASSERT_TRUE(!first_try || there == 7) << "acknowledged, but not there";
          ASSERT_TRUE(first_try || first_try.error().kind != ErrorKind::kUnavailable || there == 4)
              << "there, but: " << first_try.error().message;
          expect_whole(options, there);
        }
        ASSERT_TRUE(append_up_to(*lake, 10, 3));
        expect_whole(options, 10);
        if (HasFatalFailure() || HasNonfatalFailure())
          FAIL() << "operation " << n << ", failure " << static_cast<int>(failure) << ", " << fail_count << " long";
        ASSERT_LT(n, 200) << "the run never came through clean";
      }
    }
  }
}

int64_t data_files_on_disk(const LakeOptions& options) {
  int64_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(options.data_dir)) files += entry.path().extension() == ".parquet";
  return files;
}

TEST_F(LakeFaultTest, AnAppendThatNeverReachedTheCatalogLeavesNoDataFiles) {
  const testing::TempDir directory;
  const LakeOptions options = fresh(directory);
  int failures = 0;
  for (int64_t n = 1; data_files_on_disk(options) == 0; ++n) {
    Faults faults{.fail_at = n};
    AppendRequest request = request_of(0, 2);
    request.batches = {testing::trades({{.offset = 0}, {.offset = 1, .exchange = "other"}})};  // two partitions, two files
    const auto lake = faulty(options, faults);
    // The first failure that leaves files is the swap's own: then they may be referred to.
    if (const auto result = lake->append(request); !result && result.error().message.find("busy") == std::string::npos) ++failures;
    ASSERT_LT(n, 50);
  }
  EXPECT_GE(failures, 5) << "reading metadata; two data files, a manifest, a manifest list, metadata";
}

// What becomes of one swap.
enum class Fate {
  kAnswered,  // arrives and is answered
  kRequestLost,  // never arrives; the caller does not know
  kReplyLost,  // takes effect; the caller does not know
  kLate,  // arrives after the caller has looked, just before its next swap
  kTwice,  // arrives, is answered, and arrives a second time before the next swap
  kForeignFirst,  // another engine changes the table just before it arrives
  kRivalFirst,  // another k2 appends the same rows just before it arrives
};
constexpr int kFates = 7;

class ScriptedCatalog final : public Catalog {
 public:
  ScriptedCatalog(std::unique_ptr<Catalog> catalog, std::vector<Fate> script, std::function<void()> foreign, std::function<void()> rival)
      : catalog_(std::move(catalog)), script_(std::move(script)), foreign_(std::move(foreign)), rival_(std::move(rival)) {}

  Result<std::string> metadata_location(std::string_view table) override { return catalog_->metadata_location(table); }
  Status create_table(std::string_view table, const std::string& location) override { return catalog_->create_table(table, location); }

  Status swap(std::string_view table, const std::string& base, const std::string& next) override {
    if (late_) late_();
    late_ = nullptr;
    const Fate fate = at_ < script_.size() ? script_[at_] : Fate::kAnswered;
    ++at_;
    const auto send = [this, name = std::string(table), base, next] { return catalog_->swap(name, base, next); };
    switch (fate) {
      case Fate::kAnswered: break;
      case Fate::kReplyLost: (void)send(); [[fallthrough]];
      case Fate::kRequestLost: return unknown();
      case Fate::kLate: late_ = [send] { (void)send(); }; return unknown();
      case Fate::kTwice: late_ = [send] { (void)send(); }; break;
      case Fate::kForeignFirst: foreign_(); break;
      case Fate::kRivalFirst: rival_(); break;
    }
    return send();
  }

 private:
  static Status unknown() { return make_error(ErrorKind::kUnknownOutcome, "answer lost (planted)"); }

  std::unique_ptr<Catalog> catalog_;
  std::vector<Fate> script_;
  std::function<void()> foreign_, rival_;
  std::function<void()> late_;
  size_t at_ = 0;
};

std::vector<Fate> script_of(int number, int length) {
  std::vector<Fate> script;
  for (int i = 0; i < length; ++i, number /= kFates) script.push_back(static_cast<Fate>(number % kFates));
  return script;
}

// The scripts run one after the other on one table, which is checked whole at the end of each batch.
TEST_F(LakeFaultTest, EveryScriptOfThreeFatesLosesAndDoublesNothing) {
  constexpr int kLength = 3;
  constexpr int kBatch = kFates;  // small, because each commit costs more the more there were
  constexpr int64_t kRows = 6;
  for (int first = 0; first < kFates * kFates * kFates; first += kBatch) {
    const testing::TempDir directory;
    const LakeOptions options = fresh(directory);
    const auto open_catalog = [&] { return open_sqlite_catalog(options.data_dir / options.catalog, false).value(); };
    const auto store = make_local_store();
    int64_t end = 0;
    // A foreign engine's commit that changes no rows: new metadata, same snapshot.
    const auto foreign = [&] {
      const auto catalog = open_catalog();
      const std::string base = catalog->metadata_location(kTable).value();
      const std::string next = base.substr(0, base.rfind('/')) + "/" + random_uuid() + ".metadata.json";
      ASSERT_TRUE(store->put_if_absent(uri_to_path(next).value(), store->get(uri_to_path(base).value()).value()));
      ASSERT_TRUE(catalog->swap(kTable, base, next));
    };
    const auto rival = [&] {
      const auto other = Lake::open(options).value();
      ASSERT_TRUE(append_up_to(*other, std::min(next_offset(*other) + 2, end), 2));
    };
    for (int number = first; number < first + kBatch; ++number) {
      end += kRows;
      const auto lake = make_lake(options, make_local_store(),
                                  std::make_unique<ScriptedCatalog>(open_catalog(), script_of(number, kLength), foreign, rival),
                                  /*retry_pause_us=*/0);
      ASSERT_TRUE(append_up_to(*lake, end, 2)) << "script " << number;
      ASSERT_EQ(lake->load(kTable).value()->record_count, end) << "script " << number;
    }
    expect_whole(options, end);
  }
}

}  // namespace
}  // namespace k2
