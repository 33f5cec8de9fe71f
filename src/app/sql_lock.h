// SqlLock: what a SQL worker gives up before it sees its first statement.
//
// Thread rule: once, at the start, while the process has one thread; it holds for all threads and for good.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace k2 {

struct SqlLockOptions {
  std::string
      readable_dir;  // all that may be opened, and that for reading only, beside what the process may know of itself and its machine
  int64_t address_space_bytes = 0;  // RLIMIT_AS: an allocation beyond it fails
};

/// Which locks took hold.
struct SqlLock {
  int landlock_abi = 0;  // 0: this kernel has none; the seccomp filter refuses opening for writing in any case
};

/// No core dump, few open files, no more memory than allowed; files by Landlock; by seccomp no new process, program, socket, no file opened for
/// writing, made, renamed or removed, no other process looked at. Unavailable: a limit or the seccomp filter cannot be set: then there is no worker.
[[nodiscard]] Result<SqlLock> lock_sql_worker(const SqlLockOptions& options);

}  // namespace k2
