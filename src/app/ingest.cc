#include "app/ingest.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>

#include "app/ingest_queue.h"
#include "app/taken.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/crash_point.h"
#include "base/logging.h"
#include "base/metrics.h"
#include "base/sha256.h"
#include "codec/avro.h"
#include "codec/schemas.h"

namespace k2 {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kConflictsMax = 1'000;  // in a row, on one batch: beyond it something other than a second writer is wrong

/// What a source carries.
enum class Carries : uint8_t { kTrades, kQuotes, kDeadLetters, kCoverage };

/// The quotes of one source that were left out and not yet spoken of.
struct ShedQuotes {
  Quote first;  // what the statement needs of it
  int64_t last_sequence = 0;
  TimestampUs last_timestamp;
  int64_t count = 0;
};

/// One source. name, key, topic, schema_id, carries and kind never change; shed belongs to the queue's lock, the rest to the append thread.
struct Source {
  std::string name;
  std::string key;
  std::string topic;
  int32_t schema_id = 0;
  Carries carries = Carries::kTrades;
  Taken::Kind kind = Taken::Kind::kSequences;

  Source* by_feed = nullptr;  // of trades that a feed puts: the source that lists what feeds took; it has no records of its own

  std::optional<ShedQuotes> shed;

  bool loaded = false;  // version and taken are what the log has, as far as we know
  int64_t version = 0;
  std::optional<Taken> taken;
  std::optional<Taken> working;  // taken and what the batch in hand adds
  bool is_changed = false;  // it adds something

  [[nodiscard]] bool is_event() const { return carries == Carries::kTrades || carries == Carries::kQuotes; }
};

using Queue = IngestQueue<Source>;
using Pending = Queue::Batch;
using Item = Pending::Item;

constexpr int64_t kHurryUs = 100'000;  // between two tries when whoever put is about to go

/// What one append is to write, and for which sources.
struct Plan {
  std::vector<NewRecord> records;
  std::vector<PositionUpdate> updates;
  std::vector<Source*> sources;  // of updates, in their order
  int64_t events = 0;
  int64_t dead_letters = 0;
};

/// The process's counters of all that was ever ingested.
struct IngestMetrics {
  Counter& events = metrics().counter("k2_ingest_events_total", "Events appended to the log.");
  Counter& duplicates = metrics().counter("k2_duplicates_dropped_total", "Events that the log had already.");
  Counter& dead_letters = metrics().counter("k2_dead_letters_total", "Inputs that could not become events, kept in market.dead_letter.");
  Counter& batches = metrics().counter("k2_log_appends_total", "Batches appended to the log.");
  Counter& conflicts = metrics().counter("k2_log_append_conflicts_total", "Batches filtered again because another writer was first.");
  Counter& unknown = metrics().counter("k2_log_append_unknown_outcomes_total", "Appends whose outcome had to be looked up.");
  Counter& unavailable = metrics().counter("k2_log_append_retries_total", "Appends repeated because the log was unavailable.");
  Gauge& last_append = metrics().gauge("k2_log_last_append_timestamp_seconds", "When the last batch was appended.");
  Gauge& breaker = metrics().gauge("k2_ingest_breaker_state", "The circuit breaker before the log: 0 closed, 1 half open, 2 open.");
  Gauge& queue_bytes = metrics().gauge("k2_ingest_queue_bytes", "Encoded records that wait for the log.");
  Counter& shed_trades = shed("trades");
  Counter& shed_quotes = shed("quotes");
  Counter& shed_others = shed("others");
  Histogram& durable = metrics().histogram("k2_ingest_durable_seconds", "From receiving a batch's oldest record to its being durable.",
                                           {0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1, 5});

  static Counter& shed(const char* channel) {
    return metrics().counter("k2_ingest_shed_total", "Events left out because too much waited for the log.", {{"channel", channel}});
  }
};

IngestMetrics& ingest_metrics() {
  static IngestMetrics all;
  return all;
}

std::vector<Source*> sources_of(const Pending& batch) {
  std::vector<Source*> touched;
  for (const Item& item : batch.items) {
    if (!touched.empty() && (touched.back() == item.source || touched.back() == item.source->by_feed)) continue;
    touched.push_back(item.source);
    if (item.source->by_feed != nullptr) touched.push_back(item.source->by_feed);
  }
  std::ranges::sort(touched);
  touched.erase(std::ranges::unique(touched).begin(), touched.end());
  return touched;
}

}  // namespace

struct Ingest::Impl {
  Impl(Log& log_in, SchemaStore& schemas_in, const Options& options_in)
      : log(log_in),
        schemas(schemas_in),
        options(options_in),
        queue(options.records_max, options.bytes_max, options.queue_bytes_max),
        breaker(options.breaker) {}

  Log& log;
  SchemaStore& schemas;
  const Options options;

  mutable std::mutex mutex;
  std::condition_variable room;  // for put(): there is room, or it is over
  std::condition_variable work;  // for the append thread
  std::condition_variable progress;  // for flush()
  std::condition_variable trouble;  // for the append thread between two tries
  Queue queue;
  CircuitBreaker breaker;
  SteadyClock::time_point oldest_pending;
  std::deque<Source> sources;  // a deque: pointers stay
  std::unordered_map<std::string, Source*> source_by_name;
  uint64_t put_count = 0;
  uint64_t done_count = 0;
  uint64_t flush_to = 0;  // don't linger while done_count is below
  bool closing = false;
  std::optional<SteadyClock::time_point> hurry_since;  // stop_waiting(): the log's absence is not borne much longer
  std::optional<Error> failure;
  Counts counts;
  std::jthread thread;

  // --- put --------------------------------------------------------------------------------------------------------------------
  Result<Source*> source_of(std::string name, std::string_view key, std::string topic, std::string_view schema, Carries carries,
                            Taken::Kind kind);
  Result<int32_t> schema_id_of(const std::string& subject, std::string_view schema);
  template <class Encode, class Shed>
  Status put_item(const Item& item, Encode encode, Shed shed);
  template <class Event>
  Status put_event(const Event& event, Channel channel, Taken::Kind kind, void (*encode)(const Event&, int32_t, std::string&),
                   bool* left_out = nullptr);
  Status put_coverage(const Coverage& coverage);
  void shed_event(Source& source, const Trade& trade);
  void shed_event(Source& source, const Quote& quote);

  // --- the append thread ------------------------------------------------------------------------------------------------------
  void run();
  bool take(Pending& batch);
  bool is_due() const;
  Status write(const Pending& batch);
  Status try_write(const Pending& batch, const std::vector<Source*>& touched, std::optional<Plan>& in_doubt);
  void note_trouble(const Error& error);
  Status load_positions(const std::vector<Source*>& touched);
  Plan make_plan(const Pending& batch, const std::vector<Source*>& touched);
  Result<bool> landed(const Plan& plan);
  void adopt(const Plan& plan, const Pending& batch);
  bool back_off(int64_t& wait_us, SteadyClock::time_point deadline);
  void note_breaker(const Status& outcome);
  void state_what_was_shed();
  void fail(Error error);
};

// --- put ----------------------------------------------------------------------------------------------------------------------------

/// The schemas are kept where the log is, and are away when it is: the first event of a source waits as its later ones do.
Result<int32_t> Ingest::Impl::schema_id_of(const std::string& subject, std::string_view schema) {
  int64_t wait_us = options.backoff_first_us;
  const auto deadline = SteadyClock::now() + std::chrono::microseconds(options.retry_for_us);
  while (true) {
    auto id = schemas.register_schema(subject, schema);
    if (id || (id.error().kind != ErrorKind::kUnavailable && id.error().kind != ErrorKind::kUnknownOutcome)) return id;
    note_trouble(id.error());
    if (!back_off(wait_us, deadline)) return id;
  }
}

Result<Source*> Ingest::Impl::source_of(std::string name, std::string_view key, std::string topic, std::string_view schema, Carries carries,
                                        Taken::Kind kind) {
  {
    const std::scoped_lock lock(mutex);
    if (const auto found = source_by_name.find(name); found != source_by_name.end()) return found->second;
  }
  // Outside the lock: the store may ask a disk or a server. Two threads may both come here; the second finds the first one's.
  K2_TRY(const int32_t schema_id, schema_id_of(topic + "-value", schema));
  const std::scoped_lock lock(mutex);
  const auto [place, is_new] = source_by_name.try_emplace(name, nullptr);
  if (is_new) {
    Source& source = sources.emplace_back();
    source.name = std::move(name);
    source.key = key;
    source.topic = std::move(topic);
    source.schema_id = schema_id;
    source.carries = carries;
    source.kind = kind;
    if (options.origin == Origin::kFeed && carries == Carries::kTrades) {
      source.by_feed = &sources.emplace_back();
      source.by_feed->name = "feed/" + source.name;
    }
    place->second = &source;
  }
  return place->second;
}

/// `item` lacks offset and size. `shed` is called instead of `encode` where it is left out.
template <class Encode, class Shed>
Status Ingest::Impl::put_item(const Item& item, Encode encode, Shed shed) {
  std::unique_lock lock(mutex);
  if (options.when_full == WhenFull::kWait) room.wait(lock, [this] { return failure || !queue.has_full_batch(); });
  if (failure) return std::unexpected(*failure);
  // Statements are few, and whoever makes one takes it for made.
  if (options.when_full == WhenFull::kShed && item.source->carries != Carries::kCoverage &&
      !queue.admits(item.source->carries == Carries::kQuotes ? ShedClass::kQuotes : ShedClass::kOthers)) {
    shed();
    return {};
  }
  K2_CRASH("C03");
  if (queue.empty()) oldest_pending = SteadyClock::now();
  Pending& batch = queue.back();
  const size_t offset = batch.bytes.size();
  encode(batch.bytes);
  batch.items.push_back(item);
  batch.items.back().offset = offset;
  batch.items.back().size = batch.bytes.size() - offset;
  ++put_count;
  const size_t size = batch.items.size();
  const bool is_full = queue.has_full_batch();
  lock.unlock();
  if (size == 1 || size == options.records_hurry || is_full) work.notify_one();
  return {};
}

void Ingest::Impl::shed_event(Source&, const Trade& trade) {
  ++counts.trades_shed;
  counts.last_shed_us = trade.ingestion_timestamp.us;
  ingest_metrics().shed_trades.add();
}

void Ingest::Impl::shed_event(Source& source, const Quote& quote) {
  ++counts.quotes_shed;
  counts.last_shed_us = quote.ingestion_timestamp.us;
  ingest_metrics().shed_quotes.add();
  if (!source.shed) source.shed = ShedQuotes{quote, 0, {}, 0};
  source.shed->last_sequence = std::max(source.shed->last_sequence, *quote.source_sequence);
  source.shed->last_timestamp = quote.timestamp;
  ++source.shed->count;
}

template <class Event>
Status Ingest::Impl::put_event(const Event& event, Channel channel, Taken::Kind kind, void (*encode)(const Event&, int32_t, std::string&),
                               bool* left_out) {
  if (left_out != nullptr) *left_out = false;
  if (!event.source_sequence || *event.source_sequence < 0 || *event.source_sequence > kSequenceMax)
    return make_error(ErrorKind::kInvalidInput,
                      "ingest: " + event.exchange + "/" + event.symbol + ": an event needs a source_sequence of 0 to 2^62-1");
  K2_TRY(Source* const source, source_of(event_source(event.exchange, event.symbol, channel), event.symbol,
                                         topic_name(event.asset_class, channel, event.exchange), event_schema(channel),
                                         channel == Channel::kTrades ? Carries::kTrades : Carries::kQuotes, kind));
  if (source->kind != kind)
    return make_error(ErrorKind::kInvalidInput, "ingest: " + source->name + ": one numbering for all events of a source");
  const auto sequence = static_cast<uint64_t>(*event.source_sequence);
  return put_item(
      {source, sequence, sequence, 0, 0, event.ingestion_timestamp}, [&](std::string& out) { encode(event, source->schema_id, out); },
      [&] {
        shed_event(*source, event);
        if (left_out != nullptr) *left_out = true;
      });
}

Status Ingest::Impl::put_coverage(const Coverage& coverage) {
  if (coverage.first_sequence < 0 || coverage.last_sequence < coverage.first_sequence || coverage.last_sequence > kSequenceMax)
    return make_error(ErrorKind::kInvalidInput, "ingest: coverage of " +
                                                    event_source(coverage.exchange, coverage.symbol, coverage.channel) +
                                                    " needs sequences in order, of 0 to 2^62-1");
  const bool settles = coverage.status == CoverageStatus::kNotIssued || coverage.status == CoverageStatus::kLost;
  const std::string speaks_of = event_source(coverage.exchange, coverage.symbol, coverage.channel);
  K2_TRY(Source* const source,
         source_of(settles ? settled_source(coverage.exchange, coverage.symbol, coverage.channel) : "coverage/" + speaks_of,
                   coverage.symbol, topic_name(coverage.asset_class, Channel::kCoverage, coverage.exchange),
                   event_schema(Channel::kCoverage), Carries::kCoverage, settles ? Taken::Kind::kSequences : Taken::Kind::kLastHashes));
  std::string record;
  encode_coverage(coverage, source->schema_id, record);
  const uint64_t hash = dead_letter_hash(0, record);
  const auto first = settles ? static_cast<uint64_t>(coverage.first_sequence) : hash;
  const auto last = settles ? static_cast<uint64_t>(coverage.last_sequence) : hash;
  return put_item({source, first, last, 0, 0, coverage.ingestion_timestamp}, [&](std::string& out) { out += record; }, [] {});
}

// --- the append thread ----------------------------------------------------------------------------------------------------------------

void Ingest::Impl::run() {
  pthread_setname_np(pthread_self(), "k2-append");
  Pending batch;
  while (take(batch)) {
    const Status written = write(batch);
    if (!written) return fail(written.error());
    state_what_was_shed();
    {
      const std::scoped_lock lock(mutex);
      done_count += batch.items.size();
      progress.notify_all();
      if (is_due()) continue;
    }
    log.tidy();  // In the time that the next records wait for company anyway.
  }
}

/// Whether what waits has no time to wait for more. The lock is held.
bool Ingest::Impl::is_due() const {
  return closing || flush_to > done_count || queue.has_full_batch() || queue.front_items() >= options.records_hurry ||
         queue.front_bytes() >= options.bytes_max / 2;
}

/// Waits for work and moves the oldest batch into `batch`. False when closing and nothing is left.
bool Ingest::Impl::take(Pending& batch) {
  std::unique_lock lock(mutex);
  work.wait(lock, [this] { return closing || !queue.empty(); });
  if (queue.empty()) return false;
  const auto no_longer = oldest_pending + std::chrono::microseconds(options.linger_us);
  work.wait_until(lock, no_longer, [this] { return is_due(); });
  queue.take(batch);
  oldest_pending = SteadyClock::now();  // of what is left: it has waited, and lingers no more than anything new
  ingest_metrics().queue_bytes.set(static_cast<double>(queue.memory()));
  lock.unlock();
  room.notify_all();
  return true;
}

/// The quotes that were left out, once all is well again. Trades need no such row: their numbers are missed by the gap filler.
void Ingest::Impl::state_what_was_shed() {
  std::vector<ShedQuotes> stretches;
  {
    const std::scoped_lock lock(mutex);
    if (counts.quotes_shed == 0 || (!queue.admits(ShedClass::kQuotes) && !closing)) return;
    for (Source& source : sources)
      if (source.shed) stretches.push_back(*std::exchange(source.shed, std::nullopt));
  }
  for (const ShedQuotes& stretch : stretches) {
    const Coverage statement = {
        .exchange = stretch.first.exchange,
        .symbol = stretch.first.symbol,
        .asset_class = stretch.first.asset_class,
        .channel = Channel::kQuotes,
        .first_sequence = *stretch.first.source_sequence,
        .last_sequence = std::max(stretch.last_sequence, *stretch.first.source_sequence),
        .timestamp = stretch.first.timestamp,
        .end_timestamp = stretch.last_timestamp,
        .status = CoverageStatus::kLost,
        .reason = "shed: " + std::to_string(stretch.count) + " quotes left out, the log could not take them in time",
        .ingestion_timestamp = system_clock().now()};
    if (const Status put = put_coverage(statement); !put) log_warning("shed_not_stated", {{"error", put.error().message}});
  }
}

Status Ingest::Impl::load_positions(const std::vector<Source*>& touched) {
  std::vector<std::string> names;
  std::vector<Source*> missing;
  for (Source* source : touched) {
    if (source->loaded) continue;
    names.push_back(source->name);
    missing.push_back(source);
  }
  if (missing.empty()) return {};
  K2_TRY(const std::vector<Position> positions, log.positions(names));
  for (size_t i = 0; i < missing.size(); ++i) {
    auto taken = Taken::parse(missing[i]->kind, positions[i].value);
    if (!taken) return std::unexpected(taken.error().with_context(missing[i]->name));
    missing[i]->taken = *std::move(taken);
    missing[i]->version = positions[i].version;
    missing[i]->loaded = true;
  }
  return {};
}

Plan Ingest::Impl::make_plan(const Pending& batch, const std::vector<Source*>& touched) {
  Plan plan;
  for (Source* source : touched) source->working = source->taken->next_batch();
  for (const Item& item : batch.items) {
    Source& source = *item.source;
    if (source.by_feed != nullptr && source.by_feed->working->insert(item.key)) source.by_feed->is_changed = true;
    if (!source.working->insert(item.key, item.key_last)) continue;
    source.is_changed = true;
    plan.records.push_back({source.topic, source.key, std::string_view(batch.bytes).substr(item.offset, item.size), item.timestamp});
    if (source.is_event()) ++plan.events;
    else if (source.carries == Carries::kDeadLetters) ++plan.dead_letters;
  }
  for (Source* source : touched)
    if (std::exchange(source->is_changed, false)) plan.sources.push_back(source);
  for (const Source* source : plan.sources) plan.updates.push_back({source->name, source->version, source->working->to_string()});
  return plan;
}

/// After an unknown outcome: whether exactly this plan's positions are what the log now has. The positions are written with the
/// records, so then the records are in. Otherwise the caller filters again, which is right whoever wrote what.
Result<bool> Ingest::Impl::landed(const Plan& plan) {
  std::vector<std::string> names;
  for (const PositionUpdate& update : plan.updates) names.push_back(update.source);
  K2_TRY(const std::vector<Position> positions, log.positions(names));
  for (size_t i = 0; i < positions.size(); ++i)
    if (positions[i].version != plan.updates[i].expected_version + 1 || positions[i].value != plan.updates[i].value) return false;
  return true;
}

void Ingest::Impl::adopt(const Plan& plan, const Pending& batch) {
  int64_t dead_letters = 0;
  int64_t events = 0;
  for (const Item& item : batch.items) {
    dead_letters += item.source->carries == Carries::kDeadLetters ? 1 : 0;
    events += item.source->is_event() ? 1 : 0;
  }
  for (Source* source : plan.sources) {
    std::swap(source->taken, source->working);
    ++source->version;
  }
  const std::scoped_lock lock(mutex);
  const int64_t duplicates = events - plan.events;
  ingest_metrics().events.add(static_cast<uint64_t>(plan.events));
  ingest_metrics().duplicates.add(static_cast<uint64_t>(duplicates));
  ingest_metrics().dead_letters.add(static_cast<uint64_t>(plan.dead_letters));
  counts.events_appended += plan.events;
  counts.events_duplicate += duplicates;
  counts.dead_letters_appended += plan.dead_letters;
  counts.dead_letters_duplicate += dead_letters - plan.dead_letters;
  if (plan.records.empty()) return;
  ++counts.batches;
  counts.last_append_us = system_clock().now().us;
  ingest_metrics().batches.add();
  ingest_metrics().last_append.set(static_cast<double>(counts.last_append_us) / 1e6);
  const int64_t received_us = batch.items.front().timestamp.us;
  if (received_us > 0)
    ingest_metrics().durable.observe(static_cast<double>(std::max<int64_t>(0, counts.last_append_us - received_us)) / 1e6);
}

/// Waits, twice as long each time, or as long as the breaker says. False when it is time to give up.
bool Ingest::Impl::back_off(int64_t& wait_us, SteadyClock::time_point deadline) {
  std::unique_lock lock(mutex);
  if (hurry_since) deadline = std::min(deadline, *hurry_since + std::chrono::microseconds(options.retry_closing_us));
  if (SteadyClock::now() >= deadline) return false;
  const bool was_hurrying = hurry_since.has_value();
  int64_t us = breaker.wait_us(system_clock().monotonic_us());
  if (us == 0) {
    us = wait_us;
    wait_us = std::min(wait_us * 2, options.backoff_max_us);
  }
  if (was_hurrying) us = std::min(us, kHurryUs);
  trouble.wait_until(lock, std::min(deadline, SteadyClock::now() + std::chrono::microseconds(us)),
                     [&] { return hurry_since.has_value() != was_hurrying; });
  return true;
}

void Ingest::Impl::note_breaker(const Status& outcome) {
  const std::scoped_lock lock(mutex);
  const CircuitBreaker::State before = breaker.state();
  const int64_t now_us = system_clock().monotonic_us();
  if (outcome) breaker.succeeded();
  else if (outcome.error().kind == ErrorKind::kUnavailable || outcome.error().kind == ErrorKind::kUnknownOutcome) breaker.failed(now_us);
  ingest_metrics().breaker.set(static_cast<double>(breaker.state()));
  if (before == breaker.state()) return;
  log_warning("log_breaker", {{"from", breaker_state_name(before)}, {"to", breaker_state_name(breaker.state())}});
}

/// One try. `in_doubt` is a plan of this batch whose append may or may not have happened.
Status Ingest::Impl::try_write(const Pending& batch, const std::vector<Source*>& touched, std::optional<Plan>& in_doubt) {
  if (in_doubt) {
    K2_TRY(const bool is_in, landed(*in_doubt));
    if (is_in) {
      adopt(*in_doubt, batch);
      return {};
    }
    in_doubt.reset();
  }
  K2_RETURN_IF_ERROR(load_positions(touched));
  Plan plan = make_plan(batch, touched);
  if (plan.updates.empty()) {
    adopt(plan, batch);
    return {};
  }
  K2_CRASH("C04");
  if (auto appended = log.append(plan.records, plan.updates); !appended) {
    if (appended.error().kind == ErrorKind::kUnknownOutcome) in_doubt = std::move(plan);
    return std::unexpected(std::move(appended).error());
  }
  adopt(plan, batch);
  K2_CRASH("C05");
  return {};
}

Status Ingest::Impl::write(const Pending& batch) {
  const std::vector<Source*> touched = sources_of(batch);
  int64_t wait_us = options.backoff_first_us;
  int conflicts = 0;
  const auto deadline = SteadyClock::now() + std::chrono::microseconds(options.retry_for_us);
  std::optional<Plan> in_doubt;
  while (true) {
    const Status outcome = try_write(batch, touched, in_doubt);
    note_breaker(outcome);
    if (outcome) return {};
    const ErrorKind kind = outcome.error().kind;
    note_trouble(outcome.error());
    if (kind == ErrorKind::kConflict) {
      if (++conflicts > kConflictsMax) return outcome;
    } else if (kind == ErrorKind::kUnknownOutcome || kind == ErrorKind::kUnavailable) {
      if (!back_off(wait_us, deadline)) return outcome;
    } else {
      return outcome;
    }
    for (Source* source : touched) source->loaded = false;  // what the log has decides
  }
}

void Ingest::Impl::note_trouble(const Error& error) {
  const std::scoped_lock lock(mutex);
  switch (error.kind) {
    case ErrorKind::kConflict:
      ++counts.conflicts;
      ingest_metrics().conflicts.add();
      return;  // the usual course of things beside another writer
    case ErrorKind::kUnknownOutcome:
      ++counts.unknown_outcomes;
      ingest_metrics().unknown.add();
      break;
    case ErrorKind::kUnavailable:
      ++counts.retries;
      ingest_metrics().unavailable.add();
      break;
    default: break;
  }
  log_warning("log_append_failed", {{"kind", error_kind_name(error.kind)}, {"error", error.message}});
}

void Ingest::Impl::fail(Error error) {
  const std::scoped_lock lock(mutex);
  failure = std::move(error).with_context("ingest");
  room.notify_all();
  progress.notify_all();
}

// --- the public face ------------------------------------------------------------------------------------------------------------------

uint64_t dead_letter_hash(int64_t line_number, std::string_view raw) {
  const auto digest = sha256(std::to_string(line_number).append("\n").append(raw));
  return load_big_endian<uint64_t>(digest.data());
}

Ingest::Ingest(Log& log, SchemaStore& schemas, const Options& options) : impl_(std::make_unique<Impl>(log, schemas, options)) {
  ingest_metrics();  // so that they are shown from the start
  impl_->thread = std::jthread([impl = impl_.get()] { impl->run(); });
}

Ingest::~Ingest() {
  stop_waiting();
  {
    const std::scoped_lock lock(impl_->mutex);
    impl_->closing = true;
  }
  impl_->work.notify_all();
  impl_->thread.join();
}

Status Ingest::put(const Trade& trade) { return impl_->put_event<Trade>(trade, Channel::kTrades, Taken::Kind::kSequences, encode_trade); }

Status Ingest::put(const Quote& quote, Numbering numbering, bool* left_out) {
  const auto kind = numbering == Numbering::kRising ? Taken::Kind::kHighest : Taken::Kind::kSequences;
  return impl_->put_event<Quote>(quote, Channel::kQuotes, kind, encode_quote, left_out);
}

Status Ingest::put(const Coverage& coverage) { return impl_->put_coverage(coverage); }

Status Ingest::put(const DeadLetter& letter, const DeadLetterIdentity& identity) {
  const auto kind = identity.remember ? Taken::Kind::kHashes : Taken::Kind::kLastHashes;
  K2_TRY(Source* const source,
         impl_->source_of(identity.source, "", std::string(kDeadLetterTopic), dead_letter_schema(), Carries::kDeadLetters, kind));
  return impl_->put_item(
      {source, identity.hash, identity.hash, 0, 0, letter.ingestion_timestamp},
      [&](std::string& out) { encode_dead_letter(letter, source->schema_id, out); },
      [&] {
        ++impl_->counts.others_shed;
        ingest_metrics().shed_others.add();
      });
}

Status Ingest::flush() {
  std::unique_lock lock(impl_->mutex);
  const uint64_t target = impl_->put_count;
  impl_->flush_to = std::max(impl_->flush_to, target);
  impl_->work.notify_all();
  impl_->progress.wait(lock, [&] { return impl_->failure || impl_->done_count >= target; });
  if (impl_->failure) return std::unexpected(*impl_->failure);
  return {};
}

void Ingest::stop_waiting() {
  const std::scoped_lock lock(impl_->mutex);
  if (!impl_->hurry_since) impl_->hurry_since = SteadyClock::now();
  impl_->trouble.notify_all();
}

Ingest::Counts Ingest::counts() const {
  const std::scoped_lock lock(impl_->mutex);
  Counts counts = impl_->counts;
  counts.pending = static_cast<int64_t>(impl_->put_count - impl_->done_count);
  counts.queue_bytes = static_cast<int64_t>(impl_->queue.memory());
  counts.breaker = impl_->breaker.state();
  return counts;
}

Status Ingest::health() const {
  const std::scoped_lock lock(impl_->mutex);
  if (impl_->failure) return std::unexpected(*impl_->failure);
  return {};
}

}  // namespace k2
