#include "exchange/sim.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "base/assert.h"
#include "base/logging.h"
#include "exchange/control.h"
#include "exchange/frames.h"
#include "exchange/ledger.h"
#include "exchange/market.h"
#include "exchange/rest.h"
#include "net/http_server.h"
#include "net/self_signed.h"

namespace k2 {

namespace {

int64_t monotonic_us() { return system_clock().monotonic_ns() / 1000; }

std::string lowercase(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

Status check(const SimOptions& options) {
  const auto bad = [](const std::string& why) { return make_error(ErrorKind::kInvalidInput, "simulated exchange: " + why); };
  if (options.speed < 0 || options.play_rate < 0 || options.trades_max < 0) return bad("speed, play rate and trades must not be negative");
  if (options.play_file.empty() && (options.symbols.empty() || options.trades_per_second <= 0))
    return bad("a random market needs symbols and a rate above 0");
  if (!options.play_file.empty() && options.play_symbol.empty()) return bad("a played file needs a symbol");
  return {};
}

}  // namespace

struct SimExchange::Impl final : HttpHandler {
  class Client;

  /// One symbol: its market, how far it is, what happened.
  struct Book {
    std::string symbol;
    std::unique_ptr<Market> market;
    Ledger ledger;
    std::optional<MarketStep> pending;  // the trade that comes next
    double due_us = 0;                  // monotonic
    bool is_started = false;
    bool is_finished = false;
  };

  enum class Channel { kTrade, kAggTrade, kBookTicker };

  explicit Impl(const SimOptions& o) : options(o) {}

  HttpPolicy policy(std::string_view, std::string_view) override { return {.body_bytes_max = 0, .inline_handler = true}; }
  HttpReply handle(HttpRequest request) override;
  HttpReply open_stream(const HttpRequest& request);
  HttpReply rest(const HttpRequest& request);

  Status make_books();
  void run(const std::stop_token& stop);
  size_t step_all(int64_t now_us);
  void happen(Book& book, int64_t now_us);
  void send_to_subscribers(const Book& book, const SimTrade& trade, Channel channel, std::string_view name);
  bool clients_have_room() const;
  void start_book_of(std::string_view stream, int64_t now_us);
  void subscribe(const std::shared_ptr<Client>& client, const std::vector<std::string>& streams);
  void unsubscribe(const std::shared_ptr<Client>& client, const std::vector<std::string>& streams);
  std::vector<std::shared_ptr<WsSession>> sessions_now() const;

  SimOptions options;
  TlsIdentity identity;
  std::string ca_pem;

  mutable std::mutex mutex;  // of all below
  std::condition_variable_any changed;
  std::map<std::string, Book, std::less<>> books;                                           // by symbol
  std::map<std::string, std::vector<std::shared_ptr<Client>>, std::less<>> subscribers;     // by stream
  std::vector<std::shared_ptr<Client>> clients;                                             // open
  bool is_paused = false;
  SimCounts counts;
  int64_t weight_minute = 0;
  int64_t weight_used = 0;

  std::unique_ptr<HttpServer> server;
  std::jthread thread;
};

/// A WebSocket client. Its subscriptions are under the exchange's lock.
class SimExchange::Impl::Client final : public WsSessionHandler, public std::enable_shared_from_this<Client> {
 public:
  Client(Impl& exchange, StreamSubscriptions subscriptions, TimeUnit unit)
      : unit(unit), exchange_(exchange), wanted_(std::move(subscriptions)) {}

  void on_open(std::shared_ptr<WsSession> opened) override {
    const std::lock_guard lock(exchange_.mutex);
    session = std::move(opened);
    combined = wanted_.combined;
    exchange_.clients.push_back(shared_from_this());
    ++exchange_.counts.connections;
    ++exchange_.counts.connections_open;
    exchange_.subscribe(shared_from_this(), wanted_.streams);
  }

  void on_message(std::string_view bytes, bool) override {
    if (is_flooding()) return;
    const std::lock_guard lock(exchange_.mutex);
    const ControlAnswer answer = answer_control(bytes, wanted_, exchange_.options.streams_max);
    combined = wanted_.combined;
    exchange_.unsubscribe(shared_from_this(), answer.removed);
    session->send_text(answer.text);  // before the first frame of what was subscribed to
    exchange_.subscribe(shared_from_this(), answer.added);
  }

  void on_pong(std::string_view) override { (void)is_flooding(); }

  void on_close(uint16_t, std::string_view) override {
    const std::lock_guard lock(exchange_.mutex);
    exchange_.unsubscribe(shared_from_this(), wanted_.streams);
    std::erase(exchange_.clients, shared_from_this());
    --exchange_.counts.connections_open;
    session = nullptr;
  }

  const TimeUnit unit;
  bool combined = false;
  std::shared_ptr<WsSession> session;

 private:
  // Counts a message; closes the connection where there are too many in a second (web-socket-streams.md, "Websocket Limits").
  bool is_flooding() {
    const int limit = exchange_.options.messages_per_second_max;
    if (limit <= 0) return false;
    const int64_t second = monotonic_us() / kUsPerSecond;
    messages_in_second_ = second == second_ ? messages_in_second_ + 1 : 1;
    second_ = second;
    if (messages_in_second_ <= limit) return false;
    session->close(1008, "Too many requests");
    return true;
  }

  Impl& exchange_;
  StreamSubscriptions wanted_;
  int64_t second_ = 0;
  int messages_in_second_ = 0;
};

// --- the market -------------------------------------------------------------------------------------------------------

Status SimExchange::Impl::make_books() {
  const auto add = [&](const std::string& symbol, std::unique_ptr<Market> market) {
    Book book{symbol, std::move(market), Ledger(options.ledger_trades_max), {}, 0, false, false};
    book.pending = book.market->next();
    books.emplace(symbol, std::move(book));
  };
  if (!options.play_file.empty()) {
    K2_TRY(auto market, make_played_market({options.play_file, options.loop, options.play_rate, options.trades_max}));
    add(options.play_symbol, std::move(market));
    return {};
  }
  const TimestampUs start = options.start_time.us != 0 ? options.start_time : system_clock().now();
  for (const std::string& symbol : options.symbols)
    add(symbol, make_random_market({symbol, options.seed, options.trades_per_second / static_cast<double>(options.symbols.size()), start,
                                    options.trades_max}));
  return {};
}

void SimExchange::Impl::start_book_of(std::string_view stream, int64_t now_us) {
  const std::string_view symbol = stream.substr(0, stream.find('@'));
  for (auto& [name, book] : books) {
    if (book.is_started || lowercase(name) != symbol) continue;
    book.is_started = true;
    book.due_us = static_cast<double>(now_us);
    changed.notify_all();
  }
}

void SimExchange::Impl::subscribe(const std::shared_ptr<Client>& client, const std::vector<std::string>& streams) {
  const int64_t now_us = monotonic_us();
  for (const std::string& stream : streams) {
    subscribers[stream].push_back(client);
    start_book_of(stream, now_us);
  }
}

void SimExchange::Impl::unsubscribe(const std::shared_ptr<Client>& client, const std::vector<std::string>& streams) {
  for (const std::string& stream : streams) {
    const auto found = subscribers.find(stream);
    if (found == subscribers.end()) continue;
    std::erase(found->second, client);
    if (found->second.empty()) subscribers.erase(found);
  }
}

void SimExchange::Impl::send_to_subscribers(const Book& book, const SimTrade& trade, Channel channel, std::string_view name) {
  const std::string stream = lowercase(book.symbol) + std::string(name);
  const auto found = subscribers.find(stream);
  if (found == subscribers.end()) return;
  const TimestampUs event_time = options.event_time_is_now ? system_clock().now() : trade.time;
  std::string frames[2][2];  // by unit and wrapping; made when first needed
  for (const std::shared_ptr<Client>& client : found->second) {
    const bool is_us = client->unit == TimeUnit::kMicroseconds;
    std::string& data = frames[is_us][0];
    if (data.empty()) {
      if (channel == Channel::kTrade) append_trade_frame(data, book.symbol, trade, event_time, client->unit, options.old_frames);
      else if (channel == Channel::kAggTrade) append_agg_trade_frame(data, book.symbol, trade, event_time, client->unit);
      else append_book_ticker_frame(data, book.symbol, trade);
    }
    std::string& wrapped = frames[is_us][1];
    if (client->combined && wrapped.empty()) append_combined(wrapped, stream, data);
    const bool was_closed = client->session->is_closed();
    if (client->session->send_text(client->combined ? wrapped : data)) ++counts.frames;
    else if (!was_closed) ++counts.disconnected_slow;
  }
}

// The pending trade happens: in the ledger first, then to whom it concerns.
void SimExchange::Impl::happen(Book& book, int64_t now_us) {
  SimTrade trade = book.pending->trade;
  book.ledger.add(trade);
  ++counts.trades;
  send_to_subscribers(book, trade, Channel::kTrade, "@trade");
  send_to_subscribers(book, trade, Channel::kAggTrade, "@aggTrade");
  send_to_subscribers(book, trade, Channel::kBookTicker, "@bookTicker");
  book.pending = book.market->next();
  if (!book.pending) {
    book.is_finished = true;
    return;
  }
  const double wait_us = options.speed == SimOptions::kSpeedMax ? 0 : static_cast<double>(book.pending->wait_us) / options.speed;
  book.due_us = options.speed == SimOptions::kSpeedMax ? static_cast<double>(now_us) : book.due_us + wait_us;
}

bool SimExchange::Impl::clients_have_room() const {
  return std::all_of(clients.begin(), clients.end(),
                     [&](const auto& client) { return client->session->queued_bytes() < options.client_queue_bytes_max / 2; });
}

// Lets happen what is due, but not so much that others wait long for the lock. Returns how many trades.
size_t SimExchange::Impl::step_all(int64_t now_us) {
  constexpr size_t kBatch = 256;
  size_t happened = 0;
  if (is_paused || (options.speed == SimOptions::kSpeedMax && !clients_have_room())) return 0;
  for (auto& [symbol, book] : books)
    for (size_t i = 0; i < kBatch && book.is_started && book.pending && book.due_us <= static_cast<double>(now_us); ++i, ++happened)
      happen(book, now_us);
  return happened;
}

void SimExchange::Impl::run(const std::stop_token& stop) {
  constexpr int64_t kRoomUs = 500;
  constexpr int64_t kLongestUs = 50'000;
  std::unique_lock lock(mutex);
  if (!options.wait_for_subscriber)
    for (auto& [symbol, book] : books) start_book_of(lowercase(symbol), monotonic_us());
  while (!stop.stop_requested()) {
    const int64_t now_us = monotonic_us();
    if (step_all(now_us) > 0) {
      lock.unlock();
      std::this_thread::yield();
      lock.lock();
      continue;
    }
    int64_t wait_us = kLongestUs;
    for (const auto& [symbol, book] : books) {
      if (!book.is_started || !book.pending || is_paused) continue;
      wait_us = std::min(wait_us, std::max<int64_t>(kRoomUs, static_cast<int64_t>(book.due_us) - now_us));
    }
    changed.wait_for(lock, stop, std::chrono::microseconds(wait_us), [] { return false; });
  }
}

// --- requests ---------------------------------------------------------------------------------------------------------

HttpReply SimExchange::Impl::handle(HttpRequest request) {
  if (request.path.starts_with("/ws") || request.path.starts_with("/stream")) return open_stream(request);
  return rest(request);
}

namespace {

std::vector<std::string> split_streams(std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    const std::string_view name = list.substr(0, list.find('/'));
    list.remove_prefix(std::min(list.size(), name.size() + 1));
    if (!name.empty() && std::find(out.begin(), out.end(), name) == out.end()) out.emplace_back(name);
  }
  return out;
}

}  // namespace

HttpReply SimExchange::Impl::open_stream(const HttpRequest& request) {
  StreamSubscriptions subscriptions;
  if (request.path == "/ws" || request.path.starts_with("/ws/")) {
    subscriptions.streams = split_streams(std::string_view(request.path).substr(3));
  } else if (request.path == "/stream" || request.path == "/stream/") {
    subscriptions.combined = true;
    subscriptions.streams = split_streams(request.param("streams").value_or(""));
  } else {
    return HttpResponse{.status = 404};
  }
  const std::string_view unit = request.param("timeUnit").value_or("MILLISECOND");
  const bool is_us = equal_ignoring_case(unit, "MICROSECOND");
  if (!is_us && !equal_ignoring_case(unit, "MILLISECOND")) return HttpResponse{.status = 400};
  if (subscriptions.streams.size() > options.streams_max) return HttpResponse{.status = 400};
  WsUpgrade upgrade;
  upgrade.handler = std::make_shared<Client>(*this, std::move(subscriptions), is_us ? TimeUnit::kMicroseconds : TimeUnit::kMilliseconds);
  upgrade.send_queue_bytes_max = options.client_queue_bytes_max;
  upgrade.ping_interval_us = options.ping_interval_us;
  upgrade.pong_timeout_us = options.pong_timeout_us;
  return upgrade;
}

HttpReply SimExchange::Impl::rest(const HttpRequest& request) {
  RestContext context;
  context.now = system_clock().now();
  context.read = [this](std::string_view symbol, const std::function<void(const Ledger&)>& look) {
    const std::lock_guard lock(mutex);
    const auto book = books.find(symbol);
    if (book != books.end()) look(book->second.ledger);
    return book != books.end();
  };
  for (const auto& [symbol, book] : books) context.symbols.push_back(symbol);  // the set of books never changes
  RestAnswer answer = answer_rest(request, context);
  const std::lock_guard lock(mutex);
  ++counts.rest_requests;
  const int64_t minute = context.now.us / (60 * kUsPerSecond);
  weight_used = minute == weight_minute ? weight_used + answer.weight : answer.weight;
  weight_minute = minute;
  answer.response.headers.add("X-MBX-USED-WEIGHT", std::to_string(weight_used));
  answer.response.headers.add("X-MBX-USED-WEIGHT-1M", std::to_string(weight_used));
  return answer.response;
}

std::vector<std::shared_ptr<WsSession>> SimExchange::Impl::sessions_now() const {
  const std::lock_guard lock(mutex);
  std::vector<std::shared_ptr<WsSession>> sessions;
  for (const auto& client : clients) sessions.push_back(client->session);
  return sessions;
}

// --- SimExchange ------------------------------------------------------------------------------------------------------

SimExchange::SimExchange(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<SimExchange>> SimExchange::start(const SimOptions& options) {
  K2_RETURN_IF_ERROR(check(options));
  auto impl = std::make_unique<Impl>(options);
  K2_RETURN_IF_ERROR(impl->make_books());
  if (options.tls) {
    impl->identity = options.identity;
    if (impl->identity.empty()) {
      K2_TRY(impl->identity, make_self_signed());
    }
    impl->ca_pem = impl->identity.certificate_pem;
  }
  if (!options.ca_file.empty()) {
    std::ofstream file(options.ca_file, std::ios::trunc);
    file << impl->ca_pem;
    if (!file.flush()) return make_error(ErrorKind::kUnavailable, "simulated exchange: cannot write its authority to " + options.ca_file);
  }
  HttpServerOptions http;
  http.listen = options.listen;
  http.tls = impl->identity;
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
  return impl_->counts;
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
  const auto sessions = impl_->sessions_now();
  for (const auto& session : sessions) session->abort();
  return sessions.size();
}

size_t SimExchange::close_connections(uint16_t code, std::string_view reason) {
  const auto sessions = impl_->sessions_now();
  for (const auto& session : sessions) session->close(code, reason);
  return sessions.size();
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
