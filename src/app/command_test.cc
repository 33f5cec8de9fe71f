#include "app/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "base/uuid.h"

namespace k2 {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class CommandTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "k2-command-" + random_uuid();
    setenv("XDG_CONFIG_HOME", "/dev/null/none", 1);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  int run(std::vector<std::string> words) {
    words.insert(words.begin(), "k2");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = CommandLine().run(static_cast<int>(argv.size()), argv.data());
    fflush(stdout);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }

  std::string dir_;
  std::string out_;
  std::string err_;
};

TEST_F(CommandTest, WhatCannotBeUnderstoodIsUsage) {
  const std::vector<std::vector<std::string>> bad = {{},
                                                     {"nosuch"},
                                                     {"query"},
                                                     {"query", "nosuch"},
                                                     {"query", "trades", "--nosuch"},
                                                     {"query", "trades", "-o", "xml"},
                                                     {"query", "trades", "--limit", "-5"},
                                                     {"query", "trades", "--start", "yesterday-ish"},
                                                     {"load", "asx"},
                                                     {"load", "binance", "x.csv"},
                                                     {"sql"},
                                                     {"lake"},
                                                     {"demo", "--live", "--offline"}};
  for (const auto& words : bad) {
    EXPECT_EQ(run(words), kExitUsage) << testing::PrintToString(words);
    EXPECT_EQ(out_, "");
    EXPECT_NE(err_, "");
  }
}

TEST_F(CommandTest, ASlipIsAnsweredWithTheNearestCommand) {
  run({"quary"});
  EXPECT_THAT(err_, HasSubstr("did you mean \"query\"?"));
}

TEST_F(CommandTest, AFlagThatIsNotThereIsNamedWithTheNearest) {
  EXPECT_EQ(run({"query", "trades", "--strat", "-15m"}), kExitUsage);
  EXPECT_EQ(err_, "k2: k2 query trades has no flag --strat; did you mean \"--start\"?\n");
  EXPECT_EQ(run({"--bogus"}), kExitUsage);
  EXPECT_EQ(err_, "k2: k2 has no flag --bogus (k2 --help lists them)\n");
  EXPECT_EQ(run({"--data-dir", "x"}), kExitUsage);
  EXPECT_THAT(err_, HasSubstr("--data-dir stands after the command"));
  EXPECT_EQ(run({"query"}), kExitUsage);
  EXPECT_THAT(err_, HasSubstr("k2 query needs a command: trades, quotes, "));
}

TEST_F(CommandTest, NumbersOutOfRangeAreRefusedInWords) {
  EXPECT_EQ(run({"query", "trades", "--limit", "abc"}), kExitUsage);
  EXPECT_THAT(err_, HasSubstr("--limit: want a whole number, 0 or more, not \"abc\""));
  EXPECT_EQ(run({"query", "trades", "--limit"}), kExitUsage);
  EXPECT_THAT(err_, HasSubstr("--limit wants a value"));
  EXPECT_EQ(run({"sim", "--rate", "0"}), kExitUsage);
  EXPECT_THAT(err_, HasSubstr("--rate: want a number from 0.001 to 10000000, not \"0\""));
  run({"query", "trades", "--help"});
  EXPECT_THAT(out_, AllOf(HasSubstr("--limit N "), Not(HasSubstr("4611686018427387904"))));
}

TEST_F(CommandTest, WhatTheConfigurationCannotMeanIsUsageAndLeavesNoDataDirectory) {
  const std::vector<std::vector<std::string>> bad = {
      {"up", "--listen", "127.0.0.1:99999"}, {"up", "--endpoint", "http://foo"},         {"up", "--symbols", "BTC/USDT"},
      {"up", "--ca-file", dir_ + ".pem"},    {"feed", "binance", "--ca-file", "no.pem"}, {"serve", "--listen", "8080"}};
  for (auto words : bad) {
    words.insert(words.end(), {"--data-dir", dir_});
    EXPECT_EQ(run(words), kExitUsage) << testing::PrintToString(words);
    EXPECT_FALSE(std::filesystem::exists(dir_)) << testing::PrintToString(words);
  }
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{{"sim", "--listen", "127.0.0.1:99999", "--plain"},
                                                                                     {"sim", "--fault", "nosuch"},
                                                                                     {"sim", "--day", "soon"},
                                                                                     {"watch", "--url", "127.0.0.1:8080"}})
    EXPECT_EQ(run(words), kExitUsage) << testing::PrintToString(words);
  setenv("K2_SERVE_LISTEN", "8080", 1);
  EXPECT_EQ(run({"config", "check"}), kExitUsage);
  EXPECT_THAT(err_, HasSubstr("environment K2_SERVE_LISTEN: serve.listen: cannot read \"8080\""));
  unsetenv("K2_SERVE_LISTEN");
}

TEST_F(CommandTest, AQuestionThatContradictsItselfIsUsage) {
  ASSERT_EQ(run({"lake", "init", "--data-dir", dir_}), kExitOk);
  EXPECT_EQ(run({"query", "trades", "--start", "2014-03-11", "--end", "2014-03-10", "--data-dir", dir_}), kExitUsage);
  EXPECT_EQ(run({"query", "trades", "--columns", "nosuch", "--data-dir", dir_}), kExitUsage);
  EXPECT_EQ(run({"query", "trades", "--read-token", "nosuch", "--data-dir", dir_}), kExitUsage);
  EXPECT_EQ(run({"gaps", "--read-token", "nosuch", "--data-dir", dir_}), kExitUsage);
  EXPECT_EQ(run({"sql", "SELECT 1", "--read-token", "nosuch", "--data-dir", dir_}), kExitUsage);
  EXPECT_EQ(run({"query", "snapshots", "nosuch", "--data-dir", dir_}), kExitUsage);
}

TEST_F(CommandTest, CompletionsAndTheManualNeedNoConfiguration) {
  setenv("K2_CONFIG", "/dev/null/none/k2.toml", 1);
  EXPECT_EQ(run({"completion", "bash"}), kExitOk);
  EXPECT_EQ(run({"man"}), kExitOk);
  EXPECT_EQ(run({"config", "show"}), kExitUsage);
  unsetenv("K2_CONFIG");
}

TEST_F(CommandTest, ADirectoryWithoutDataIsAFailureAndStaysAsItWas) {
  EXPECT_EQ(run({"query", "trades", "--data-dir", dir_}), kExitFailure);
  EXPECT_THAT(err_, HasSubstr(dir_));
  EXPECT_FALSE(std::filesystem::exists(dir_));
}

TEST_F(CommandTest, EveryHelpStartsWithExamples) {
  const std::vector<std::vector<std::string>> commands = {{"demo"},
                                                          {"up"},
                                                          {"feed"},
                                                          {"feed", "binance"},
                                                          {"serve"},
                                                          {"load"},
                                                          {"load", "asx"},
                                                          {"load", "binance"},
                                                          {"watch"},
                                                          {"query"},
                                                          {"query", "trades"},
                                                          {"query", "quotes"},
                                                          {"query", "symbols"},
                                                          {"query", "stats"},
                                                          {"query", "snapshots"},
                                                          {"query", "dead-letters"},
                                                          {"sql"},
                                                          {"sim"},
                                                          {"archive"},
                                                          {"lake"},
                                                          {"lake", "init"},
                                                          {"lake", "check"},
                                                          {"config"},
                                                          {"config", "show"},
                                                          {"config", "check"}};
  for (auto words : commands) {
    std::string command = "k2";
    for (const std::string& word : words) command += " " + word;
    words.push_back("--help");
    EXPECT_EQ(run(words), kExitOk) << command;
    EXPECT_LT(out_.find("Examples:\n"), out_.find("Usage:")) << command;
    EXPECT_THAT(out_, HasSubstr(command));
  }
}

TEST_F(CommandTest, AnEmptyLakeIsMadeAndSound) {
  EXPECT_EQ(run({"lake", "init", "--data-dir", dir_}), kExitOk);
  EXPECT_EQ(run({"lake", "check", "--data-dir", dir_}), kExitOk) << err_;
}

TEST_F(CommandTest, AConfigurationWithAnUnknownKeyIsUsage) {
  EXPECT_EQ(run({"config", "check", "--config", "/dev/null/none/k2.toml"}), kExitUsage);
  setenv("K2_LAKE_COMIT_INTERVAL", "1s", 1);
  EXPECT_EQ(run({"config", "check"}), kExitUsage);
  unsetenv("K2_LAKE_COMIT_INTERVAL");
}

}  // namespace
}  // namespace k2
