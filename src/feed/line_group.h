// LineGroup: one shard of streams held by one line, or by two for good (A and B), each of which is replaced before it is taken down.
//
// Pure, as the sessions it is made of: its owner tells it what happened to which line, asks next() what to do, and takes events.
// A slot, of which there are as many as lines, goes this way:
//
//              shutdown announced, age, quiet streams, failback            live for overlap_us
//   [line] ---------------------------------------------------> [line + successor] ------------> [successor is the line]; old one dropped
//     ^                                                             |          |
//     '---- successor of a failback fails: tried again later -------'          '--- line ends first: the successor goes on as the line
//
// Both carry the same streams meanwhile; who takes what they carry drops what came twice, by id.
// - shutdown: the venue said so on that line. Once in shutdown_hold_us at most: no storm against a venue that says so to each new connection.
// - age: replace_after_us (the venue cuts at 24 h), up to replace_jitter of it earlier, by chance, so that lines do not all go at once.
// - quiet: feed/quiet_watch.h.
// - failback: the line has been on another endpoint than the first for failback_after_us. The successor is tried on the first.
// A successor stays on its endpoint as long as the line is there: a line that works is not replaced by one of another exchange for its age.
// Thread rule: one thread at a time. Times: monotonic microseconds from any start.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "feed/quiet_watch.h"
#include "feed/session.h"

namespace k2 {

struct LineGroupPolicy {
  SessionPolicy session;
  QuietPolicy quiet;
  int lines = 1;  // 1, or 2 for permanent A and B lines
  int64_t replace_after_us = 23 * 3'600'000'000LL;  // 0: never
  double replace_jitter = 0.05;
  int64_t failback_after_us = 600'000'000;  // 0: never
  int64_t overlap_us = 5'000'000;  // the successor is live for so long before the old line is dropped
  int64_t shutdown_hold_us = 30'000'000;  // between two replacements of a slot's line because of announced shutdowns
};

enum class ReplaceReason { kShutdown, kAge, kQuiet, kFailback };
[[nodiscard]] std::string_view replace_reason_name(ReplaceReason reason);

using LineId = uint64_t;  // counts up in a group; never used again

/// What the owner has to do with which line; carried out before next() is called again. For SessionWait, `line` has no meaning.
struct LineAction {
  LineId line = 0;
  SessionAction action;
};

struct LineEvent {
  enum class Kind {
    kLive,  // the line is connected and subscribed
    kStale,  // the line is dropped because nothing came
    kReplacing,  // a successor is being brought up for the line, because of `reason`
    kReplaced,  // the line has taken the place of another, because of `reason`
    kFailedOver,  // the line goes on to the next endpoint
    kRoundFailed,  // the line has tried all endpoints without success, and goes on
    kExhausted,  // the group: all its lines have given up
  };
  Kind kind = Kind::kLive;
  LineId line = 0;
  size_t endpoint = 0;
  ReplaceReason reason = ReplaceReason::kAge;
  bool is_covered = false;  // kLive: another line of the group was live at that moment
};

class LineGroup {
 public:
  /// `stream_count`: for seen(). The other arguments: Session. `budget` outlives the group.
  LineGroup(LineGroupPolicy policy, size_t endpoint_count, std::vector<std::string> subscribe_messages, size_t stream_count, uint64_t seed,
            ConnectBudget& budget);

  [[nodiscard]] LineAction next(int64_t now_us);

  // What happened to a line. A line that is gone is no error: it may have ended meanwhile.
  void opened(LineId line, int64_t now_us);
  void received(LineId line, int64_t now_us);
  void ended(LineId line, int64_t now_us, int64_t hold_us = 0);
  void seen(LineId line, size_t stream, int64_t at_us);  // QuietWatch::seen
  void shutdown_announced(LineId line);
  /// No more connecting: next() drops all lines in order.
  void stop();

  /// What has happened since the last call, in order.
  [[nodiscard]] std::vector<LineEvent> take_events();

  [[nodiscard]] bool is_live() const { return is_live_beside(0); }  // some line of it is
  [[nodiscard]] bool is_exhausted() const { return is_exhausted_; }
  /// Whether no connection is left.
  [[nodiscard]] bool is_over() const;
  /// The session of a slot's line: 0 <= slot < policy.lines.
  [[nodiscard]] const Session& line(size_t slot) const { return slots_[slot].line.session; }
  [[nodiscard]] size_t slots() const { return slots_.size(); }
  /// The states of all lines and successors, the first slot's line first; kBackingOff for one that is being dropped.
  [[nodiscard]] std::vector<SessionState> states() const;
  /// Of all lines there were. reconnects: connections beyond each slot's first.
  [[nodiscard]] SessionCounts counts() const;

 private:
  struct Line {
    LineId id = 0;
    Session session;
    int64_t live_since_us = INT64_MAX;  // INT64_MAX: it is not
    int64_t replace_at_us = INT64_MAX;  // by age
    bool is_shutdown_announced = false;
  };
  struct Successor {
    Line line;
    ReplaceReason reason = ReplaceReason::kAge;
  };
  struct Slot {
    Line line;
    std::optional<Successor> successor;
    QuietWatch watch;
    int64_t quiet_look_us = INT64_MIN;  // when to look next
    int64_t failback_at_us = INT64_MAX;
    int64_t shutdown_held_until_us = INT64_MIN;
  };

  Line new_line(size_t endpoint);
  void decide(Slot& slot, int64_t now_us);
  std::optional<ReplaceReason> reason_to_replace(Slot& slot, int64_t now_us);
  [[nodiscard]] int64_t due_us(const Slot& slot) const;
  void succeed(Slot& slot, ReplaceReason reason);
  void promote(Slot& slot, int64_t now_us);
  void note_endpoint(Slot& slot, int64_t now_us);
  void retire(Line line);
  void forget(const Line& line);
  void note_live(Line& line, Slot* slot, int64_t now_us);
  void note_exhausted();
  void tell_end(Line& line, int64_t now_us, int64_t hold_us);
  Line* find(LineId id);
  [[nodiscard]] bool is_live_beside(LineId id) const;  // some line but that one

  LineGroupPolicy policy_;
  size_t endpoint_count_;
  std::vector<std::string> subscribe_messages_;
  size_t stream_count_;
  Jitter jitter_;
  ConnectBudget& budget_;
  LineId last_id_ = 0;
  std::vector<Slot> slots_;
  std::vector<Line> retired_;  // being dropped; at most as many as there were replacements within a close handshake
  std::vector<LineEvent> events_;
  SessionCounts gone_;  // of lines that are no more
  bool is_stopped_ = false;
  bool is_exhausted_ = false;
};

}  // namespace k2
