// SourceLocks: which sources a process feeds, for the other processes of the same data directory to see.
//
// One byte of a lock file for each source, held as an open file description lock (fcntl, F_OFD_SETLK): it goes when the object does, and when
// the process dies, however it dies. Two processes may feed one source: each trade is stored once all the same; the lock says that the other is there.
// Thread rule: one thread at a time.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace k2 {

class SourceLocks {
 public:
  SourceLocks() = default;
  /// Makes `path` where absent. Unavailable if it cannot.
  [[nodiscard]] static Result<SourceLocks> open(const std::string& path);
  ~SourceLocks();
  SourceLocks(SourceLocks&& other) noexcept;
  SourceLocks& operator=(SourceLocks&& other) noexcept;

  /// True if this object holds the source's lock, now or already; false while another does, or where there is no file.
  [[nodiscard]] bool try_hold(std::string_view source);

 private:
  int file_ = -1;
};

}  // namespace k2
