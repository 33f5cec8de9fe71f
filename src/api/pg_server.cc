#include "api/pg_server.h"

#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <stop_token>
#include <utility>

#include "api/pg_session.h"
#include "net/stream_server.h"
#include "net/url.h"

namespace k2 {
namespace {

bool is_local(const std::string& listen) {
  const auto address = parse_host_port(listen);
  return address && is_loopback(address->first);
}

}  // namespace

struct PgServer::Impl final : PgSessions {
  Impl(Engine& engine_in, OutsideSql& sql_in, PgOptions options_in) : engine(engine_in), sql(sql_in), options(std::move(options_in)) {}

  PgKey enter(std::function<void()> cancel) override {
    const std::scoped_lock lock(mutex);
    PgKey key;
    key.process = ++last_process;
    key.secret = static_cast<int32_t>(random());
    running.emplace(key.process, Entry{key.secret, std::move(cancel)});
    return key;
  }
  void leave(const PgKey& key) override {
    const std::scoped_lock lock(mutex);
    running.erase(key.process);
  }
  void cancel(const PgKey& key) override {
    const std::scoped_lock lock(mutex);
    const auto found = running.find(key.process);
    if (found != running.end() && found->second.secret == key.secret) found->second.cancel();
  }

  struct Entry {
    int32_t secret;
    std::function<void()> cancel;
  };
  Engine& engine;
  OutsideSql& sql;
  const PgOptions options;
  std::mutex mutex;
  std::random_device random;
  int32_t last_process = 0;
  std::map<int32_t, Entry> running;
  std::unique_ptr<StreamServer> server;  // its threads end before what they use
};

PgServer::PgServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

PgServer::~PgServer() {
  {  // what runs is ended, so that its thread sees that its connection is
    const std::scoped_lock lock(impl_->mutex);
    for (auto& [process, entry] : impl_->running) entry.cancel();
  }
  impl_->server.reset();
}

Result<std::unique_ptr<PgServer>> PgServer::start(Engine& engine, OutsideSql& sql, PgOptions options) {
  if (!is_local(options.listen))
    return make_error(ErrorKind::kInvalidInput,
                      "serve.pg_listen = \"" + options.listen + "\": the PostgreSQL port asks for no password yet, so loopback only");
  StreamServerOptions server{.listen = options.listen, .connections_max = options.connections_max, .thread_name = "k2-pg"};
  auto impl = std::make_unique<Impl>(engine, sql, std::move(options));
  K2_TRY(impl->server, StreamServer::start(server, [raw = impl.get()](StreamConnection& connection) {
           PgSession(connection, raw->engine, raw->sql, *raw, raw->options.query_timeout_us).run();
         }));
  return std::unique_ptr<PgServer>(new PgServer(std::move(impl)));
}

uint16_t PgServer::port() const { return impl_->server->port(); }

}  // namespace k2
