// SimExchange's parts: the market (sim_market.cc), its WebSocket clients (sim_clients.cc), requests (sim_requests.cc). Internal.
//
// One lock over everything that changes; the market's thread, the I/O threads and the owner's calls take it.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "exchange/control.h"
#include "exchange/faults.h"
#include "exchange/frames.h"
#include "exchange/ledger.h"
#include "exchange/market.h"
#include "exchange/sim.h"
#include "net/http_server.h"

namespace k2 {

struct SimExchange::Impl final : HttpHandler {
  class Client;
  using ClientPtr = std::shared_ptr<Client>;

  /// One symbol: its market, how far it is, what happened.
  struct Book {
    std::string symbol;
    std::unique_ptr<Market> market;
    Ledger ledger;
    std::optional<MarketStep> pending;       // the trade that comes next
    double due_us = 0;                       // monotonic
    bool is_started = false;
    bool is_finished = false;
    int64_t happened = 0;                    // trades so far
    int64_t id_shift = 0;                    // added to the market's ids
    std::vector<SimTrade> held_back;         // trades whose frames go out behind the next trade's
  };

  /// What faults have made of one trade's frames.
  struct Delivery {
    std::set<const Client*> without;  // these are not sent it
    std::set<const Client*> twice;
    bool is_held_back = false;
  };

  struct DelayedClose {
    int64_t due_us = 0;
    std::weak_ptr<Client> client;
  };

  // Places in HttpServerOptions::other_tls, counted from 1.
  static constexpr size_t kWrongHostIdentity = 1;
  static constexpr size_t kWrongAuthorityIdentity = 2;

  explicit Impl(const SimOptions& o) : options(o), faults(o.seed) {}

  // sim.cc
  Status make_identities();

  // sim_requests.cc
  HttpPolicy policy(std::string_view method, std::string_view path) override;
  HttpReply handle(HttpRequest request) override;
  HttpReply rest(const HttpRequest& request);
  HttpResponse admin(const HttpRequest& request);
  HttpAdmission admit();

  // sim_clients.cc
  HttpReply open_stream(const HttpRequest& request);
  void subscribe(const ClientPtr& client, const std::vector<std::string>& streams);
  void unsubscribe(const ClientPtr& client, const std::vector<std::string>& streams);
  void send_trade(const Book& book, const SimTrade& trade, const Delivery& delivery);
  void send_quote(const Book& book, const SimTrade& trade);
  template <class Write>
  void send_to_subscribers(const std::string& stream, const Delivery& delivery, const Write& write);
  void send(Client& client, std::string_view frame);
  bool clients_have_room() const;
  std::vector<ClientPtr> clients_of(const FaultRule& rule) const;
  void end_old_clients(int64_t now_us);

  // sim_market.cc
  Status make_books();
  bool trades_have_present_time() const;
  void run(const std::stop_token& stop);
  size_t step_all(int64_t now_us);
  void happen(Book& book, int64_t now_us);
  Delivery apply_faults(Book& book, int64_t now_us);
  void start_book_of(std::string_view stream, int64_t now_us);

  SimOptions options;
  TlsIdentity identity;
  std::vector<TlsIdentity> wrong_identities;
  std::string ca_pem;

  mutable std::mutex mutex;  // of all below
  std::condition_variable_any changed;
  std::map<std::string, Book, std::less<>> books;                               // by symbol; the set of them never changes
  std::map<std::string, std::vector<ClientPtr>, std::less<>> subscribers;       // by stream
  std::vector<ClientPtr> clients;                                               // open, oldest first
  std::vector<DelayedClose> delayed_closes;
  int64_t ages_due_us = 0;                                                      // when to look at the clients' ages
  FaultPlan faults;
  bool is_paused = false;
  SimCounts counts;
  int64_t weight_minute = 0;
  int64_t weight_used = 0;

  std::unique_ptr<HttpServer> server;
  std::jthread thread;
};

/// A WebSocket client. What is not const is under the exchange's lock.
class SimExchange::Impl::Client final : public WsSessionHandler, public std::enable_shared_from_this<Client> {
 public:
  Client(Impl& exchange, StreamSubscriptions subscriptions, TimeUnit unit)
      : unit(unit), subscriptions(std::move(subscriptions)), exchange_(exchange) {}

  void on_open(std::shared_ptr<WsSession> opened) override;
  void on_message(std::string_view bytes, bool is_text) override;
  void on_pong(std::string_view payload) override;
  void on_close(uint16_t code, std::string_view reason) override;

  const TimeUnit unit;
  StreamSubscriptions subscriptions;
  std::shared_ptr<WsSession> session;  // null: not open
  int64_t opened_us = 0;               // monotonic
  bool is_silent = false;              // half open

 private:
  bool is_flooding();

  Impl& exchange_;
  int64_t second_ = 0;
  int messages_in_second_ = 0;
};

}  // namespace k2
