// SqlChannel: frames between k2 and its SQL workers, over a socket pair, and rows in memory that both sides see.
//
//   frame: length of the payload (4 bytes, little endian), kind (1 byte), payload; open files may come along with it (SCM_RIGHTS)
//
//   k2 -> worker   I {"warehouse":...}            what it may use and read; first, once
//                  Q {"op":"run","sql":...}       a question; the worker has at most one
//                  F (files)                      memory files with batches of the log, in the order in which T counts them
//                  T {"trades":{"files":[...]}}   where the rows are of what N asked for
//   worker -> k2   R {...}                        ready, and how it is locked
//                  N ["trades"]                   these views are needed
//                  D bytes                        of an Arrow IPC stream
//                  E {}                           the answer is complete (of "describe": with what it is)
//                  X {"kind":...}                 it failed
//
// Internal to one version of k2: both sides are the same program.
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "query/outside_sql.h"

namespace k2 {

/// An open file of this process, closed with it.
class OwnedFile {
 public:
  OwnedFile() = default;
  explicit OwnedFile(int fd) : fd_(fd) {}
  OwnedFile(OwnedFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFile& operator=(OwnedFile&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~OwnedFile();
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_ = -1;
};

struct SqlFrame {
  char kind = 0;
  std::string payload;
  std::vector<OwnedFile> files;
};

class SqlChannel {
 public:
  explicit SqlChannel(OwnedFile socket) : socket_(std::move(socket)) {}

  /// Unavailable: the other side is gone. At most kFilesMax files.
  [[nodiscard]] Status send(char kind, std::string_view payload, std::span<const int> files = {});
  /// Waits for the next frame. Unavailable: the other side is gone; Corrupt: a frame that is too long.
  [[nodiscard]] Result<SqlFrame> receive();

  static constexpr size_t kFilesMax = 200;
  static constexpr size_t kPayloadBytesMax = 64 << 20;

 private:
  OwnedFile socket_;
};

/// A batch as a memory file that can no longer be changed. Unavailable: no memory.
[[nodiscard]] Result<OwnedFile> share_batch(const arrow::RecordBatch& batch);
/// The batch of such a file, without copying it; the mapping lives as long as the batch does.
[[nodiscard]] Result<std::shared_ptr<arrow::RecordBatch>> map_batch(const OwnedFile& file);

/// What is in the D frames of an answer, as rows. `next_bytes` gives a frame's payload, "" at the end.
[[nodiscard]] Result<std::unique_ptr<QueryResult>> read_ipc_stream(std::function<Result<std::string>()> next_bytes);

/// A schema without rows as Arrow IPC bytes, and back.
[[nodiscard]] Result<std::string> schema_bytes(const arrow::Schema& schema);
[[nodiscard]] Result<std::shared_ptr<arrow::Schema>> schema_of_bytes(std::string_view bytes);

/// `result`, failing as InvalidInput with kTooManyRows in its message as soon as it has more rows than `rows_max`.
[[nodiscard]] std::unique_ptr<QueryResult> with_rows_max(std::unique_ptr<QueryResult> result, int64_t rows_max);
inline constexpr std::string_view kTooManyRows = "more rows than";

}  // namespace k2
