// GapFiller: which trades are missing, and the one REST request that is to be made next to get them. Pure: no clock, socket or thread.
//
// Its owner tells it what the log has of each source (observe), and asks next() for the request to make; it tells the answer, and takes
// events: what to state as coverage. What the log has decides, never memory: whatever was asked for and did not arrive there is asked for
// again.
//
//   hole in the taken ids --grace--> opened --asked--> returned       -> kBackfilled when the log has it
//                                                  '-> not returned   -> asked again after confirm_after -> kNotIssued (or kForgotten)
//                                                  '-> beyond the venue's newest id -> open; asked again, ever less often
//
// What was settled and is in an answer after all is handed over like the rest, and told as kBackfilled when the log has it.
// Holes are looked for between the first and the last id that feeds took (docs/decisions/0016): the log may have other ids, of files, and what
// lies between those and the feed's is nobody's loss.
//
// Order: sources take turns; within one the newest hole comes first. What people look at is the last minutes, and REST keeps old trades, so that
// an old hole can wait and a new one is what hurts. Holes that lie within one answer's reach are asked for together.
// "Not issued" is believed only of an answer that has trades on both sides of those ids and lacks no trade which we have in between, given
// twice, confirm_after apart: REST servers lag behind the streams. Ids below an answer's first row are another matter: the venue may have
// forgotten what is so old. If that lasts for forgotten_after they are lost.
// A quiet symbol shows no hole: after each (re)connect check_tail() asks for what follows the last id, until two answers, confirm_after
// apart, have reached the venue's newest trade, and the log has what the later of them brought; or until the line itself delivers
// (arrived()). A busy symbol always has something new. Tails and holes of a source take turns.
// Limits: holes_max holes a source are tracked (the newest); requests as weight_per_minute and the venue's own count allow.
// Source: binance-spot-api-docs, rest-api.md, "Old trade lookup" and "IP Limits", 2026-07-21.
// Thread rule: one thread at a time. Times: monotonic microseconds from any start.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "market/sequence_ranges.h"

namespace k2 {

struct GapPolicy {
  int64_t grace_us = 2'000'000;  // a younger hole may be reordering, or on its way on the other line
  int64_t confirm_after_us = 30'000'000;  // between two answers that have to agree
  int64_t forgotten_after_us = 600'000'000;
  int64_t patience_us = 60'000'000;  // what was handed over is in the log by then, or is asked for again
  int64_t backoff_first_us = 1'000'000;  // unreachable: doubles up to backoff_max_us
  int64_t backoff_max_us = 60'000'000;
  int64_t forbidden_retry_us = 300'000'000;  // 403, 451, a refused request
  int64_t key_retry_us = 3'600'000'000;  // asks for a key
  int64_t stuck_retry_max_us = 600'000'000;  // beyond the venue's newest id, contradictions: at most this long between two looks
  int limit = 1000;  // rows in an answer
  int64_t request_weight = 25;
  int64_t weight_per_minute = 3000;  // what we spend; the venue allows 6000 an address
  int64_t used_weight_max = 5000;  // where the venue counts more than this in its minute (others behind our address), we wait
  int64_t trades_max = 250'000;  // a larger hole is stated and not fetched
  size_t holes_max = 10'000;  // a source
};

enum class GapEventKind : uint8_t {
  kOpened,  // found
  kTooLarge,  // more than trades_max: stays open until somebody loads a dump
  kStuck,  // open, and why it can't be filled for now
  kBackfilled,  // was in an answer, and the log has it
  kArrived,  // was open, and came by another way
  kNotIssued,
  kForgotten,  // lost: the venue no longer has it
  kUnreadable,  // lost: the venue's row could not become a trade
};

struct GapEvent {
  GapEventKind kind = GapEventKind::kOpened;
  size_t source = 0;
  SequenceRanges::Range range{};
  std::string reason{};
};

/// historicalTrades of that source's symbol, from from_id on, at most limit rows.
struct GapRequest {
  size_t source = 0;
  int64_t from_id = 0;
  int limit = 0;
  SequenceRanges::Range wanted{};  // of the rows these are missing; others are there to judge the answer by
  bool is_tail = false;
};
struct GapWait {
  int64_t until_us = 0;  // ask again then, or after observe(); INT64_MAX: only then
};
using GapAction = std::variant<GapWait, GapRequest>;

struct GapAnswer {
  std::vector<int64_t> ids;  // of all rows, as sent
  std::vector<int64_t> unreadable{};  // those of them that could not become trades
  std::optional<int64_t> used_weight{};
};

enum class GapFailure : uint8_t {
  kRateLimited,  // 429
  kBanned,  // 418
  kForbidden,  // 403, 451
  kKeyNeeded,  // 401, -2014
  kUnreachable,  // no answer, 5xx, an answer that could not be read
  kRefused,  // 400, 404: this request, whoever asks
};

/// What the log's positions list of a source: sequence numbers taken, those of them that feeds took, and those that will not come.
struct GapPositions {
  SequenceRanges taken{};
  SequenceRanges by_feed{};
  SequenceRanges settled{};
};

struct GapTotals {
  int64_t open = 0;  // holes that were opened and are not closed
  int64_t missing = 0;  // their ids
};

class GapFiller {
 public:
  explicit GapFiller(const GapPolicy& policy);

  /// Sources of one exchange share its limits and its back-off. The index is for all other calls.
  size_t add_source(std::string exchange, std::string symbol);
  [[nodiscard]] const std::string& exchange_of(size_t source) const { return venues_[sources_[source].venue].name; }
  [[nodiscard]] const std::string& symbol_of(size_t source) const { return sources_[source].symbol; }
  [[nodiscard]] size_t size() const { return sources_.size(); }

  /// A hole that was stated as open in an earlier life: it is not told again, but what became of it is. `is_told`: with the reason why it
  /// stays open (too large, stuck).
  void adopt(size_t source, const SequenceRanges::Range& open, bool is_told, int64_t now_us);
  /// What the log has of it now.
  void observe(size_t source, GapPositions positions, int64_t now_us);

  /// A line came up: what happened while there was none may be more than a hole shows.
  void check_tail(size_t source, int64_t now_us);
  /// Trades were shed, perhaps the last ones: what follows the last id is asked for, whatever a line delivered before.
  void shed(size_t source, int64_t now_us);
  /// The first id that this new line delivered: once the log has it, holes show all that is missing.
  void arrived(size_t source, int64_t id);

  /// What to do now. After a GapRequest, answered() or failed() comes before the next call.
  [[nodiscard]] GapAction next(int64_t now_us);
  /// The answer; its trades within wanted were handed over already. An answer whose ids do not rise from from_id counts as kUnreachable.
  void answered(const GapAnswer& answer, int64_t now_us);
  void failed(GapFailure failure, const std::string& reason, int64_t retry_after_us, int64_t now_us);

  /// What there is to state, in order; each once.
  [[nodiscard]] std::vector<GapEvent> take_events();

  [[nodiscard]] GapTotals totals(std::string_view exchange) const;
  [[nodiscard]] GapTotals totals_of(size_t source) const;
  /// What observe() was told last.
  [[nodiscard]] const GapPositions& observed(size_t source) const { return sources_[source].log; }
  /// Weight spent on that exchange in the last minute.
  [[nodiscard]] int64_t weight_spent(std::string_view exchange, int64_t now_us) const;

 private:
  enum class State : uint8_t {
    kUnknown,  // not asked for, or to be asked for again
    kReturned,  // handed over; the log will show it
    kAbsent,  // an answer went past it and had it not
    kForgotten,  // an answer began above it
    kSettled,  // stated as not issued or lost; the log will show it
    kTooLarge,
  };
  /// Part of a hole. Keyed by its first id.
  struct Piece {
    int64_t last = 0;
    State state = State::kUnknown;
    int64_t seen_us = 0;
    int64_t due_us = 0;  // when to ask
    int64_t since_us = 0;  // kAbsent, kForgotten: the first answer that said so
    int tries = 0;  // answers in a row that told nothing of it
    bool is_opened = false;
    bool is_told = false;  // that it is stuck
  };
  using Pieces = std::map<int64_t, Piece>;
  struct Tail {
    bool is_wanted = false;
    int64_t due_us = 0;
    int64_t next_id = 0;  // behind what was returned; 0: behind what is taken
    int64_t fetched = 0;
    std::optional<int64_t> reached_us{};  // when an answer first had the venue's newest trade
    std::optional<int64_t> arrived_id{};  // once the log has it, holes show all that is missing
  };
  struct Source {
    std::string symbol;
    size_t venue = 0;
    bool is_observed = false;
    GapPositions log{};
    Pieces pieces{};
    Tail tail{};
    bool was_tail = false;  // its last request
    SequenceRanges returned{};  // of no piece (behind the last id, or settled), handed over, and not yet seen in the log
    int64_t closed_until_us = INT64_MIN;
  };
  struct Venue {
    std::string name;
    std::deque<int64_t> spent_us{};  // when requests were made, the last minute's
    std::optional<int64_t> used_weight{};
    int64_t used_weight_us = 0;
    int64_t closed_until_us = INT64_MIN;
    int64_t backoff_us = 0;
  };
  /// How an answer compares with what was taken.
  struct Evidence {
    int64_t first = 0;  // row
    int64_t last = 0;  // row; below the id asked for where there is none
    bool is_whole = false;  // it has all that we have between the two
    bool is_end = false;  // fewer rows than asked for: the venue's newest trade is its last row
  };

  void open_aged(size_t source, int64_t now_us);
  [[nodiscard]] std::optional<GapRequest> choose(size_t source, int64_t now_us, int64_t& due_us) const;
  [[nodiscard]] GapRequest tail_request(size_t source) const;
  [[nodiscard]] int64_t ready_us(Venue& venue, int64_t now_us) const;
  [[nodiscard]] Evidence weigh(const Source& source, const GapAnswer& answer) const;
  void answer_tail(const GapAnswer& answer, int64_t now_us);
  void answer_holes(const GapAnswer& answer, int64_t now_us);
  void judge(Pieces& judged, int64_t first, int64_t last, const Piece& piece, const GapAnswer& answer, const Evidence& evidence,
             int64_t now_us);
  [[nodiscard]] Piece judge_missing(int64_t first, int64_t last, Piece piece, const Evidence& evidence, int64_t now_us);
  [[nodiscard]] Piece doubted(int64_t first, int64_t last, Piece piece, const std::string& reason, int64_t now_us);
  void tell_stuck(size_t source, const std::string& reason);
  void tell_returned(size_t source);
  void tell(GapEventKind kind, size_t source, int64_t first, int64_t last, std::string reason = {});

  GapPolicy policy_;
  std::vector<Venue> venues_;
  std::vector<Source> sources_;
  size_t turn_ = 0;
  std::optional<GapRequest> asked_;
  std::vector<GapEvent> events_;
};

}  // namespace k2
