// The simulated exchange's market: trades happen, and what goes wrong with them.
#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "exchange/sim_impl.h"

namespace k2 {

Status SimExchange::Impl::make_books() {
  const auto add = [&](const std::string& symbol, std::unique_ptr<Market> market) {
    Book book{.symbol = symbol, .market = std::move(market), .ledger = Ledger(options.ledger_trades_max), .pending = {}, .held_back = {}};
    book.pending = book.market->next();
    books.emplace(symbol, std::move(book));
  };
  if (!options.play_file.empty()) {
    K2_TRY(auto market, make_played_market({options.play_file, options.loop, options.play_rate, options.trades_max}));
    add(options.play_symbol, std::move(market));
    return {};
  }
  for (const std::string& symbol : options.symbols)
    add(symbol, make_random_market({symbol, options.seed, options.trades_per_second / static_cast<double>(options.symbols.size()),
                                    options.start_time, options.trades_max}));
  return {};
}

void SimExchange::Impl::start_book_of(std::string_view stream, int64_t now_us) {
  const std::string_view symbol = stream.substr(0, stream.find('@'));
  for (auto& [name, book] : books) {
    if (book.is_started || ascii_lowercase(name) != symbol) continue;
    book.is_started = true;
    book.due_us = static_cast<double>(now_us);
    changed.notify_all();
  }
}

// --- what goes wrong at a trade -----------------------------------------------------------------------------------------

namespace {

using Impl = SimExchange::Impl;

// Everything a fault at a trade may change.
struct AtTrade {
  Impl& exchange;
  Impl::Book& book;
  Impl::Delivery& delivery;
  int64_t now_us;
};

constexpr uint8_t kTextFrame = 0x81;  // RFC 6455, 5.2: final, opcode text

// To each client as if it were a frame of its own.
void send_raw(const AtTrade& at, const FaultRule& rule, const std::string& bytes) {
  for (const auto& client : at.exchange.clients_of(rule)) client->session->send_raw(bytes);
}

void cut(const AtTrade& at, const FaultRule& rule) {
  for (const auto& client : at.exchange.clients_of(rule)) client->session->abort();
}

void half_open(const AtTrade& at, const FaultRule& rule) {
  for (const auto& client : at.exchange.clients_of(rule)) {
    client->is_silent = true;
    client->session->fall_silent();
  }
}

void garbage(const AtTrade& at, const FaultRule& rule) {
  for (const auto& client : at.exchange.clients_of(rule)) at.exchange.send(*client, R"({"e":"trade","E":17000)");
}

void wrong_utf8(const AtTrade& at, const FaultRule& rule) {
  const std::string text = "{\"e\":\"\xff\xfe\"}";
  send_raw(at, rule, ws_frame_head(kTextFrame, text.size(), /*masked=*/false) + text);
}

// The payload is never sent whole: the frames that follow are taken for it by a client that does not look at the length.
void huge_frame(const AtTrade& at, const FaultRule& rule) {
  send_raw(at, rule, ws_frame_head(kTextFrame, static_cast<uint64_t>(rule.value), /*masked=*/false));
}

void masked_frame(const AtTrade& at, const FaultRule& rule) {
  const std::string text = R"({"e":"masked"})";
  send_raw(at, rule, ws_frame_head(kTextFrame, text.size(), /*masked=*/true) + std::string(4, '\0') + text);  // a mask of zeros
}

void duplicate(const AtTrade& at, const FaultRule& rule) {
  for (const auto& client : at.exchange.clients_of(rule)) at.delivery.twice.insert(client.get());
}

void reorder(const AtTrade& at, const FaultRule&) { at.delivery.is_held_back = true; }

void hole(const AtTrade& at, const FaultRule& rule) {
  for (const auto& client : at.exchange.clients_of(rule)) at.delivery.without.insert(client.get());
}

void not_issued(const AtTrade& at, const FaultRule& rule) { at.book.id_shift += rule.value; }

void id_reset(const AtTrade& at, const FaultRule&) {
  at.book.id_shift = 1 - at.book.pending->trade.id;
  at.book.ledger.begin_ids_anew();
}

void server_shutdown(const AtTrade& at, const FaultRule& rule) {
  for (const auto& client : at.exchange.clients_of(rule)) {
    std::string event = R"({"e":"serverShutdown","E":)" + std::to_string(in_unit(at.exchange.options.clock->now(), client->unit)) + "}";
    if (client->subscriptions.combined) {
      std::string wrapped;
      append_combined(wrapped, "!serverShutdown", event);
      event = std::move(wrapped);
    }
    at.exchange.send(*client, event);
    at.exchange.delayed_closes.push_back({at.now_us + rule.delay_us, client});
  }
}

struct TradeFault {
  FaultKind kind;
  void (*apply)(const AtTrade&, const FaultRule&);
};
constexpr TradeFault kTradeFaults[] = {{FaultKind::kCut, cut},
                                       {FaultKind::kHalfOpen, half_open},
                                       {FaultKind::kGarbage, garbage},
                                       {FaultKind::kWrongUtf8, wrong_utf8},
                                       {FaultKind::kHugeFrame, huge_frame},
                                       {FaultKind::kMaskedFrame, masked_frame},
                                       {FaultKind::kDuplicate, duplicate},
                                       {FaultKind::kReorder, reorder},
                                       {FaultKind::kHole, hole},
                                       {FaultKind::kNotIssued, not_issued},
                                       {FaultKind::kIdReset, id_reset},
                                       {FaultKind::kServerShutdown, server_shutdown}};

}  // namespace

Impl::Delivery SimExchange::Impl::apply_faults(Book& book, int64_t now_us) {
  Delivery delivery;
  if (faults.is_idle()) return delivery;
  faults.trade_happens(book.symbol, book.happened, now_us);
  for (const FaultRule& rule : faults.fire(FaultSite::kTrade, {.symbol = book.symbol}, now_us))
    std::ranges::find(kTradeFaults, rule.kind, &TradeFault::kind)->apply({*this, book, delivery, now_us}, rule);
  return delivery;
}

// --- trades happen ----------------------------------------------------------------------------------------------------

// The market's own times lag by all that the exchange waited, for its first subscriber or while it was paused.
bool SimExchange::Impl::trades_have_present_time() const {
  return options.play_file.empty() ? options.start_time.us == 0 : options.play_as_now;
}

// The pending trade happens: in the ledger first, then to whom it concerns. Faults come before it: its frame is the first thing that a torn
// connection misses, and a new id is its own.
void SimExchange::Impl::happen(Book& book, int64_t now_us) {
  ++book.happened;
  const Delivery delivery = apply_faults(book, now_us);
  SimTrade trade = book.pending->trade;
  trade.id += book.id_shift;
  if (trades_have_present_time()) trade.time = options.clock->now();
  book.ledger.add(trade);
  ++counts.trades;
  if (delivery.is_held_back) {
    book.held_back.push_back(trade);
  } else {
    send_trade(book, trade, delivery);
    for (const SimTrade& late : book.held_back) send_trade(book, late, {});
    book.held_back.clear();
  }
  send_quote(book, trade);
  book.pending = book.market->next();
  if (!book.pending) {
    for (const SimTrade& late : book.held_back) send_trade(book, late, {});
    book.held_back.clear();
    book.is_finished = true;
    return;
  }
  const double wait_us = options.speed == SimOptions::kSpeedMax ? 0 : static_cast<double>(book.pending->wait_us) / options.speed;
  book.due_us = options.speed == SimOptions::kSpeedMax ? static_cast<double>(now_us) : book.due_us + wait_us;
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
  constexpr int64_t kLongestUs = 20'000;
  std::unique_lock lock(mutex);
  if (!options.wait_for_subscriber)
    for (auto& [symbol, book] : books) start_book_of(ascii_lowercase(symbol), options.clock->monotonic_us());
  while (!stop.stop_requested()) {
    const int64_t now_us = options.clock->monotonic_us();
    end_old_clients(now_us);
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

}  // namespace k2
