// A client's messages on a market stream (SUBSCRIBE and its like) and the answers to them. Pure; the subscriptions are the caller's.
//
// Source: binance-spot-api-docs, web-socket-streams.md, "Live Subscribing/Unsubscribing to streams", 2026-07-21.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace k2 {

/// What a client has asked for so far.
struct StreamSubscriptions {
  std::vector<std::string> streams;  // in order of subscription, each once
  bool combined = false;             // frames wrapped as {"stream":...,"data":...}
};

struct ControlAnswer {
  std::string text;                  // JSON, to be sent back
  std::vector<std::string> added;    // streams that are new in the subscriptions
  std::vector<std::string> removed;
};

/// Reads one message, changes `subscriptions`, and says what to answer. Never fails: what is wrong is answered as Binance does.
[[nodiscard]] ControlAnswer answer_control(std::string_view message, StreamSubscriptions& subscriptions, size_t streams_max);

}  // namespace k2
