#include "feed/gap_filler.h"

#include <algorithm>

#include "base/assert.h"

namespace k2 {
namespace {

using Range = SequenceRanges::Range;

constexpr int64_t kMinuteUs = 60'000'000;
constexpr const char* kUnreadableReason = "the venue's row could not be read; it is in the dead letters";

/// What lies between the first and the last id that feeds took and is neither taken nor settled: the newest `holes_max`, in order.
std::vector<Range> holes_of(const GapPositions& log, size_t holes_max) {
  std::vector<Range> holes;
  if (log.by_feed.empty()) return holes;
  const std::vector<Range> ranges = log.taken.overlap({log.by_feed.ranges().front().first, *log.by_feed.last()});
  for (size_t i = ranges.size(); i-- > 1 && holes.size() < holes_max;) {
    const size_t begin = holes.size();
    int64_t at = ranges[i - 1].last + 1;
    const int64_t last = ranges[i].first - 1;
    for (const Range& gone : log.settled.overlap({at, last})) {
      if (at < gone.first) holes.push_back({at, gone.first - 1});
      at = gone.last + 1;
    }
    if (at <= last) holes.push_back({at, last});
    std::reverse(holes.begin() + static_cast<std::ptrdiff_t>(begin), holes.end());
  }
  if (holes.size() > holes_max) holes.resize(holes_max);
  std::ranges::reverse(holes);
  return holes;
}

std::optional<int64_t> last_taken_below(const SequenceRanges& taken, int64_t id) {
  const std::vector<Range>& ranges = taken.ranges();
  const auto above = std::ranges::lower_bound(ranges, id, {}, &Range::first);
  if (above == ranges.begin()) return std::nullopt;
  return std::min((above - 1)->last, id - 1);
}

bool rises_from(const std::vector<int64_t>& ids, int64_t from) {
  return (ids.empty() || ids.front() >= from) && std::ranges::adjacent_find(ids, std::greater_equal<>()) == ids.end();
}

bool has_id(const std::vector<int64_t>& ids, int64_t id) { return std::ranges::find(ids, id) != ids.end(); }

}  // namespace

GapFiller::GapFiller(const GapPolicy& policy) : policy_(policy) {
  K2_ASSERT(policy.limit >= 3 && policy.weight_per_minute >= policy.request_weight && policy.holes_max > 0);
}

size_t GapFiller::add_source(std::string exchange, std::string symbol) {
  auto venue = std::ranges::find(venues_, exchange, &Venue::name);
  if (venue == venues_.end()) venue = venues_.insert(venues_.end(), Venue{.name = std::move(exchange)});
  sources_.push_back({.symbol = std::move(symbol), .venue = static_cast<size_t>(venue - venues_.begin())});
  return sources_.size() - 1;
}

void GapFiller::tell(GapEventKind kind, size_t source, int64_t first, int64_t last, std::string reason) {
  events_.push_back({kind, source, {first, last}, std::move(reason)});
}

std::vector<GapEvent> GapFiller::take_events() { return std::exchange(events_, {}); }

// --- What the log has -----------------------------------------------------------------------------------------------------------------

void GapFiller::observe(size_t source_index, GapPositions positions, int64_t now_us) {
  Source& source = sources_[source_index];
  source.is_observed = true;
  source.log = std::move(positions);
  const SequenceRanges& taken = source.log.taken;
  const auto fed_to = source.log.by_feed.last();
  if (source.tail.is_wanted && source.tail.arrived_id && fed_to && *fed_to >= *source.tail.arrived_id) source.tail = {};

  Pieces kept;
  const std::vector<Range> holes = holes_of(source.log, policy_.holes_max);
  auto piece = source.pieces.begin();
  for (const Range& hole : holes) {
    const bool is_too_large = hole.last - hole.first >= policy_.trades_max;
    const auto keep = [&](int64_t first, int64_t last, Piece part) {
      part.last = last;
      if (is_too_large != (part.state == State::kTooLarge)) {
        part.state = is_too_large ? State::kTooLarge : State::kUnknown;
        part.due_us = is_too_large ? INT64_MAX : part.seen_us + policy_.grace_us;
        part.is_opened = part.is_told = false;  // what was stated of it holds no longer
      }
      kept.emplace(first, part);
    };
    int64_t at = hole.first;
    while (piece != source.pieces.end() && piece->second.last < at) ++piece;
    for (; piece != source.pieces.end() && piece->first <= hole.last; ++piece) {
      if (at < piece->first) keep(at, piece->first - 1, {.seen_us = now_us, .due_us = now_us + policy_.grace_us});
      at = std::max(at, piece->first);
      keep(at, std::min(piece->second.last, hole.last), piece->second);
      at = std::min(piece->second.last, hole.last) + 1;
      if (piece->second.last > hole.last) break;  // the rest of it may lie in the next hole
    }
    if (at <= hole.last) keep(at, hole.last, {.seen_us = now_us, .due_us = now_us + policy_.grace_us});
  }
  std::swap(source.pieces, kept);

  for (const auto& [first, old] : kept) {
    const bool was_returned = old.state == State::kReturned;
    if (!old.is_opened && !was_returned) continue;
    for (const Range& part : taken.overlap({first, old.last}))
      tell(was_returned ? GapEventKind::kBackfilled : GapEventKind::kArrived, source_index, part.first, part.last);
  }
  tell_returned(source_index);
}

void GapFiller::adopt(size_t source, const Range& open, bool is_told, int64_t now_us) {
  Piece piece{.last = open.last, .seen_us = now_us, .due_us = now_us + policy_.grace_us, .is_opened = true, .is_told = is_told};
  if (is_told && open.last - open.first >= policy_.trades_max) {
    piece.state = State::kTooLarge;
    piece.due_us = INT64_MAX;
  }
  sources_[source].pieces.emplace(open.first, piece);
}

/// What an answer had beside the pieces, and the log now has.
void GapFiller::tell_returned(size_t index) {
  Source& source = sources_[index];
  if (source.returned.empty()) return;
  for (const Range& returned : source.returned.ranges())
    for (const Range& part : source.log.taken.overlap(returned)) tell(GapEventKind::kBackfilled, index, part.first, part.last);
  source.returned = source.returned.without(source.log.taken);
}

void GapFiller::check_tail(size_t source, int64_t now_us) {
  Tail& tail = sources_[source].tail;
  // The feed's first trade may be told before its line is. One that the log has belongs to an earlier line.
  const auto last = sources_[source].log.by_feed.last();
  const auto pending = tail.arrived_id && (!last || *tail.arrived_id > *last) ? tail.arrived_id : std::nullopt;
  tail = {.is_wanted = true, .due_us = now_us + policy_.grace_us, .arrived_id = pending};
}

void GapFiller::shed(size_t source, int64_t now_us) {
  sources_[source].tail.arrived_id.reset();
  check_tail(source, now_us);
}

void GapFiller::arrived(size_t source, int64_t id) { sources_[source].tail.arrived_id = id; }

void GapFiller::open_aged(size_t source, int64_t now_us) {
  for (auto& [first, piece] : sources_[source].pieces) {
    if (piece.is_opened || piece.seen_us + policy_.grace_us > now_us) continue;
    piece.is_opened = true;
    if (piece.state != State::kTooLarge) {
      tell(GapEventKind::kOpened, source, first, piece.last);
      continue;
    }
    tell(GapEventKind::kTooLarge, source, first, piece.last,
         std::to_string(piece.last - first + 1) + " ids, more than the " + std::to_string(policy_.trades_max) +
             " that are fetched one by one: load the public dump of those days");
  }
}

// --- What to ask ----------------------------------------------------------------------------------------------------------------------

GapAction GapFiller::next(int64_t now_us) {
  K2_ASSERT(!asked_);
  for (size_t i = 0; i < sources_.size(); ++i) open_aged(i, now_us);
  int64_t wait_until_us = INT64_MAX;
  for (size_t i = 0; i < sources_.size(); ++i) {
    const size_t index = (turn_ + i) % sources_.size();
    Source& source = sources_[index];
    int64_t due_us = INT64_MAX;
    auto request = choose(index, now_us, due_us);
    if (!request && due_us == INT64_MAX) continue;
    Venue& venue = venues_[source.venue];
    const int64_t may_us = std::max(ready_us(venue, now_us), source.closed_until_us);
    if (!request || may_us > now_us) {
      wait_until_us = std::min(wait_until_us, std::max(due_us, may_us));
      continue;
    }
    venue.spent_us.push_back(now_us);
    turn_ = index + 1;
    source.was_tail = request->is_tail;
    asked_ = *request;
    return *request;
  }
  for (const Source& source : sources_)
    for (const auto& [first, piece] : source.pieces)
      if (!piece.is_opened) wait_until_us = std::min(wait_until_us, piece.seen_us + policy_.grace_us);
  return GapWait{wait_until_us};
}

/// The request that this source needs most, or when it will need one.
std::optional<GapRequest> GapFiller::choose(size_t index, int64_t now_us, int64_t& due_us) const {
  const Source& source = sources_[index];
  const bool has_tail = source.tail.is_wanted && source.is_observed && source.log.by_feed.last();
  if (has_tail) due_us = source.tail.due_us;
  const bool is_tail_due = has_tail && due_us <= now_us;
  auto newest = source.pieces.rbegin();
  for (; newest != source.pieces.rend() && newest->second.due_us > now_us; ++newest) due_us = std::min(due_us, newest->second.due_us);
  const bool is_hole_due = newest != source.pieces.rend();
  if (is_tail_due && !(is_hole_due && source.was_tail)) return tail_request(index);
  if (!is_hole_due) return std::nullopt;
  due_us = now_us;

  // Older ones that the same answer reaches. It is to have the taken ids on both sides, to judge it by: hence the two rows more.
  const int64_t last = newest->second.last;
  int64_t first = newest->first;
  for (auto older = std::next(newest); older != source.pieces.rend() && last - older->first + 3 <= policy_.limit; ++older)
    if (older->second.due_us <= now_us) first = older->first;
  const auto anchor = last_taken_below(source.log.taken, first);
  const int64_t from = anchor && first - *anchor <= policy_.limit / 2 ? *anchor : first;
  const int64_t rows = std::min<int64_t>(policy_.limit, last + 1 - from + 1);
  return GapRequest{.source = index, .from_id = from, .limit = static_cast<int>(rows), .wanted = {first, last}};
}

GapRequest GapFiller::tail_request(size_t index) const {
  const Source& source = sources_[index];
  const int64_t from = std::max(*source.log.by_feed.last() + 1, source.tail.next_id);
  return {.source = index, .from_id = from, .limit = policy_.limit, .wanted = {from, INT64_MAX}, .is_tail = true};
}

/// When the venue may be asked again.
int64_t GapFiller::ready_us(Venue& venue, int64_t now_us) const {
  while (!venue.spent_us.empty() && venue.spent_us.front() + kMinuteUs <= now_us) venue.spent_us.pop_front();
  int64_t ready = venue.closed_until_us;
  const auto requests_max = static_cast<size_t>(policy_.weight_per_minute / policy_.request_weight);
  if (venue.spent_us.size() >= requests_max) ready = std::max(ready, venue.spent_us[venue.spent_us.size() - requests_max] + kMinuteUs);
  // The venue counts by its own minutes: after one of ours its count has begun anew.
  if (venue.used_weight && *venue.used_weight + policy_.request_weight > policy_.used_weight_max)
    ready = std::max(ready, venue.used_weight_us + kMinuteUs);
  return ready;
}

int64_t GapFiller::weight_spent(std::string_view exchange, int64_t now_us) const {
  for (const Venue& venue : venues_)
    if (venue.name == exchange)
      return policy_.request_weight * std::ranges::count_if(venue.spent_us, [&](int64_t at) { return at + kMinuteUs > now_us; });
  return 0;
}

// --- What the answer says -------------------------------------------------------------------------------------------------------------

void GapFiller::answered(const GapAnswer& answer, int64_t now_us) {
  K2_ASSERT(asked_);
  Venue& venue = venues_[sources_[asked_->source].venue];
  if (answer.used_weight) {
    venue.used_weight = answer.used_weight;
    venue.used_weight_us = now_us;
  }
  if (!rises_from(answer.ids, asked_->from_id) || answer.ids.size() > static_cast<size_t>(asked_->limit))
    return failed(GapFailure::kUnreachable, "an answer that does not rise from the id asked for", 0, now_us);
  venue.backoff_us = 0;
  if (asked_->is_tail) answer_tail(answer, now_us);
  else answer_holes(answer, now_us);
  asked_.reset();
}

void GapFiller::answer_tail(const GapAnswer& answer, int64_t now_us) {
  Source& source = sources_[asked_->source];
  Tail& tail = source.tail;
  std::optional<int64_t> newest;  // that the log will have
  for (const int64_t id : answer.ids) {
    if (!has_id(answer.unreadable, id)) {
      source.returned.insert(id);
      newest = id;
    } else if (!source.log.settled.contains(id)) {
      tell(GapEventKind::kUnreadable, asked_->source, id, id, kUnreadableReason);
    }
  }
  tail.fetched += static_cast<int64_t>(answer.ids.size());
  if (answer.ids.size() == static_cast<size_t>(asked_->limit)) {
    tail.next_id = answer.ids.back() + 1;
    tail.reached_us.reset();
    tail.due_us = now_us;
    // So much is missing that the line will show it as a hole, whose size then decides.
    if (tail.fetched >= policy_.trades_max) tail = {};
    return;
  }
  const bool is_confirmed = tail.reached_us && now_us - *tail.reached_us >= policy_.confirm_after_us;
  if (is_confirmed && !newest) {
    tail = {};
    return;
  }
  if (is_confirmed) tail.arrived_id = newest;
  if (!tail.reached_us) tail.reached_us = now_us;
  tail.next_id = 0;  // behind what the log has by then: what was handed over and did not arrive there is asked for again
  tail.due_us = now_us + policy_.confirm_after_us;
}

GapFiller::Evidence GapFiller::weigh(const Source& source, const GapAnswer& answer) const {
  Evidence evidence;
  evidence.is_end = answer.ids.size() < static_cast<size_t>(asked_->limit);
  evidence.first = answer.ids.empty() ? asked_->from_id : answer.ids.front();
  evidence.last = answer.ids.empty() ? asked_->from_id - 1 : answer.ids.back();
  int64_t expected = 0;
  const SequenceRanges& sent = source.log.by_feed;  // a file's ids prove nothing against the venue
  for (const Range& range : sent.overlap({evidence.first, evidence.last})) expected += range.last - range.first + 1;
  evidence.is_whole = expected == std::ranges::count_if(answer.ids, [&](int64_t id) { return sent.contains(id); });
  return evidence;
}

void GapFiller::answer_holes(const GapAnswer& answer, int64_t now_us) {
  Source& source = sources_[asked_->source];
  const Evidence evidence = weigh(source, answer);
  const int64_t known_to = std::min(evidence.last, asked_->wanted.last);
  for (const int64_t id : answer.ids)
    if (id >= asked_->wanted.first && id <= known_to && source.log.settled.contains(id) && !source.log.taken.contains(id) &&
        !has_id(answer.unreadable, id))
      source.returned.insert(id);
  Pieces judged;
  for (const auto& [first, piece] : source.pieces) {
    const bool is_waiting = (piece.state == State::kReturned || piece.state == State::kSettled) && piece.due_us > now_us;
    const bool is_asked = piece.last >= asked_->wanted.first && first <= asked_->wanted.last;
    if (!is_asked || is_waiting || piece.state == State::kTooLarge) {
      judged.emplace(first, piece);
      continue;
    }
    if (first <= known_to) judge(judged, first, std::min(piece.last, known_to), piece, answer, evidence, now_us);
    if (piece.last <= known_to) continue;
    const int64_t beyond = std::max(first, known_to + 1);
    judged.emplace(beyond, !evidence.is_end ? piece
                                            : doubted(beyond, piece.last, piece,
                                                      "the venue says that its newest trade is " + std::to_string(evidence.last), now_us));
  }
  source.pieces = std::move(judged);
}

/// Ids first..last of a piece, all within the answer's reach.
void GapFiller::judge(Pieces& judged, int64_t first, int64_t last, const Piece& piece, const GapAnswer& answer, const Evidence& evidence,
                      int64_t now_us) {
  auto id = std::ranges::lower_bound(answer.ids, first);
  for (int64_t at = first; at <= last;) {
    Piece part = piece;
    const int64_t begin = at;
    if (id == answer.ids.end() || *id > at) {
      part.last = id == answer.ids.end() ? last : std::min(last, *id - 1);
      part = judge_missing(begin, part.last, part, evidence, now_us);
    } else {
      const bool is_lost = has_id(answer.unreadable, *id);
      part.last = *id++;
      while (part.last < last && id != answer.ids.end() && *id == part.last + 1 && has_id(answer.unreadable, *id) == is_lost)
        part.last = *id++;
      part.state = is_lost ? State::kSettled : State::kReturned;
      part.due_us = now_us + policy_.patience_us;
      part.tries = 0;
      if (is_lost) tell(GapEventKind::kUnreadable, asked_->source, begin, part.last, kUnreadableReason);
    }
    judged.emplace(begin, part);
    at = part.last + 1;
  }
}

GapFiller::Piece GapFiller::judge_missing(int64_t first, int64_t last, Piece piece, const Evidence& evidence, int64_t now_us) {
  const bool is_below = last < evidence.first;
  if (!is_below && !evidence.is_whole) return doubted(first, last, piece, "the venue's answer lacks trades that it sent before", now_us);
  const State state = is_below ? State::kForgotten : State::kAbsent;
  const int64_t confirm_us = is_below ? policy_.forgotten_after_us : policy_.confirm_after_us;
  piece.tries = 0;
  if (piece.state != state) {
    piece.state = state;
    piece.since_us = now_us;
  }
  piece.due_us = piece.since_us + confirm_us;
  if (now_us < piece.due_us) return piece;
  piece.state = State::kSettled;
  piece.due_us = now_us + policy_.patience_us;
  if (is_below) {
    tell(GapEventKind::kForgotten, asked_->source, first, last, "the venue no longer has trades before " + std::to_string(evidence.first));
  } else {
    tell(GapEventKind::kNotIssued, asked_->source, first, last, "the venue has the trades around these ids and none with them");
  }
  return piece;
}

/// An answer that told nothing of these ids: another is asked for, ever later.
GapFiller::Piece GapFiller::doubted(int64_t first, int64_t last, Piece piece, const std::string& reason, int64_t now_us) {
  piece.state = State::kUnknown;
  piece.due_us = now_us + std::min(policy_.confirm_after_us << std::min(piece.tries, 16), policy_.stuck_retry_max_us);
  if (++piece.tries >= 2 && !piece.is_told) {
    piece.is_told = true;
    tell(GapEventKind::kStuck, asked_->source, first, last, reason);
  }
  return piece;
}

void GapFiller::failed(GapFailure failure, const std::string& reason, int64_t retry_after_us, int64_t now_us) {
  K2_ASSERT(asked_);
  const size_t index = asked_->source;
  asked_.reset();
  Venue& venue = venues_[sources_[index].venue];
  const auto close_venue = [&](int64_t for_us) { venue.closed_until_us = std::max(venue.closed_until_us, now_us + for_us); };
  switch (failure) {
    case GapFailure::kRateLimited:
    case GapFailure::kBanned: return close_venue(std::max(retry_after_us, policy_.backoff_first_us));
    case GapFailure::kUnreachable:
      venue.backoff_us = std::clamp(venue.backoff_us * 2, policy_.backoff_first_us, policy_.backoff_max_us);
      return close_venue(venue.backoff_us);
    case GapFailure::kForbidden:
    case GapFailure::kKeyNeeded:
      close_venue(failure == GapFailure::kKeyNeeded ? policy_.key_retry_us : policy_.forbidden_retry_us);
      for (size_t i = 0; i < sources_.size(); ++i)
        if (sources_[i].venue == sources_[index].venue) tell_stuck(i, reason);
      return;
    case GapFailure::kRefused: sources_[index].closed_until_us = now_us + policy_.forbidden_retry_us; return tell_stuck(index, reason);
  }
}

void GapFiller::tell_stuck(size_t source, const std::string& reason) {
  for (auto& [first, piece] : sources_[source].pieces) {
    const bool is_closing = piece.state == State::kReturned || piece.state == State::kSettled;  // the log will show it
    if (!piece.is_opened || piece.is_told || is_closing || piece.state == State::kTooLarge) continue;
    piece.is_told = true;
    tell(GapEventKind::kStuck, source, first, piece.last, reason);
  }
}

GapTotals GapFiller::totals(std::string_view exchange) const {
  GapTotals totals;
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (venues_[sources_[i].venue].name != exchange) continue;
    const GapTotals own = totals_of(i);
    totals.open += own.open;
    totals.missing += own.missing;
  }
  return totals;
}

GapTotals GapFiller::totals_of(size_t source) const {
  GapTotals totals;
  int64_t end = -1;
  for (const auto& [first, piece] : sources_[source].pieces) {
    if (!piece.is_opened) continue;
    if (first != end) ++totals.open;
    end = piece.last + 1;
    totals.missing += piece.last - first + 1;
  }
  return totals;
}

}  // namespace k2
