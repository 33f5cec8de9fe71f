// WriteLock: one writer at a time over all processes and all objects of one process, held over write transactions and checkpoints alike.
//
// Two flock locks make it fair: whoever wants `<path>.lock` first takes `<path>.turn`, and lets go of it when it has the lock. A writer that
// commits in a loop thus waits for its turn behind the one that waits already. A process that dies lets go of both.
// Thread rule: any thread may acquire; the holder is a thread's Held.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace k2 {

class WriteLock {
 public:
  WriteLock() = default;
  /// Opens, and makes where absent, `<path>.lock` and `<path>.turn`. Unavailable if it cannot.
  [[nodiscard]] static Result<WriteLock> open(const std::string& path);
  ~WriteLock();
  WriteLock(WriteLock&& other) noexcept;
  WriteLock& operator=(WriteLock&& other) noexcept;

  /// Lets go of the lock at the end of its life.
  class Held {
   public:
    explicit Held(int file) : file_(file) {}
    ~Held();
    Held(Held&& other) noexcept;
    Held& operator=(Held&&) = delete;

   private:
    int file_;
  };

  /// Unavailable if others kept it for `wait_us`. Not to be called again before Held is gone.
  [[nodiscard]] Result<Held> acquire(int64_t wait_us);

 private:
  std::string path_;
  int lock_file_ = -1;
  int turn_file_ = -1;
};

}  // namespace k2
