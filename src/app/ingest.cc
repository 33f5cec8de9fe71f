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

#include "app/taken.h"
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

/// One source. name, key, topic, schema_id and kind never change; the rest belongs to the append thread.
struct Source {
  std::string name;
  std::string key;
  std::string topic;
  int32_t schema_id = 0;
  Taken::Kind kind = Taken::Kind::kSequences;

  bool loaded = false;  // version and taken are what the log has, as far as we know
  int64_t version = 0;
  std::optional<Taken> taken;
  std::optional<Taken> working;  // taken and what the batch in hand adds

  [[nodiscard]] bool is_dead_letter() const { return kind != Taken::Kind::kSequences; }
};

struct Item {
  Source* source;
  uint64_t key;  // sequence or hash
  size_t offset;
  size_t size;
  TimestampUs timestamp;
};

/// Encoded records in the order of their put().
struct Pending {
  std::string bytes;
  std::vector<Item> items;

  void clear() {
    bytes.clear();
    items.clear();
  }
};

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
};

IngestMetrics& ingest_metrics() {
  static IngestMetrics all;
  return all;
}

std::vector<Source*> sources_of(const Pending& batch) {
  std::vector<Source*> touched;
  for (const Item& item : batch.items)
    if (touched.empty() || touched.back() != item.source) touched.push_back(item.source);
  std::ranges::sort(touched);
  touched.erase(std::ranges::unique(touched).begin(), touched.end());
  return touched;
}

}  // namespace

struct Ingest::Impl {
  Impl(Log& log_in, SchemaStore& schemas_in, const Options& options_in) : log(log_in), schemas(schemas_in), options(options_in) {}

  Log& log;
  SchemaStore& schemas;
  const Options options;

  mutable std::mutex mutex;
  std::condition_variable room;      // for put(): there is room, or it is over
  std::condition_variable work;      // for the append thread
  std::condition_variable progress;  // for flush()
  Pending pending;
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
  Result<Source*> source_of(std::string name, std::string_view key, std::string topic, std::string_view schema, Taken::Kind kind);
  Result<int32_t> schema_id_of(const std::string& subject, std::string_view schema);
  template <class Encode>
  Status put_item(Source* source, uint64_t key, TimestampUs timestamp, Encode encode);
  template <class Event>
  Status put_event(const Event& event, Channel channel, void (*encode)(const Event&, int32_t, std::string&));

  // --- the append thread ------------------------------------------------------------------------------------------------------
  void run();
  bool take(Pending& batch);
  Status write(const Pending& batch);
  Status try_write(const Pending& batch, const std::vector<Source*>& touched, std::optional<Plan>& in_doubt);
  void note_trouble(const Error& error);
  Status load_positions(const std::vector<Source*>& touched);
  Plan make_plan(const Pending& batch, const std::vector<Source*>& touched);
  Result<bool> landed(const Plan& plan);
  void adopt(const Plan& plan, const Pending& batch);
  bool back_off(int64_t& wait_us, SteadyClock::time_point deadline);
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

Result<Source*> Ingest::Impl::source_of(std::string name, std::string_view key, std::string topic, std::string_view schema,
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
    source.kind = kind;
    place->second = &source;
  }
  return place->second;
}

template <class Encode>
Status Ingest::Impl::put_item(Source* source, uint64_t key, TimestampUs timestamp, Encode encode) {
  std::unique_lock lock(mutex);
  room.wait(lock, [this] { return failure || (pending.items.size() < options.records_max && pending.bytes.size() < options.bytes_max); });
  if (failure) return std::unexpected(*failure);
  K2_CRASH("C03");
  const size_t offset = pending.bytes.size();
  encode(pending.bytes);
  if (pending.items.empty()) oldest_pending = SteadyClock::now();
  pending.items.push_back({source, key, offset, pending.bytes.size() - offset, timestamp});
  ++put_count;
  const size_t size = pending.items.size();
  lock.unlock();
  if (size == 1 || size == options.records_hurry || size >= options.records_max) work.notify_one();
  return {};
}

template <class Event>
Status Ingest::Impl::put_event(const Event& event, Channel channel, void (*encode)(const Event&, int32_t, std::string&)) {
  if (!event.source_sequence || *event.source_sequence < 0 || *event.source_sequence > kSequenceMax)
    return make_error(ErrorKind::kInvalidInput,
                      "ingest: " + event.exchange + "/" + event.symbol + ": an event needs a source_sequence of 0 to 2^62-1");
  std::string name;
  name.reserve(48);
  name.append(event.exchange).append("/").append(event.symbol).append("/").append(channel_name(channel));
  K2_TRY(Source* const source, source_of(std::move(name), event.symbol, topic_name(event.asset_class, channel, event.exchange),
                                         event_schema(channel), Taken::Kind::kSequences));
  return put_item(source, static_cast<uint64_t>(*event.source_sequence), event.ingestion_timestamp,
                  [&](std::string& out) { encode(event, source->schema_id, out); });
}

// --- the append thread ----------------------------------------------------------------------------------------------------------------

void Ingest::Impl::run() {
  pthread_setname_np(pthread_self(), "k2-append");
  Pending batch;
  while (take(batch)) {
    const Status written = write(batch);
    if (!written) return fail(written.error());
    const std::scoped_lock lock(mutex);
    done_count += batch.items.size();
    progress.notify_all();
  }
}

/// Waits for work and moves all of it into `batch`. False when closing and nothing is left.
bool Ingest::Impl::take(Pending& batch) {
  batch.clear();
  std::unique_lock lock(mutex);
  work.wait(lock, [this] { return closing || !pending.items.empty(); });
  if (pending.items.empty()) return false;
  const auto no_longer = oldest_pending + std::chrono::microseconds(options.linger_us);
  work.wait_until(lock, no_longer, [this] {
    return closing || flush_to > done_count || pending.items.size() >= options.records_hurry ||
           pending.bytes.size() >= options.bytes_max / 2;
  });
  std::swap(batch, pending);
  lock.unlock();
  room.notify_all();
  return true;
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
    if (!source.working->insert(item.key)) continue;
    plan.records.push_back({source.topic, source.key, std::string_view(batch.bytes).substr(item.offset, item.size), item.timestamp});
    (source.is_dead_letter() ? plan.dead_letters : plan.events) += 1;
    if (plan.sources.empty() || plan.sources.back() != &source) plan.sources.push_back(&source);
  }
  std::ranges::sort(plan.sources);
  plan.sources.erase(std::ranges::unique(plan.sources).begin(), plan.sources.end());
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
  for (const Item& item : batch.items) dead_letters += item.source->is_dead_letter() ? 1 : 0;
  for (Source* source : plan.sources) {
    std::swap(source->taken, source->working);
    ++source->version;
  }
  const std::scoped_lock lock(mutex);
  const int64_t duplicates = static_cast<int64_t>(batch.items.size()) - dead_letters - plan.events;
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
}

/// Waits, twice as long each time. False when it is time to give up.
bool Ingest::Impl::back_off(int64_t& wait_us, SteadyClock::time_point deadline) {
  std::unique_lock lock(mutex);
  if (hurry_since) deadline = std::min(deadline, *hurry_since + std::chrono::microseconds(options.retry_closing_us));
  if (SteadyClock::now() >= deadline) return false;
  lock.unlock();
  std::this_thread::sleep_for(std::chrono::microseconds(wait_us));
  wait_us = std::min(wait_us * 2, options.backoff_max_us);
  return true;
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
  if (plan.records.empty()) {
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

Status Ingest::put(const Trade& trade) { return impl_->put_event<Trade>(trade, Channel::kTrades, encode_trade); }
Status Ingest::put(const Quote& quote) { return impl_->put_event<Quote>(quote, Channel::kQuotes, encode_quote); }

Status Ingest::put(const DeadLetter& letter, const DeadLetterIdentity& identity) {
  const auto kind = identity.remember ? Taken::Kind::kHashes : Taken::Kind::kLastHashes;
  K2_TRY(Source* const source, impl_->source_of(identity.source, "", std::string(kDeadLetterTopic), dead_letter_schema(), kind));
  return impl_->put_item(source, identity.hash, letter.ingestion_timestamp,
                         [&](std::string& out) { encode_dead_letter(letter, source->schema_id, out); });
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
}

Ingest::Counts Ingest::counts() const {
  const std::scoped_lock lock(impl_->mutex);
  Counts counts = impl_->counts;
  counts.pending = static_cast<int64_t>(impl_->put_count - impl_->done_count);
  return counts;
}

Status Ingest::health() const {
  const std::scoped_lock lock(impl_->mutex);
  if (impl_->failure) return std::unexpected(*impl_->failure);
  return {};
}

}  // namespace k2
