// For tests: a SQLite VFS over the system's that fails, or loses power, at the n-th operation, and remembers what was synced.
//
// The files themselves hold what a running process sees (the page cache). Beside each is kept what the disk has: the writes that a
// successful sync covered. Thread rule: one test at a time; connections may be on any thread.
#pragma once

#include <sqlite3.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace k2::fault_vfs {

enum class Fault {
  kNone,
  kPowerCut,      // operation n and everything after it fails; survive() then says what the disk kept
  kIoError,       // operation n (write, truncate, sync, delete) fails once
  kIoErrors,      // operation n and the next four fail
  kSyncError,     // sync number n fails once and, as Linux does, counts the writes as done that it did not do
  kReadError,     // read number n fails once
  kDiskFull,      // from operation n on writes fail, until four did
  kDiskStaysFull  // from operation n on all writes fail
};

/// What is left of the writes that no sync covered: after a power cut nothing or some, after the death of a process everything.
enum class Survives { kNothing, kEverything, kSomeSectors };

struct Write {
  size_t offset;
  std::string bytes;
  bool truncate = false;  // to `offset`
};

struct FileState {
  std::string durable;
  std::vector<Write> pending;
};

struct State {
  std::mutex mutex;
  Fault fault = Fault::kNone;
  int64_t at = 0;        // the operation to fail
  int64_t count = 0;     // operations so far
  int64_t failed = 0;
  bool dead = false;
  std::map<std::string, FileState> files;
};

inline State& state() {
  static State the_state;
  return the_state;
}

inline void apply(std::string& content, const Write& write) {
  if (write.truncate) return content.resize(write.offset);
  if (content.size() < write.offset + write.bytes.size()) content.resize(write.offset + write.bytes.size());
  content.replace(write.offset, write.bytes.size(), write.bytes);
}

enum class Operation { kRead, kWrite, kSync, kOther };

/// SQLITE_OK, or the error that this operation is to give.
inline int next_operation(Operation operation) {
  State& s = state();
  if (s.dead) return SQLITE_IOERR;
  const bool counts = s.fault == Fault::kReadError   ? operation == Operation::kRead
                      : s.fault == Fault::kSyncError ? operation == Operation::kSync
                                                     : operation != Operation::kRead;
  if (s.fault == Fault::kNone || !counts) return SQLITE_OK;
  ++s.count;
  if (s.count < s.at) return SQLITE_OK;
  const bool first = s.count == s.at;
  switch (s.fault) {
    case Fault::kPowerCut:
      s.dead = true;
      ++s.failed;
      return SQLITE_IOERR;
    case Fault::kIoError:
      if (first) ++s.failed;
      return first ? (operation == Operation::kSync ? SQLITE_IOERR_FSYNC : SQLITE_IOERR_WRITE) : SQLITE_OK;
    case Fault::kIoErrors:
      if (s.count < s.at + 5) ++s.failed;
      return s.count < s.at + 5 ? SQLITE_IOERR_WRITE : SQLITE_OK;
    case Fault::kSyncError:
      if (first) ++s.failed;
      return first ? SQLITE_IOERR_FSYNC : SQLITE_OK;
    case Fault::kReadError:
      if (first) ++s.failed;
      return first ? SQLITE_IOERR_READ : SQLITE_OK;
    case Fault::kDiskFull:
    case Fault::kDiskStaysFull:
      if (operation != Operation::kWrite || (s.fault == Fault::kDiskFull && s.failed == 4)) return SQLITE_OK;
      ++s.failed;
      return SQLITE_FULL;
    case Fault::kNone: break;
  }
  return SQLITE_OK;
}

struct File {
  sqlite3_file base;
  sqlite3_file* real;
  FileState* kept;  // null for files that are not the database or its journals
};

inline sqlite3_file* real_of(sqlite3_file* file) { return reinterpret_cast<File*>(file)->real; }
inline FileState* kept_of(sqlite3_file* file) { return reinterpret_cast<File*>(file)->kept; }

inline int x_close(sqlite3_file* file) {
  const int code = real_of(file)->pMethods->xClose(real_of(file));
  sqlite3_free(real_of(file));
  return code;
}
inline int x_read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
  const std::lock_guard lock(state().mutex);
  if (const int code = next_operation(Operation::kRead)) return code;
  return real_of(file)->pMethods->xRead(real_of(file), out, size, offset);
}
inline int x_write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
  const std::lock_guard lock(state().mutex);
  const bool was_dead = state().dead;
  const int code = next_operation(Operation::kWrite);
  // A write that is cut short leaves its first half.
  const int done = code == SQLITE_OK ? size : was_dead ? 0 : size / 2;
  if (done > 0) {
    if (FileState* kept = kept_of(file))
      kept->pending.push_back({static_cast<size_t>(offset), std::string(static_cast<const char*>(bytes), static_cast<size_t>(done))});
    if (const int real_code = real_of(file)->pMethods->xWrite(real_of(file), bytes, done, offset)) return real_code;
  }
  return code;
}
inline int x_truncate(sqlite3_file* file, sqlite3_int64 size) {
  const std::lock_guard lock(state().mutex);
  if (const int code = next_operation(Operation::kOther)) return code;
  if (FileState* kept = kept_of(file)) kept->pending.push_back({static_cast<size_t>(size), {}, true});
  return real_of(file)->pMethods->xTruncate(real_of(file), size);
}
inline int x_sync(sqlite3_file* file, int) {
  const std::lock_guard lock(state().mutex);
  const int code = next_operation(Operation::kSync);
  FileState* kept = kept_of(file);
  if (kept == nullptr || state().dead) return code;
  if (code == SQLITE_OK)
    for (const Write& write : kept->pending) apply(kept->durable, write);
  if (code == SQLITE_OK || state().fault == Fault::kSyncError) kept->pending.clear();
  return code;
}
inline int x_file_size(sqlite3_file* file, sqlite3_int64* size) { return real_of(file)->pMethods->xFileSize(real_of(file), size); }
inline int x_lock(sqlite3_file* file, int level) { return real_of(file)->pMethods->xLock(real_of(file), level); }
inline int x_unlock(sqlite3_file* file, int level) { return real_of(file)->pMethods->xUnlock(real_of(file), level); }
inline int x_reserved(sqlite3_file* file, int* out) { return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out); }
inline int x_control(sqlite3_file* file, int op, void* argument) {
  return real_of(file)->pMethods->xFileControl(real_of(file), op, argument);
}
inline int x_sector(sqlite3_file* file) { return real_of(file)->pMethods->xSectorSize(real_of(file)); }
inline int x_device(sqlite3_file* file) { return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file)); }
inline int x_shm_map(sqlite3_file* file, int page, int size, int extend, void volatile** out) {
  return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}
inline int x_shm_lock(sqlite3_file* file, int offset, int n, int flags) {
  return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}
inline void x_shm_barrier(sqlite3_file* file) { real_of(file)->pMethods->xShmBarrier(real_of(file)); }
inline int x_shm_unmap(sqlite3_file* file, int remove) { return real_of(file)->pMethods->xShmUnmap(real_of(file), remove); }

inline const sqlite3_io_methods kMethods = {2,          x_close,       x_read,      x_write,   x_truncate, x_sync,   x_file_size,
                                            x_lock,     x_unlock,      x_reserved,  x_control, x_sector,   x_device, x_shm_map,
                                            x_shm_lock, x_shm_barrier, x_shm_unmap, nullptr,   nullptr};

inline sqlite3_vfs* real_vfs() { return sqlite3_vfs_find("unix"); }

inline int x_open(sqlite3_vfs*, const char* name, sqlite3_file* out, int flags, int* out_flags) {
  auto* file = reinterpret_cast<File*>(out);
  file->base.pMethods = nullptr;
  file->real = static_cast<sqlite3_file*>(sqlite3_malloc(real_vfs()->szOsFile));
  std::memset(file->real, 0, static_cast<size_t>(real_vfs()->szOsFile));
  const int code = real_vfs()->xOpen(real_vfs(), name, file->real, flags, out_flags);
  if (code != SQLITE_OK) {
    sqlite3_free(file->real);
    return code;
  }
  const std::lock_guard lock(state().mutex);
  file->kept = name == nullptr ? nullptr : &state().files[name];
  file->base.pMethods = &kMethods;
  return SQLITE_OK;
}
inline int x_delete(sqlite3_vfs*, const char* name, int sync_directory) {
  const std::lock_guard lock(state().mutex);
  if (const int code = next_operation(Operation::kOther)) return code;
  state().files[name] = {};
  return real_vfs()->xDelete(real_vfs(), name, sync_directory);
}

/// The name to open databases with. Registers the VFS at its first call.
inline const char* name() {
  static sqlite3_vfs vfs = *real_vfs();
  static const int registered = [] {
    vfs.zName = "k2-fault";
    vfs.szOsFile = sizeof(File);
    vfs.pNext = nullptr;
    vfs.xOpen = x_open;
    vfs.xDelete = x_delete;
    return sqlite3_vfs_register(&vfs, 0);
  }();
  return registered == SQLITE_OK ? vfs.zName : nullptr;
}

/// From now on, on files that were closed before: the n-th operation fails.
inline void arm(Fault fault, int64_t at) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.fault = fault;
  s.at = at;
  s.count = s.failed = 0;
  s.dead = false;
  s.files.clear();
}

/// No fault from here on; tells how many operations failed.
inline int64_t disarm() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.fault = Fault::kNone;
  s.dead = false;
  return s.failed;
}

/// The power comes back: puts the files, all closed, into the state that the disk has.
inline void survive(Survives survives, uint32_t seed = 0) {
  std::mt19937 random(seed);
  for (auto& [path, file] : state().files) {
    std::filesystem::remove(path + "-shm");
    if (survives == Survives::kEverything || !std::filesystem::exists(path)) continue;
    std::string content = file.durable;
    for (const Write& write : file.pending) {
      if (survives != Survives::kSomeSectors || write.truncate) continue;
      constexpr size_t kSector = 512;
      for (size_t at = 0; at < write.bytes.size(); at += kSector)
        if (random() % 2 == 0) apply(content, {write.offset + at, write.bytes.substr(at, kSector)});
    }
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
  }
  state().files.clear();
}

}  // namespace k2::fault_vfs
