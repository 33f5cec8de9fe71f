#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "store/store.h"

namespace k2 {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> failed(std::string_view what, const std::string& path, int error, ErrorKind kind = ErrorKind::kUnavailable) {
  return make_error(kind, "local store: cannot " + std::string(what) + " " + path + ": " + std::strerror(error));
}

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

Status sync_directory(const std::string& directory) {
  const File file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.get() < 0) return failed("open directory", directory, errno);
  if (::fsync(file.get()) != 0) return failed("sync directory", directory, errno, ErrorKind::kUnknownOutcome);
  return {};
}

// Makes `directory` and its ancestors; each new name is synced into its parent.
Status make_directories(const std::string& directory) {
  std::error_code error;
  if (fs::is_directory(directory, error)) return {};
  const std::string parent = fs::path(directory).parent_path().string();
  if (!parent.empty() && parent != directory) K2_RETURN_IF_ERROR(make_directories(parent));
  if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST) return failed("make directory", directory, errno);
  return sync_directory(parent);
}

Status write_all(int descriptor, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("write", path, errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

class LocalStore final : public Store {
 public:
  // Written under a name of its own, synced, then linked to its real name: a crash leaves the whole object or none.
  Status put_if_absent(const std::string& path, std::string_view bytes) override {
    static std::atomic<uint64_t> counter{0};
    const std::string directory = fs::path(path).parent_path().string();
    K2_RETURN_IF_ERROR(make_directories(directory));
    const std::string temporary = path + ".part-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
    if (const Status written = write_synced(temporary, bytes); !written) {
      ::unlink(temporary.c_str());
      return written;
    }
    const int linked = ::link(temporary.c_str(), path.c_str()) == 0 ? 0 : errno;
    ::unlink(temporary.c_str());
    if (linked == EEXIST) return is_same(path, bytes);
    if (linked != 0) return failed("name", path, linked);
    return sync_directory(directory);
  }

  Result<std::string> get(const std::string& path) override {
    const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) return failed("open", path, errno, errno == ENOENT ? ErrorKind::kNotFound : ErrorKind::kUnavailable);
    struct stat info{};
    if (::fstat(file.get(), &info) != 0) return failed("look at", path, errno);
    if (!S_ISREG(info.st_mode)) return failed("read", path, EISDIR);
    std::string bytes(static_cast<size_t>(info.st_size), '\0');
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t got = ::read(file.get(), bytes.data() + done, bytes.size() - done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failed("read", path, errno);
      if (got == 0) return make_error(ErrorKind::kCorrupt, "local store: " + path + " shrank while it was read");
      done += static_cast<size_t>(got);
    }
    return bytes;
  }

  Result<int64_t> size(const std::string& path) override {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0)
      return failed("look at", path, errno, errno == ENOENT ? ErrorKind::kNotFound : ErrorKind::kUnavailable);
    return static_cast<int64_t>(info.st_size);
  }

  Result<std::vector<std::string>> list(const std::string& directory) override {
    std::vector<std::string> paths;
    std::error_code error;
    if (!fs::exists(directory, error) && !error) return paths;
    fs::recursive_directory_iterator entry(directory, error);
    for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error))
      if (entry->is_regular_file(error)) paths.push_back(entry->path().string());
    if (error) return make_error(ErrorKind::kUnavailable, "local store: cannot list " + directory + ": " + error.message());
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  Status remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return failed("remove", path, errno, errno == ENOENT ? ErrorKind::kNotFound : ErrorKind::kUnavailable);
    return {};
  }

 private:
  static Status write_synced(const std::string& path, std::string_view bytes) {
    const File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (file.get() < 0) return failed("create", path, errno);
    K2_RETURN_IF_ERROR(write_all(file.get(), bytes, path));
    // After a failed fsync the page cache can't be trusted: the temporary is thrown away, never synced again.
    if (::fsync(file.get()) != 0) return failed("sync", path, errno);
    return {};
  }

  Status is_same(const std::string& path, std::string_view bytes) {
    K2_TRY(const std::string there, get(path));
    if (there != bytes) return make_error(ErrorKind::kConflict, "local store: " + path + " is there already, with other bytes");
    return sync_directory(fs::path(path).parent_path().string());
  }
};

}  // namespace

std::unique_ptr<Store> make_local_store() { return std::make_unique<LocalStore>(); }

std::string path_to_uri(std::string_view path) { return "file://" + std::string(path); }

Result<std::string> uri_to_path(std::string_view uri) {
  std::string_view path = uri;
  if (path.starts_with("file://")) path.remove_prefix(7);
  else if (path.starts_with("file:")) path.remove_prefix(5);
  if (!path.starts_with('/'))
    return make_error(ErrorKind::kInvalidInput, "location: want file:///path or an absolute path, not \"" + std::string(uri) + "\"");
  return std::string(path);
}

}  // namespace k2
