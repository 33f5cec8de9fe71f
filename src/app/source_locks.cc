#include "app/source_locks.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/sha256.h"

namespace k2 {

Result<SourceLocks> SourceLocks::open(const std::string& path) {
  SourceLocks locks;
  locks.file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (locks.file_ < 0) return make_error(ErrorKind::kUnavailable, path + ": " + std::strerror(errno));
  return locks;
}

SourceLocks::~SourceLocks() {
  if (file_ >= 0) ::close(file_);
}

SourceLocks::SourceLocks(SourceLocks&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

SourceLocks& SourceLocks::operator=(SourceLocks&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

bool SourceLocks::try_hold(std::string_view source) {
  if (file_ < 0) return false;
  struct flock byte{};
  byte.l_type = F_WRLCK;
  byte.l_whence = SEEK_SET;
  byte.l_start =
      static_cast<off_t>(load_big_endian<uint64_t>(sha256(source).data()) >> 2);  // a byte of its own, in a file that stays empty
  byte.l_len = 1;
  return ::fcntl(file_, F_OFD_SETLK, &byte) == 0;
}

}  // namespace k2
