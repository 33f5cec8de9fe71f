#include "base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace k2 {
namespace {

using testing::HasSubstr;

TEST(Metrics, WritesPrometheusText) {
  MetricsRegistry registry;
  registry.counter("k2_http_requests_total", "Requests.", {{"route", "/v1/\"trades\"\n"}}).add(3);
  registry.gauge("k2_gaps_open", "Open gaps.").set(1.5);
  EXPECT_EQ(registry.prometheus_text(),
            "# HELP k2_gaps_open Open gaps.\n# TYPE k2_gaps_open gauge\nk2_gaps_open 1.5\n"
            "# HELP k2_http_requests_total Requests.\n# TYPE k2_http_requests_total counter\n"
            "k2_http_requests_total{route=\"/v1/\\\"trades\\\"\\n\"} 3\n");
}

TEST(Metrics, SameNameAndLabelsAreTheSameMetric) {
  MetricsRegistry registry;
  Counter& first = registry.counter("k2_a_total", "A.", {{"x", "1"}});
  EXPECT_EQ(&first, &registry.counter("k2_a_total", "A.", {{"x", "1"}}));
  EXPECT_NE(&first, &registry.counter("k2_a_total", "A.", {{"x", "2"}}));
}

TEST(Metrics, HistogramBucketsAreCumulativeAndInclusive) {
  MetricsRegistry registry;
  Histogram& histogram = registry.histogram("k2_lag_seconds", "Lag.", {0.1, 1});
  for (const double value : {0.1, 0.5, 7.0}) histogram.observe(value);
  const std::string text = registry.prometheus_text();
  EXPECT_THAT(text, HasSubstr("k2_lag_seconds_bucket{le=\"0.1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("k2_lag_seconds_bucket{le=\"1\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("k2_lag_seconds_bucket{le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("k2_lag_seconds_sum 7.6\n"));
  EXPECT_THAT(text, HasSubstr("k2_lag_seconds_count 3\n"));
}

TEST(Metrics, FunctionsAreAskedAtWritingAndCanGo) {
  MetricsRegistry registry;
  double value = 1;
  registry.gauge_function("k2_connections", "Connections.", {}, [&] { return value; });
  value = 2;
  EXPECT_THAT(registry.prometheus_text(), HasSubstr("k2_connections 2\n"));
  registry.remove_function("k2_connections", {});
  EXPECT_EQ(registry.prometheus_text(), "");
}

TEST(Metrics, CountsFromManyThreads) {
  MetricsRegistry registry;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        for (int n = 0; n < 1000; ++n) registry.counter("k2_n_total", "N.").add();
      });
  }
  EXPECT_EQ(registry.counter("k2_n_total", "N.").value(), 4000u);
}

TEST(MetricsDeathTest, ATypeNeverChanges) {
  MetricsRegistry registry;
  registry.counter("k2_a_total", "A.");
  EXPECT_DEATH(registry.gauge("k2_a_total", "A."), "type");
}

}  // namespace
}  // namespace k2
