#include "app/sql_workers.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <list>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "base/logging.h"
#include "base/metrics.h"
#include "query/sql_channel.h"

namespace k2 {
namespace {

using Json = nlohmann::json;

constexpr int64_t kOverheadBytes = int64_t{1} << 30;  // address space that programs, stacks and arenas take without using memory

enum class KillReason { kNone, kTimeout, kStopped };

/// A worker process. Killed and reaped with it.
class Process {
 public:
  Process(pid_t pid, OwnedFile socket) : channel(std::move(socket)), pid_(pid) {}
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    kill();
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  /// It is not reaped before the destructor, so the number stays its own.
  void kill() const { ::kill(pid_, SIGKILL); }
  [[nodiscard]] int64_t resident_bytes() const {
    std::ifstream in("/proc/" + std::to_string(pid_) + "/statm");
    int64_t total = 0, resident = 0;
    in >> total >> resident;
    return resident * ::sysconf(_SC_PAGESIZE);
  }

  SqlChannel channel;

 private:
  const pid_t pid_;
};

Result<std::unique_ptr<Process>> spawn(const std::string& executable) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return make_error(ErrorKind::kUnavailable, std::string("SQL worker: no socket pair: ") + std::strerror(errno));
  OwnedFile ours(ends[0]), theirs(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);  // Ctrl-C is for k2
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  // Nothing of our environment: it may hold secrets.
  std::vector<std::string> environment{"TZ=UTC", "MALLOC_ARENA_MAX=4"};
  if (const char* path = std::getenv("LD_LIBRARY_PATH"); path != nullptr) environment.push_back("LD_LIBRARY_PATH=" + std::string(path));
  std::vector<char*> variables;
  for (std::string& variable : environment) variables.push_back(variable.data());
  variables.push_back(nullptr);
  std::string name = "k2", command = "sql-worker";
  char* const arguments[] = {name.data(), command.data(), nullptr};
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, executable.c_str(), &actions, &attributes, arguments, variables.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return make_error(ErrorKind::kUnavailable, "SQL worker: cannot start " + executable + ": " + std::strerror(failed));
  return std::make_unique<Process>(pid, std::move(ours));
}

/// Batches of the log as memory files, kept while the newest question still reads them.
class TailShare {
 public:
  using Files = std::vector<std::shared_ptr<OwnedFile>>;

  Result<Files> share(const TableRows& rows) {
    const std::scoped_lock lock(mutex_);
    auto& kept = by_channel_[static_cast<size_t>(rows.channel)];
    std::map<const arrow::RecordBatch*, Entry> wanted;
    Files files;
    for (const auto& batch : rows.tail) {
      const auto found = kept.find(batch.get());
      Entry entry = found == kept.end() ? Entry{batch, nullptr} : found->second;
      if (!entry.file) {
        K2_TRY(OwnedFile file, share_batch(*batch));
        entry.file = std::make_shared<OwnedFile>(std::move(file));
      }
      files.push_back(entry.file);
      wanted.emplace(batch.get(), std::move(entry));
    }
    kept = std::move(wanted);
    return files;
  }

 private:
  struct Entry {
    std::shared_ptr<arrow::RecordBatch> batch;  // keeps its address from being used again
    std::shared_ptr<OwnedFile> file;
  };
  std::mutex mutex_;
  std::array<std::map<const arrow::RecordBatch*, Entry>, std::size(kChannels)> by_channel_;
};

}  // namespace

struct SqlWorkers::Impl {
  /// A worker while it has a question.
  struct Active {
    std::unique_ptr<Process> process;
    std::atomic<KillReason> killed = KillReason::kNone;
    int64_t deadline_ns = 0;
    int64_t timeout_us = 0;
  };

  /// One question's hold of a worker: back to the others with done(), killed otherwise.
  class Lease {
   public:
    Lease(Impl& impl, std::list<Active>::iterator active, const std::stop_token& stop) : impl_(impl), active_(active) {
      on_stop_.emplace(stop, [this] { impl_.kill(active_, KillReason::kStopped); });
    }
    ~Lease() {
      on_stop_.reset();
      impl_.release(active_, is_done_);
    }
    [[nodiscard]] SqlChannel& channel() { return active_->process->channel; }
    void done() { is_done_ = true; }

    /// What a broken channel means.
    [[nodiscard]] SqlFailure explain(const Error& error) const {
      const KillReason reason = active_->killed.load();
      if (reason == KillReason::kTimeout)
        return {{ErrorKind::kCancelled, "SQL: over its time limit of " + std::to_string(active_->timeout_us / 1000) + " ms"}, "57014", 0};
      if (reason == KillReason::kStopped) return {{ErrorKind::kCancelled, "SQL: cancelled"}, "57014", 0};
      if (error.kind != ErrorKind::kUnavailable) return sql_failure(error);
      count("worker_died");
      log_warning("sql_worker_died", {{"error", error.message}});
      return {{ErrorKind::kUnavailable, "SQL: its worker died; it may have needed more memory than is allowed"}, "53200", 0};
    }

   private:
    Impl& impl_;
    std::list<Active>::iterator active_;
    std::optional<std::stop_callback<std::function<void()>>> on_stop_;
    bool is_done_ = false;
  };

  class Rows;

  Impl(Engine& engine_in, SqlWorkersOptions options_in) : engine(engine_in), options(std::move(options_in)) {
    watch = std::jthread([this](const std::stop_token& stop) {
      pthread_setname_np(pthread_self(), "k2-sql-watch");
      watch_deadlines(stop);
    });
  }
  ~Impl() {
    watch.request_stop();
    watch.join();
    K2_ASSERT(active.empty());
  }

  static void count(std::string_view outcome) {
    metrics()
        .counter("k2_query_sql_total", "Questions of SQL from outside, by what became of them.", {{"outcome", std::string(outcome)}})
        .add(1);
  }

  SqlResult<std::unique_ptr<Lease>> acquire(const QueryLimits& limits);
  Status begin(SqlChannel& channel) const;
  void release(std::list<Active>::iterator one, bool is_done);
  void kill(std::list<Active>::iterator one, KillReason reason) {
    const std::scoped_lock lock(mutex);
    kill_locked(*one, reason);
  }
  /// Questions that have a place. One that was killed has none any more, however long its asker holds on to it (an open portal).
  size_t taken_places() const {
    return static_cast<size_t>(std::ranges::count_if(active, [](const Active& one) { return one.killed.load() == KillReason::kNone; }));
  }
  void kill_locked(Active& one, KillReason reason) {
    KillReason none = KillReason::kNone;
    if (!one.killed.compare_exchange_strong(none, reason)) return;
    if (one.process) one.process->kill();
    changed.notify_all();  // Its place is free, though whoever asked may not have let go of it.
  }
  void watch_deadlines(const std::stop_token& stop);
  Status give_rows(SqlChannel& channel, const Json& views, const Cut& cut);
  SqlResult<SqlFrame> ask(Lease& lease, const SqlRequest& request, std::string_view op);

  Engine& engine;
  const SqlWorkersOptions options;
  TailShare tail_share;
  std::mutex mutex;
  std::condition_variable_any changed;
  std::list<Active> active;  // iterators stay valid
  std::vector<std::unique_ptr<Process>> idle;
  int waiting = 0;
  int64_t begun = 0;  // questions: a new one may have the nearest deadline
  std::jthread watch;
};

SqlResult<std::unique_ptr<SqlWorkers::Impl::Lease>> SqlWorkers::Impl::acquire(const QueryLimits& limits) {
  const int64_t timeout_us = limits.timeout_us > 0 ? std::min(limits.timeout_us, options.timeout_us) : options.timeout_us;
  const int64_t deadline_ns = system_clock().monotonic_ns() + timeout_us * 1000;
  std::list<Active>::iterator one;
  {
    std::unique_lock lock(mutex);
    if (taken_places() >= static_cast<size_t>(options.workers) && waiting >= options.queue_max) {
      count("refused");
      return SqlFailure::make(ErrorKind::kUnavailable, "53300",
                              "SQL: all workers are busy and " + std::to_string(waiting) + " questions wait: try again");
    }
    ++waiting;
    const bool has_room = changed.wait_for(lock, limits.stop, std::chrono::microseconds(timeout_us),
                                           [this] { return taken_places() < static_cast<size_t>(options.workers); });
    --waiting;
    if (!has_room) {
      if (limits.stop.stop_requested()) return SqlFailure::make(ErrorKind::kCancelled, "57014", "SQL: cancelled");
      count("refused");
      return SqlFailure::make(ErrorKind::kUnavailable, "53300", "SQL: no worker became free in time: try again");
    }
    one = active.emplace(active.end());
    ++begun;
    one->timeout_us = timeout_us;
    one->deadline_ns = deadline_ns;
    if (!idle.empty()) {
      one->process = std::move(idle.back());
      idle.pop_back();
    }
  }
  changed.notify_all();
  if (!one->process) {
    auto process = spawn(options.executable);
    if (!process) {
      release(one, false);
      return std::unexpected(sql_failure(std::move(process).error()));
    }
    const std::scoped_lock lock(mutex);
    one->process = *std::move(process);
    if (one->killed.load() != KillReason::kNone) one->process->kill();
  } else {
    return std::make_unique<Lease>(*this, one, limits.stop);
  }
  auto lease = std::make_unique<Lease>(*this, one, limits.stop);
  if (Status begun = begin(lease->channel()); !begun) return std::unexpected(lease->explain(begun.error()));
  return lease;
}

Status SqlWorkers::Impl::begin(SqlChannel& channel) const {
  const Json init{{"warehouse", options.warehouse},
                  {"threads", options.threads},
                  {"memory_limit", std::to_string(options.memory_bytes / 2 / (1 << 20)) + "MiB"},
                  {"address_space_bytes", options.memory_bytes + kOverheadBytes}};
  K2_RETURN_IF_ERROR(channel.send('I', init.dump()));
  K2_TRY(const SqlFrame ready, channel.receive());
  if (ready.kind != 'R') return make_error(ErrorKind::kCorrupt, "SQL worker: not ready");
  const int landlock = Json::parse(ready.payload).value("landlock", 0);
  static std::once_flag said;
  std::call_once(said, [&] {
    if (landlock > 0) log_info("sql_worker_locked", {{"landlock_abi", landlock}, {"seccomp", true}});
    else
      log_warning("sql_worker_locked", {{"landlock_abi", 0},
                                        {"seccomp", true},
                                        {"note", "this kernel has no Landlock: files are kept by DuckDB's lock and seccomp alone"}});
  });
  return {};
}

void SqlWorkers::Impl::release(std::list<Active>::iterator one, bool is_done) {
  std::unique_ptr<Process> process;
  {
    const std::scoped_lock lock(mutex);
    process = std::move(one->process);
    const bool is_whole = is_done && one->killed.load() == KillReason::kNone && process;
    active.erase(one);
    if (is_whole && process->resident_bytes() < options.memory_bytes / 4) idle.push_back(std::move(process));
  }
  process.reset();  // killed and reaped before its place is taken: memory is bounded by the number of places
  changed.notify_all();
}

void SqlWorkers::Impl::watch_deadlines(const std::stop_token& stop) {
  std::unique_lock lock(mutex);
  while (!stop.stop_requested()) {
    const int64_t now_ns = system_clock().monotonic_ns();
    int64_t next_ns = now_ns + 1'000'000'000;  // a deadline that is killed stays in the list until its question is let go of
    for (Active& one : active) {
      if (one.deadline_ns <= now_ns) kill_locked(one, KillReason::kTimeout);
      else next_ns = std::min(next_ns, one.deadline_ns);
    }
    changed.wait_for(lock, stop, std::chrono::nanoseconds(next_ns - now_ns), [&, seen = begun] { return begun != seen; });
  }
}

Status SqlWorkers::Impl::give_rows(SqlChannel& channel, const Json& views, const Cut& cut) {
  Json tables = Json::array();
  TailShare::Files files;
  for (const Channel one : kChannels) {
    if (std::find(views.begin(), views.end(), Json(channel_name(one))) == views.end()) continue;
    K2_TRY(const TableRows rows, engine.rows_of(one, cut));
    K2_TRY(const auto shared, tail_share.share(rows));
    files.insert(files.end(), shared.begin(), shared.end());
    tables.push_back(
        {{"channel", static_cast<int>(one)}, {"files", rows.files}, {"condition", rows.condition}, {"batches", shared.size()}});
  }
  for (size_t i = 0; i < files.size(); i += SqlChannel::kFilesMax) {
    std::vector<int> some;
    for (size_t j = i; j < std::min(files.size(), i + SqlChannel::kFilesMax); ++j) some.push_back(files[j]->get());
    K2_RETURN_IF_ERROR(channel.send('F', "", some));
  }
  return channel.send('T', tables.dump());
}

/// Puts the question; gives the first frame of the answer that is not about rows.
SqlResult<SqlFrame> SqlWorkers::Impl::ask(Lease& lease, const SqlRequest& request, std::string_view op) {
  Json question{{"op", op}, {"sql", request.text}, {"rows_max", options.rows_max}, {"parameters", Json::array()}};
  for (const SqlParameter& parameter : request.parameters)
    question["parameters"].push_back({{"type", parameter.type}, {"text", parameter.text ? Json(*parameter.text) : Json()}});
  std::string payload;
  try {
    payload = question.dump();
  } catch (const Json::exception&) {
    lease.done();
    return SqlFailure::make(ErrorKind::kInvalidInput, "22021", "SQL: not UTF-8");
  }
  if (Status sent = lease.channel().send('Q', payload); !sent) return std::unexpected(lease.explain(sent.error()));
  for (;;) {
    auto frame = lease.channel().receive();
    if (!frame) return std::unexpected(lease.explain(frame.error()));
    if (frame->kind == 'N') {
      const Status given = give_rows(lease.channel(), Json::parse(frame->payload), request.cut);
      if (given) continue;
      return std::unexpected(sql_failure(given.error()));  // the worker waits for rows that do not come: it is killed
    }
    if (frame->kind != 'X') return *std::move(frame);
    lease.done();
    const Json why = Json::parse(frame->payload);
    return std::unexpected(
        SqlFailure{{static_cast<ErrorKind>(why.at("kind").get<int>()), why.at("message")}, why.at("sqlstate"), why.at("position")});
  }
}

class SqlWorkers::Impl::Rows final : public SqlRows {
 public:
  Rows(std::unique_ptr<Lease> lease, SqlFrame first) : lease_(std::move(lease)), pending_(std::move(first)) {}
  Status open() {
    auto rows = read_ipc_stream([this] { return next_bytes(); });
    if (!rows) return std::unexpected(rows.error());
    rows_ = *std::move(rows);
    return {};
  }
  [[nodiscard]] const std::shared_ptr<arrow::Schema>& schema() const override { return rows_->schema(); }
  Result<std::shared_ptr<arrow::RecordBatch>> next() override {
    auto batch = rows_->next();
    if (!batch && !failure_) failure_ = sql_failure(batch.error());
    if (batch && *batch) return batch;
    if (batch && !is_ended_) {  // the stream is whole; the worker's last word makes the answer whole
      const auto rest = next_bytes();
      if (!rest) return std::unexpected(rest.error());
    }
    if (batch) lease_.reset();
    return batch;
  }
  [[nodiscard]] const std::optional<SqlFailure>& failure() const override { return failure_; }

 private:
  Result<std::string> next_bytes() {
    if (pending_) return std::exchange(pending_, std::nullopt)->payload;
    if (is_ended_) return std::string();
    auto frame = lease_->channel().receive();
    if (!frame) return fail(lease_->explain(frame.error()));
    if (frame->kind == 'D') return std::move(frame->payload);
    is_ended_ = true;
    lease_->done();
    if (frame->kind == 'E') return std::string();
    const Json why = Json::parse(frame->payload);
    return fail({{static_cast<ErrorKind>(why.at("kind").get<int>()), why.at("message")}, why.at("sqlstate"), why.at("position")});
  }
  std::unexpected<Error> fail(SqlFailure failure) {
    failure_ = std::move(failure);
    return std::unexpected(failure_->error);
  }

  std::unique_ptr<Lease> lease_;
  std::optional<SqlFrame> pending_;
  bool is_ended_ = false;
  std::optional<SqlFailure> failure_;
  std::unique_ptr<QueryResult> rows_;
};

SqlWorkers::SqlWorkers(Engine& engine, SqlWorkersOptions options) : impl_(std::make_unique<Impl>(engine, std::move(options))) {}
SqlWorkers::~SqlWorkers() = default;

SqlResult<std::unique_ptr<SqlRows>> SqlWorkers::run(const SqlRequest& request) {
  auto lease = impl_->acquire(request.limits);
  if (!lease) return std::unexpected(std::move(lease).error());
  auto first = impl_->ask(**lease, request, "run");
  if (!first) {
    Impl::count(first.error().sqlstate == "57014" ? "ended" : "failed");
    return std::unexpected(std::move(first).error());
  }
  auto rows = std::make_unique<Impl::Rows>(*std::move(lease), *std::move(first));
  if (Status opened = rows->open(); !opened)
    return std::unexpected(rows->failure() ? *rows->failure() : sql_failure(std::move(opened).error()));
  Impl::count("answered");
  return rows;
}

SqlResult<SqlDescription> SqlWorkers::describe(const SqlRequest& request) {
  auto lease = impl_->acquire(request.limits);
  if (!lease) return std::unexpected(std::move(lease).error());
  auto schema_frame = impl_->ask(**lease, request, "describe");
  if (!schema_frame) return std::unexpected(std::move(schema_frame).error());
  auto end = (*lease)->channel().receive();
  if (!end) return std::unexpected((*lease)->explain(end.error()));
  (*lease)->done();
  auto schema = schema_of_bytes(schema_frame->payload);
  if (!schema) return std::unexpected(sql_failure(std::move(schema).error()));
  return SqlDescription{*std::move(schema), Json::parse(end->payload).at("parameter_types")};
}

}  // namespace k2
