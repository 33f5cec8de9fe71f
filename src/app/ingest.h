// Ingest: the one way from events to the log, for the feed and for loads. Each sequence of a source goes in exactly once.
//
// put() encodes into the pending batch; one thread ("k2-append") takes whole batches, drops what the source's stored position says was
// taken already, and appends the rest with the new position in one transaction. What is in the log decides, never memory: on a
// conflict (another process wrote the same source) and on an unknown outcome the positions are read again and the same batch is
// filtered against them. State moves only with a proven append.
//
//   source of an event         "<exchange>/<symbol>/<channel>"          position: SequenceRanges
//   source of a dead letter    "dead_letter/<kind>/<name>"              position: hashes (app/taken.h)
//
// Limits: the pending batch holds records_max records or bytes_max bytes; then put() waits (back-pressure: the feed stops reading).
// Thread rule: put(), flush(), counts() from any thread; a source's events keep the order of its put() calls.
// Durable: what flush() acknowledged.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "log/log.h"
#include "market/event.h"
#include "market/schema_store.h"

namespace k2 {

/// What makes a dead letter the same as one before: hashes within a source.
struct DeadLetterIdentity {
  std::string source;     // "dead_letter/asx/7078.csv", "dead_letter/feed/binance"
  uint64_t hash = 0;      // of what tells it from others of that source
  bool remember = false;  // true: a file, whose second load must add none; false: a stream, where only retries are told apart
};

/// The first 64 bits of SHA-256 over "<line number>\n<raw>".
[[nodiscard]] uint64_t dead_letter_hash(int64_t line_number, std::string_view raw);

class Ingest {
 public:
  struct Options {
    size_t records_max = 16'384;
    size_t bytes_max = 8 << 20;
    size_t records_hurry = 4'096;          // the append thread no longer lingers from here on
    int64_t linger_us = 5'000;             // the oldest pending record waits at most this long for company
    int64_t retry_for_us = 60'000'000;     // how long an unavailable log is tried; then put() and flush() fail
    int64_t retry_closing_us = 10'000'000; // the same, counted from stop_waiting() or the destructor, where that ends sooner
    int64_t backoff_first_us = 10'000;     // doubles up to backoff_max_us
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
    int64_t retries = 0;           // because the log was unavailable
    int64_t last_append_us = 0;    // wall clock, microseconds since the epoch; 0: none yet
    int64_t pending = 0;           // records put and not yet proven durable
  };

  /// `log` and `schemas` outlive it.
  Ingest(Log& log, SchemaStore& schemas, const Options& options);
  Ingest(Log& log, SchemaStore& schemas) : Ingest(log, schemas, Options{}) {}
  /// Appends what is pending (bounded by retry_for_us and retry_closing_us) and ends the thread.
  ~Ingest();
  Ingest(const Ingest&) = delete;
  Ingest& operator=(const Ingest&) = delete;

  /// Queues one event; waits while the batch is full, and, at a source's first event, while the schemas are away. InvalidInput: no
  /// source_sequence, or one beyond 62 bits. Otherwise the schema store's error, or the one that ended the append thread: the event is
  /// then not in the log.
  [[nodiscard]] Status put(const Trade& trade);
  [[nodiscard]] Status put(const Quote& quote);
  [[nodiscard]] Status put(const DeadLetter& letter, const DeadLetterIdentity& identity);

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
