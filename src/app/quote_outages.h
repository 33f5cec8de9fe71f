// QuoteOutages: when no line brought a symbol's quotes, and when one did: statements for market_data.coverage, channel "quotes".
//
// A quote's number says nothing about what is missing: venues' update ids have holes by nature. What is known is whether a line was up. A line
// carries its symbols from the moment it is live (or brought the first quote) to the last message that it brought, of whatever symbol: what came
// before that message on the same connection was delivered before it. A moment that no line carried is an outage of the symbol. It is stated
// as "lost", reason "not connected", when the first quote after it comes: of the update ids after the newest quote before it up to the one before
// that quote, and of the time between the two. Everything else from the first quote on is "observed": whatever the venue sent, came.
// Where another line is up but has not yet shown that it carried the moment in question, the statement waits until it has, or has ended.
// What was left out under load (Ingest says so) is neither: ingest states it.
// Nobody states an outage that lasts: the id at which it ends is not known yet.
//
//   line brings a quote   expect(...)  ->  take_statements() are put  ->  the quote is put  ->  took(...)
//
// so that a crash in between leaves no quote without the outage before it. Times are the wall clock's of receipt, as those of the quotes are.
// Thread rule: any thread; one call at a time for one line.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "log/log.h"
#include "market/coverage.h"

namespace k2 {

inline constexpr std::string_view kNotConnected = "not connected";
/// An older line brought them when a newer quote was stored already; a source takes rising ids only.
inline constexpr std::string_view kCameLate = "came after a newer one";

/// The newest quote of a symbol that an earlier life took.
struct NewestQuote {
  int64_t id = 0;
  TimestampUs at;
};

class QuoteOutages {
 public:
  struct Policy {
    int64_t state_every_us = 300 * kUsPerSecond;  // "observed" of quotes that go on
    int64_t settle_us = kUsPerSecond;  // a line that says it is live carries its symbols so much later at the latest
  };

  /// What is known of one connection. heard() costs one store: for each message.
  class Line {
   public:
    void heard(TimestampUs at) { heard_us_.store(at.us, std::memory_order_relaxed); }

   private:
    friend class QuoteOutages;
    std::optional<int64_t> live_us_;  // settled
    std::atomic<int64_t> heard_us_ = 0;
    bool has_ended_ = false;
  };

  struct Counts {
    int64_t outages = 0;  // that began in this life
    int64_t last_us = 0;  // when the last of them ended
    std::string last_symbol;
  };

  explicit QuoteOutages(const Policy& policy) : policy_(policy) {}
  QuoteOutages() : QuoteOutages(Policy{}) {}

  /// Before the symbol's first quote: where an earlier life ended. Without it the first quote has nothing before it.
  void resume(std::string_view exchange, std::string_view symbol, const NewestQuote& newest);

  /// The line of a connection that is up, made when it is first asked for.
  std::shared_ptr<Line> line(uint64_t connection_id);
  /// It is live, and carries these symbols. Nothing where it has ended already, or was never asked for.
  void live(uint64_t connection_id, std::string_view exchange, const std::vector<std::string>& symbols, TimestampUs at);
  /// It brings nothing any more.
  void ended(uint64_t connection_id);

  /// `line` has brought quote `id`; states the outage before it, if there was one.
  void expect(const std::shared_ptr<Line>& line, std::string_view exchange, std::string_view symbol, int64_t id, TimestampUs at);
  /// That quote was put; `left_out`: it was not, for want of room.
  void took(std::string_view exchange, std::string_view symbol, int64_t id, TimestampUs at, bool left_out);
  /// All lines have ended: states what was observed up to here.
  void finish();

  /// The statements made since the last call, in order.
  [[nodiscard]] std::vector<Coverage> take_statements();
  [[nodiscard]] Counts counts() const;

 private:
  /// A line as one symbol has it.
  struct Carrier {
    std::shared_ptr<Line> line;
    int64_t from_us = 0;  // it carries the symbol from here on, by itself or after lines that it has replaced
  };
  /// Numbers of which it is not yet known whether a line carried them.
  struct Doubt {
    NewestQuote before;
    NewestQuote after;
    int64_t carried_from_us = 0;  // the line that brought `after`
    bool came_late = false;  // one of them came when `after` was stored already, and so was not stored
  };
  struct Source {
    std::string exchange;
    std::string symbol;
    std::optional<NewestQuote> newest;  // taken, or left out and stated by ingest
    bool is_from_before = false;  // and newest was taken by an earlier life
    std::optional<NewestQuote> first;  // observed from here on, and not yet stated
    std::optional<int64_t> next_id;  // where the next such stretch begins; else at its first quote
    std::vector<Carrier> carriers;
    std::vector<Doubt> doubts;
    int64_t stated_us = 0;
  };
  enum class Verdict : uint8_t { kCarried, kOutage, kUnknown };

  [[nodiscard]] Source& source(std::string_view exchange, std::string_view symbol);
  [[nodiscard]] static Carrier& carrier(Source& source, const std::shared_ptr<Line>& line, int64_t from_us);
  [[nodiscard]] static Verdict judge(const Source& source, int64_t newest_us, int64_t& from_us);
  void judge_doubts(Source& source, bool is_over);
  void state_observed(Source& source, int64_t last_id);
  void state_outage(Source& source, const NewestQuote& before, const NewestQuote& after, std::string_view reason = kNotConnected);
  void state(const Source& source, CoverageStatus status, const NewestQuote& first, const NewestQuote& last, std::string_view reason);

  const Policy policy_;
  mutable std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<Line>> lines_;  // that have not ended
  std::map<std::string, std::map<std::string, Source, std::less<>>, std::less<>> sources_;  // by exchange and symbol
  std::vector<Coverage> statements_;
  std::atomic<bool> has_statements_ = false;
  Counts counts_;
};

/// The newest quote of each of these symbols that `log` has taken, by its positions; those that never had one are absent. `at` is when it was
/// received, or where the log has let go of it, and keeps later ones of other symbols, when the oldest of those was. Symbols of which
/// that is not known either are absent. Reads at most `records_max` records of a partition. Errors of Log.
[[nodiscard]] Result<std::map<std::string, NewestQuote>> newest_quotes(const Log& log, std::string_view exchange,
                                                                       const std::vector<std::string>& symbols,
                                                                       int64_t records_max = 200'000);

}  // namespace k2
