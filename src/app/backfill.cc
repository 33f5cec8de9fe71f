#include "app/backfill.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>

#include "app/event_times.h"
#include "app/source_locks.h"
#include "base/logging.h"
#include "base/metrics.h"
#include "codec/avro.h"
#include "codec/binance.h"
#include "codec/binance_rest.h"
#include "feed/binance_rest.h"
#include "market/coverage.h"
#include "query/coverage.h"

namespace k2 {
namespace {

using Range = SequenceRanges::Range;

constexpr size_t kReadBytes = 4 << 20;
constexpr int64_t kLastTradesRead = 20'000;  // per partition, at the start: enough to know when each symbol last traded
constexpr int64_t kTimesStep = 32'768;  // records read at once, from the newest on, to learn when trades happened
constexpr int64_t kTimesReadMax = 2'000'000;  // per partition: what a file just brought, or what a killed process took last, lies within
constexpr const char* kNotReceived = "not received";  // the reason of a gap that was found; other reasons say why it stays open
constexpr size_t kMessagesMax = 65'536;
constexpr size_t kReceivedRangesMax = 10'000;  // a source, waiting for the log to have them

SequenceRanges only(const Range& range) {
  SequenceRanges ranges;
  ranges.insert(range);
  return ranges;
}

struct ExchangeMetrics {
  explicit ExchangeMetrics(const std::string& exchange)
      : labels({{"exchange", exchange}}),
        open(metrics().gauge("k2_gaps_open", "Gaps in the trade ids that are neither filled nor settled.", labels)),
        missing(metrics().gauge("k2_gap_trades_missing", "Trade ids in those gaps.", labels)),
        weight(metrics().gauge("k2_backfill_weight_used", "Request weight that backfill spent in the last minute.", labels)),
        clock_offset(metrics().gauge("k2_feed_clock_offset_seconds", "The venue's clock minus ours.", labels)),
        gaps(metrics().counter("k2_gaps_total", "Gaps found.", labels)),
        backfilled(metrics().counter("k2_backfilled_trades_total", "Trades that a request brought and the log took.", labels)),
        not_issued(metrics().counter("k2_not_issued_total", "Trade ids that the venue never gave to a trade.", labels)) {
    lost("forgotten");
    lost("unreadable");
    requests("none");
  }

  Counter& lost(std::string_view reason) {
    MetricLabels all = labels;
    all.emplace_back("reason", reason);
    return metrics().counter("k2_lost_trades_total", "Trade ids that cannot be had.", all);
  }
  Counter& requests(std::string_view outcome) {
    MetricLabels all = labels;
    all.emplace_back("outcome", outcome == "none" ? "answered" : outcome);
    return metrics().counter("k2_backfill_requests_total", "Requests for missing trades.", all);
  }

  MetricLabels labels;
  Gauge& open;
  Gauge& missing;
  Gauge& weight;
  Gauge& clock_offset;
  Counter& gaps;
  Counter& backfilled;
  Counter& not_issued;
};

}  // namespace

struct Backfill::Impl {
  struct Exchange {
    explicit Exchange(std::string given) : name(std::move(given)), shown(name) {}
    std::string name;
    std::unique_ptr<BinanceRest> rest;  // none: nobody is configured to be asked
    bool is_log_trimmed = false;  // the log no longer has its first statements
    ExchangeMetrics shown;
  };
  struct Source {
    Exchange* exchange = nullptr;
    std::string symbol;
    std::string currency;
    int64_t versions = -1;  // of all its positions as last read, added up
    bool has_line = false;  // had one since the start
    bool is_ours = false;  // no other process that lives feeds it
    SequenceRanges said_of_feed;  // stated as received from a feed, by earlier lives
    SequenceRanges said_of_files;  // stated as loaded from a file
    int64_t said_from = kSequenceMax;  // the lowest number that a statement in the log speaks of
    SequenceRanges unsaid_files;  // loaded, and to be stated
    SequenceRanges received;  // by the feed, and not yet stated
    EventTimes times;
    std::set<int64_t> times_wanted;  // of these trades the log is to say when they happened, before anything is stated
  };
  struct LineUp {
    std::string exchange;
    std::vector<std::string> symbols;
  };
  struct Arrived {
    std::string exchange, symbol;
    int64_t id;
  };
  struct Received {
    std::string exchange, symbol;
    Range range;
    TimestampUs first_time, last_time;
  };
  using Message = std::variant<LineUp, Arrived, Received>;

  Impl(const Log& l, Ingest& i, Options o);

  void tell(Message message) {
    {
      const std::scoped_lock lock(mutex);
      // So many only where a line delivers out of order for good: what is left out then is a statement, no trade.
      if (inbox.size() >= kMessagesMax && std::holds_alternative<Received>(message)) return;
      inbox.push_back(std::move(message));
    }
    changed.notify_all();
  }

  void run(const std::stop_token& stop);
  [[nodiscard]] int64_t work();
  void finish();
  void take_messages();
  void take(const LineUp& line);
  void take(const Arrived& arrived);
  void take(const Received& received);
  size_t* find(std::string_view exchange, std::string_view symbol);

  [[nodiscard]] Result<std::optional<SequenceRanges>> fed(const Source& source) const;
  Status look_back();
  Status each_record(const TopicPartition& partition, Offset from, Offset end, const std::function<void(const LogRecord&)>& take);
  void adopt(const CoverageState& stated);
  void hold_sources();
  Status look(size_t source_index, const Position& taken, const Position& settled, const Position& by_feed);
  void find_what_was_taken_before(size_t source_index);
  void find_what_files_brought(size_t source_index);
  void want_times(Source& source, const SequenceRanges& ranges);
  Status read_times();
  Status poll();
  void ask(const GapRequest& request);
  Status hand_over(const GapRequest& request, const BinanceRestTrades& rows);
  void fail_request(const GapRequest& request, GapFailure failure, const std::string& why);
  void state_events();
  void state(const GapEvent& event);
  [[nodiscard]] SequenceRanges received_and_taken(size_t source_index) const;
  void state_received();
  void state_loaded();
  void put_row(Source& source, CoverageStatus status, const Range& range, const std::string& reason);
  void check_clocks();
  void show();
  void note_error(const std::string& why);

  const Log& log;
  Ingest& ingest;
  const Options options;

  // Of the thread.
  std::vector<std::unique_ptr<Exchange>> exchanges;
  GapFiller filler;
  std::vector<Source> sources;  // by the filler's index
  std::map<std::pair<std::string, std::string>, size_t, std::less<>> index;
  SourceLocks locks;
  bool has_looked_back = false;
  bool has_warned_of_others = false;
  bool is_log_there = false;  // at the last look
  int64_t trades_shed_seen = 0;
  int64_t next_poll_us = 0;
  int64_t next_clock_check_us = 0;

  mutable std::mutex mutex;
  std::condition_variable_any changed;
  std::vector<Message> inbox;
  BackfillStatus shown;
  std::jthread thread;
};

Backfill::Impl::Impl(const Log& l, Ingest& i, Options o) : log(l), ingest(i), options(std::move(o)), filler(options.policy) {
  if (auto opened = options.lock_file.empty() ? SourceLocks() : SourceLocks::open(options.lock_file)) locks = *std::move(opened);
  else log_warning("feed_lock_failed", {{"error", opened.error().message}});
  std::map<std::string, std::vector<std::string>> endpoints = {{std::string(kBinanceExchange), {}}, {std::string(kBinanceUsExchange), {}}};
  for (const std::string& endpoint : options.rest_endpoints) endpoints[std::string(binance_exchange_of_url(endpoint))].push_back(endpoint);
  for (auto& [name, urls] : endpoints) {
    Exchange& exchange = *exchanges.emplace_back(std::make_unique<Exchange>(name));
    if (!urls.empty())
      exchange.rest = std::make_unique<BinanceRest>(BinanceRestOptions{.endpoints = urls, .http = options.http, .one_exchange = true});
    for (const std::string& symbol : options.symbols) {
      const Instrument* instrument = options.instruments ? options.instruments->find(symbol) : nullptr;
      index.emplace(std::pair(name, symbol), filler.add_source(name, symbol));
      Source& source = sources.emplace_back();
      source.exchange = &exchange;
      source.symbol = symbol;
      source.currency = instrument != nullptr ? instrument->quote_currency : "";
    }
  }
}

size_t* Backfill::Impl::find(std::string_view exchange, std::string_view symbol) {
  const auto found = index.find(std::pair(std::string(exchange), std::string(symbol)));
  return found == index.end() ? nullptr : &found->second;
}

// --- What the feed says -----------------------------------------------------------------------------------------------------------------

void Backfill::Impl::take_messages() {
  std::vector<Message> taken;
  {
    const std::scoped_lock lock(mutex);
    std::swap(taken, inbox);
  }
  for (const Message& message : taken) std::visit([this](const auto& told) { take(told); }, message);
}

void Backfill::Impl::take(const LineUp& line) {
  for (const std::string& symbol : line.symbols)
    if (const size_t* source = find(line.exchange, symbol)) {
      sources[*source].has_line = true;
      filler.check_tail(*source, system_clock().monotonic_us());
    }
  next_poll_us = 0;
}

void Backfill::Impl::take(const Arrived& arrived) {
  if (const size_t* source = find(arrived.exchange, arrived.symbol)) filler.arrived(*source, arrived.id);
}

void Backfill::Impl::take(const Received& received) {
  const size_t* found = find(received.exchange, received.symbol);
  if (found == nullptr) return;
  Source& source = sources[*found];
  source.times.note(received.range.first, received.first_time);
  source.times.note(received.range.last, received.last_time);
  source.received.insert(received.range);
  if (source.received.ranges().size() > kReceivedRangesMax)
    source.received = source.received.without(only(source.received.ranges().front()));
}

// --- What the log has -------------------------------------------------------------------------------------------------------------------

Status Backfill::Impl::each_record(const TopicPartition& partition, Offset from, Offset end,
                                   const std::function<void(const LogRecord&)>& take_record) {
  while (from < end) {
    K2_TRY(const LogBatch batch, log.read(partition, from, end, kReadBytes));
    if (batch.empty()) break;
    for (const LogRecord& record : batch.records()) take_record(record);
    from = batch.next_offset();
  }
  return {};
}

/// What feeds took of a source, by its own position. Nullopt: a log from before there were such.
Result<std::optional<SequenceRanges>> Backfill::Impl::fed(const Source& source) const {
  K2_TRY(const auto positions, log.positions({feed_source(source.exchange->name, source.symbol, Channel::kTrades)}));
  if (positions.front().version == 0) return std::nullopt;
  K2_TRY(SequenceRanges ranges, SequenceRanges::parse(positions.front().value));
  return ranges;
}

/// When each symbol last traded, and which gaps were stated as open and by nothing later as closed.
Status Backfill::Impl::look_back() {
  K2_TRY(const Offsets begins, log.begin_offsets());
  K2_TRY(const Offsets ends, log.end_offsets());
  CoverageResolver resolver;
  std::map<size_t, std::pair<int64_t, TimestampUs>> newest;  // of each source, id and time
  std::vector<std::optional<SequenceRanges>> by_feed;
  for (const Source& source : sources) {
    K2_TRY(by_feed.emplace_back(), fed(source));
  }
  for (const auto& exchange : exchanges) {
    const std::string trades = topic_name(AssetClass::kCrypto, Channel::kTrades, exchange->name);
    const std::string coverage = topic_name(AssetClass::kCrypto, Channel::kCoverage, exchange->name);
    for (const auto& [partition, end] : ends) {
      const Offset begin = offset_of(begins, partition);
      if (partition.topic == trades) {
        const auto note = [&](const LogRecord& record) {
          const size_t* source = find(exchange->name, record.key);
          const auto frame = read_frame(record.value);
          Trade trade;
          if (source == nullptr || !frame || !decode_trade(frame->body, trade) || !trade.source_sequence) return;
          if (by_feed[*source] && !by_feed[*source]->contains(*trade.source_sequence)) return;  // a file's
          auto& [id, happened] = newest[*source];
          if (*trade.source_sequence >= id) std::tie(id, happened) = std::pair(*trade.source_sequence, trade.timestamp);
        };
        K2_RETURN_IF_ERROR(each_record(partition, {std::max(begin.value, end.value - kLastTradesRead)}, end, note));
      } else if (partition.topic == coverage) {
        exchange->is_log_trimmed = exchange->is_log_trimmed || begin.value > 0;
        const auto resolve = [&](const LogRecord& record) {
          const auto frame = read_frame(record.value);
          Coverage row;
          if (!frame || !decode_coverage(frame->body, row)) return;
          resolver.state({row.exchange, row.symbol, std::string(channel_name(row.channel))},
                         {row.first_sequence, row.last_sequence, row.timestamp, row.end_timestamp, row.status, row.reason});
        };
        K2_RETURN_IF_ERROR(each_record(partition, begin, end, resolve));
      }
    }
  }
  for (const auto& [source, trade] : newest) sources[source].times.note(trade.first, trade.second);
  adopt(resolver.resolved());
  return {};
}

/// What earlier lives stated: the open gaps, and the times, which bound those of whatever lies between.
void Backfill::Impl::adopt(const CoverageState& stated) {
  for (const auto& [whose, ranges] : stated) {
    const size_t* index_of = find(whose.exchange, whose.symbol);
    if (index_of == nullptr || whose.channel != channel_name(Channel::kTrades)) continue;
    Source& source = sources[*index_of];
    for (const CoverageRange& range : *ranges) {
      source.said_from = std::min(source.said_from, range.first);
      const int64_t beside = is_received(range.status) ? 0 : 1;  // a gap reaches from the event before it to the one after it
      if (range.timestamp.us > 0) source.times.note_not_before(range.first - beside, range.timestamp);
      if (range.end_timestamp.us > 0) source.times.note_not_after(range.last + beside, range.end_timestamp);
      if (is_received(range.status)) {
        const bool is_of_file = range.status == CoverageStatus::kBackfilled && range.reason == kLoadedFromFile;
        (is_of_file ? source.said_of_files : source.said_of_feed).insert(Range{range.first, range.last});
      } else if (range.status == CoverageStatus::kOpen) {
        filler.adopt(*index_of, {range.first, range.last}, range.reason != kNotReceived, system_clock().monotonic_us());
      }
    }
  }
}

/// Which sources no other process feeds. One that another feeds is fed all the same, and is tried again.
void Backfill::Impl::hold_sources() {
  std::string others;
  for (Source& source : sources) {
    if (source.is_ours) continue;
    source.is_ours = options.lock_file.empty() || locks.try_hold(event_source(source.exchange->name, source.symbol, Channel::kTrades));
    if (!source.is_ours && source.has_line) others += (others.empty() ? "" : ",") + source.exchange->name + "/" + source.symbol;
  }
  if (others.empty() || std::exchange(has_warned_of_others, true)) return;
  log_warning("another_writer",
              {{"sources", others},
               {"meaning", "another process feeds them into the same data directory; each trade is stored once all the same"}});
}

/// At the first look: what feeds took and never stated, because the process had no time to, or because it came after it had been settled. Where
/// another process feeds the source, that one may be about to state it.
void Backfill::Impl::find_what_was_taken_before(size_t source_index) {
  Source& source = sources[source_index];
  // Statements that the table has and the log no longer has: they began below the lowest that it has.
  if (const auto last = filler.observed(source_index).taken.last(); last && source.exchange->is_log_trimmed && source.said_from > 0)
    source.said_of_files.insert(Range{0, std::min(*last, source.said_from - 1)});
  if (!source.is_ours) return;
  const SequenceRanges unsaid = filler.observed(source_index).by_feed.without(source.said_of_feed).without(source.said_of_files);
  want_times(source, unsaid);
  source.received.insert(unsaid);
}

/// What lies between the feed's first and last trade, and was taken by no feed.
void Backfill::Impl::find_what_files_brought(size_t source_index) {
  Source& source = sources[source_index];
  const GapPositions& now = filler.observed(source_index);
  if (now.by_feed.empty()) return;
  SequenceRanges within;
  for (const Range& range : now.taken.overlap({now.by_feed.ranges().front().first, *now.by_feed.last()})) within.insert(range);
  const SequenceRanges unsaid = within.without(now.by_feed).without(source.said_of_files);
  want_times(source, unsaid);
  source.unsaid_files.insert(unsaid);
  source.said_of_files.insert(unsaid);
}

void Backfill::Impl::want_times(Source& source, const SequenceRanges& ranges) {
  for (const Range& range : ranges.ranges())
    for (const int64_t id : {range.first, range.last})
      if (!source.times.knows(id)) source.times_wanted.insert(id);
}

/// What is wanted was appended lately: it is looked for from the newest record backwards. What lies further back keeps the times that are known: a
/// range may be stated as shorter in time than it is, never as longer.
Status Backfill::Impl::read_times() {
  if (std::ranges::all_of(sources, [](const Source& source) { return source.times_wanted.empty(); })) return {};
  K2_TRY(const Offsets begins, log.begin_offsets());
  K2_TRY(const Offsets ends, log.end_offsets());
  for (const auto& exchange : exchanges) {
    const std::string topic = topic_name(AssetClass::kCrypto, Channel::kTrades, exchange->name);
    const auto is_wanted = [&](const Source& source) { return source.exchange == exchange.get() && !source.times_wanted.empty(); };
    const auto note = [&](const LogRecord& record) {
      const size_t* found = find(exchange->name, record.key);
      if (found == nullptr || sources[*found].times_wanted.empty()) return;
      const auto frame = read_frame(record.value);
      Trade trade;
      if (!frame || !decode_trade(frame->body, trade) || !trade.source_sequence) return;
      if (sources[*found].times_wanted.erase(*trade.source_sequence) > 0)
        sources[*found].times.note(*trade.source_sequence, trade.timestamp);
    };
    for (const auto& [partition, end] : ends) {
      if (partition.topic != topic) continue;
      const int64_t from_least = std::max(offset_of(begins, partition).value, end.value - kTimesReadMax);
      for (int64_t to = end.value; to > from_least && std::ranges::any_of(sources, is_wanted);) {
        const int64_t from = std::max(from_least, to - kTimesStep);
        const Status read = each_record(partition, {from}, {to}, note);
        if (!read && read.error().kind == ErrorKind::kUnavailable) return read;
        if (!read) break;  // trimmed meanwhile, or broken: then without
        to = from;
      }
    }
  }
  for (Source& source : sources) source.times_wanted.clear();
  return {};
}

Status Backfill::Impl::look(size_t source_index, const Position& taken, const Position& settled, const Position& by_feed) {
  Source& source = sources[source_index];
  const int64_t versions = taken.version + settled.version + by_feed.version;
  if (versions == source.versions) return {};
  GapPositions now;
  K2_TRY(now.taken, SequenceRanges::parse(taken.value));
  K2_TRY(now.settled, SequenceRanges::parse(settled.value));
  K2_TRY(now.by_feed, SequenceRanges::parse(by_feed.value));
  now.by_feed.insert(source.said_of_feed);  // logs from before feeds had a position of their own
  const bool is_first_look = source.versions < 0;
  source.versions = versions;
  filler.observe(source_index, std::move(now), system_clock().monotonic_us());
  if (is_first_look) find_what_was_taken_before(source_index);
  find_what_files_brought(source_index);
  return {};
}

Status Backfill::Impl::poll() {
  if (!has_looked_back) {
    K2_RETURN_IF_ERROR(look_back());
    has_looked_back = true;
  }
  // What was shed is a hole only when something follows it, which a quiet symbol does not do.
  if (const int64_t shed = ingest.counts().trades_shed; shed != trades_shed_seen) {
    trades_shed_seen = shed;
    for (size_t i = 0; i < sources.size(); ++i) filler.shed(i, system_clock().monotonic_us());
  }
  hold_sources();
  // Sources of an exchange that was never connected to stand still; they are looked at once.
  std::vector<size_t> looked_at;
  std::vector<std::string> names;
  for (size_t i = 0; i < sources.size(); ++i) {
    if (sources[i].versions == 0 && !sources[i].has_line) continue;
    looked_at.push_back(i);
    for (const auto& name_of : {event_source, settled_source, feed_source})
      names.push_back(name_of(sources[i].exchange->name, sources[i].symbol, Channel::kTrades));
  }
  K2_TRY(const std::vector<Position> positions, log.positions(names));
  for (size_t i = 0; i < looked_at.size(); ++i)
    K2_RETURN_IF_ERROR(look(looked_at[i], positions[3 * i], positions[3 * i + 1], positions[3 * i + 2]));
  for (size_t i = 0; i < sources.size(); ++i) want_times(sources[i], received_and_taken(i));
  return read_times();
}

// --- What the venue has -----------------------------------------------------------------------------------------------------------------

void Backfill::Impl::fail_request(const GapRequest& request, GapFailure failure, const std::string& why) {
  const Exchange& exchange = *sources[request.source].exchange;
  filler.failed(failure, why, exchange.rest ? exchange.rest->retry_after_us() : 0, system_clock().monotonic_us());
  note_error(why);
}

void Backfill::Impl::ask(const GapRequest& request) {
  Source& source = sources[request.source];
  Exchange& exchange = *source.exchange;
  if (!options.is_wanted) return filler.failed(GapFailure::kForbidden, "binance.backfill is off", 0, system_clock().monotonic_us());
  if (!exchange.rest)
    return filler.failed(GapFailure::kForbidden, "no REST endpoint of " + exchange.name + " is configured", 0,
                         system_clock().monotonic_us());
  const auto answer = exchange.rest->historical_trades(source.symbol, request.from_id, request.limit);
  const BinanceRestTrouble trouble = answer ? BinanceRestTrouble::kNone : exchange.rest->trouble();
  exchange.shown.requests(binance_rest_trouble_name(trouble)).add();
  {
    const std::scoped_lock lock(mutex);
    ++shown.requests;
  }
  if (!answer) {
    log_info("backfill_request_failed",
             {{"exchange", exchange.name}, {"symbol", source.symbol}, {"from_id", request.from_id}, {"error", answer.error().message}});
    switch (trouble) {
      case BinanceRestTrouble::kRateLimited: return fail_request(request, GapFailure::kRateLimited, answer.error().message);
      case BinanceRestTrouble::kBanned: return fail_request(request, GapFailure::kBanned, answer.error().message);
      case BinanceRestTrouble::kForbidden: return fail_request(request, GapFailure::kForbidden, answer.error().message);
      case BinanceRestTrouble::kKeyNeeded:
        return fail_request(request, GapFailure::kKeyNeeded, exchange.name + " gives old trades to holders of an API key only");
      case BinanceRestTrouble::kRefused: return fail_request(request, GapFailure::kRefused, answer.error().message);
      case BinanceRestTrouble::kNone:
      case BinanceRestTrouble::kUnreachable: return fail_request(request, GapFailure::kUnreachable, answer.error().message);
    }
  }
  const auto rows = parse_binance_rest_trades(answer->body, {exchange.name, source.symbol, source.currency}, system_clock().now());
  if (!rows) return fail_request(request, GapFailure::kUnreachable, answer->endpoint + ": " + rows.error().message);
  if (const Status put = hand_over(request, *rows); !put) return fail_request(request, GapFailure::kUnreachable, put.error().message);
  GapAnswer told{.ids = rows->ids, .used_weight = answer->used_weight_minute};
  for (const auto& row : rows->unreadable) told.unreadable.push_back(row.id);
  filler.answered(told, system_clock().monotonic_us());
}

/// Puts what is missing into ingest, also what was settled and is there after all, and behind the feed's last trade also what a file brought: so it
/// counts as the feed's. The other rows were there to judge the answer by, but say when they happened.
Status Backfill::Impl::hand_over(const GapRequest& request, const BinanceRestTrades& rows) {
  Source& source = sources[request.source];
  const auto is_missing = [&](int64_t id) {
    const GapPositions& log_has = filler.observed(request.source);
    return id >= request.wanted.first && id <= request.wanted.last && !(request.is_tail ? log_has.by_feed : log_has.taken).contains(id);
  };
  // Of each run of ids that an answer has, and of each run of them that is missing, the first and the last say when it was: one answer may fill
  // several gaps.
  const auto id_of = [&](size_t i) { return *rows.trades[i].source_sequence; };
  const auto goes_on = [&](size_t i, size_t next) {
    return next < rows.trades.size() && std::abs(id_of(next) - id_of(i)) == 1 && is_missing(id_of(next)) == is_missing(id_of(i));
  };
  for (size_t i = 0; i < rows.trades.size(); ++i) {
    const Trade& trade = rows.trades[i];
    const int64_t id = id_of(i);
    const bool is_edge = i == 0 || !goes_on(i, i - 1) || !goes_on(i, i + 1);
    if (is_edge || id == request.wanted.first || id == request.wanted.last) source.times.note(id, trade.timestamp);
    if (is_missing(id)) K2_RETURN_IF_ERROR(ingest.put(trade));
  }
  for (const auto& row : rows.unreadable) {
    if (!is_missing(row.id) || filler.observed(request.source).settled.contains(row.id)) continue;
    const DeadLetter letter{"historicalTrades of " + source.exchange->name + "/" + source.symbol, row.reason, row.raw,
                            system_clock().now()};
    K2_RETURN_IF_ERROR(ingest.put(
        letter, {"dead_letter/backfill/" + source.exchange->name + "/" + source.symbol, dead_letter_hash(row.id, row.raw), true}));
  }
  return {};
}

void Backfill::Impl::check_clocks() {
  for (const auto& exchange : exchanges) {
    if (!exchange->rest) continue;
    const TimestampUs before = system_clock().now();
    const int64_t begin = system_clock().monotonic_us();
    const auto answer = exchange->rest->time();
    const int64_t half_us = (system_clock().monotonic_us() - begin) / 2;
    if (!answer) continue;
    const auto theirs = parse_binance_server_time(answer->body);
    if (theirs) exchange->shown.clock_offset.set(static_cast<double>(theirs->us - before.us - half_us) * 1e-6);
  }
}

// --- What is stated ---------------------------------------------------------------------------------------------------------------------

/// Received events know when they happened; a gap reaches from the event before it to the one after it.
void Backfill::Impl::put_row(Source& source, CoverageStatus status, const Range& range, const std::string& reason) {
  const TimestampUs now = system_clock().now();
  const int64_t beside = is_received(status) ? 0 : 1;
  const auto before = source.times.at_or_before(range.first - beside);
  const auto after = source.times.at_or_after(range.last + beside);
  // A range that seems longer than it is would vouch for what lies beside it. So one whose times are not known is not called observed; one that
  // closes a gap lies between events that were stated, and shrinks to a moment.
  const auto from = source.times.at_or_after(range.first);
  const auto to = source.times.at_or_before(range.last);
  const bool is_timed = from && to && *from <= *to;
  if (status == CoverageStatus::kObserved && !is_timed)
    return log_info("observed_at_unknown_times",
                    {{"exchange", source.exchange->name}, {"symbol", source.symbol}, {"first", range.first}, {"last", range.last}});
  Coverage row{
      .exchange = source.exchange->name,
      .symbol = source.symbol,
      .first_sequence = range.first,
      .last_sequence = range.last,
      .timestamp = is_received(status) ? (is_timed ? *from : to.value_or(from.value_or(now))) : before.value_or(after.value_or(now)),
      .end_timestamp = is_received(status) ? to.value_or(from.value_or(now)) : after.value_or(now),
      .status = status,
      .reason = reason,
      .ingestion_timestamp = now};
  row.end_timestamp = std::max(row.timestamp, row.end_timestamp);
  if (const Status put = ingest.put(row); !put) note_error(put.error().message);
}

void Backfill::Impl::state_events() {
  for (const GapEvent& event : filler.take_events()) state(event);
}

void Backfill::Impl::state(const GapEvent& event) {
  Source& source = sources[event.source];
  const int64_t count = event.range.last - event.range.first + 1;
  ExchangeMetrics& all = source.exchange->shown;
  CoverageStatus status = CoverageStatus::kOpen;
  std::string reason = event.reason;
  int64_t BackfillStatus::* counted = nullptr;
  switch (event.kind) {
    case GapEventKind::kOpened: reason = kNotReceived; [[fallthrough]];
    case GapEventKind::kTooLarge:
      all.gaps.add();
      source.received = source.received.without(only(event.range));  // it did not reach the log
      log_warning("gap_open", {{"exchange", source.exchange->name},
                               {"symbol", source.symbol},
                               {"first", event.range.first},
                               {"last", event.range.last},
                               {"reason", reason}});
      break;
    case GapEventKind::kStuck: break;
    case GapEventKind::kBackfilled:
      status = CoverageStatus::kBackfilled;
      reason = "historicalTrades";
      counted = &BackfillStatus::backfilled;
      all.backfilled.add(static_cast<uint64_t>(count));
      break;
    case GapEventKind::kArrived: {
      // Whoever brought it states it: this feed with its stretches, another process's feed itself, and of files find_what_files_brought().
      log_info("gap_closed", {{"exchange", source.exchange->name},
                              {"symbol", source.symbol},
                              {"first", event.range.first},
                              {"last", event.range.last},
                              {"status", "arrived"}});
      return;
    }
    case GapEventKind::kNotIssued:
      status = CoverageStatus::kNotIssued;
      counted = &BackfillStatus::not_issued;
      all.not_issued.add(static_cast<uint64_t>(count));
      break;
    case GapEventKind::kForgotten:
    case GapEventKind::kUnreadable:
      status = CoverageStatus::kLost;
      counted = &BackfillStatus::lost;
      all.lost(event.kind == GapEventKind::kForgotten ? "forgotten" : "unreadable").add(static_cast<uint64_t>(count));
      break;
  }
  if (status != CoverageStatus::kOpen)
    log_info("gap_closed", {{"exchange", source.exchange->name},
                            {"symbol", source.symbol},
                            {"first", event.range.first},
                            {"last", event.range.last},
                            {"status", coverage_status_name(status)},
                            {"reason", reason}});
  if (counted != nullptr) {
    const std::scoped_lock lock(mutex);
    shown.*counted += count;
    if (status == CoverageStatus::kLost) shown.last_lost_us = system_clock().now().us;
  }
  put_row(source, status, event.range, reason);
}

/// Of what is known to be received, the part that the log has.
SequenceRanges Backfill::Impl::received_and_taken(size_t source_index) const {
  SequenceRanges both;
  for (const Range& range : sources[source_index].received.ranges())
    for (const Range& part : filler.observed(source_index).taken.overlap(range)) both.insert(part);
  return both;
}

/// What the feed received is observed once the log has it; the rest waits, or turns out to be a gap.
void Backfill::Impl::state_received() {
  for (size_t i = 0; i < sources.size(); ++i) {
    Source& source = sources[i];
    if (source.received.empty()) continue;
    for (const SequenceRanges parts = received_and_taken(i); const Range& part : parts.ranges())
      put_row(source, CoverageStatus::kObserved, part, "");
    source.received = source.received.without(filler.observed(i).taken);
  }
}

void Backfill::Impl::state_loaded() {
  for (Source& source : sources)
    for (const SequenceRanges loaded = std::exchange(source.unsaid_files, {}); const Range& range : loaded.ranges())
      put_row(source, CoverageStatus::kBackfilled, range, kLoadedFromFile);
}

void Backfill::Impl::note_error(const std::string& why) {
  const std::scoped_lock lock(mutex);
  shown.last_error = why;
}

void Backfill::Impl::show() {
  GapTotals sum;
  for (const auto& exchange : exchanges) {
    const GapTotals totals = filler.totals(exchange->name);
    exchange->shown.open.set(static_cast<double>(totals.open));
    exchange->shown.missing.set(static_cast<double>(totals.missing));
    exchange->shown.weight.set(static_cast<double>(filler.weight_spent(exchange->name, system_clock().monotonic_us())));
    sum.open += totals.open;
    sum.missing += totals.missing;
  }
  std::vector<SymbolGaps> with_gaps;
  for (size_t i = 0; i < sources.size(); ++i)
    if (const GapTotals own = filler.totals_of(i); own.open > 0)
      with_gaps.push_back({sources[i].exchange->name, sources[i].symbol, own.open, own.missing});
  const std::scoped_lock lock(mutex);
  shown.open = sum.open;
  shown.missing = sum.missing;
  shown.symbols = std::move(with_gaps);
}

// --- The thread -------------------------------------------------------------------------------------------------------------------------

/// One round. Returns when the next is due.
int64_t Backfill::Impl::work() {
  take_messages();
  if (system_clock().monotonic_us() >= next_poll_us) {
    next_poll_us = system_clock().monotonic_us() + options.poll_us;
    const Status polled = poll();
    is_log_there = polled.has_value();
    if (!polled) {
      note_error(polled.error().message);
      log_warning("backfill_waits_for_log", {{"error", polled.error().message}});
      return next_poll_us;
    }
    state_received();
    state_loaded();
  }
  if (!is_log_there) return next_poll_us;
  const GapAction action = filler.next(system_clock().monotonic_us());
  state_events();
  const auto* request = std::get_if<GapRequest>(&action);
  if (request != nullptr) ask(*request);
  state_events();
  show();
  if (request != nullptr) return 0;
  if (system_clock().monotonic_us() >= next_clock_check_us) {
    next_clock_check_us = system_clock().monotonic_us() + options.clock_check_us;
    check_clocks();
  }
  return std::min({std::get<GapWait>(action).until_us, next_poll_us, next_clock_check_us});
}

void Backfill::Impl::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const int64_t due_us = work();
    std::unique_lock lock(mutex);
    const int64_t wait_us = std::clamp<int64_t>(due_us - system_clock().monotonic_us(), 0, options.poll_us);
    changed.wait_for(lock, stop, std::chrono::microseconds(wait_us), [this] { return !inbox.empty(); });
  }
  finish();
}

/// The last stretches of the lines have been told: they are stated as far as the log has them.
void Backfill::Impl::finish() {
  if (!ingest.flush()) return;
  take_messages();
  if (!poll()) return;
  state_received();
  state_loaded();
  state_events();
  show();
}

// --- The public face --------------------------------------------------------------------------------------------------------------------

Backfill::Backfill(const Log& log, Ingest& ingest, Options options) : impl_(std::make_unique<Impl>(log, ingest, std::move(options))) {
  impl_->thread = std::jthread([impl = impl_.get()](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "k2-backfill");
    impl->run(stop);
  });
}

Backfill::~Backfill() { stop(); }

void Backfill::stop() {
  if (!impl_->thread.joinable()) return;
  impl_->thread.request_stop();
  for (const auto& exchange : impl_->exchanges)
    if (exchange->rest) exchange->rest->cancel();
  impl_->thread.join();
}

void Backfill::line_up(std::string_view exchange, const std::vector<std::string>& symbols) {
  impl_->tell(Impl::LineUp{std::string(exchange), symbols});
}

void Backfill::arrived(std::string_view exchange, std::string_view symbol, int64_t id) {
  impl_->tell(Impl::Arrived{std::string(exchange), std::string(symbol), id});
}

void Backfill::received(std::string_view exchange, std::string_view symbol, const Range& range, TimestampUs first_time,
                        TimestampUs last_time) {
  impl_->tell(Impl::Received{std::string(exchange), std::string(symbol), range, first_time, last_time});
}

BackfillStatus Backfill::status() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->shown;
}

}  // namespace k2
