#include "query/hybrid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/uuid.h"
#include "log/local_log.h"

namespace k2 {
namespace {

class HybridReaderTest : public testing::Test {
 protected:
  HybridReaderTest() {
    std::filesystem::create_directories(dir_);
    log_ = LocalLog::open(dir_ + "/log.db").value();
    EXPECT_TRUE(Lake::init({.data_dir = dir_}));
    lake_ = Lake::open({.data_dir = dir_}).value();
    reader_ = std::make_unique<HybridReader>(*lake_, *log_, *log_, HotTailOptions{});
  }
  ~HybridReaderTest() override { std::filesystem::remove_all(dir_); }

  const std::string dir_ = testing::TempDir() + "k2-hybrid-" + random_uuid();
  std::unique_ptr<LocalLog> log_;
  std::unique_ptr<Lake> lake_;
  std::unique_ptr<HybridReader> reader_;
};

TEST_F(HybridReaderTest, ATokenPastTheLogsEndIsRefused) {
  Cut cut = reader_->take().value();
  ASSERT_TRUE(reader_->cut_of(read_token(cut)));
  cut.end[{"market.crypto.trades.nowhere", 0}] = {1};
  const auto answer = reader_->cut_of(read_token(cut));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kInvalidInput);
  EXPECT_THAT(answer.error().message, testing::HasSubstr("the log ends at 0"));
}

}  // namespace
}  // namespace k2
