#include "app/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/uuid.h"
#include "log/local_log.h"

namespace k2 {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kGood = "553287559,39432.48000000,0.00026300,10.37074224,1610064000278,True,True\n";
constexpr const char* kGood2 = "553287560,39439.44000000,0.00437600,172.58698944,1610064000310,False,True\n";

class LoadTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "k2-load-" + random_uuid();
    std::filesystem::create_directories(dir_);
    log_ = LocalLog::open(dir_ + "/log.db").value();
  }
  void TearDown() override {
    log_.reset();
    std::filesystem::remove_all(dir_);
  }

  std::string file(const std::string& name, const std::string& text) {
    std::ofstream(dir_ + "/" + name) << text;
    return dir_ + "/" + name;
  }
  Status load(const std::string& path) {
    const auto files = binance_files({path}, {"BTCUSDT"}, InstrumentTable::binance_defaults());
    return load(*files);
  }
  Status load(const std::vector<LoadFile>& files) {
    Ingest ingest(*log_, *log_);
    Progress progress(Progress::Style::kSilent);
    Loader loader(ingest, progress, options_, {});
    Status done;
    for (const LoadFile& one : files)
      if (done) done = loader.load(one);
    report_ = loader.report();
    return done;
  }
  int64_t logged(const std::string& topic) { return offset_of(*log_->end_offsets(), {topic, 0}).value; }

  std::string dir_;
  std::unique_ptr<LocalLog> log_;
  LoadOptions options_;
  LoadReport report_;
};

TEST_F(LoadTest, ASecondLoadAddsNothing) {
  const std::string path = file("dump.csv", std::string(kGood) + kGood2);
  ASSERT_TRUE(load(path));
  EXPECT_EQ(report_.added, 2);
  ASSERT_TRUE(load(path));
  EXPECT_EQ(report_.added, 0);
  EXPECT_EQ(report_.there, 2);
  EXPECT_EQ(logged("market.crypto.trades.binance"), 2);
}

TEST_F(LoadTest, ABadRowCostsOnlyItselfAndIsBuriedOnce) {
  const std::string path = file("dump.csv", std::string(kGood) + "what is this?\n" + kGood2);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(load(path));
    EXPECT_EQ(report_.bad_rows, 1);
    EXPECT_EQ(report_.bad_there, i);
    EXPECT_THAT(report_.first_bad, ElementsAre(HasSubstr("dump.csv:2: ")));
  }
  EXPECT_EQ(logged("market.crypto.trades.binance"), 2);
  EXPECT_EQ(logged("market.dead_letter"), 1);
}

TEST_F(LoadTest, AFileOfSomethingElseIsGivenUp) {
  options_.bad_rows_max = 10;
  std::string text;
  for (int i = 0; i < 100; ++i) text += "nonsense " + std::to_string(i) + "\n";
  const Status done = load(file("dump.csv", text));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kInvalidInput);
  EXPECT_THAT(done.error().message, HasSubstr("does not look like a Binance trades dump"));
}

TEST_F(LoadTest, AnEmptyFileIsNoted) {
  ASSERT_TRUE(load(file("dump.csv", "")));
  EXPECT_THAT(report_.notes, ElementsAre(HasSubstr("has no rows")));
}

TEST_F(LoadTest, AMissingFileIsNamed) {
  const Status done = load(dir_ + "/absent.csv");
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("absent.csv"));
}

TEST_F(LoadTest, AnUnknownSymbolsCurrencyIsNotGuessed) {
  const auto files = binance_files({"x.csv"}, {"NOSUCHUSDT"}, InstrumentTable::binance_defaults());
  ASSERT_FALSE(files);
  EXPECT_THAT(files.error().message, testing::AllOf(HasSubstr("NOSUCHUSDT"), HasSubstr("[instruments]")));
}

TEST_F(LoadTest, ADumpsNameSaysItsSymbolAndMayNotDisagree) {
  const InstrumentTable known = InstrumentTable::binance_defaults();
  const std::string name = "BTCUSDT-trades-2021-01-08.csv";
  EXPECT_TRUE(binance_files({name}, {}, known));
  EXPECT_TRUE(binance_files({name}, {"BTCUSDT"}, known));
  EXPECT_TRUE(binance_files({name}, {"ETHUSDT", true}, known));
  EXPECT_TRUE(binance_files({"dump.csv"}, {"ETHUSDT"}, known));
  const auto refusal = [&](const std::string& path, const DumpSymbol& whose) {
    const auto files = binance_files({path}, whose, known);
    return files ? "loaded" : files.error().message;
  };
  EXPECT_THAT(refusal(name, {"ETHUSDT"}), testing::AllOf(HasSubstr("says BTCUSDT"), HasSubstr("as ETHUSDT"), HasSubstr("--any-name")));
  EXPECT_THAT(refusal("BTCUSDT-aggTrades-2021-01-08.zip", {}), HasSubstr("says aggTrades"));
  EXPECT_THAT(refusal("dump.csv", {}), HasSubstr("--symbol"));
  EXPECT_THAT(refusal(name, {"", true}), HasSubstr("--any-name needs --symbol"));
}

TEST_F(LoadTest, AFileNoneOfWhoseRowsCanBeReadIsSomethingElse) {
  const InstrumentTable known = InstrumentTable::binance_defaults();
  const auto looked = [&](const std::string& text) {
    const Status fits = examine(binance_files({file("dump.csv", text)}, {"BTCUSDT"}, known)->front());
    return fits ? "fits" : fits.error().message;
  };
  EXPECT_EQ(looked(""), "fits");
  EXPECT_EQ(looked(std::string("what is this?\n") + kGood), "fits");
  EXPECT_THAT(looked("what is this?\n"),
              HasSubstr("dump.csv: this does not look like a Binance trades dump: of its first 1 row none can be read"));
  EXPECT_THAT(looked("1,39432.48,0.1,1,1,1610064000278,True,True\n"), HasSubstr("it looks like an aggTrades dump"));
}

TEST_F(LoadTest, QuotesGivenAsTradesAreRefusedBeforeAnythingIsStored) {
  const std::string reference =
      file("company_info.csv",
           "company_id,symbol,company_name,ISIN,start_date,end_date\n7078,BHP,BHP BILLITON LTD,AU000000BHP4,05/07/2008,03/31/2014\n");
  const std::string path = file("7078.csv", "03/10/2014,05:43:45.676,37.7,37.73,300,600\n03/10/2014,05:43:45.676,37.7,37.73,300,600\n");
  const Status fits = examine(asx_files(reference, {path}, {})->front());
  ASSERT_FALSE(fits);
  EXPECT_THAT(fits.error().message, HasSubstr("it looks like an ASX quotes file: --quotes loads it"));
  EXPECT_TRUE(examine(asx_files(reference, {}, {path})->front()));
  EXPECT_THAT(asx_files(reference, {dir_ + "/nope.csv"}, {}).error().message, HasSubstr("nope.csv: no such file"));
}

TEST_F(LoadTest, ACompanyThatTheReferenceLacksIsRefused) {
  const std::string reference =
      file("company_info.csv",
           "company_id,symbol,company_name,ISIN,start_date,end_date\n7078,BHP,BHP BILLITON LTD,AU000000BHP4,05/07/2008,03/31/2014\n");
  EXPECT_TRUE(asx_files(reference, {"trades/7078.csv"}, {"quotes/7078.csv"}));
  const auto files = asx_files(reference, {file("999.csv", "")}, {});
  ASSERT_FALSE(files);
  EXPECT_THAT(files.error().message, HasSubstr("company id \"999\""));
}

TEST_F(LoadTest, AsxRowsThatLookTheSameAreDifferentTrades) {
  const std::string reference =
      file("company_info.csv",
           "company_id,symbol,company_name,ISIN,start_date,end_date\n7078,BHP,BHP BILLITON LTD,AU000000BHP4,05/07/2008,03/31/2014\n");
  const std::string row = "03/10/2014,07:57:14.754,36.667,20000,3,X,\r\n";
  ASSERT_TRUE(load(asx_files(reference, {file("7078.csv", row + row + row)}, {}).value()));
  EXPECT_EQ(report_.added, 3);
}

TEST(ProgressTest, NumbersAreGrouped) {
  EXPECT_EQ(with_commas(0), "0");
  EXPECT_EQ(with_commas(999), "999");
  EXPECT_EQ(with_commas(1'234'567), "1,234,567");
  EXPECT_EQ(with_commas(-1'000), "-1,000");
  EXPECT_EQ(bytes_text(1'500'000), "1.5 MB");
}

}  // namespace
}  // namespace k2
