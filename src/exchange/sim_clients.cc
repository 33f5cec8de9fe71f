// The simulated exchange's WebSocket clients: who they are, and what they are sent.
#include <algorithm>

#include "base/bytes.h"
#include "exchange/sim_impl.h"

namespace k2 {

// --- Client -----------------------------------------------------------------------------------------------------------

void SimExchange::Impl::Client::on_open(std::shared_ptr<WsSession> opened) {
  const std::lock_guard lock(exchange_.mutex);
  session = std::move(opened);
  opened_us = exchange_.options.clock->monotonic_us();
  exchange_.clients.push_back(shared_from_this());
  ++exchange_.counts.connections;
  ++exchange_.counts.connections_open;
  exchange_.subscribe(shared_from_this(), subscriptions.streams);
}

void SimExchange::Impl::Client::on_message(std::string_view bytes, bool) {
  if (is_flooding()) return;
  const std::lock_guard lock(exchange_.mutex);
  const ControlAnswer answer = answer_control(bytes, subscriptions, exchange_.options.streams_max);
  exchange_.unsubscribe(shared_from_this(), answer.removed);
  exchange_.send(*this, answer.text);  // before the first frame of what was subscribed to
  exchange_.subscribe(shared_from_this(), answer.added);
}

void SimExchange::Impl::Client::on_pong(std::string_view) { (void)is_flooding(); }

void SimExchange::Impl::Client::on_close(uint16_t, std::string_view) {
  const std::lock_guard lock(exchange_.mutex);
  exchange_.unsubscribe(shared_from_this(), subscriptions.streams);
  std::erase(exchange_.clients, shared_from_this());
  --exchange_.counts.connections_open;
  session = nullptr;
}

// Counts a message; closes the connection where there are too many in a second (web-socket-streams.md, "Websocket Limits").
bool SimExchange::Impl::Client::is_flooding() {
  const int limit = exchange_.options.messages_per_second_max;
  if (limit <= 0) return false;
  const int64_t second = exchange_.options.clock->monotonic_us() / kUsPerSecond;
  messages_in_second_ = second == second_ ? messages_in_second_ + 1 : 1;
  second_ = second;
  if (messages_in_second_ <= limit) return false;
  session->close(1008, "Too many requests");
  return true;
}

// --- who gets what ----------------------------------------------------------------------------------------------------

void SimExchange::Impl::subscribe(const ClientPtr& client, const std::vector<std::string>& streams) {
  const int64_t now_us = options.clock->monotonic_us();
  for (const std::string& stream : streams) {
    subscribers[stream].push_back(client);
    start_book_of(stream, now_us);
  }
}

void SimExchange::Impl::unsubscribe(const ClientPtr& client, const std::vector<std::string>& streams) {
  for (const std::string& stream : streams) {
    const auto found = subscribers.find(stream);
    if (found == subscribers.end()) continue;
    std::erase(found->second, client);
    if (found->second.empty()) subscribers.erase(found);
  }
}

void SimExchange::Impl::send(Client& client, std::string_view frame) {
  if (client.is_silent) return;
  const bool was_closed = client.session->is_closed();
  if (client.session->send_text(frame)) ++counts.messages;
  else if (!was_closed) ++counts.disconnected_slow;
}

// `write` makes the message in a unit; each form is made when somebody first needs it.
template <class Write>
void SimExchange::Impl::send_to_subscribers(const std::string& stream, const Delivery& delivery, const Write& write) {
  const auto found = subscribers.find(stream);
  if (found == subscribers.end()) return;
  std::string frames[2][2];  // by unit and wrapping
  for (const ClientPtr& client : found->second) {
    if (client->is_silent || delivery.without.contains(client.get())) continue;
    const bool is_us = client->unit == TimeUnit::kMicroseconds;
    std::string& data = frames[is_us][0];
    if (data.empty()) write(data, client->unit);
    std::string& wrapped = frames[is_us][1];
    const bool is_combined = client->subscriptions.combined;
    if (is_combined && wrapped.empty()) append_combined(wrapped, stream, data);
    const int times = delivery.twice.contains(client.get()) ? 2 : 1;
    for (int i = 0; i < times; ++i) {
      const uint64_t before = counts.messages;
      send(*client, is_combined ? wrapped : data);
      counts.frames += counts.messages - before;
    }
  }
}

void SimExchange::Impl::send_trade(const Book& book, const SimTrade& trade, const Delivery& delivery) {
  const TimestampUs event_time = options.event_time_is_now ? options.clock->now() : trade.time;
  const std::string symbol = ascii_lowercase(book.symbol);
  send_to_subscribers(symbol + "@trade", delivery, [&](std::string& out, TimeUnit unit) {
    append_trade_frame(out, book.symbol, trade, event_time, unit, options.old_frames);
  });
  send_to_subscribers(symbol + "@aggTrade", delivery,
                      [&](std::string& out, TimeUnit unit) { append_agg_trade_frame(out, book.symbol, trade, event_time, unit); });
}

void SimExchange::Impl::send_quote(const Book& book, const SimTrade& trade) {
  send_to_subscribers(ascii_lowercase(book.symbol) + "@bookTicker", {},
                      [&](std::string& out, TimeUnit) { append_book_ticker_frame(out, book.symbol, trade); });
}

bool SimExchange::Impl::clients_have_room() const {
  return std::all_of(clients.begin(), clients.end(),
                     [&](const auto& client) { return client->session->queued_bytes() < options.client_queue_bytes_max / 2; });
}

// The clients that a rule at a trade concerns.
std::vector<SimExchange::Impl::ClientPtr> SimExchange::Impl::clients_of(const FaultRule& rule) const {
  const std::string prefix = ascii_lowercase(rule.symbol) + "@";
  std::vector<ClientPtr> out;
  for (const ClientPtr& client : clients) {
    const auto& streams = client->subscriptions.streams;
    const bool is_meant = rule.symbol.empty() || std::ranges::any_of(streams, [&](const auto& name) { return name.starts_with(prefix); });
    if (!is_meant || client->is_silent || client->session->is_closed()) continue;
    if (rule.clients_max > 0 && static_cast<int64_t>(out.size()) == rule.clients_max) break;
    out.push_back(client);
  }
  return out;
}

// What is due to end by its age, or after a server shutdown was announced.
void SimExchange::Impl::end_old_clients(int64_t now_us) {
  constexpr int64_t kEveryUs = 20'000;
  if (now_us < ages_due_us) return;
  ages_due_us = now_us + kEveryUs;
  for (const ClientPtr& client : clients) {
    if (client->session->is_closed()) continue;
    const int64_t age_us = now_us - client->opened_us;
    const bool is_old = options.connection_life_us > 0 && age_us >= options.connection_life_us;
    if (is_old) faults.count(FaultKind::kDayCut);
    if (is_old || !faults.fire(FaultSite::kAge, {.age_us = age_us}, now_us).empty()) client->session->close(1001, "24 hours are over");
  }
  std::erase_if(delayed_closes, [&](const DelayedClose& wish) {
    if (wish.due_us > now_us) return false;
    const ClientPtr client = wish.client.lock();
    if (client && client->session) client->session->close(1001, "server shutdown");
    return true;
  });
}

// --- new ones ---------------------------------------------------------------------------------------------------------

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
  const std::lock_guard lock(mutex);
  const bool is_pinged = faults.fire(FaultSite::kWebSocket, {}, options.clock->monotonic_us()).empty();
  upgrade.ping_interval_us = is_pinged ? options.ping_interval_us : 0;
  upgrade.pong_timeout_us = options.pong_timeout_us;
  return upgrade;
}

}  // namespace k2
