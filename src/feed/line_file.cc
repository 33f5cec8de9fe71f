#include "feed/line_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace k2 {
namespace {

// A line of kLineBytesMax with CR LF, and then enough to read on in large pieces.
constexpr size_t kBufferBytes = LineFile::kLineBytesMax + 2 + (256 << 10);
constexpr int64_t kZipRatioFree = 1 << 20;  // a small archive of zeros harms nobody: no ratio is asked of this many bytes
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string place(const std::string& path) { return "file " + path; }

std::unexpected<Error> refuse(ErrorKind kind, const std::string& path, const std::string& why) {
  return make_error(kind, place(path) + ": " + why);
}

std::unexpected<Error> system_error(const std::string& path, const char* what, int error) {
  const ErrorKind kind = error == ENOENT || error == ENOTDIR ? ErrorKind::kNotFound : ErrorKind::kUnavailable;
  return refuse(kind, path, std::string(what) + ": " + std::strerror(error));
}

// Where the text comes from.
class Source {
 public:
  virtual ~Source() = default;
  // Up to `size` > 0 bytes into `to`; 0 at the end.
  virtual Result<size_t> read(char* to, size_t size) = 0;
  [[nodiscard]] virtual int64_t bytes_total() const = 0;
  [[nodiscard]] virtual const std::string& member_name() const {
    static const std::string none;
    return none;
  }
};

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

class PlainSource final : public Source {
 public:
  PlainSource(std::string path, int fd, int64_t bytes_total) : path_(std::move(path)), fd_(fd), bytes_total_(bytes_total) {}

  Result<size_t> read(char* to, size_t size) override {
    for (;;) {
      const ssize_t got = ::read(fd_.get(), to, size);
      if (got >= 0) return static_cast<size_t>(got);
      if (errno != EINTR) return system_error(path_, "cannot read", errno);
    }
  }
  int64_t bytes_total() const override { return bytes_total_; }

 private:
  std::string path_;
  FileDescriptor fd_;
  int64_t bytes_total_;
};

struct ZipClose {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct ZipFileClose {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};

class ZipSource final : public Source {
 public:
  static Result<std::unique_ptr<Source>> open(const std::string& path) {
    int code = 0;
    std::unique_ptr<zip_t, ZipClose> archive(zip_open(path.c_str(), ZIP_RDONLY, &code));
    if (!archive) return refuse(ErrorKind::kCorrupt, path, "begins as a zip archive but cannot be opened as one: " + zip_error_text(code));
    const zip_int64_t members = zip_get_num_entries(archive.get(), 0);
    if (members != 1) return refuse(ErrorKind::kInvalidInput, path, "the zip archive has " + std::to_string(members) + " members, not one");
    zip_stat_t stat;
    if (zip_stat_index(archive.get(), 0, 0, &stat) != 0) return refuse(ErrorKind::kCorrupt, path, zip_strerror(archive.get()));
    constexpr zip_uint64_t kWanted = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE;
    if ((stat.valid & kWanted) != kWanted || stat.size > INT64_MAX / 2)
      return refuse(ErrorKind::kCorrupt, path, "the zip member has no size");
    if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && stat.encryption_method != ZIP_EM_NONE)
      return refuse(ErrorKind::kInvalidInput, path, "the zip member is encrypted");
    if (stat.size > kZipRatioFree && stat.size / kZipRatioMax > stat.comp_size)
      return refuse(ErrorKind::kInvalidInput, path,
                    "the zip member would grow from " + std::to_string(stat.comp_size) + " to " + std::to_string(stat.size) +
                        " bytes, more than " + std::to_string(kZipRatioMax) + " times");
    std::unique_ptr<zip_file_t, ZipFileClose> member(zip_fopen_index(archive.get(), 0, 0));
    if (!member) return refuse(ErrorKind::kInvalidInput, path, std::string("cannot read the zip member: ") + zip_strerror(archive.get()));
    const char* name = zip_get_name(archive.get(), 0, ZIP_FL_ENC_RAW);
    return std::unique_ptr<Source>(
        new ZipSource(path, name == nullptr ? "" : name, std::move(archive), std::move(member), static_cast<int64_t>(stat.size)));
  }

  Result<size_t> read(char* to, size_t size) override {
    const zip_int64_t got = zip_fread(member_.get(), to, size);
    // Reading the last byte checks the CRC-32.
    if (got < 0)
      return refuse(ErrorKind::kCorrupt, path_,
                    "the zip member is damaged after " + std::to_string(bytes_read_) + " bytes: " + zip_file_strerror(member_.get()));
    bytes_read_ += got;
    if (bytes_read_ > bytes_total_)
      return refuse(ErrorKind::kCorrupt, path_, "the zip member is longer than the announced " + std::to_string(bytes_total_) + " bytes");
    if (got == 0 && bytes_read_ < bytes_total_)
      return refuse(ErrorKind::kCorrupt, path_,
                    "the zip member ends after " + std::to_string(bytes_read_) + " of " + std::to_string(bytes_total_) + " bytes");
    return static_cast<size_t>(got);
  }
  int64_t bytes_total() const override { return bytes_total_; }
  const std::string& member_name() const override { return member_name_; }

 private:
  static constexpr zip_uint64_t kZipRatioMax = static_cast<zip_uint64_t>(LineFile::kZipRatioMax);

  ZipSource(std::string path, std::string member_name, std::unique_ptr<zip_t, ZipClose> archive,
            std::unique_ptr<zip_file_t, ZipFileClose> member, int64_t bytes_total)
      : path_(std::move(path)),
        member_name_(std::move(member_name)),
        archive_(std::move(archive)),
        member_(std::move(member)),
        bytes_total_(bytes_total) {}

  static std::string zip_error_text(int code) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    std::string text = zip_error_strerror(&error);
    zip_error_fini(&error);
    return text;
  }

  std::string path_;
  std::string member_name_;
  std::unique_ptr<zip_t, ZipClose> archive_;
  std::unique_ptr<zip_file_t, ZipFileClose> member_;  // closed before its archive
  int64_t bytes_total_;
  int64_t bytes_read_ = 0;
};

// Local file header, or the end record of an archive without members (APPNOTE 4.3.7, 4.3.16).
bool begins_as_zip(std::string_view head) { return head.starts_with("PK\x03\x04") || head.starts_with("PK\x05\x06"); }

Result<std::unique_ptr<Source>> open_source(const std::string& path) {
  // O_NONBLOCK: opening a FIFO must not wait for its writer.
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return system_error(path, "cannot open", errno);
  struct stat stat;
  if (::fstat(fd.get(), &stat) != 0) return system_error(path, "cannot stat", errno);
  if (S_ISDIR(stat.st_mode)) return refuse(ErrorKind::kInvalidInput, path, "is a directory");
  if (!S_ISREG(stat.st_mode)) return refuse(ErrorKind::kInvalidInput, path, "is not a regular file");
  char head[4];
  const ssize_t got = ::pread(fd.get(), head, sizeof head, 0);
  if (got < 0) return system_error(path, "cannot read", errno);
  if (begins_as_zip({head, static_cast<size_t>(got)})) return ZipSource::open(path);
  return std::make_unique<PlainSource>(path, fd.release(), stat.st_size);
}

}  // namespace

struct LineFile::Impl {
  std::unique_ptr<Source> source;
  std::vector<char> buffer = std::vector<char>(kBufferBytes);
  size_t begin = 0;  // of what has not been given out
  size_t end = 0;    // of what has been read
  bool at_end = false;
  int64_t number = 0;
  int64_t bytes_read = 0;

  // Reads on behind what is there. The caller has seen to it that there is room: no line needs more than half the buffer.
  Status fill() {
    if (begin > 0) {
      std::memmove(buffer.data(), buffer.data() + begin, end - begin);
      end -= begin;
      begin = 0;
    }
    K2_TRY(const size_t got, source->read(buffer.data() + end, buffer.size() - end));
    if (got == 0) at_end = true;
    end += got;
    bytes_read += static_cast<int64_t>(got);
    return {};
  }

  Status skip_byte_order_mark() {
    while (!at_end && end - begin < kByteOrderMark.size()) K2_RETURN_IF_ERROR(fill());
    if (std::string_view(buffer.data() + begin, end - begin).starts_with(kByteOrderMark)) begin += kByteOrderMark.size();
    return {};
  }

  // Drops the rest of a line that was too long.
  Status skip_to_newline() {
    for (;;) {
      const void* newline = std::memchr(buffer.data() + begin, '\n', end - begin);
      if (newline != nullptr) {
        begin = static_cast<size_t>(static_cast<const char*>(newline) - buffer.data()) + 1;
        return {};
      }
      begin = end;
      if (at_end) return {};
      K2_RETURN_IF_ERROR(fill());
    }
  }

  bool rest_is_too_long = false;  // the line given out last goes on

  Result<std::optional<Line>> next() {
    if (rest_is_too_long) {
      rest_is_too_long = false;
      K2_RETURN_IF_ERROR(skip_to_newline());
    }
    if (number == 0) K2_RETURN_IF_ERROR(skip_byte_order_mark());
    size_t looked_at = 0;
    for (;;) {
      const char* const from = buffer.data() + begin;
      const void* newline = std::memchr(from + looked_at, '\n', end - begin - looked_at);
      if (newline != nullptr) {
        const auto length = static_cast<size_t>(static_cast<const char*>(newline) - from);
        begin += length + 1;
        return line(from, length);
      }
      looked_at = end - begin;
      if (looked_at > kLineBytesMax + 1) {  // with a CR the text alone would be longer than a line may be
        rest_is_too_long = true;
        begin = end;
        return line(from, looked_at);
      }
      if (at_end) {
        if (looked_at == 0) return std::nullopt;
        begin = end;
        return line(from, looked_at);
      }
      K2_RETURN_IF_ERROR(fill());
    }
  }

  Line line(const char* from, size_t length) {
    if (length > 0 && from[length - 1] == '\r' && !rest_is_too_long) --length;
    return {.text = {from, std::min(length, kLineBytesMax)}, .number = ++number, .too_long = length > kLineBytesMax};
  }
};

LineFile::LineFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LineFile::~LineFile() = default;
LineFile::LineFile(LineFile&&) noexcept = default;
LineFile& LineFile::operator=(LineFile&&) noexcept = default;

Result<LineFile> LineFile::open(const std::string& path) {
  K2_TRY(auto source, open_source(path));
  auto impl = std::make_unique<Impl>();
  impl->source = std::move(source);
  return LineFile(std::move(impl));
}

Result<std::optional<LineFile::Line>> LineFile::next() { return impl_->next(); }
const std::string& LineFile::member_name() const { return impl_->source->member_name(); }
int64_t LineFile::bytes_read() const { return impl_->bytes_read; }
int64_t LineFile::bytes_total() const { return impl_->source->bytes_total(); }

}  // namespace k2
