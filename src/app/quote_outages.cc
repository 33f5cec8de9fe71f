#include "app/quote_outages.h"

#include <algorithm>
#include <utility>

#include "app/taken.h"
#include "market/event.h"

namespace k2 {
namespace {

constexpr size_t kCarriersMax = 64;  // of a symbol that never has a quote; then the oldest that has ended is forgotten
constexpr int64_t kWindowRecords = 20'000;
constexpr size_t kReadBytes = 4 << 20;

}  // namespace

// --- Who carries what -------------------------------------------------------------------------------------------------------------------

QuoteOutages::Source& QuoteOutages::source(std::string_view exchange, std::string_view symbol) {
  auto of_exchange = sources_.find(exchange);
  if (of_exchange == sources_.end()) of_exchange = sources_.try_emplace(std::string(exchange)).first;
  auto found = of_exchange->second.find(symbol);
  if (found == of_exchange->second.end()) {
    found = of_exchange->second.try_emplace(std::string(symbol)).first;
    found->second.exchange = exchange;
    found->second.symbol = symbol;
  }
  return found->second;
}

void QuoteOutages::resume(std::string_view exchange, std::string_view symbol, const NewestQuote& newest) {
  const std::scoped_lock lock(mutex_);
  Source& own = source(exchange, symbol);
  own.newest = newest;
  own.is_from_before = true;
}

std::shared_ptr<QuoteOutages::Line> QuoteOutages::line(uint64_t connection_id) {
  const std::scoped_lock lock(mutex_);
  std::shared_ptr<Line>& line = lines_[connection_id];
  if (!line) line = std::make_shared<Line>();
  return line;
}

/// The symbol's entry of `line`; `from_us` where it has none.
QuoteOutages::Carrier& QuoteOutages::carrier(Source& source, const std::shared_ptr<Line>& line, int64_t from_us) {
  for (Carrier& known : source.carriers)
    if (known.line == line) return known;
  // A line that ended before the newest quote tells nothing about what comes after it.
  const auto tells_nothing = [&](const Carrier& known) {
    return known.line->has_ended_ && source.newest && known.line->heard_us_.load(std::memory_order_relaxed) <= source.newest->at.us;
  };
  if (source.doubts.empty()) std::erase_if(source.carriers, tells_nothing);
  if (source.carriers.size() >= kCarriersMax) {
    const auto oldest = std::ranges::find_if(source.carriers, [](const Carrier& known) { return known.line->has_ended_; });
    if (oldest != source.carriers.end()) source.carriers.erase(oldest);
  }
  return source.carriers.emplace_back(line, from_us);
}

void QuoteOutages::live(uint64_t connection_id, std::string_view exchange, const std::vector<std::string>& symbols, TimestampUs at) {
  const std::scoped_lock lock(mutex_);
  const auto found = lines_.find(connection_id);
  if (found == lines_.end()) return;
  const std::shared_ptr<Line>& up = found->second;
  up->live_us_ = at.us + policy_.settle_us;
  for (const std::string& symbol : symbols) {
    Carrier& own = carrier(source(exchange, symbol), up, *up->live_us_);
    own.from_us = std::min(own.from_us, *up->live_us_);
  }
}

void QuoteOutages::ended(uint64_t connection_id) {
  const std::scoped_lock lock(mutex_);
  const auto found = lines_.find(connection_id);
  if (found == lines_.end()) return;
  found->second->has_ended_ = true;
  lines_.erase(found);
  for (auto& [exchange, symbols] : sources_)
    for (auto& [symbol, own] : symbols) judge_doubts(own, false);
}

/// Whether lines, one after the other, carried the symbol from `newest_us` to `from_us`. Moves `from_us` back to where they began.
QuoteOutages::Verdict QuoteOutages::judge(const Source& source, int64_t newest_us, int64_t& from_us) {
  const auto was_up = [&](const Carrier& known) { return known.from_us <= newest_us; };
  if (std::ranges::none_of(source.carriers, was_up)) return Verdict::kOutage;
  bool may_yet_show = false;
  for (size_t i = 0; i < source.carriers.size() && from_us > newest_us; ++i) {
    const Carrier& other = source.carriers[i];
    if (other.from_us >= from_us) continue;
    if (other.line->heard_us_.load(std::memory_order_relaxed) < from_us) {
      may_yet_show = may_yet_show || !other.line->has_ended_;
      continue;
    }
    from_us = other.from_us;
    may_yet_show = false;
    i = static_cast<size_t>(-1);  // from the beginning: others may reach to where this one began
  }
  if (from_us <= newest_us) return Verdict::kCarried;
  return may_yet_show ? Verdict::kUnknown : Verdict::kOutage;
}

// --- What comes -------------------------------------------------------------------------------------------------------------------------

void QuoteOutages::expect(const std::shared_ptr<Line>& line, std::string_view exchange, std::string_view symbol, int64_t id,
                          TimestampUs at) {
  const std::scoped_lock lock(mutex_);
  Source& own = source(exchange, symbol);
  Carrier& here = carrier(own, line, line->live_us_ ? std::min(*line->live_us_, at.us) : at.us);
  here.from_us = std::min(here.from_us, at.us);
  // Nothing between the two quotes of a doubt was stored, so what comes of them now is no duplicate.
  for (Doubt& doubt : own.doubts) doubt.came_late = doubt.came_late || (doubt.before.id < id && id < doubt.after.id);
  if (!own.doubts.empty()) judge_doubts(own, false);
  if (!own.newest) return;
  // The quote that was the newest before: there was none in between, whoever was connected.
  if (id == own.newest->id) own.newest->at = std::max(own.newest->at, at);
  if (id <= own.newest->id || here.from_us <= own.newest->at.us) return;
  const Verdict verdict = judge(own, own.newest->at.us, here.from_us);
  if (verdict == Verdict::kCarried) return;
  state_observed(own, own.newest->id);
  own.next_id = id;
  const NewestQuote after = {id, at};
  if (verdict == Verdict::kUnknown) own.doubts.push_back({*own.newest, after, here.from_us});
  else state_outage(own, *own.newest, after);
}

void QuoteOutages::took(std::string_view exchange, std::string_view symbol, int64_t id, TimestampUs at, bool left_out) {
  const std::scoped_lock lock(mutex_);
  Source& own = source(exchange, symbol);
  if (own.newest && id <= own.newest->id) return;
  if (own.stated_us == 0) own.stated_us = at.us;
  if (left_out) {
    state_observed(own, id - 1);
    own.next_id = id + 1;
  } else if (!own.first) {
    own.first = {own.next_id.value_or(id), at};
  }
  own.newest = {id, at};
  own.is_from_before = false;
  if (at.us - own.stated_us < policy_.state_every_us) return;
  own.stated_us = at.us;
  if (!own.first) return;
  state_observed(own, id);
  own.next_id = id + 1;
}

void QuoteOutages::finish() {
  const std::scoped_lock lock(mutex_);
  for (auto& [exchange, symbols] : sources_)
    for (auto& [symbol, own] : symbols) {
      judge_doubts(own, true);
      if (own.first) state_observed(own, own.newest->id);
    }
}

// --- What is stated ---------------------------------------------------------------------------------------------------------------------

/// `is_over`: no line will show anything any more.
void QuoteOutages::judge_doubts(Source& source, bool is_over) {
  for (Doubt& doubt : std::exchange(source.doubts, {})) {
    switch (judge(source, doubt.before.at.us, doubt.carried_from_us)) {
      case Verdict::kUnknown:
        if (!is_over) {
          source.doubts.push_back(doubt);
          break;
        }
        [[fallthrough]];
      case Verdict::kOutage: state_outage(source, doubt.before, doubt.after); break;
      case Verdict::kCarried:
        if (doubt.came_late) state_outage(source, doubt.before, doubt.after, kCameLate);
        else state(source, CoverageStatus::kObserved, {doubt.before.id + 1, doubt.before.at}, {doubt.after.id - 1, doubt.after.at}, "");
        break;
    }
  }
}

/// Of all from `first` to `last_id`, which is the newest or lies before the next.
void QuoteOutages::state_observed(Source& source, int64_t last_id) {
  if (!source.first) return;
  state(source, CoverageStatus::kObserved, *source.first, {last_id, source.newest->at}, "");
  source.first.reset();
}

void QuoteOutages::state_outage(Source& source, const NewestQuote& before, const NewestQuote& after, std::string_view reason) {
  if (before.id + 1 == after.id) return;
  state(source, CoverageStatus::kLost, {before.id + 1, before.at}, {after.id - 1, after.at}, reason);
  if (source.is_from_before) return;
  ++counts_.outages;
  counts_.last_us = after.at.us;
  counts_.last_symbol = source.symbol;
}

void QuoteOutages::state(const Source& source, CoverageStatus status, const NewestQuote& first, const NewestQuote& last,
                         std::string_view reason) {
  if (first.id > last.id) return;
  statements_.push_back({.exchange = source.exchange,
                         .symbol = source.symbol,
                         .channel = Channel::kQuotes,
                         .first_sequence = first.id,
                         .last_sequence = last.id,
                         .timestamp = first.at,
                         .end_timestamp = std::max(first.at, last.at),
                         .status = status,
                         .reason = std::string(reason),
                         .ingestion_timestamp = system_clock().now()});
  has_statements_.store(true, std::memory_order_relaxed);
}

std::vector<Coverage> QuoteOutages::take_statements() {
  if (!has_statements_.load(std::memory_order_relaxed)) return {};
  const std::scoped_lock lock(mutex_);
  has_statements_.store(false, std::memory_order_relaxed);
  return std::exchange(statements_, {});
}

QuoteOutages::Counts QuoteOutages::counts() const {
  const std::scoped_lock lock(mutex_);
  return counts_;
}

// --- What the log has -------------------------------------------------------------------------------------------------------------------

namespace {

/// The records of one partition from the newest backwards, in windows: the last record of each wanted symbol goes into `found`. Returns when the
/// oldest record that was read was received.
Result<std::optional<TimestampUs>> find_times(const Log& log, const TopicPartition& partition, Offset begin, Offset end,
                                              const std::map<std::string, int64_t, std::less<>>& wanted,
                                              std::map<std::string, NewestQuote>& found) {
  std::optional<TimestampUs> oldest;
  for (int64_t upto = end.value; upto > begin.value && found.size() < wanted.size();) {
    const int64_t from = std::max(begin.value, upto - kWindowRecords);
    std::map<std::string, NewestQuote> here;
    bool is_first = true;
    for (Offset at{from}; at.value < upto;) {
      K2_TRY(const LogBatch batch, log.read(partition, at, Offset{upto}, kReadBytes));
      if (batch.empty()) break;
      for (const LogRecord& record : batch.records()) {
        if (std::exchange(is_first, false)) oldest = record.timestamp;
        const auto symbol = wanted.find(record.key);
        if (symbol != wanted.end()) here.insert_or_assign(symbol->first, NewestQuote{symbol->second, record.timestamp});
      }
      at = batch.next_offset();
    }
    found.merge(here);  // what a later window had stays
    upto = from;
  }
  return oldest;
}

}  // namespace

Result<std::map<std::string, NewestQuote>> newest_quotes(const Log& log, std::string_view exchange, const std::vector<std::string>& symbols,
                                                         int64_t records_max) {
  std::vector<std::string> names;
  for (const std::string& symbol : symbols) names.push_back(event_source(exchange, symbol, Channel::kQuotes));
  K2_TRY(const std::vector<Position> positions, log.positions(names));
  std::map<std::string, int64_t, std::less<>> wanted;
  for (size_t i = 0; i < symbols.size(); ++i)
    if (const auto highest = highest_taken(positions[i].value)) wanted.emplace(symbols[i], *highest);
  std::map<std::string, NewestQuote> found;
  if (wanted.empty()) return found;
  K2_TRY(const Offsets begins, log.begin_offsets());
  K2_TRY(const Offsets ends, log.end_offsets());
  std::optional<TimestampUs> oldest;
  for (const auto& [partition, end] : ends) {
    if (partition.topic != topic_name(AssetClass::kCrypto, Channel::kQuotes, exchange)) continue;
    const Offset begin{std::max(offset_of(begins, partition).value, end.value - records_max)};
    K2_TRY(const auto oldest_here, find_times(log, partition, begin, end, wanted, found));
    if (oldest_here) oldest = std::min(oldest.value_or(*oldest_here), *oldest_here);
  }
  if (oldest)
    for (const auto& [symbol, highest] : wanted) found.try_emplace(symbol, NewestQuote{highest, *oldest});
  return found;
}

}  // namespace k2
