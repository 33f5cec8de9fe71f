#include "app/circuit_breaker.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

using State = CircuitBreaker::State;

CircuitBreaker::Policy policy() { return {.failures_to_open = 3, .successes_to_close = 2, .open_first_us = 100, .open_max_us = 400}; }

void fail_to_open(CircuitBreaker& breaker, int64_t now_us) {
  for (int i = 0; i < 3; ++i) breaker.failed(now_us);
}

TEST(CircuitBreaker, OpensAfterFailuresInARowOnly) {
  CircuitBreaker breaker(policy());
  breaker.failed(0);
  breaker.failed(0);
  breaker.succeeded();
  breaker.failed(0);
  breaker.failed(0);
  EXPECT_EQ(breaker.wait_us(0), 0);
  breaker.failed(10);
  EXPECT_EQ(breaker.state(), State::kOpen);
  EXPECT_EQ(breaker.wait_us(10), 100);
  EXPECT_EQ(breaker.wait_us(109), 1);
  EXPECT_EQ(breaker.wait_us(110), 0);
  EXPECT_EQ(breaker.state(), State::kHalfOpen);
}

TEST(CircuitBreaker, ClosesAfterSuccessesAndBeginsAnew) {
  CircuitBreaker breaker(policy());
  fail_to_open(breaker, 0);
  EXPECT_EQ(breaker.wait_us(100), 0);
  breaker.succeeded();
  EXPECT_EQ(breaker.state(), State::kHalfOpen);
  breaker.succeeded();
  EXPECT_EQ(breaker.state(), State::kClosed);
  fail_to_open(breaker, 200);
  EXPECT_EQ(breaker.wait_us(200), 100);
}

TEST(CircuitBreaker, AFailedTrialOpensForTwiceAsLong) {
  CircuitBreaker breaker(policy());
  fail_to_open(breaker, 0);
  int64_t now_us = 0;
  for (const int64_t expected : {200, 400, 400}) {
    now_us += breaker.wait_us(now_us);
    EXPECT_EQ(breaker.wait_us(now_us), 0);
    breaker.failed(now_us);
    EXPECT_EQ(breaker.wait_us(now_us), expected);
  }
}

}  // namespace
}  // namespace k2
