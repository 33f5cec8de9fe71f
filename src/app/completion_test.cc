#include "app/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "app/command.h"
#include "app/command_tree.h"
#include "app/man_page.h"

namespace k2 {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// A tree with each sort of flag and argument.
class Shop {
 public:
  Shop() {
    CLI::App* buy = app_.add_subcommand("buy", "Buy [some] things: cheap");
    buy->footer("  k2 buy --colour red x.csv\n");
    buy->add_option("-c,--colour", colour_, "it's \"paint\"")->type_name("COLOUR")->check(CLI::IsMember({"red", "green"}));
    buy->add_option("--lists", files_, "shopping lists")->type_name("FILE ...");
    buy->add_option("--at", place_, "where")->type_name("DIR")->required();
    buy->add_flag("--now", now_, "without waiting");
    buy->add_option("things", things_, ".what")->type_name("FILE ...");
    app_.add_subcommand("sell", "Sell")->add_subcommand("all", "All of it");
  }
  [[nodiscard]] CommandNode tree() const { return command_tree(app_); }

 private:
  CLI::App app_{"A shop", "k2"};
  std::string colour_, place_;
  std::vector<std::string> files_, things_;
  bool now_ = false;
};

TEST(CommandTreeTest, KnowsFlagsArgumentsChoicesAndExamples) {
  const CommandNode root = Shop().tree();
  ASSERT_EQ(root.commands.size(), 2u);
  const CommandNode& buy = root.commands[0];
  EXPECT_EQ(buy.words, "k2 buy");
  EXPECT_THAT(buy.examples, ElementsAre("k2 buy --colour red x.csv"));
  ASSERT_EQ(buy.flags.size(), 5u);  // CLI11's own --help is the first
  const CommandOption& colour = buy.flags[1];
  EXPECT_THAT(colour.names, ElementsAre("-c", "--colour"));
  EXPECT_EQ(colour.kind, ValueKind::kChoice);
  EXPECT_THAT(colour.choices, testing::UnorderedElementsAre("red", "green"));
  EXPECT_FALSE(colour.repeats);
  EXPECT_EQ(buy.flags[2].kind, ValueKind::kFile);
  EXPECT_TRUE(buy.flags[2].repeats);
  EXPECT_EQ(buy.flags[3].kind, ValueKind::kDirectory);
  EXPECT_TRUE(buy.flags[3].is_required);
  EXPECT_EQ(buy.flags[4].kind, ValueKind::kNone);
  ASSERT_EQ(buy.arguments.size(), 1u);
  EXPECT_THAT(buy.arguments[0].names, ElementsAre("things"));
}

TEST(CommandTreeTest, ValuesThatAreOfferedMayBeOthersToo) {
  CLI::App app{"A shop", "k2"};
  std::string place;
  app.add_option("--at", place, "where")->type_name(type_offering("PLACE", {"sea", "hill"}));
  const CommandOption at = command_tree(app).flags.back();
  EXPECT_EQ(at.value, "PLACE");
  EXPECT_EQ(at.kind, ValueKind::kChoice);
  EXPECT_THAT(at.choices, ElementsAre("sea", "hill"));
  EXPECT_TRUE(at.is_open);
}

TEST(CompletionTest, BashHasCommandsFlagsAndValues) {
  const std::string script = bash_completion(Shop().tree());
  EXPECT_THAT(script, HasSubstr("'k2') echo 'buy sell' ;;"));
  EXPECT_THAT(script, HasSubstr("'k2 sell') echo 'all' ;;"));
  EXPECT_THAT(script, HasSubstr("'k2 buy --lists') echo '+files' ;;"));
  EXPECT_THAT(script, HasSubstr("'k2 buy -c' | 'k2 buy --colour') echo 'words "));
  EXPECT_THAT(script, Not(HasSubstr("k2 buy --now')")));
}

TEST(CompletionTest, ZshAndFishEscapeWhatTheyWouldRead) {
  EXPECT_THAT(zsh_completion(Shop().tree()), HasSubstr("'--colour=[it'\\''s \"paint\"]:COLOUR:("));
  EXPECT_THAT(zsh_completion(Shop().tree()), HasSubstr("'buy:Buy [some] things: cheap'"));
  EXPECT_THAT(fish_completion(Shop().tree()), HasSubstr("-d 'it\\'s \"paint\"'"));
}

TEST(ManPageTest, HasEachCommandAndEscapesWhatRoffWouldRead) {
  const std::string page = man_page(Shop().tree(), config_keys(), "1.2.3");
  EXPECT_THAT(page, HasSubstr(".SS \"k2 sell all\"\n"));
  EXPECT_THAT(page, HasSubstr("\\fB\\-c\\fR, \\fB\\-\\-colour\\fR \\fICOLOUR\\fR\n"));
  EXPECT_THAT(page, HasSubstr("\n\\&.what\n"));
  EXPECT_THAT(page, HasSubstr("\\fBlake.commit_interval\\fR, \\fBK2_LAKE_COMMIT_INTERVAL\\fR\n"));
  EXPECT_THAT(page, HasSubstr("(5s)"));
}

TEST(CompletionTest, EveryCommandOfTheProgramHasASummaryAndCommonOptions) {
  CommandLine commands;
  const CommandNode tree = command_tree(commands.root());
  for (const CommandNode* node : all_commands(tree)) {
    EXPECT_NE(node->summary, "") << node->words;
    if (!node->commands.empty()) continue;
    EXPECT_TRUE(std::ranges::any_of(node->flags, [](const CommandOption& flag) { return flag.is_common; })) << node->words;
  }
}

}  // namespace
}  // namespace k2
