#include "app/sql_lock.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

namespace k2 {
namespace {

std::unexpected<Error> cannot(std::string_view what) {
  return make_error(ErrorKind::kUnavailable, "SQL worker: cannot " + std::string(what) + ": " + std::strerror(errno));
}

Status set_limits(const SqlLockOptions& options) {
  const auto limit = [](__rlimit_resource resource, rlim_t value) {
    const rlimit both{value, value};
    return ::setrlimit(resource, &both) == 0;
  };
  if (!limit(RLIMIT_CORE, 0)) return cannot("switch core dumps off");
  if (!limit(RLIMIT_NOFILE, 1024)) return cannot("limit open files");
  if (options.address_space_bytes > 0 && !limit(RLIMIT_AS, static_cast<rlim_t>(options.address_space_bytes))) return cannot("limit memory");
  return {};
}

// --- Landlock: kernel documentation, userspace-api/landlock ---------------------------------------------------------

constexpr uint64_t kAllFileAccess = (1ULL << 13) - 1;  // ABI 1: execute, write, read, read directories, remove and make all kinds of files

Result<int> set_landlock(const SqlLockOptions& options) {
  const auto abi = static_cast<int>(::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION));
  if (abi < 1) return 0;
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = kAllFileAccess;
  const auto rules = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0));
  if (rules < 0) return cannot("make Landlock rules");
  bool is_set = true;
  for (const std::string& path : {options.readable_dir, std::string("/proc/self"), std::string("/proc/meminfo"),
                                  std::string("/sys/fs/cgroup"), std::string("/sys/devices/system/cpu"), std::string("/dev/urandom")}) {
    landlock_path_beneath_attr beneath{};
    beneath.parent_fd = ::open(path.c_str(), O_PATH | O_CLOEXEC);
    if (beneath.parent_fd < 0) {
      if (path == options.readable_dir) return cannot("open " + path);
      continue;
    }
    struct stat about{};
    is_set &= ::fstat(beneath.parent_fd, &about) == 0;
    beneath.allowed_access =
        S_ISDIR(about.st_mode) ? LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR : LANDLOCK_ACCESS_FS_READ_FILE;
    is_set &= ::syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0;
    ::close(beneath.parent_fd);
  }
  is_set = is_set && ::syscall(SYS_landlock_restrict_self, rules, 0) == 0;
  ::close(rules);
  if (!is_set) return cannot("enforce Landlock rules");
  return abi;
}

// --- seccomp: a program over seccomp_data, see seccomp(2) -----------------------------------------------------------

class Filter {
 public:
  Filter() {
    load(offsetof(seccomp_data, arch));
    skip_unless_equal(AUDIT_ARCH_X86_64, 1);  // an equal one jumps over the refusal
    program_.back() = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    give(SECCOMP_RET_KILL_PROCESS);
    load(offsetof(seccomp_data, nr));
    program_.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1));  // the x32 numbers mean the same calls
    give(SECCOMP_RET_KILL_PROCESS);
  }
  void refuse(int call, int error) {
    skip_unless_equal(static_cast<uint32_t>(call), 1);
    give(SECCOMP_RET_ERRNO | static_cast<uint32_t>(error));
  }
  /// Refused where any of `bits` is set in the low half of that argument.
  void refuse_with_bits(int call, int argument, uint32_t bits, int error) {
    skip_unless_equal(static_cast<uint32_t>(call), 4);
    load(argument_at(argument));
    program_.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1));
    give(SECCOMP_RET_ERRNO | static_cast<uint32_t>(error));
    give(SECCOMP_RET_ALLOW);
  }
  /// Refused where all of `bits` are clear in the low half of that argument.
  void refuse_without_bits(int call, int argument, uint32_t bits, int error) {
    skip_unless_equal(static_cast<uint32_t>(call), 4);
    load(argument_at(argument));
    program_.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 1, 0));
    give(SECCOMP_RET_ERRNO | static_cast<uint32_t>(error));
    give(SECCOMP_RET_ALLOW);
  }
  Status install() {
    give(SECCOMP_RET_ALLOW);
    const sock_fprog program{static_cast<unsigned short>(program_.size()), program_.data()};
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return cannot("set the seccomp filter");
    return {};
  }

 private:
  static uint32_t argument_at(int argument) {
    return static_cast<uint32_t>(offsetof(seccomp_data, args) + 8 * static_cast<size_t>(argument));  // little endian: the low half
  }
  void load(size_t offset) { program_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset))); }
  void give(uint32_t what) { program_.push_back(BPF_STMT(BPF_RET | BPF_K, what)); }
  void skip_unless_equal(uint32_t value, uint8_t count) { program_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count)); }

  std::vector<sock_filter> program_;
};

Status set_seccomp() {
  Filter filter;
  for (const int call : {SYS_execve,
                         SYS_execveat,
                         SYS_fork,
                         SYS_vfork,
                         SYS_socket,
                         SYS_socketpair,
                         SYS_connect,
                         SYS_bind,
                         SYS_listen,
                         SYS_accept,
                         SYS_accept4,
                         SYS_ptrace,
                         SYS_process_vm_readv,
                         SYS_process_vm_writev,
                         SYS_pidfd_open,
                         SYS_pidfd_getfd,
                         SYS_kill,
                         SYS_tkill,
                         SYS_creat,
                         SYS_unlink,
                         SYS_unlinkat,
                         SYS_rename,
                         SYS_renameat,
                         SYS_renameat2,
                         SYS_mkdir,
                         SYS_mkdirat,
                         SYS_rmdir,
                         SYS_link,
                         SYS_linkat,
                         SYS_symlink,
                         SYS_symlinkat,
                         SYS_mknod,
                         SYS_mknodat,
                         SYS_truncate,
                         SYS_ftruncate,
                         SYS_chmod,
                         SYS_fchmod,
                         SYS_fchmodat,
                         SYS_chown,
                         SYS_fchown,
                         SYS_lchown,
                         SYS_fchownat,
                         SYS_mount,
                         SYS_umount2,
                         SYS_chroot,
                         SYS_pivot_root,
                         SYS_unshare,
                         SYS_setns,
                         SYS_bpf,
                         SYS_perf_event_open,
                         SYS_userfaultfd,
                         SYS_keyctl,
                         SYS_add_key,
                         SYS_request_key,
                         SYS_setrlimit,
                         SYS_memfd_create,
                         SYS_inotify_init1,
                         SYS_fanotify_init,
                         SYS_open_by_handle_at,
                         SYS_setxattr,
                         SYS_lsetxattr,
                         SYS_fsetxattr,
                         SYS_utimensat,
                         SYS_kexec_load,
                         SYS_init_module,
                         SYS_finit_module,
                         SYS_reboot})
    filter.refuse(call, EPERM);
  for (const int call : {SYS_io_uring_setup, SYS_openat2, SYS_clone3}) filter.refuse(call, ENOSYS);  // glibc then takes the older call
  constexpr uint32_t kWriting = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND;
  filter.refuse_with_bits(SYS_open, 1, kWriting, EACCES);
  filter.refuse_with_bits(SYS_openat, 2, kWriting, EACCES);
  filter.refuse_without_bits(SYS_clone, 0, CLONE_THREAD, EPERM);
  return filter.install();
}

}  // namespace

Result<SqlLock> lock_sql_worker(const SqlLockOptions& options) {
  SqlLock lock;
  K2_RETURN_IF_ERROR(set_limits(options));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return cannot("give up new privileges");
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return cannot("hide from debuggers");
  K2_TRY(lock.landlock_abi, set_landlock(options));
  K2_RETURN_IF_ERROR(set_seccomp());
  return lock;
}

}  // namespace k2
