// Metrics: counters, gauges and histograms with labels, and their text for Prometheus.
//
// A metric is registered once, by name and labels, and the reference is kept: incrementing it is one relaxed atomic operation, no lock.
// Names follow Prometheus's rules (k2_http_requests_total, base units, _total for counters); labels are few and of low cardinality.
//
//   static Counter& received = metrics().counter("k2_binance_messages_received_total", "Frames received.");
//   received.add();
//
// Thread rule: everything from any thread. References live as long as the registry; metrics() lives as long as the process.
// Source of the text form: Prometheus, "Exposition formats", text format 0.0.4.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace k2 {

/// (name, value) pairs, in the order in which they are to be shown.
using MetricLabels = std::vector<std::pair<std::string, std::string>>;

/// Only goes up.
class Counter {
 public:
  void add(uint64_t count = 1) { value_.fetch_add(count, std::memory_order_relaxed); }
  [[nodiscard]] uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_ = 0;
};

/// Goes up and down.
class Gauge {
 public:
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  void add(double difference) { value_.fetch_add(difference, std::memory_order_relaxed); }
  [[nodiscard]] double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_ = 0;
};

/// Counts of observations up to each bound.
class Histogram {
 public:
  /// `bounds`: inclusive upper ends, strictly rising, at least one; +Inf is added.
  explicit Histogram(std::vector<double> bounds);

  void observe(double value);

  [[nodiscard]] uint64_t count() const { return count_.load(std::memory_order_relaxed); }
  [[nodiscard]] double sum() const { return sum_.load(std::memory_order_relaxed); }
  [[nodiscard]] const std::vector<double>& bounds() const { return bounds_; }
  /// Observations in bucket `index` alone (not cumulative); bounds().size() is that of +Inf.
  [[nodiscard]] uint64_t bucket(size_t index) const { return buckets_[index].load(std::memory_order_relaxed); }

 private:
  std::vector<double> bounds_;
  std::unique_ptr<std::atomic<uint64_t>[]> buckets_;
  std::atomic<uint64_t> count_ = 0;
  std::atomic<double> sum_ = 0;
};

/// Seconds from 100 microseconds to 10 s, for latencies.
[[nodiscard]] std::vector<double> latency_bounds_seconds();

class MetricsRegistry {
 public:
  MetricsRegistry();
  ~MetricsRegistry();
  MetricsRegistry(const MetricsRegistry&) = delete;
  MetricsRegistry& operator=(const MetricsRegistry&) = delete;

  /// The metric of this name and these labels; made at the first call. The help of a name's first registration stays.
  /// Asserts that a name is legal and always of the same type.
  Counter& counter(std::string_view name, std::string_view help, const MetricLabels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const MetricLabels& labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, std::vector<double> bounds, const MetricLabels& labels = {});

  /// A gauge whose value is asked for when the text is written; `value` must not call the registry. Replaces an earlier function of the
  /// same name and labels. remove_function() before what it refers to goes away.
  void gauge_function(std::string_view name, std::string_view help, const MetricLabels& labels, std::function<double()> value);
  void counter_function(std::string_view name, std::string_view help, const MetricLabels& labels, std::function<double()> value);
  void remove_function(std::string_view name, const MetricLabels& labels);

  /// All metrics, names sorted, each with # HELP and # TYPE. Content type: kPrometheusContentType.
  [[nodiscard]] std::string prometheus_text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

inline constexpr std::string_view kPrometheusContentType = "text/plain; version=0.0.4; charset=utf-8";

/// The process's registry.
[[nodiscard]] MetricsRegistry& metrics();

}  // namespace k2
