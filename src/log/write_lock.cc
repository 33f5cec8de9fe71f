#include "log/write_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace k2 {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

// The pause grows while waiting for somebody who holds the lock for long; it bounds the latency of a hand-over.
constexpr std::chrono::microseconds kPauseMin{50};
constexpr std::chrono::microseconds kPauseMax{2000};

Result<int> open_lock_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) return make_error(ErrorKind::kUnavailable, "open lock file " + path + ": " + std::strerror(errno));
  return file;
}

/// flock has no wait with a limit, so this asks again and again. False: the deadline passed.
bool lock_until(int file, Deadline deadline) {
  auto pause = kPauseMin;
  while (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return false;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause + pause / 4, kPauseMax);
  }
  return true;
}

void unlock(int file) { ::flock(file, LOCK_UN); }

}  // namespace

Result<WriteLock> WriteLock::open(const std::string& path) {
  WriteLock lock;
  lock.path_ = path;
  K2_TRY(lock.lock_file_, open_lock_file(path + ".lock"));
  K2_TRY(lock.turn_file_, open_lock_file(path + ".turn"));
  return lock;
}

WriteLock::~WriteLock() {
  if (lock_file_ >= 0) ::close(lock_file_);
  if (turn_file_ >= 0) ::close(turn_file_);
}

WriteLock::WriteLock(WriteLock&& other) noexcept
    : path_(std::move(other.path_)), lock_file_(std::exchange(other.lock_file_, -1)), turn_file_(std::exchange(other.turn_file_, -1)) {}

WriteLock& WriteLock::operator=(WriteLock&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_file_, other.lock_file_);
  std::swap(turn_file_, other.turn_file_);
  return *this;
}

WriteLock::Held::~Held() {
  if (file_ >= 0) unlock(file_);
}

WriteLock::Held::Held(Held&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

Result<WriteLock::Held> WriteLock::acquire(int64_t wait_us) {
  const Deadline deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(wait_us);
  const auto unavailable = [&] {
    return make_error(ErrorKind::kUnavailable,
                      "lock " + path_ + " for writing: another writer kept it for " + std::to_string(wait_us) + " us");
  };
  if (!lock_until(turn_file_, deadline)) return unavailable();
  const bool locked = lock_until(lock_file_, deadline);
  unlock(turn_file_);
  if (!locked) return unavailable();
  return Held(lock_file_);
}

}  // namespace k2
