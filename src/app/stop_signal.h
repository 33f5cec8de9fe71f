// StopSignal: SIGINT and SIGTERM as a stop token. The first one asks for a clean end, the second ends the process at once.
//
// Make it before any other thread: it blocks both signals in the calling thread, and threads inherit that.
// Thread rule: one per process; its own thread is "k2-signal".
#pragma once

#include <stop_token>
#include <thread>

namespace k2 {

class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }
  /// As if the first signal had come.
  void request_stop() { source_.request_stop(); }
  /// Returns when a stop was asked for, or after `timeout_us` (negative: no limit). True: asked for.
  bool wait(int64_t timeout_us);

 private:
  std::stop_source source_;
  std::jthread thread_;
};

}  // namespace k2
