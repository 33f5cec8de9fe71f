#include "app/stop_signal.h"

#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <mutex>

namespace k2 {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

void watch(const std::stop_token& ended, std::stop_source& source) {
  pthread_setname_np(pthread_self(), "k2-signal");
  const sigset_t set = stop_signals();
  const timespec interval{.tv_sec = 0, .tv_nsec = 50'000'000};
  while (!ended.stop_requested()) {
    const int signal = sigtimedwait(&set, nullptr, &interval);
    if (signal <= 0) continue;
    if (!source.request_stop()) _exit(128 + signal);  // the second one: whoever sent it does not want to wait
    if (isatty(STDERR_FILENO) != 0) std::fputs("\nk2: stopping; once more to end at once\n", stderr);
  }
}

}  // namespace

StopSignal::StopSignal() {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::jthread([this](const std::stop_token& ended) { watch(ended, source_); });
}

StopSignal::~StopSignal() = default;

bool StopSignal::wait(int64_t timeout_us) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  const auto never = [] { return false; };
  if (timeout_us < 0) changed.wait(lock, source_.get_token(), never);
  else changed.wait_for(lock, source_.get_token(), std::chrono::microseconds(timeout_us), never);
  return source_.stop_requested();
}

}  // namespace k2
