#include "feed/session.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace k2 {
namespace {

constexpr int64_t kSecond = 1'000'000;

SessionPolicy exact() {
  SessionPolicy policy;
  policy.backoff_jitter = 0;
  return policy;
}

bool connects(Session& session, int64_t now) { return std::holds_alternative<SessionConnect>(session.next(now)); }
int64_t wait_until(Session& session, int64_t now) { return std::get<SessionWait>(session.next(now)).until_us; }

TEST(Session, ConnectsAtOnceSubscribesWithPacingAndIsLive) {
  Session session(exact(), 1, {"a", "b"}, 1);
  EXPECT_TRUE(connects(session, 0));
  session.opened(kSecond);
  EXPECT_EQ(session.state(), SessionState::kSubscribing);
  EXPECT_EQ(std::get<SessionSend>(session.next(kSecond)).text, "a");
  EXPECT_EQ(wait_until(session, kSecond), kSecond + 500'000);
  EXPECT_EQ(std::get<SessionSend>(session.next(kSecond + 500'000)).text, "b");
  EXPECT_EQ(session.state(), SessionState::kLive);
}

TEST(Session, BacksOffFrom5SecondsDoublingTo60) {
  SessionPolicy policy = exact();
  policy.attempts_max = 100;
  Session session(policy, 1, {}, 1);
  int64_t now = 0;
  for (const int64_t wait : {5, 10, 20, 40, 60, 60, 60}) {
    ASSERT_TRUE(connects(session, now));
    session.ended(now);
    EXPECT_EQ(wait_until(session, now), now + wait * kSecond);
    EXPECT_EQ(wait_until(session, now + wait * kSecond - 1), now + wait * kSecond);
    now += wait * kSecond;
  }
}

TEST(Session, JitterOnlyAddsAndStaysWithinItsPart) {
  SessionPolicy policy;
  policy.attempts_max = 1'000'000;
  policy.backoff_max_us = policy.backoff_first_us;
  Session session(policy, 1, {}, 42);
  int64_t now = 0;
  int64_t lowest = INT64_MAX;
  int64_t highest = 0;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(connects(session, now));
    session.ended(now);
    const int64_t wait = wait_until(session, now) - now;
    lowest = std::min(lowest, wait);
    highest = std::max(highest, wait);
    now += wait;
  }
  EXPECT_GE(lowest, 5 * kSecond);
  EXPECT_LE(highest, 5'500'000);
  EXPECT_GT(highest - lowest, 400'000);
}

TEST(Session, TenFailuresInARowMoveOnToTheNextEndpointAndRound) {
  Session session(exact(), 2, {}, 1);
  int64_t now = 0;
  std::vector<size_t> tried;
  for (int i = 0; i < 30; ++i) {
    const SessionAction action = session.next(now);
    ASSERT_TRUE(std::holds_alternative<SessionConnect>(action));
    tried.push_back(std::get<SessionConnect>(action).endpoint);
    session.ended(now);
    now = wait_until(session, now);
  }
  std::vector<size_t> wanted(10, 0);
  wanted.insert(wanted.end(), 10, 1);
  wanted.insert(wanted.end(), 10, 0);
  EXPECT_EQ(tried, wanted);
  EXPECT_EQ(session.counts().failures, 30u);
  EXPECT_EQ(session.counts().failovers, 3u);
}

TEST(Session, EndsAfterItsRoundsWhereAsked) {
  SessionPolicy policy = exact();
  policy.rounds_max = 1;
  policy.attempts_max = 2;
  Session session(policy, 2, {}, 1);
  int64_t now = 0;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(connects(session, now));
    session.ended(now);
    now += 60 * kSecond;
  }
  EXPECT_EQ(session.state(), SessionState::kExhausted);
  EXPECT_EQ(wait_until(session, now), INT64_MAX);
}

TEST(Session, OnlyAStableConnectionResetsTheCount) {
  Session session(exact(), 1, {}, 1);
  ASSERT_TRUE(connects(session, 0));
  session.opened(0);
  session.ended(kSecond);  // up, but not for long
  EXPECT_EQ(session.attempts(), 1);
  ASSERT_TRUE(connects(session, 6 * kSecond));
  session.opened(6 * kSecond);
  session.ended(7 * kSecond);
  EXPECT_EQ(session.attempts(), 2);
  EXPECT_EQ(wait_until(session, 7 * kSecond), 17 * kSecond);
  ASSERT_TRUE(connects(session, 17 * kSecond));
  session.opened(17 * kSecond);
  session.received(60 * kSecond);
  session.ended(60 * kSecond);
  EXPECT_EQ(session.attempts(), 1);
  EXPECT_EQ(session.counts().reconnects, 2u);
}

TEST(Session, DropsWhatDoesNotOpenAndWhatFallsSilent) {
  SessionPolicy policy = exact();
  policy.heartbeat_us = 0;
  Session session(policy, 1, {}, 1);
  ASSERT_TRUE(connects(session, 0));
  EXPECT_EQ(wait_until(session, 0), 15 * kSecond);
  EXPECT_EQ(std::get<SessionDrop>(session.next(15 * kSecond)).reason, "connect time-out");
  EXPECT_EQ(wait_until(session, 16 * kSecond), INT64_MAX);
  session.opened(16 * kSecond);  // too late: it is being dropped
  session.ended(16 * kSecond);
  ASSERT_TRUE(connects(session, 21 * kSecond));
  session.opened(21 * kSecond);
  session.received(30 * kSecond);
  EXPECT_EQ(wait_until(session, 31 * kSecond), 120 * kSecond);
  EXPECT_TRUE(session.is_live());
  EXPECT_EQ(std::get<SessionDrop>(session.next(120 * kSecond)).reason, "stale");
  EXPECT_FALSE(session.is_live());
}

TEST(Session, AsksASilentVenueEach30SecondsBeforeItGivesUp) {
  Session session(exact(), 1, {}, 1);
  ASSERT_TRUE(connects(session, 0));
  session.opened(0);
  session.received(20 * kSecond);  // the venue's ping: nothing to ask
  EXPECT_EQ(wait_until(session, 49 * kSecond), 50 * kSecond);
  EXPECT_TRUE(std::holds_alternative<SessionPing>(session.next(50 * kSecond)));
  EXPECT_EQ(wait_until(session, 50 * kSecond), 80 * kSecond);
  session.received(51 * kSecond);  // its pong
  EXPECT_EQ(wait_until(session, 80 * kSecond), 81 * kSecond);
  EXPECT_TRUE(std::holds_alternative<SessionPing>(session.next(81 * kSecond)));
  EXPECT_TRUE(std::holds_alternative<SessionPing>(session.next(111 * kSecond)));
  EXPECT_EQ(wait_until(session, 112 * kSecond), 141 * kSecond);
  EXPECT_EQ(std::get<SessionDrop>(session.next(141 * kSecond)).reason, "stale");
}

TEST(Session, WaitsAsLongAsTheVenueAskedFor) {
  Session session(exact(), 1, {}, 1);
  ASSERT_TRUE(connects(session, 0));
  session.ended(0, 120 * kSecond);
  EXPECT_EQ(wait_until(session, 0), 120 * kSecond);
}

TEST(Session, StaysOnItsEndpointWhereToldTo) {
  SessionPolicy policy = exact();
  policy.attempts_max = 2;
  Session session(policy, 2, {}, 1, nullptr, 1);
  session.stay_on_endpoint(true);
  int64_t now = 0;
  for (int i = 0; i < 5; ++i, now += 60 * kSecond) {
    EXPECT_EQ(std::get<SessionConnect>(session.next(now)).endpoint, 1u);
    session.ended(now);
  }
  session.stay_on_endpoint(false);
  EXPECT_EQ(std::get<SessionConnect>(session.next(now)).endpoint, 1u);
  session.ended(now);
  EXPECT_EQ(std::get<SessionConnect>(session.next(now + 60 * kSecond)).endpoint, 0u);
}

TEST(Session, ConnectsNoMoreThanTheBudgetAllows) {
  ConnectBudget budget(2, 300 * kSecond);
  Session one(exact(), 1, {}, 1, &budget);
  Session two(exact(), 1, {}, 2, &budget);
  ASSERT_TRUE(connects(one, 0));
  ASSERT_TRUE(connects(two, kSecond));
  one.ended(2 * kSecond);
  EXPECT_EQ(wait_until(one, 10 * kSecond), 300 * kSecond);
  EXPECT_TRUE(connects(one, 300 * kSecond));
}

TEST(Session, SubscribesAnewAfterEveryReconnect) {
  Session session(exact(), 1, {"a", "b"}, 1);
  ASSERT_TRUE(connects(session, 0));
  session.opened(0);
  EXPECT_EQ(std::get<SessionSend>(session.next(0)).text, "a");
  session.ended(1);
  ASSERT_TRUE(connects(session, 5 * kSecond + 1));
  session.opened(5 * kSecond + 1);
  EXPECT_EQ(std::get<SessionSend>(session.next(5 * kSecond + 1)).text, "a");
}

TEST(Session, StopDropsWhatIsUpAndNeverConnectsAgain) {
  Session session(exact(), 1, {}, 1);
  ASSERT_TRUE(connects(session, 0));
  session.opened(0);
  session.stop();
  const auto drop = std::get<SessionDrop>(session.next(1));
  EXPECT_EQ(drop.reason, "stopped");
  EXPECT_TRUE(drop.is_orderly);
  session.ended(1);
  EXPECT_EQ(session.state(), SessionState::kStopped);
  EXPECT_EQ(wait_until(session, 1000 * kSecond), INT64_MAX);
}

}  // namespace
}  // namespace k2
