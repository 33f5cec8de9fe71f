#include "exchange/sim.h"

#include <algorithm>
#include <fstream>

#include "exchange/sim_impl.h"
#include "net/self_signed.h"

namespace k2 {

namespace {

Status check(const SimOptions& options) {
  const auto bad = [](const std::string& why) { return make_error(ErrorKind::kInvalidInput, "simulated exchange: " + why); };
  if (options.speed < 0 || options.play_rate < 0 || options.trades_max < 0) return bad("speed, play rate and trades must not be negative");
  if (options.play_file.empty() && (options.symbols.empty() || options.trades_per_second <= 0))
    return bad("a random market needs symbols and a rate above 0");
  if (!options.play_file.empty() && options.play_symbol.empty()) return bad("a played file needs a symbol");
  return {};
}

}  // namespace

// The certificate that the exchange shows, and those that it shows where a fault asks for it. Clients are to trust the first and the one for
// another host: what then refuses the latter is its name alone.
Status SimExchange::Impl::make_identities() {
  identity = options.identity;
  if (identity.empty()) {
    K2_TRY(identity, make_self_signed());
  }
  K2_TRY(TlsIdentity wrong_host, make_self_signed({"elsewhere.example"}));
  K2_TRY(TlsIdentity wrong_authority, make_self_signed());
  ca_pem = identity.certificate_pem + wrong_host.certificate_pem;
  wrong_identities = {std::move(wrong_host), std::move(wrong_authority)};
  return {};
}

SimExchange::SimExchange(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<SimExchange>> SimExchange::start(const SimOptions& options) {
  K2_RETURN_IF_ERROR(check(options));
  auto impl = std::make_unique<Impl>(options);
  K2_RETURN_IF_ERROR(impl->make_books());
  if (options.tls) K2_RETURN_IF_ERROR(impl->make_identities());
  if (!options.ca_file.empty()) {
    std::ofstream file(options.ca_file, std::ios::trunc);
    file << impl->ca_pem;
    if (!file.flush()) return make_error(ErrorKind::kUnavailable, "simulated exchange: cannot write its authority to " + options.ca_file);
  }
  const int64_t now_us = options.clock->monotonic_us();
  for (const FaultRule& rule : options.faults) impl->faults.add(rule, now_us);
  HttpServerOptions http;
  http.listen = options.listen;
  http.tls = impl->identity;
  http.other_tls = impl->wrong_identities;
  http.admit = [raw = impl.get()] { return raw->admit(); };
  http.io_threads = options.io_threads;
  http.worker_threads = 1;
  K2_TRY(impl->server, HttpServer::start(http, *impl));
  impl->thread = std::jthread([raw = impl.get()](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "k2-sim");
    raw->run(stop);
  });
  return std::unique_ptr<SimExchange>(new SimExchange(std::move(impl)));
}

SimExchange::~SimExchange() { stop(); }

void SimExchange::stop() {
  if (!impl_->thread.joinable()) return;
  impl_->thread.request_stop();
  impl_->thread.join();
  impl_->server->stop(1'000'000);
}

uint16_t SimExchange::port() const { return impl_->server->port(); }
std::string SimExchange::rest_url() const { return impl_->server->url(); }
std::string SimExchange::ws_url() const { return "ws" + impl_->server->url().substr(4); }
const std::string& SimExchange::ca_pem() const { return impl_->ca_pem; }

SimCounts SimExchange::counts() const {
  const std::lock_guard lock(impl_->mutex);
  SimCounts counts = impl_->counts;
  for (const FaultInfo& info : fault_table()) counts.faults[std::string(info.name)] = impl_->faults.fired(info.kind);
  return counts;
}

Result<std::vector<SimTrade>> SimExchange::trades(std::string_view symbol) const {
  const std::lock_guard lock(impl_->mutex);
  const auto book = impl_->books.find(symbol);
  if (book == impl_->books.end()) return make_error(ErrorKind::kNotFound, "simulated exchange: no symbol \"" + std::string(symbol) + "\"");
  return book->second.ledger.all();
}

bool SimExchange::is_finished() const {
  const std::lock_guard lock(impl_->mutex);
  return std::all_of(impl_->books.begin(), impl_->books.end(), [](const auto& entry) { return entry.second.is_finished; });
}

size_t SimExchange::cut_connections() {
  const std::lock_guard lock(impl_->mutex);
  for (const auto& client : impl_->clients) client->session->abort();
  return impl_->clients.size();
}

size_t SimExchange::close_connections(uint16_t code, std::string_view reason) {
  const std::lock_guard lock(impl_->mutex);
  for (const auto& client : impl_->clients) client->session->close(code, reason);
  return impl_->clients.size();
}

void SimExchange::add_fault(const FaultRule& rule) {
  const std::lock_guard lock(impl_->mutex);
  impl_->faults.add(rule, impl_->options.clock->monotonic_us());
}

void SimExchange::pause() {
  const std::lock_guard lock(impl_->mutex);
  impl_->is_paused = true;
}

void SimExchange::resume() {
  const std::lock_guard lock(impl_->mutex);
  impl_->is_paused = false;
  impl_->changed.notify_all();
}

}  // namespace k2
