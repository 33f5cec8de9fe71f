#include "query/sql_channel.h"

#include <arrow/api.h>
#include <arrow/buffer.h>
#include <arrow/io/api.h>
#include <arrow/ipc/api.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace k2 {
namespace {

constexpr size_t kHeadBytes = 5;

std::unexpected<Error> broken(std::string_view what) {
  return make_error(ErrorKind::kUnavailable, "SQL worker: " + std::string(what) + ": " + std::strerror(errno));
}

std::unexpected<Error> of_arrow(const arrow::Status& status) {
  return make_error(ErrorKind::kUnavailable, "SQL worker: " + status.ToString());
}

Status send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return broken("cannot send");
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return {};
}

// The mapping of a memory file.
class MappedBuffer final : public arrow::Buffer {
 public:
  MappedBuffer(const uint8_t* bytes, int64_t size) : arrow::Buffer(bytes, size) {}
  ~MappedBuffer() override { ::munmap(const_cast<uint8_t*>(data()), static_cast<size_t>(size())); }
};

// Bytes of frames as one stream.
class FrameStream final : public arrow::io::InputStream {
 public:
  FrameStream(std::function<Result<std::string>()> next_bytes, std::shared_ptr<std::optional<Error>> failed)
      : next_bytes_(std::move(next_bytes)), failed_(std::move(failed)) {}
  arrow::Status Close() override {
    is_closed_ = true;
    return arrow::Status::OK();
  }
  [[nodiscard]] bool closed() const override { return is_closed_; }
  [[nodiscard]] arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Result<int64_t> Read(int64_t count, void* out) override {
    int64_t done = 0;
    while (done < count) {
      if (taken_ == pending_.size()) {
        auto bytes = next_bytes_();
        if (!bytes) {
          *failed_ = std::move(bytes).error();
          return arrow::Status::IOError("the worker failed");
        }
        pending_ = *std::move(bytes);
        taken_ = 0;
        if (pending_.empty()) break;
      }
      const size_t part = std::min(static_cast<size_t>(count - done), pending_.size() - taken_);
      std::memcpy(static_cast<char*>(out) + done, pending_.data() + taken_, part);
      taken_ += part;
      done += static_cast<int64_t>(part);
    }
    position_ += done;
    return done;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t count) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(count));
    ARROW_ASSIGN_OR_RAISE(const int64_t done, Read(count, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(done));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }

 private:
  std::function<Result<std::string>()> next_bytes_;
  std::shared_ptr<std::optional<Error>> failed_;
  std::string pending_;
  size_t taken_ = 0;
  int64_t position_ = 0;
  bool is_closed_ = false;
};

class IpcResult final : public QueryResult {
 public:
  IpcResult(std::shared_ptr<arrow::ipc::RecordBatchStreamReader> reader, std::shared_ptr<std::optional<Error>> failed)
      : reader_(std::move(reader)), schema_(reader_->schema()), failed_(std::move(failed)) {}
  [[nodiscard]] const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  Result<std::shared_ptr<arrow::RecordBatch>> next() override {
    std::shared_ptr<arrow::RecordBatch> batch;
    do {
      const arrow::Status read = reader_->ReadNext(&batch);
      if (*failed_) return std::unexpected(**failed_);
      if (!read.ok()) return of_arrow(read);
    } while (batch && batch->num_rows() == 0);
    return batch;
  }

 private:
  std::shared_ptr<arrow::ipc::RecordBatchStreamReader> reader_;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<std::optional<Error>> failed_;
};

class CountedResult final : public QueryResult {
 public:
  CountedResult(std::unique_ptr<QueryResult> rows, int64_t rows_max) : rows_(std::move(rows)), rows_max_(rows_max), left_(rows_max) {}
  [[nodiscard]] const std::shared_ptr<arrow::Schema>& schema() const override { return rows_->schema(); }
  Result<std::shared_ptr<arrow::RecordBatch>> next() override {
    K2_TRY(auto batch, rows_->next());
    if (batch) left_ -= batch->num_rows();
    if (left_ < 0)
      return make_error(ErrorKind::kInvalidInput, "SQL: " + std::string(kTooManyRows) + " the " + std::to_string(rows_max_) +
                                                      " that are allowed; LIMIT, or a narrower WHERE");
    return batch;
  }

 private:
  std::unique_ptr<QueryResult> rows_;
  const int64_t rows_max_;
  int64_t left_;
};

}  // namespace

OwnedFile::~OwnedFile() {
  if (fd_ >= 0) ::close(fd_);
}

Status SqlChannel::send(char kind, std::string_view payload, std::span<const int> files) {
  K2_ASSERT(files.size() <= kFilesMax && payload.size() <= kPayloadBytesMax);
  char head[kHeadBytes];
  const auto length = static_cast<uint32_t>(payload.size());
  std::memcpy(head, &length, sizeof length);
  head[4] = kind;
  if (files.empty()) {
    K2_RETURN_IF_ERROR(send_all(socket_.get(), {head, sizeof head}));
    return send_all(socket_.get(), payload);
  }
  std::vector<char> control(CMSG_SPACE(files.size_bytes()));
  iovec part{head, sizeof head};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* carried = CMSG_FIRSTHDR(&message);
  carried->cmsg_level = SOL_SOCKET;
  carried->cmsg_type = SCM_RIGHTS;
  carried->cmsg_len = CMSG_LEN(files.size_bytes());
  std::memcpy(CMSG_DATA(carried), files.data(), files.size_bytes());
  ssize_t sent;
  do sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent <= 0) return broken("cannot send files");
  K2_RETURN_IF_ERROR(send_all(socket_.get(), std::string_view(head, sizeof head).substr(static_cast<size_t>(sent))));
  return send_all(socket_.get(), payload);
}

Result<SqlFrame> SqlChannel::receive() {
  SqlFrame frame;
  char head[kHeadBytes];
  alignas(cmsghdr) char control[CMSG_SPACE(kFilesMax * sizeof(int))];
  const auto read_into = [&](char* out, size_t size) -> Status {
    while (size > 0) {
      iovec part{out, size};
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      const ssize_t count = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
      if (count < 0 && errno == EINTR) continue;
      if (count == 0) return make_error(ErrorKind::kUnavailable, "SQL worker: the other side has ended");
      if (count < 0) return broken("cannot receive");
      for (cmsghdr* carried = CMSG_FIRSTHDR(&message); carried != nullptr; carried = CMSG_NXTHDR(&message, carried)) {
        if (carried->cmsg_level != SOL_SOCKET || carried->cmsg_type != SCM_RIGHTS) continue;
        const size_t files = (carried->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < files; ++i) {
          int fd;
          std::memcpy(&fd, CMSG_DATA(carried) + i * sizeof fd, sizeof fd);
          frame.files.emplace_back(fd);
        }
      }
      out += count;
      size -= static_cast<size_t>(count);
    }
    return {};
  };
  K2_RETURN_IF_ERROR(read_into(head, sizeof head));
  uint32_t length;
  std::memcpy(&length, head, sizeof length);
  frame.kind = head[4];
  if (length > kPayloadBytesMax) return make_error(ErrorKind::kCorrupt, "SQL worker: a frame of " + std::to_string(length) + " bytes");
  frame.payload.resize(length);
  K2_RETURN_IF_ERROR(read_into(frame.payload.data(), length));
  return frame;
}

Result<OwnedFile> share_batch(const arrow::RecordBatch& batch) {
  OwnedFile file(::memfd_create("k2-tail", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (file.get() < 0) return broken("no memory file");
  // Arrow's stream closes the file it is given.
  auto out = arrow::io::FileOutputStream::Open(::dup(file.get()));
  if (!out.ok()) return of_arrow(out.status());
  auto writer = arrow::ipc::MakeStreamWriter(*out, batch.schema());
  if (!writer.ok()) return of_arrow(writer.status());
  for (const arrow::Status& step : {(*writer)->WriteRecordBatch(batch), (*writer)->Close(), (*out)->Close()})
    if (!step.ok()) return of_arrow(step);
  if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) return broken("cannot seal");
  return file;
}

Result<std::shared_ptr<arrow::RecordBatch>> map_batch(const OwnedFile& file) {
  struct stat about{};
  if (::fstat(file.get(), &about) != 0 || about.st_size <= 0) return broken("memory file");
  void* bytes = ::mmap(nullptr, static_cast<size_t>(about.st_size), PROT_READ, MAP_SHARED, file.get(), 0);
  if (bytes == MAP_FAILED) return broken("cannot map");
  auto buffer = std::make_shared<MappedBuffer>(static_cast<const uint8_t*>(bytes), about.st_size);
  auto reader = arrow::ipc::RecordBatchStreamReader::Open(std::make_shared<arrow::io::BufferReader>(std::move(buffer)));
  if (!reader.ok()) return of_arrow(reader.status());
  std::shared_ptr<arrow::RecordBatch> batch;
  if (const arrow::Status read = (*reader)->ReadNext(&batch); !read.ok()) return of_arrow(read);
  if (!batch) return make_error(ErrorKind::kCorrupt, "SQL worker: a memory file without rows");
  return batch;
}

Result<std::unique_ptr<QueryResult>> read_ipc_stream(std::function<Result<std::string>()> next_bytes) {
  auto failed = std::make_shared<std::optional<Error>>();
  auto reader = arrow::ipc::RecordBatchStreamReader::Open(std::make_shared<FrameStream>(std::move(next_bytes), failed));
  if (*failed) return std::unexpected(**failed);
  if (!reader.ok()) return of_arrow(reader.status());
  return std::make_unique<IpcResult>(*std::move(reader), std::move(failed));
}

Result<std::string> schema_bytes(const arrow::Schema& schema) {
  auto buffer = arrow::ipc::SerializeSchema(schema);
  if (!buffer.ok()) return of_arrow(buffer.status());
  return (*buffer)->ToString();
}

Result<std::shared_ptr<arrow::Schema>> schema_of_bytes(std::string_view bytes) {
  arrow::io::BufferReader reader(std::make_shared<arrow::Buffer>(bytes));
  auto schema = arrow::ipc::ReadSchema(&reader, nullptr);
  if (!schema.ok()) return of_arrow(schema.status());
  return *std::move(schema);
}

std::unique_ptr<QueryResult> with_rows_max(std::unique_ptr<QueryResult> result, int64_t rows_max) {
  return std::make_unique<CountedResult>(std::move(result), rows_max);
}

}  // namespace k2
