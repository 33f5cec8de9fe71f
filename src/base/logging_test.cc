#include "base/logging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace k2 {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

template <class Action>
std::string logged(LogFormat format, Action action) {
  set_log_format(format);
  testing::internal::CaptureStderr();
  action();
  set_log_format(LogFormat::kAuto);
  return testing::internal::GetCapturedStderr();
}

TEST(Logging, JsonLinesCarryTypedFields) {
  const std::string line =
      logged(LogFormat::kJson, [] { log_info("feed_connected", {{"url", "wss://x"}, {"attempt", 3}, {"tls", true}, {"ratio", 0.5}}); });
  EXPECT_THAT(line, StartsWith("{\"ts\":\"2"));
  EXPECT_THAT(line,
              EndsWith("\"level\":\"info\",\"event\":\"feed_connected\",\"url\":\"wss://x\",\"attempt\":3,\"tls\":true,\"ratio\":0.5}\n"));
}

TEST(Logging, HumanLinesQuoteWhereNeeded) {
  const std::string line = logged(LogFormat::kHuman, [] { log_warning("slow", {{"why", "two words"}, {"n", 1}}); });
  EXPECT_THAT(line, HasSubstr("warning  slow  why=\"two words\"  n=1\n"));
}

TEST(Logging, AValueNeverBeginsALineOrTalksToTheTerminal) {
  for (const LogFormat format : {LogFormat::kHuman, LogFormat::kJson}) {
    const std::string line = logged(format, [] { log_info("x", {{"v", "a\r\nb\x1b[2J"}}); });
    EXPECT_THAT(line, HasSubstr("\"a\\r\\nb\\u001b[2J\""));
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  }
}

TEST(Logging, LevelsBelowTheSetOneAreSilent) {
  EXPECT_EQ(logged(LogFormat::kJson, [] { log_debug("x"); }), "");
  set_log_level(LogLevel::kOff);
  EXPECT_EQ(logged(LogFormat::kJson, [] { log_error("x"); }), "");
  set_log_level(LogLevel::kInfo);
  EXPECT_EQ(parse_log_level("warning").value(), LogLevel::kWarning);
  EXPECT_FALSE(parse_log_level("loud"));
}

}  // namespace
}  // namespace k2
