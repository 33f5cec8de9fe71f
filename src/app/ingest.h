// Ingest: the one way from events to the log, for the feed and for loads. Each sequence of a source goes in exactly once.
//
// put() encodes into the pending batch; one thread ("k2-append") takes whole batches, drops what the source's stored position says was
// taken already, and appends the rest with the new position in one transaction. What is in the log decides, never memory: on a
// conflict (another process wrote the same source) and on an unknown outcome the positions are read again and the same batch is
// filtered against them. State moves only with a proven append.
//
//   source of an event         "<exchange>/<symbol>/<channel>"          position: SequenceRanges
//   of a feed's trade as well  "feed/<exchange>/<symbol>/trades"        position: SequenceRanges, of those that feeds put, also where the log had them
//   source of a dead letter    "dead_letter/<kind>/<name>"              position: hashes (app/taken.h)
//   source of a coverage row   "settled/<exchange>/<symbol>/<channel>"  position: SequenceRanges, for rows that say not issued or lost;
//                              "coverage/<exchange>/<symbol>/<channel>" position: hashes, for all others
//
// Limits: a batch holds records_max records or bytes_max bytes. When that much waits, put() waits as well (kWait: back-pressure, right for
// files), or more batches queue up to queue_bytes_max and then events are left out, quotes before trades (kShed, app/ingest_queue.h: right for a
// socket, whose venue cuts off who does not read). What is left out is counted; of trades it is a hole in the source's position, which the gap filler finds;
// of quotes a coverage row says so when the log is back (unless the process dies before). Coverage rows are never left out.
// A log that fails is asked through a circuit breaker (app/circuit_breaker.h).
// Thread rule: put(), flush(), counts() from any thread; a source's events keep the order of its put() calls.
// Durable: what flush() acknowledged.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "app/circuit_breaker.h"
#include "base/result.h"
#include "log/log.h"
#include "market/coverage.h"
#include "market/event.h"
#include "market/schema_store.h"

namespace k2 {

/// What makes a dead letter the same as one before: hashes within a source.
struct DeadLetterIdentity {
  std::string source;  // "dead_letter/asx/7078.csv", "dead_letter/feed/binance"
  uint64_t hash = 0;  // of what tells it from others of that source
  bool remember = false;  // true: a file, whose second load must add none; false: a stream, where only retries are told apart
};

/// The first 64 bits of SHA-256 over "<line number>\n<raw>".
[[nodiscard]] uint64_t dead_letter_hash(int64_t line_number, std::string_view raw);

/// How a source numbers its events.
enum class Numbering : uint8_t {
  kEach,  // every number matters: the position remembers each one, whatever order they come in
  kRising,  // numbers have holes by nature: the position is the highest, and an event that comes with a lower one is dropped
};

class Ingest {
 public:
  enum class WhenFull : uint8_t { kWait, kShed };
  enum class Origin : uint8_t { kFile, kFeed };

  struct Options {
    WhenFull when_full = WhenFull::kWait;
    Origin origin = Origin::kFile;  // kFeed: trades are noted in the feed's own position as well (docs/decisions/0016)
    size_t queue_bytes_max = 64 << 20;  // kShed: of encoded records that wait
    CircuitBreaker::Policy breaker = {};
    size_t records_max = 16'384;
    size_t bytes_max = 8 << 20;
    size_t records_hurry = 4'096;  // the append thread no longer lingers from here on
    int64_t linger_us = 3'000;  // the oldest pending record waits at most this long for company
    int64_t retry_for_us = 60'000'000;  // how long an unavailable log is tried; then put() and flush() fail
    int64_t retry_closing_us = 10'000'000;  // the same, counted from stop_waiting() or the destructor, where that ends sooner
    int64_t backoff_first_us = 10'000;  // doubles up to backoff_max_us
    int64_t backoff_max_us = 1'000'000;
  };

  struct Counts {
    int64_t events_appended = 0;
    int64_t events_duplicate = 0;  // were there already
    int64_t dead_letters_appended = 0;
    int64_t dead_letters_duplicate = 0;
    int64_t batches = 0;
    int64_t conflicts = 0;
    int64_t unknown_outcomes = 0;
    int64_t retries = 0;  // because the log was unavailable
    int64_t last_append_us = 0;  // wall clock, microseconds since the epoch; 0: none yet
    int64_t pending = 0;  // records put and not yet proven durable
    int64_t queue_bytes = 0;  // of those that no append has been begun with
    int64_t trades_shed = 0;  // left out because too much waited
    int64_t quotes_shed = 0;
    int64_t others_shed = 0;  // dead letters and coverage rows
    int64_t last_shed_us = 0;  // receipt of the newest trade or quote left out; 0: none
    CircuitBreaker::State breaker = CircuitBreaker::State::kClosed;
  };

  /// `log` and `schemas` outlive it.
  Ingest(Log& log, SchemaStore& schemas, const Options& options);
  Ingest(Log& log, SchemaStore& schemas) : Ingest(log, schemas, Options{}) {}
  /// Appends what is pending (bounded by retry_for_us and retry_closing_us) and ends the thread.
  ~Ingest();
  Ingest(const Ingest&) = delete;
  Ingest& operator=(const Ingest&) = delete;

  /// Queues one event; waits or leaves it out while too much waits, as the options say, and waits, at a source's first event, while the schemas
  /// are away. InvalidInput: no source_sequence, one beyond 62 bits, or another numbering than before. Otherwise the schema store's error, or the one that ended the append thread: the
  /// event is then not in the log.
  [[nodiscard]] Status put(const Trade& trade);
  /// `left_out`, where given: set to whether it was left out.
  [[nodiscard]] Status put(const Quote& quote, Numbering numbering = Numbering::kEach, bool* left_out = nullptr);
  [[nodiscard]] Status put(const DeadLetter& letter, const DeadLetterIdentity& identity);
  /// A statement about sequence numbers. One that says not issued or lost takes them into the settled position, in the transaction that appends it, and is
  /// appended only if some of them were not there yet; any other is appended once, also when an append is repeated. InvalidInput: numbers out of
  /// order or beyond 62 bits.
  [[nodiscard]] Status put(const Coverage& coverage);

  /// Returns when everything put before is durable or known to have been there; the append thread's error otherwise.
  [[nodiscard]] Status flush();

  /// From now on a log that is away is waited for retry_closing_us in all: whoever means to stop calls this before it waits for the threads
  /// that put(), which may be waiting for the log.
  void stop_waiting();

  [[nodiscard]] Counts counts() const;
  /// The append thread's error, once it has ended by one.
  [[nodiscard]] Status health() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
