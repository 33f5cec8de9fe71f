// Session: the life of one line to a venue as a pure state machine: connect, subscribe with pacing, watch, back off, fail over.
//
// It holds no clock, socket or thread. Its owner tells it what happened (opened, received, ended) with the time, and asks next() what to
// do and when to ask again. So a seeded simulation can run hours of it in a moment.
//
//   kBackingOff --due--> kConnecting --opened--> kSubscribing --all sent--> kLive --ended--> kBackingOff ...
//                             '------ended, connect time-out------> kBackingOff
//
// Back-off (decision 0004): the n-th failure in a row waits min(first * 2^(n-1), max) plus up to jitter of it; attempts_max failures
// in a row move on to the next endpoint, whose count begins anew; after the last endpoint the first comes again, or, with rounds_max, the session
// ends as kExhausted. A connection counts as a success, which resets the count, once it was live for stable_after_us.
// Heartbeat: nothing received for heartbeat_us: an empty ping is sent, whose pong is a byte received like any other; nothing at all for
// stale_after_us: the line is dropped.
// Thread rule: one thread at a time. Times: monotonic microseconds from any start.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "feed/connect_budget.h"
#include "feed/jitter.h"

namespace k2 {

struct SessionPolicy {
  int64_t backoff_first_us = 5'000'000;
  int64_t backoff_max_us = 60'000'000;
  double backoff_jitter = 0.1;  // at most this part is added, by chance
  int attempts_max = 10;  // in a row on one endpoint
  int rounds_max = 0;  // times through all endpoints without success; 0: for ever
  int64_t connect_timeout_us = 15'000'000;  // from kConnect to opened()
  int64_t stable_after_us = 30'000'000;  // live for so long: the next failure is a first one
  int64_t heartbeat_us = 30'000'000;  // no byte for so long: we ask whether the venue is there; 0: never
  int64_t stale_after_us = 90'000'000;  // no byte, not even a ping or pong, for so long: replaced; 0: never
  int64_t send_interval_us = 500'000;  // between our messages; Binance allows 5 a second and bans who sends more
};

enum class SessionState { kBackingOff, kConnecting, kSubscribing, kLive, kExhausted, kStopped };
[[nodiscard]] std::string_view session_state_name(SessionState state);

/// What the owner has to do. At most one at a time; carried out before next() is called again.
struct SessionConnect {
  size_t endpoint = 0;  // index into the list
};
struct SessionSend {
  std::string text;
};
struct SessionPing {};  // an empty WebSocket ping
struct SessionDrop {  // end the connection now, then report ended()
  std::string reason;
  bool is_orderly = false;  // with a close frame, and a moment for the venue's
};
struct SessionWait {
  int64_t until_us = 0;  // ask again then, or when something has happened; INT64_MAX: only then
};
using SessionAction = std::variant<SessionWait, SessionConnect, SessionSend, SessionPing, SessionDrop>;

struct SessionCounts {
  uint64_t connects = 0;  // connections that opened
  uint64_t reconnects = 0;  // of those, all but the first
  uint64_t failures = 0;  // attempts that never opened, and connections that ended without being asked to
  uint64_t failovers = 0;  // moves to another endpoint
  uint64_t rounds = 0;  // times that the whole list of endpoints was gone through without success
};

class Session {
 public:
  /// `endpoint_count` >= 1. `subscribe_messages` are sent in order on every new connection. `seed` is for the jitter. Attempts are made as
  /// `budget` allows, which outlives the session; none: as the back-off alone says.
  Session(SessionPolicy policy, size_t endpoint_count, std::vector<std::string> subscribe_messages, uint64_t seed,
          ConnectBudget* budget = nullptr, size_t first_endpoint = 0);

  /// What to do now. The first call connects at once.
  [[nodiscard]] SessionAction next(int64_t now_us);

  void opened(int64_t now_us);
  /// Any byte came from the venue.
  void received(int64_t now_us);
  /// The connection is gone, or never came up. `hold_us`: the next attempt is not made before that time has passed, whatever the back-off.
  void ended(int64_t now_us, int64_t hold_us = 0);
  /// No more connecting: next() drops what is up, then only waits.
  void stop();
  /// While true, failures do not move it to another endpoint.
  void stay_on_endpoint(bool stay) { stays_ = stay; }

  [[nodiscard]] SessionState state() const { return state_; }
  /// Connected and subscribed, and not about to be dropped.
  [[nodiscard]] bool is_live() const { return state_ == SessionState::kLive && !dropping_; }
  /// Between SessionConnect and ended().
  [[nodiscard]] bool has_connection() const { return connection_exists_; }
  [[nodiscard]] size_t endpoint() const { return endpoint_; }
  [[nodiscard]] int attempts() const { return failures_in_row_; }  // failures in a row on this endpoint
  [[nodiscard]] const SessionCounts& counts() const { return counts_; }

 private:
  SessionAction when_due(int64_t now_us);
  SessionAction when_subscribing(int64_t now_us);
  SessionAction when_live(int64_t now_us);
  void back_off(int64_t now_us, int64_t hold_us);
  void next_endpoint();
  int64_t backoff_us();
  SessionAction drop(std::string reason, bool is_orderly = false);
  [[nodiscard]] int64_t stale_at_us() const;
  [[nodiscard]] int64_t ping_at_us() const;

  SessionPolicy policy_;
  size_t endpoint_count_;
  std::vector<std::string> subscribe_messages_;
  Jitter jitter_;
  ConnectBudget* budget_;
  SessionState state_ = SessionState::kBackingOff;
  bool connection_exists_ = false;  // between SessionConnect and ended()
  bool dropping_ = false;  // SessionDrop was given
  bool stays_ = false;
  size_t endpoint_ = 0;
  int failures_in_row_ = 0;
  size_t endpoints_failed_ = 0;  // given up one after another, without success
  int rounds_ = 0;  // endpoint lists gone through without success
  size_t next_message_ = 0;
  int64_t due_us_ = INT64_MIN;  // kBackingOff: when to connect
  int64_t connect_started_us_ = 0;
  int64_t live_since_us_ = 0;
  int64_t next_send_us_ = INT64_MIN;
  int64_t last_received_us_ = 0;
  int64_t last_ping_us_ = INT64_MIN;
  SessionCounts counts_;
};

}  // namespace k2
