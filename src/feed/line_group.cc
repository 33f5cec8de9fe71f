#include "feed/line_group.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace k2 {

namespace {

constexpr int64_t kQuietLookUs = 5'000'000;  // thresholds are a minute and more

using Kind = LineEvent::Kind;

void add_counts(SessionCounts& sum, const SessionCounts& counts) {
  sum.connects += counts.connects;
  sum.failures += counts.failures;
  sum.failovers += counts.failovers;
  sum.rounds += counts.rounds;
}

}  // namespace

std::string_view replace_reason_name(ReplaceReason reason) {
  switch (reason) {
    case ReplaceReason::kShutdown: return "shutdown";
    case ReplaceReason::kAge: return "age";
    case ReplaceReason::kQuiet: return "quiet";
    case ReplaceReason::kFailback: return "failback";
  }
  return "unknown";
}

LineGroup::LineGroup(LineGroupPolicy policy, size_t endpoint_count, std::vector<std::string> subscribe_messages, size_t stream_count,
                     uint64_t seed, ConnectBudget& budget)
    : policy_(policy),
      endpoint_count_(endpoint_count),
      subscribe_messages_(std::move(subscribe_messages)),
      stream_count_(stream_count),
      jitter_(seed),
      budget_(budget) {
  K2_ASSERT(policy.lines > 0);
  for (int i = 0; i < policy.lines; ++i) slots_.push_back({new_line(0), std::nullopt, QuietWatch(policy_.quiet, stream_count_)});
}

LineGroup::Line LineGroup::new_line(size_t endpoint) {
  return {++last_id_, Session(policy_.session, endpoint_count_, subscribe_messages_, jitter_.bits(), &budget_, endpoint)};
}

// --- What to do. ---------------------------------------------------------------------------------------------------------

LineAction LineGroup::next(int64_t now_us) {
  int64_t until_us = INT64_MAX;
  std::optional<LineAction> found;
  const auto ask = [&](Line& line, Slot* slot) {
    if (found) return;
    SessionAction action = line.session.next(now_us);
    if (slot != nullptr) note_live(line, slot, now_us);
    if (const auto* wait = std::get_if<SessionWait>(&action)) {
      until_us = std::min(until_us, wait->until_us);
      return;
    }
    if (const auto* drop = std::get_if<SessionDrop>(&action); drop != nullptr && drop->reason == "stale")
      events_.push_back({.kind = Kind::kStale, .line = line.id, .endpoint = line.session.endpoint()});
    found = LineAction{line.id, std::move(action)};
  };
  if (!is_stopped_)
    for (Slot& slot : slots_) decide(slot, now_us);
  for (Line& line : retired_) ask(line, nullptr);
  for (Slot& slot : slots_) {
    ask(slot.line, &slot);
    if (slot.successor) ask(slot.successor->line, &slot);
    if (!is_stopped_) until_us = std::min(until_us, due_us(slot));
  }
  return found ? *std::move(found) : LineAction{0, SessionWait{std::max(until_us, now_us)}};
}

void LineGroup::decide(Slot& slot, int64_t now_us) {
  if (slot.line.session.state() == SessionState::kExhausted && is_live()) {  // the other line shows that it can be done
    forget(slot.line);
    slot.line = new_line(0);
  }
  if (slot.successor) {
    const Line& successor = slot.successor->line;
    if (!successor.session.is_live() || successor.live_since_us == INT64_MAX) return;
    if (!slot.line.session.is_live() || now_us - successor.live_since_us >= policy_.overlap_us) promote(slot, now_us);
    return;
  }
  if (!slot.line.session.is_live() || slot.line.live_since_us == INT64_MAX) return;
  if (const auto reason = reason_to_replace(slot, now_us)) succeed(slot, *reason);
}

std::optional<ReplaceReason> LineGroup::reason_to_replace(Slot& slot, int64_t now_us) {
  if (slot.line.is_shutdown_announced && now_us >= slot.shutdown_held_until_us) {
    slot.shutdown_held_until_us = now_us + policy_.shutdown_hold_us;
    return ReplaceReason::kShutdown;
  }
  if (now_us >= slot.line.replace_at_us) return ReplaceReason::kAge;
  if (now_us >= slot.quiet_look_us) {
    slot.quiet_look_us = now_us + kQuietLookUs;
    if (slot.watch.suspect(now_us)) {
      slot.watch.replaced(now_us);
      return ReplaceReason::kQuiet;
    }
  }
  if (now_us < slot.failback_at_us) return std::nullopt;
  slot.failback_at_us = now_us + policy_.failback_after_us;
  return ReplaceReason::kFailback;
}

// When decide() may find something to do, if nothing happens meanwhile.
int64_t LineGroup::due_us(const Slot& slot) const {
  if (slot.successor) {
    const int64_t since_us = slot.successor->line.live_since_us;
    return since_us == INT64_MAX ? INT64_MAX : since_us + policy_.overlap_us;
  }
  if (slot.line.live_since_us == INT64_MAX) return INT64_MAX;
  int64_t due = std::min(slot.line.replace_at_us, slot.failback_at_us);
  if (policy_.quiet.enabled && stream_count_ > 0) due = std::min(due, slot.quiet_look_us);
  if (slot.line.is_shutdown_announced) due = std::min(due, slot.shutdown_held_until_us);
  return due;
}

void LineGroup::succeed(Slot& slot, ReplaceReason reason) {
  slot.successor = Successor{new_line(reason == ReplaceReason::kFailback ? 0 : slot.line.session.endpoint()), reason};
  slot.successor->line.session.stay_on_endpoint(true);
  events_.push_back({.kind = Kind::kReplacing, .line = slot.line.id, .endpoint = slot.line.session.endpoint(), .reason = reason});
}

void LineGroup::promote(Slot& slot, int64_t now_us) {
  retire(std::move(slot.line));
  const ReplaceReason reason = slot.successor->reason;
  slot.line = std::move(slot.successor->line);
  slot.successor.reset();
  slot.line.session.stay_on_endpoint(false);
  if (slot.line.live_since_us != INT64_MAX) slot.watch.began(now_us);
  note_endpoint(slot, now_us);
  events_.push_back({.kind = Kind::kReplaced, .line = slot.line.id, .endpoint = slot.line.session.endpoint(), .reason = reason});
}

// The way back is due so long after the first endpoint was left, however often the line was made anew since.
void LineGroup::note_endpoint(Slot& slot, int64_t now_us) {
  if (slot.line.session.endpoint() == 0) slot.failback_at_us = INT64_MAX;
  else if (slot.failback_at_us == INT64_MAX && policy_.failback_after_us > 0) slot.failback_at_us = now_us + policy_.failback_after_us;
}

void LineGroup::retire(Line line) {
  line.session.stop();
  if (line.session.has_connection()) retired_.push_back(std::move(line));
  else forget(line);
}

void LineGroup::forget(const Line& line) { add_counts(gone_, line.session.counts()); }

// --- What happened. ------------------------------------------------------------------------------------------------------

LineGroup::Line* LineGroup::find(LineId id) {
  for (Line& line : retired_)
    if (line.id == id) return &line;
  for (Slot& slot : slots_) {
    if (slot.line.id == id) return &slot.line;
    if (slot.successor && slot.successor->line.id == id) return &slot.successor->line;
  }
  return nullptr;
}

// A line becomes live by being opened, or by its last message being sent.
void LineGroup::note_live(Line& line, Slot* slot, int64_t now_us) {
  if (!line.session.is_live() || line.live_since_us != INT64_MAX) return;
  const bool is_covered = is_live_beside(line.id);
  line.live_since_us = now_us;
  if (policy_.replace_after_us > 0)
    line.replace_at_us = now_us + policy_.replace_after_us - jitter_.part_of(policy_.replace_after_us, policy_.replace_jitter);
  if (&line == &slot->line) {
    slot->watch.began(now_us);
    note_endpoint(*slot, now_us);
  }
  events_.push_back({.kind = Kind::kLive, .line = line.id, .endpoint = line.session.endpoint(), .is_covered = is_covered});
}

void LineGroup::opened(LineId id, int64_t now_us) {
  Line* line = find(id);
  if (line != nullptr) line->session.opened(now_us);
}

void LineGroup::received(LineId id, int64_t now_us) {
  Line* line = find(id);
  if (line != nullptr) line->session.received(now_us);
}

void LineGroup::shutdown_announced(LineId id) {
  Line* line = find(id);
  if (line != nullptr) line->is_shutdown_announced = true;
}

void LineGroup::seen(LineId id, size_t stream, int64_t at_us) {
  for (Slot& slot : slots_)
    if (slot.line.id == id) slot.watch.seen(stream, at_us);
}

void LineGroup::tell_end(Line& line, int64_t now_us, int64_t hold_us) {
  const SessionCounts before = line.session.counts();
  line.session.ended(now_us, hold_us);
  line.live_since_us = line.replace_at_us = INT64_MAX;
  line.is_shutdown_announced = false;
  const LineEvent event{.line = line.id, .endpoint = line.session.endpoint()};
  const auto tell = [&](Kind kind) {
    events_.push_back(event);
    events_.back().kind = kind;
  };
  if (line.session.counts().failovers > before.failovers) tell(Kind::kFailedOver);
  if (line.session.counts().rounds > before.rounds) tell(Kind::kRoundFailed);
}

void LineGroup::ended(LineId id, int64_t now_us, int64_t hold_us) {
  if (const auto gone = std::ranges::find(retired_, id, &Line::id); gone != retired_.end()) {
    forget(*gone);
    retired_.erase(gone);
    return;
  }
  for (Slot& slot : slots_) {
    if (slot.line.id == id) {
      tell_end(slot.line, now_us, hold_us);
      // The successor of a failback is a trial on another endpoint: as long as it is not live, the line goes on where it was.
      const bool goes_on = slot.successor && (slot.successor->reason != ReplaceReason::kFailback || slot.successor->line.session.is_live());
      if (goes_on && !is_stopped_) promote(slot, now_us);
    } else if (slot.successor && slot.successor->line.id == id) {
      tell_end(slot.successor->line, now_us, hold_us);
      if (slot.successor->reason == ReplaceReason::kFailback) {
        forget(slot.successor->line);
        slot.successor.reset();
      }
    }
  }
  note_exhausted();
}

void LineGroup::note_exhausted() {
  const bool all = std::ranges::all_of(slots_, [](const Slot& slot) { return slot.line.session.state() == SessionState::kExhausted; });
  if (!all || is_exhausted_) return;
  is_exhausted_ = true;
  events_.push_back({.kind = Kind::kExhausted, .line = slots_.front().line.id});
}

void LineGroup::stop() {
  is_stopped_ = true;
  for (Slot& slot : slots_) {
    slot.line.session.stop();
    if (slot.successor) slot.successor->line.session.stop();
  }
}

// --- What it is. ---------------------------------------------------------------------------------------------------------

std::vector<LineEvent> LineGroup::take_events() { return std::exchange(events_, {}); }

bool LineGroup::is_live_beside(LineId id) const {
  const auto live = [id](const Line& line) { return line.id != id && line.live_since_us != INT64_MAX && line.session.is_live(); };
  return std::ranges::any_of(slots_, [&](const Slot& slot) { return live(slot.line) || (slot.successor && live(slot.successor->line)); });
}

bool LineGroup::is_over() const {
  return retired_.empty() && std::ranges::none_of(slots_, [](const Slot& slot) {
           return slot.line.session.has_connection() || (slot.successor && slot.successor->line.session.has_connection());
         });
}

std::vector<SessionState> LineGroup::states() const {
  const auto state = [](const Line& line) {
    const bool is_ending = line.session.state() == SessionState::kLive && !line.session.is_live();
    return is_ending ? SessionState::kBackingOff : line.session.state();
  };
  std::vector<SessionState> states;
  for (const Slot& slot : slots_) {
    states.push_back(state(slot.line));
    if (slot.successor) states.push_back(state(slot.successor->line));
  }
  return states;
}

SessionCounts LineGroup::counts() const {
  SessionCounts sum = gone_;
  for (const Line& line : retired_) add_counts(sum, line.session.counts());
  for (const Slot& slot : slots_) {
    add_counts(sum, slot.line.session.counts());
    if (slot.successor) add_counts(sum, slot.successor->line.session.counts());
  }
  sum.reconnects = sum.connects - std::min<uint64_t>(sum.connects, slots_.size());
  return sum;
}

}  // namespace k2
