#include "app/sql_worker.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/sql_lock.h"
#include "codec/columns.h"
#include "query/format.h"
#include "query/sql_channel.h"
#include "query/sql_sandbox.h"

namespace k2 {
namespace {

using Json = nlohmann::json;

constexpr int kSocket = STDIN_FILENO;

// A question that is being computed does not look at the socket. When k2 is gone, nobody is there to end it.
void end_with_parent() {
  std::thread([] {
    pthread_setname_np(pthread_self(), "k2-sql-parent");
    pollfd socket{kSocket, POLLRDHUP, 0};
    for (;;)
      if (::poll(&socket, 1, -1) > 0 && (socket.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) ::_exit(0);
  }).detach();  // the one thread of k2 that is: it lives as long as the process
}

class Worker {
 public:
  explicit Worker(OwnedFile socket) : channel_(std::move(socket)) {}

  Status run() {
    K2_TRY(const SqlFrame first, channel_.receive());
    const Json init = Json::parse(first.payload);
    K2_TRY(const SqlLock lock,
           lock_sql_worker({.readable_dir = init.at("warehouse"), .address_space_bytes = init.at("address_space_bytes")}));
    end_with_parent();
    K2_TRY(sandbox_,
           SqlSandbox::open({.warehouse = init.at("warehouse"), .memory_limit = init.at("memory_limit"), .threads = init.at("threads")}));
    K2_RETURN_IF_ERROR(channel_.send('R', Json{{"landlock", lock.landlock_abi}}.dump()));
    for (;;) {
      K2_TRY(const SqlFrame question, channel_.receive());
      K2_RETURN_IF_ERROR(answer(Json::parse(question.payload)));
    }
  }

 private:
  Status answer(const Json& question) {
    std::vector<SqlParameter> parameters;
    for (const Json& parameter : question.at("parameters")) {
      SqlParameter& made = parameters.emplace_back();
      made.type = parameter.at("type");
      if (!parameter.at("text").is_null()) made.text = parameter.at("text");
    }
    const std::string sql = question.at("sql");
    if (question.at("op") == "describe") return describe(sql, parameters);
    auto rows = sandbox_->run(sql, parameters, [&](const std::set<std::string>& views) { return fetch(views); });
    if (!rows) return fail(rows.error());
    auto counted = with_rows_max(*std::move(rows), question.at("rows_max"));
    Status sent;
    const auto written = write(*counted, Format::kArrow, {}, [&](std::string_view bytes) { return sent = channel_.send('D', bytes); });
    if (!sent) return sent;
    if (written) return channel_.send('E', "{}");
    SqlFailure failure = sql_failure(written.error(), sql);
    if (failure.error.message.find(kTooManyRows) != std::string::npos) failure.sqlstate = "54000";
    return fail(failure);
  }

  Status describe(const std::string& sql, const std::vector<SqlParameter>& parameters) {
    const auto described = sandbox_->describe(sql, parameters);
    if (!described) return fail(described.error());
    K2_TRY(const std::string schema, schema_bytes(*described->columns));
    K2_RETURN_IF_ERROR(channel_.send('D', schema));
    return channel_.send('E', Json{{"parameter_types", described->parameter_types}}.dump());
  }

  Status fail(const SqlFailure& failure) {
    const Json payload{{"kind", static_cast<int>(failure.error.kind)},
                       {"message", failure.error.message},
                       {"sqlstate", failure.sqlstate},
                       {"position", failure.position}};
    return channel_.send('X', payload.dump(-1, ' ', false, Json::error_handler_t::replace));
  }

  Result<std::vector<TableRows>> fetch(const std::set<std::string>& views) {
    K2_RETURN_IF_ERROR(channel_.send('N', Json(views).dump()));
    std::vector<OwnedFile> files;
    SqlFrame frame;
    for (;;) {
      K2_TRY(frame, channel_.receive());
      for (OwnedFile& file : frame.files) files.push_back(std::move(file));
      if (frame.kind != 'F') break;
    }
    const Json tables = Json::parse(frame.payload);
    if (frame.kind == 'X') return make_error(static_cast<ErrorKind>(tables.at("kind").get<int>()), tables.at("message"));
    std::vector<TableRows> all;
    size_t next_file = 0;
    for (const Json& table : tables) {
      TableRows& rows = all.emplace_back();
      rows.channel = static_cast<Channel>(table.at("channel").get<int>());
      rows.files = table.at("files");
      rows.condition = table.at("condition");
      for (int64_t left = table.at("batches"); left > 0; --left) {
        if (next_file == files.size()) return make_error(ErrorKind::kCorrupt, "SQL worker: fewer files than batches");
        K2_TRY(auto batch, map_batch(files[next_file++]));
        rows.tail.push_back(std::move(batch));
      }
    }
    return all;
  }

  SqlChannel channel_;
  std::unique_ptr<SqlSandbox> sandbox_;
};

}  // namespace

int run_sql_worker() {
  try {
    const Status ended = Worker(OwnedFile(kSocket)).run();
    // The other end going away is how every worker ends.
    if (ended.error().kind == ErrorKind::kUnavailable && ended.error().message.find("has ended") != std::string::npos) ::_exit(0);
    std::fprintf(stderr, "k2 sql-worker: %s\n", ended.error().message.c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "k2 sql-worker: %s\n", error.what());
  }
  ::_exit(1);
}

}  // namespace k2
