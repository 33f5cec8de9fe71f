// A group of lines against a simulated venue, on a simulated clock.
#include "feed/line_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>

namespace k2 {
namespace {

using testing::Each;
using testing::ElementsAre;

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;

// Carries out what groups ask for: a connection opens after 50 ms where its endpoint is up, and gets a ping each 20 s and the venue's cut
// after 24 hours.
class World {
 public:
  explicit World(LineGroupPolicy policy = {}, size_t endpoints = 1, size_t groups = 1, size_t streams = 1) : is_up(endpoints, true) {
    for (size_t i = 0; i < groups; ++i) {
      groups_.push_back(std::make_unique<LineGroup>(policy, endpoints, std::vector<std::string>{}, streams, i + 1, budget));
      lines_.emplace_back();
    }
  }

  void run_until(int64_t end) {
    while (now < end) {
      settle();
      now = std::min(end, std::max(now + 1, next_time()));
      happen();
    }
    settle();
  }
  void run_for(int64_t us) { run_until(now + us); }

  LineGroup& group(size_t index = 0) { return *groups_[index]; }
  size_t open(size_t index = 0) const {
    size_t count = 0;
    for (const auto& [id, line] : lines_[index]) count += line.is_open ? 1 : 0;
    return count;
  }
  size_t count(LineEvent::Kind kind) const { return static_cast<size_t>(std::ranges::count(events, kind, &LineEvent::kind)); }
  void announce_shutdown(size_t index = 0) {
    for (const auto& [id, line] : lines_[index])
      if (line.is_open) groups_[index]->shutdown_announced(id);
  }
  void cut_all() {
    for (size_t i = 0; i < groups_.size(); ++i)
      for (auto line = lines_[i].begin(); line != lines_[i].end();) line = end_line(i, line);
  }

  int64_t now = 0;
  ConnectBudget budget;
  std::vector<bool> is_up;                          // by endpoint
  std::function<bool(size_t stream)> speaks;        // asked each second; absent: streams say nothing
  bool drops_pings = false;                         // nothing is received any more
  std::vector<LineEvent> events;
  std::vector<int64_t> attempts;
  std::vector<std::string> drops;
  size_t cuts_at_24_hours = 0;
  int64_t dark_us = 0;                              // time during which a group that was live once had no live line

 private:
  struct Line {
    size_t endpoint = 0;
    bool is_open = false;
    int64_t opens_us = 0;
    int64_t pinged_us = 0;
    int64_t ends_us = INT64_MAX;
  };
  using Lines = std::map<LineId, Line>;

  Lines::iterator end_line(size_t index, Lines::iterator line) {
    groups_[index]->ended(line->first, now);
    return lines_[index].erase(line);
  }

  void settle() {
    wake_ = INT64_MAX;
    for (size_t i = 0; i < groups_.size(); ++i) {
      for (;;) {
        const LineAction todo = groups_[i]->next(now);
        if (const auto* wait = std::get_if<SessionWait>(&todo.action)) {
          wake_ = std::min(wake_, wait->until_us);
          break;
        }
        carry_out(i, todo);
      }
      for (const LineEvent& event : groups_[i]->take_events()) {
        events.push_back(event);
        if (event.kind == LineEvent::Kind::kLive) was_live_ = true;
      }
    }
  }

  void carry_out(size_t index, const LineAction& todo) {
    Lines& lines = lines_[index];
    if (const auto* connect = std::get_if<SessionConnect>(&todo.action)) {
      attempts.push_back(now);
      lines[todo.line] = {.endpoint = connect->endpoint, .opens_us = now + 50'000};
    } else if (const auto* drop = std::get_if<SessionDrop>(&todo.action)) {
      drops.push_back(drop->reason);
      end_line(index, lines.find(todo.line));
    }
  }

  int64_t next_time() const {
    int64_t at = speaks ? std::min(wake_, (now / kSecond + 1) * kSecond) : wake_;
    for (const Lines& lines : lines_)
      for (const auto& [id, line] : lines)
        at = std::min(at, line.is_open ? std::min(line.ends_us, drops_pings ? INT64_MAX : line.pinged_us + 20 * kSecond) : line.opens_us);
    return at;
  }

  void happen() {
    const int64_t step = now - last_;
    last_ = now;
    for (size_t i = 0; i < groups_.size(); ++i) {
      if (was_live_ && !groups_[i]->is_live()) dark_us += step;
      for (auto line = lines_[i].begin(); line != lines_[i].end();) line = happen_to(i, line);
    }
  }

  Lines::iterator happen_to(size_t index, Lines::iterator at) {
    auto& [id, line] = *at;
    LineGroup& group = *groups_[index];
    if (!is_up[line.endpoint] && (line.is_open || now >= line.opens_us)) return end_line(index, at);
    if (!line.is_open && now >= line.opens_us) {
      line.is_open = true;
      line.pinged_us = now;
      line.ends_us = now + 24 * kHour;
      group.opened(id, now);
    }
    if (line.is_open && now >= line.ends_us) {
      ++cuts_at_24_hours;
      return end_line(index, at);
    }
    if (line.is_open && !drops_pings && now - line.pinged_us >= 20 * kSecond) {
      line.pinged_us = now;
      group.received(id, now);
    }
    if (line.is_open && speaks && now % kSecond == 0) {
      for (size_t stream = 0; speaks && stream < 2; ++stream)
        if (speaks(stream)) group.seen(id, stream, now);
      group.received(id, now);
    }
    return std::next(at);
  }

  std::vector<std::unique_ptr<LineGroup>> groups_;
  std::vector<Lines> lines_;
  int64_t wake_ = INT64_MAX;
  int64_t last_ = 0;
  bool was_live_ = false;
};

TEST(LineGroup, OneLineComesUpAndStays) {
  World world;
  world.run_until(kHour);
  EXPECT_TRUE(world.group().is_live());
  EXPECT_EQ(world.open(), 1u);
  EXPECT_THAT(world.attempts, ElementsAre(0));
  EXPECT_THAT(world.group().states(), ElementsAre(SessionState::kLive));
}

TEST(LineGroup, AnAnnouncedShutdownBringsTheSuccessorUpBeforeTheLineGoes) {
  World world;
  world.run_until(kHour);
  world.announce_shutdown();
  world.run_for(2 * kSecond);
  EXPECT_EQ(world.open(), 2u);
  world.run_for(4 * kSecond);
  EXPECT_EQ(world.open(), 1u);
  EXPECT_THAT(world.drops, ElementsAre("stopped"));
  EXPECT_EQ(world.dark_us, 0);
  ASSERT_EQ(world.count(LineEvent::Kind::kReplaced), 1u);
  EXPECT_EQ(world.events.back().reason, ReplaceReason::kShutdown);
  EXPECT_EQ(world.group().counts().reconnects, 1u);
  EXPECT_EQ(world.group().counts().failures, 0u);
  world.run_for(kHour);
  EXPECT_EQ(world.attempts.size(), 2u);
}

TEST(LineGroup, AnAnnouncementOnAYoungLineIsActedUponAtOnce) {
  World world;
  world.run_until(2 * kSecond);
  world.announce_shutdown();
  world.run_for(kSecond);
  EXPECT_EQ(world.open(), 2u);
}

TEST(LineGroup, AVenueThatAnnouncesShutdownToEachNewConnectionIsNotStormed) {
  World world;
  for (int i = 0; i < 600; ++i) {
    world.run_for(kSecond);
    world.announce_shutdown();
  }
  EXPECT_LE(world.attempts.size(), 21u);
  EXPECT_EQ(world.dark_us, 0);
}

TEST(LineGroup, ALineThatEndsBeforeItsSuccessorIsUpIsSucceededAtOnce) {
  World world;
  world.run_until(kHour);
  world.is_up[0] = false;  // and with it goes the line
  world.announce_shutdown();
  world.run_for(30 * kSecond);
  world.is_up[0] = true;
  world.run_for(kMinute);
  EXPECT_TRUE(world.group().is_live());
  EXPECT_EQ(world.open(), 1u);
}

TEST(LineGroup, The24HourCutIsNeverSeenAndLinesDoNotGoAtOnce) {
  World world({.lines = 2}, 1, 3);
  world.run_until(10 * 24 * kHour);
  EXPECT_EQ(world.cuts_at_24_hours, 0u);
  EXPECT_EQ(world.dark_us, 0);
  EXPECT_EQ(world.count(LineEvent::Kind::kReplaced), 6 * 10u);
  std::vector<int64_t> times(world.attempts.begin() + 6, world.attempts.end());  // but the first ones
  int close = 0;
  for (size_t i = 1; i < times.size(); ++i) close += times[i] - times[i - 1] < kMinute ? 1 : 0;
  EXPECT_LE(close, 6);
}

TEST(LineGroup, ASilentLineIsAskedAndThenMadeAnew) {
  World world;
  world.run_until(kMinute);
  world.drops_pings = true;
  world.run_for(91 * kSecond);
  EXPECT_THAT(world.drops, ElementsAre("stale"));
  EXPECT_EQ(world.count(LineEvent::Kind::kStale), 1u);
}

TEST(LineGroup, OfTwoLinesOneCarriesOnWhileTheOtherIsDown) {
  World world({.lines = 2});
  world.run_until(kMinute);
  EXPECT_EQ(world.open(), 2u);
  const LineId first = world.events.front().line;
  world.group().ended(first, world.now);
  EXPECT_TRUE(world.group().is_live());
  EXPECT_FALSE(world.events[0].is_covered);
  EXPECT_TRUE(world.events[1].is_covered);
}

TEST(LineGroup, AStreamThatFallsSilentOnALivingSocketReplacesTheLineOnce) {
  World world({}, 1, 1, 2);
  world.speaks = [](size_t) { return true; };
  world.run_until(10 * kMinute);
  world.speaks = [](size_t stream) { return stream == 0; };
  world.run_for(8 * kMinute);
  ASSERT_EQ(world.count(LineEvent::Kind::kReplaced), 1u);
  EXPECT_EQ(world.events.back().reason, ReplaceReason::kQuiet);
  EXPECT_EQ(world.dark_us, 0);
  world.run_for(24 * kHour);
  EXPECT_LE(world.count(LineEvent::Kind::kReplacing), 11u);  // one of them for its age
}

TEST(LineGroup, FailsOverAndComesBackOnlyOnceTheFirstEndpointIsLive) {
  World world({}, 2);
  world.run_until(kMinute);
  world.is_up[0] = false;
  world.run_for(20 * kMinute);
  EXPECT_EQ(world.group().line(0).endpoint(), 1u);
  EXPECT_TRUE(world.group().is_live());
  EXPECT_EQ(world.group().counts().failovers, 1u);
  const int64_t dark = world.dark_us;
  world.run_for(kHour);  // each try of the first endpoint fails, and the line stays
  EXPECT_EQ(world.dark_us, dark);
  EXPECT_GE(world.count(LineEvent::Kind::kReplacing), 5u);
  EXPECT_EQ(world.count(LineEvent::Kind::kReplaced), 0u);
  world.is_up[0] = true;
  world.run_for(11 * kMinute);
  EXPECT_EQ(world.group().line(0).endpoint(), 0u);
  EXPECT_EQ(world.dark_us, dark);
  EXPECT_EQ(world.events.back().reason, ReplaceReason::kFailback);
  EXPECT_EQ(world.open(), 1u);
}

TEST(LineGroup, BothEndpointsFailingIsToldAndGoesOnForEver) {
  World world({}, 2);
  world.is_up = {false, false};
  world.run_until(6 * kHour);
  EXPECT_GE(world.count(LineEvent::Kind::kRoundFailed), 10u);
  EXPECT_FALSE(world.group().is_exhausted());
  world.is_up[0] = true;
  world.run_for(20 * kMinute);
  EXPECT_TRUE(world.group().is_live());
}

TEST(LineGroup, GivesUpAfterItsRoundsOnlyWhereAllLinesHave) {
  LineGroupPolicy policy{.lines = 2};
  policy.session.rounds_max = 1;
  World world(policy, 2);
  world.is_up = {false, false};
  world.run_until(2 * kHour);
  EXPECT_EQ(world.count(LineEvent::Kind::kExhausted), 1u);
  EXPECT_TRUE(world.group().is_exhausted());
  const size_t attempts = world.attempts.size();
  world.run_for(kHour);
  EXPECT_EQ(world.attempts.size(), attempts);
}

TEST(LineGroup, StopDropsLinesAndSuccessorsInOrder) {
  World world({.lines = 2});
  world.run_until(kHour);
  world.announce_shutdown();
  world.run_for(2 * kSecond);
  EXPECT_EQ(world.open(), 4u);
  world.group().stop();
  EXPECT_FALSE(world.group().is_over());
  world.run_for(kSecond);
  EXPECT_TRUE(world.group().is_over());
  EXPECT_THAT(world.drops, Each("stopped"));
}

TEST(ConnectBudget, IsKeptOverADayOfStorms) {
  World world({.lines = 2}, 2, 40);
  Jitter chance(7);
  for (int64_t at = 0; at < 24 * kHour; at += 30 * kSecond) {
    world.run_until(at);
    if (chance.bits() % 3 == 0) world.cut_all();
    if (chance.bits() % 20 == 0) world.is_up[0] = !world.is_up[0];
    if (chance.bits() % 20 == 0) world.is_up[1] = !world.is_up[1];
    if (chance.bits() % 50 == 0) world.announce_shutdown(chance.bits() % 40);
  }
  size_t most = 0;
  std::deque<int64_t> window;
  for (const int64_t at : world.attempts) {
    window.push_back(at);
    while (at - window.front() >= 300 * kSecond) window.pop_front();
    most = std::max(most, window.size());
  }
  EXPECT_LE(most, 240u);
  EXPECT_GE(most, 200u);  // the storm was one
  world.is_up = {true, true};
  world.run_for(kHour);
  for (size_t i = 0; i < 40; ++i) EXPECT_TRUE(world.group(i).is_live());
}

}  // namespace
}  // namespace k2
