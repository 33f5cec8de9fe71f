#include "base/metrics.h"

#include <charconv>
#include <cmath>
#include <map>
#include <mutex>

#include "base/assert.h"

namespace k2 {
namespace {

enum class Type { kCounter, kGauge, kHistogram };

std::string_view type_name(Type type) {
  switch (type) {
    case Type::kCounter: return "counter";
    case Type::kGauge: return "gauge";
    case Type::kHistogram: return "histogram";
  }
  return "untyped";
}

bool is_legal_name(std::string_view name) {
  if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
  for (const char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) return false;
  return true;
}

std::string escaped(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') out += "\\\\";
    else if (c == '\n') out += "\\n";
    else if (c == '"' && quotes) out += "\\\"";
    else out += c;
  }
  return out;
}

// {a="1",b="2"}, with `extra` as a last pair for a histogram's le; "" without pairs.
std::string label_text(const MetricLabels& labels, std::string_view le = {}) {
  std::string out;
  for (const auto& [name, value] : labels) out += (out.empty() ? "{" : ",") + name + "=\"" + escaped(value, true) + "\"";
  if (!le.empty()) out += (out.empty() ? "{" : ",") + std::string("le=\"") + std::string(le) + "\"";
  if (!out.empty()) out += "}";
  return out;
}

std::string number_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char text[40];
  const bool is_whole = std::abs(value) < 1e15 && value == std::floor(value);
  const auto end = is_whole ? std::to_chars(text, text + sizeof text, static_cast<int64_t>(value)).ptr
                            : std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

struct Series {
  MetricLabels labels;
  std::unique_ptr<Counter> counter;
  std::unique_ptr<Gauge> gauge;
  std::unique_ptr<Histogram> histogram;
  std::function<double()> function;
};

struct Family {
  Type type = Type::kCounter;
  std::string help;
  std::map<std::string, Series> series;  // by label_text
};

void write_histogram(std::string& out, const std::string& name, const Series& series) {
  const Histogram& histogram = *series.histogram;
  uint64_t cumulative = 0;
  for (size_t i = 0; i < histogram.bounds().size(); ++i) {
    cumulative += histogram.bucket(i);
    out += name + "_bucket" + label_text(series.labels, number_text(histogram.bounds()[i])) + " " + std::to_string(cumulative) + "\n";
  }
  cumulative += histogram.bucket(histogram.bounds().size());
  out += name + "_bucket" + label_text(series.labels, "+Inf") + " " + std::to_string(cumulative) + "\n";
  out += name + "_sum" + label_text(series.labels) + " " + number_text(histogram.sum()) + "\n";
  out += name + "_count" + label_text(series.labels) + " " + std::to_string(cumulative) + "\n";
}

void write_series(std::string& out, const std::string& name, const Series& series) {
  if (series.histogram) return write_histogram(out, name, series);
  std::string value;
  if (series.function) value = number_text(series.function());
  else if (series.counter) value = std::to_string(series.counter->value());
  else value = number_text(series.gauge->value());
  out += name + label_text(series.labels) + " " + value + "\n";
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), buckets_(new std::atomic<uint64_t>[bounds_.size() + 1]()) {
  K2_ASSERT(!bounds_.empty());
  for (size_t i = 1; i < bounds_.size(); ++i) K2_ASSERT(bounds_[i - 1] < bounds_[i]);
}

void Histogram::observe(double value) {
  size_t bucket = 0;
  while (bucket < bounds_.size() && value > bounds_[bucket]) ++bucket;
  buckets_[bucket].fetch_add(1, std::memory_order_relaxed);
  count_.fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<double> latency_bounds_seconds() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
}

struct MetricsRegistry::Impl {
  mutable std::mutex mutex;
  std::map<std::string, Family, std::less<>> families;

  // With the mutex held.
  Series& series(std::string_view name, std::string_view help, Type type, const MetricLabels& labels) {
    auto found = families.find(name);
    if (found == families.end()) {
      K2_ASSERT(is_legal_name(name));
      found = families.emplace(name, Family{type, std::string(help), {}}).first;
    }
    K2_ASSERT(found->second.type == type);
    const auto [place, is_new] = found->second.series.try_emplace(label_text(labels));
    if (is_new) {
      for (const auto& [label, value] : labels) K2_ASSERT(is_legal_name(label));
      place->second.labels = labels;
    }
    return place->second;
  }
};

MetricsRegistry::MetricsRegistry() : impl_(std::make_unique<Impl>()) {}
MetricsRegistry::~MetricsRegistry() = default;

Counter& MetricsRegistry::counter(std::string_view name, std::string_view help, const MetricLabels& labels) {
  const std::lock_guard lock(impl_->mutex);
  Series& series = impl_->series(name, help, Type::kCounter, labels);
  if (!series.counter) series.counter = std::make_unique<Counter>();
  return *series.counter;
}

Gauge& MetricsRegistry::gauge(std::string_view name, std::string_view help, const MetricLabels& labels) {
  const std::lock_guard lock(impl_->mutex);
  Series& series = impl_->series(name, help, Type::kGauge, labels);
  if (!series.gauge) series.gauge = std::make_unique<Gauge>();
  return *series.gauge;
}

Histogram& MetricsRegistry::histogram(std::string_view name, std::string_view help, std::vector<double> bounds,
                                      const MetricLabels& labels) {
  const std::lock_guard lock(impl_->mutex);
  Series& series = impl_->series(name, help, Type::kHistogram, labels);
  if (!series.histogram) series.histogram = std::make_unique<Histogram>(std::move(bounds));
  return *series.histogram;
}

void MetricsRegistry::gauge_function(std::string_view name, std::string_view help, const MetricLabels& labels,
                                     std::function<double()> value) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series(name, help, Type::kGauge, labels).function = std::move(value);
}

void MetricsRegistry::counter_function(std::string_view name, std::string_view help, const MetricLabels& labels,
                                       std::function<double()> value) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series(name, help, Type::kCounter, labels).function = std::move(value);
}

void MetricsRegistry::remove_function(std::string_view name, const MetricLabels& labels) {
  const std::lock_guard lock(impl_->mutex);
  const auto family = impl_->families.find(name);
  if (family == impl_->families.end()) return;
  const auto series = family->second.series.find(label_text(labels));
  if (series == family->second.series.end()) return;
  series->second.function = nullptr;
  if (!series->second.counter && !series->second.gauge) family->second.series.erase(series);
}

std::string MetricsRegistry::prometheus_text() const {
  const std::lock_guard lock(impl_->mutex);
  std::string out;
  for (const auto& [name, family] : impl_->families) {
    if (family.series.empty()) continue;
    out += "# HELP " + name + " " + escaped(family.help, false) + "\n";
    out += "# TYPE " + name + " " + std::string(type_name(family.type)) + "\n";
    for (const auto& [text, series] : family.series) write_series(out, name, series);
  }
  return out;
}

MetricsRegistry& metrics() {
  static MetricsRegistry* registry = new MetricsRegistry;  // never destroyed: threads may count until the very end
  return *registry;
}

}  // namespace k2
