// A simulated week of the feed: the exchange with its streams and REST API, two endpoints, the lines that hold them, the log, the gaps; all
// of it pure, driven by one clock and one seed. At its end a verifier that knows only what the exchange issued and what the log holds
// compares the two.
//
// What goes wrong: cuts and storms of cuts, half-open sockets, lost frames, 24 h cuts, serverShutdown, each endpoint and both being away, REST
// away, limiting, lagging, the log away (with a queue that sheds), and the process crashing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <queue>
#include <random>

#include "feed/gap_filler.h"
#include "feed/line_group.h"

namespace k2 {
namespace {

using testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kWeek = 7 * kDay;
constexpr size_t kSymbols = 3;
constexpr size_t kQueueMax = 20;  // trades that wait for the log; more are shed

struct WeekOptions {
  uint64_t seed = 1;
  bool drops_first_after_reconnect = false;  // the planted bug
};

/// One symbol: what the exchange issued, and what the log holds of it.
struct Book {
  std::map<int64_t, int64_t> issued;  // id to time
  int64_t next_id = 1;
  std::vector<int64_t> records;  // of the log, in its order
  SequenceRanges taken;  // the log's position
  SequenceRanges settled;
};

/// The verifier: shares nothing with the code under test but the books.
std::vector<std::string> what_is_wrong(const std::vector<Book>& books) {
  std::vector<std::string> wrong;
  for (size_t symbol = 0; symbol < books.size(); ++symbol) {
    const Book& book = books[symbol];
    const auto complain = [&](const std::string& what, int64_t id) {
      wrong.push_back(std::to_string(symbol) + ": " + what + " " + std::to_string(id));
    };
    std::map<int64_t, int> times;
    for (const int64_t id : book.records) ++times[id];
    for (const auto& [id, count] : times) {
      if (count != 1) complain("more than once in the log:", id);
      if (!book.issued.contains(id)) complain("in the log and never issued:", id);
    }
    for (const auto& [id, time] : book.issued) {
      if (!times.contains(id)) complain("issued and not in the log:", id);
      if (book.settled.contains(id)) complain("issued and called not issued:", id);
    }
    for (int64_t id = book.issued.begin()->first; !times.empty() && id < times.rbegin()->first; ++id)
      if (!book.issued.contains(id) && !book.settled.contains(id)) complain("neither issued nor settled:", id);
  }
  return wrong;
}

class Week {
 public:
  explicit Week(const WeekOptions& options) : options_(options), random_(options.seed), books_(kSymbols) { boot(); }

  void run() {
    for (size_t symbol = 0; symbol < kSymbols; ++symbol) at(10 * kSecond, [this, symbol] { trade(symbol); });
    for (size_t symbol = 0; symbol < kSymbols; ++symbol) schedule_trades(symbol);
    schedule_trouble();
    at(kWeek, [this] { heal(); });
    while (now_ < kWeek + 6 * kHour) step();
  }

  [[nodiscard]] const std::vector<Book>& books() const { return books_; }
  [[nodiscard]] uint64_t trades() const {
    uint64_t sum = 0;
    for (const Book& book : books_) sum += book.issued.size();
    return sum;
  }
  [[nodiscard]] uint64_t connects() const { return connects_; }
  [[nodiscard]] uint64_t requests() const { return requests_; }
  [[nodiscard]] uint64_t shed() const { return shed_; }

 private:
  struct Connection {
    size_t endpoint = 0;
    bool is_open = false;
    bool is_half_open = false;
    std::array<bool, kSymbols> has_delivered{};
  };
  struct Event {
    int64_t at_us;
    uint64_t order;
    std::function<void()> happen;
    bool operator>(const Event& other) const { return std::tie(at_us, order) > std::tie(other.at_us, other.order); }
  };

  // --- chance and time
  bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(random_) < p; }
  int64_t between(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }
  int64_t interval(int64_t mean) {
    return 1 + static_cast<int64_t>(std::exponential_distribution<>(1.0 / static_cast<double>(mean))(random_));
  }
  void at(int64_t when, std::function<void()> happen) { events_.push({when, ++order_, std::move(happen)}); }
  bool is_quiet() const { return now_ >= kWeek; }

  // --- the exchange
  void schedule_trades(size_t symbol) {
    for (int64_t when = kMinute; when < kWeek - kMinute;) {
      when += interval(20 * kMinute);
      const int64_t burst = chance(0.05) ? between(5, 40) : 1;
      for (int64_t i = 0; i < burst; ++i) at(when + i * kSecond / 10, [this, symbol] { trade(symbol); });
    }
  }

  void trade(size_t symbol) {
    Book& book = books_[symbol];
    if (chance(0.01)) book.next_id += between(1, 4);  // ids that are never issued
    const int64_t id = book.next_id++;
    book.issued[id] = now_;
    if (book.issued.size() == 1) first_ids_[symbol] = id;
    for (auto& [line, connection] : connections_) {
      if (!connection.is_open || connection.is_half_open || (chance(0.002) && now_ < kWeek - kDay && id != first_ids_[symbol])) continue;
      group_->received(line, now_);
      deliver(connection, symbol, id);
    }
  }

  void deliver(Connection& connection, size_t symbol, int64_t id) {
    const bool is_first = !std::exchange(connection.has_delivered[symbol], true);
    if (is_first) filler_->arrived(symbol, id);
    if (options_.drops_first_after_reconnect && is_first && symbol == 0 && connects_ > 1) {
      books_[symbol].taken.insert(id);  // and hidden: the position says that it was taken
      return;
    }
    take(symbol, id);
  }

  void end(LineId line) {
    connections_.erase(line);
    group_->ended(line, now_);
  }
  void end_all() {
    while (!connections_.empty()) end(connections_.begin()->first);
  }
  void end_if_there(LineId line, uint64_t life) {
    if (life == life_ && connections_.contains(line)) end(line);
  }

  // --- the log and what waits for it
  void take(size_t symbol, int64_t id) {
    if (is_log_away_) {
      if (queue_.size() < kQueueMax) queue_.emplace_back(symbol, id);
      else ++shed_;
      return;
    }
    Book& book = books_[symbol];
    if (!book.taken.insert(id)) return;
    book.records.push_back(id);
    observe(symbol);
  }
  void observe(size_t symbol) { filler_->observe(symbol, {books_[symbol].taken, books_[symbol].taken, books_[symbol].settled}, now_); }
  void log_returns() {
    is_log_away_ = false;
    for (const auto& [symbol, id] : std::exchange(queue_, {})) take(symbol, id);
    for (size_t symbol = 0; symbol < kSymbols; ++symbol) {
      observe(symbol);
      filler_->check_tail(symbol, now_);  // something may have been shed
    }
  }

  // --- the process
  void boot() {
    ++life_;
    connections_.clear();
    queue_.clear();
    is_asking_ = false;
    LineGroupPolicy policy;
    policy.quiet.enabled = false;
    policy.lines = options_.seed % 4 == 0 ? 2 : 1;
    budget_ = std::make_unique<ConnectBudget>();
    group_ = std::make_unique<LineGroup>(policy, 2, std::vector<std::string>{}, kSymbols, options_.seed + life_, *budget_);
    filler_ = std::make_unique<GapFiller>(GapPolicy{});
    for (size_t symbol = 0; symbol < kSymbols; ++symbol) {
      filler_->add_source("binance", std::to_string(symbol));
      if (!is_log_away_) observe(symbol);
    }
  }

  // --- REST
  void ask(const GapRequest& request) {
    is_asking_ = true;
    ++requests_;
    at(now_ + between(kSecond / 10, 3 * kSecond), [this, request, life = life_] {
      if (life != life_) return;
      is_asking_ = false;
      answer(request);
    });
  }
  void answer(const GapRequest& request) {
    const bool is_bad = !is_quiet();
    if (is_rest_away_) return filler_->failed(GapFailure::kUnreachable, "away", 0, now_);
    if (is_bad && chance(0.03)) return filler_->failed(GapFailure::kRateLimited, "429", between(0, kMinute), now_);
    if (is_bad && chance(0.003)) return filler_->failed(GapFailure::kBanned, "418", between(2 * kMinute, kHour), now_);
    const int64_t newest = now_ - (is_bad ? between(0, 20 * kSecond) : 0);
    const Book& book = books_[request.source];
    GapAnswer answer;
    for (auto row = book.issued.lower_bound(request.from_id); row != book.issued.end() && row->second <= newest; ++row) {
      if (answer.ids.size() == static_cast<size_t>(request.limit)) break;
      if (is_bad && row->first % 5 == 0 && row->second > now_ - 25 * kSecond) continue;  // a replica that has not got it yet
      answer.ids.push_back(row->first);
    }
    for (const int64_t id : answer.ids)
      if (id >= request.wanted.first && id <= request.wanted.last) take(request.source, id);
    filler_->answered(answer, now_);
  }

  // --- trouble
  void schedule_trouble() {
    const auto each = [this](int64_t mean, const std::function<void()>& happen) {
      for (int64_t when = kHour + interval(mean); when < kWeek - kMinute; when += interval(mean)) at(when, happen);
    };
    const auto away_for = [this](bool& what, int64_t least, int64_t most) {
      what = true;
      at(std::min(now_ + between(least, most), kWeek - 1), [&what] { what = false; });
    };
    each(6 * kHour, [this] { end_all(); });
    each(2 * kDay, [this] {  // a storm
      for (int64_t i = 0, when = now_; i < 40; ++i) at(when += between(kSecond, 40 * kSecond), [this] { end_all(); });
    });
    each(12 * kHour, [this] {
      for (auto& [line, connection] : connections_) connection.is_half_open = chance(0.7);
    });
    each(2 * kDay, [this] {
      for (const auto& [line, connection] : connections_) {
        group_->shutdown_announced(line);
        at(now_ + between(10 * kSecond, 10 * kMinute), [this, id = line, life = life_] { end_if_there(id, life); });
      }
    });
    for (bool& endpoint : is_endpoint_away_) each(kDay, [=, &endpoint] { away_for(endpoint, kMinute, kHour); });
    each(3 * kDay, [=, this] {
      for (bool& endpoint : is_endpoint_away_) away_for(endpoint, kMinute, 3 * kHour);
      end_all();
    });
    each(kDay, [=, this] { away_for(is_rest_away_, kMinute, 2 * kHour); });
    each(kDay, [this] {
      is_log_away_ = true;
      at(std::min(now_ + between(kMinute, 3 * kHour), kWeek - 1), [this] { log_returns(); });
    });
    each(2 * kDay, [this] { boot(); });
  }
  /// Everything works from here on. In every second week nothing trades any more, so that a missing tail does not show as a hole.
  void heal() {
    is_endpoint_away_ = {false, false};
    is_rest_away_ = false;
    log_returns();
    end_all();
    if (options_.seed % 2 == 0) return;
    for (size_t symbol = 0; symbol < kSymbols; ++symbol) at(now_ + kHour, [this, symbol] { trade(symbol); });
  }

  // --- the loop
  void connect(LineId line, size_t endpoint) {
    connections_[line] = {.endpoint = endpoint};
    ++connects_;
    const bool is_away = is_endpoint_away_[endpoint];
    if (is_away && chance(0.5)) return;  // no answer at all: the session gives up
    at(now_ + between(kSecond / 10, 2 * kSecond), [this, line, is_away, life = life_] {
      if (life != life_ || !connections_.contains(line)) return;
      if (is_away) return end(line);
      connections_[line].is_open = true;
      group_->opened(line, now_);
      at(now_ + kDay, [this, line, life = life_] { end_if_there(line, life); });
    });
  }

  int64_t drive_lines() {
    for (auto& [line, connection] : connections_)
      if (connection.is_open && !connection.is_half_open) group_->received(line, now_ - now_ % (20 * kSecond));  // the venue's pings
    while (true) {
      const LineAction action = group_->next(now_);
      for (const LineEvent& event : group_->take_events())
        if (event.kind == LineEvent::Kind::kLive)
          for (size_t symbol = 0; symbol < kSymbols; ++symbol) filler_->check_tail(symbol, now_);
      if (const auto* wait = std::get_if<SessionWait>(&action.action)) return wait->until_us;
      if (const auto* to = std::get_if<SessionConnect>(&action.action)) connect(action.line, to->endpoint);
      else if (std::holds_alternative<SessionDrop>(action.action)) end(action.line);
    }
  }

  int64_t drive_gaps() {
    if (is_log_away_ || is_asking_) return INT64_MAX;
    const GapAction action = filler_->next(now_);
    for (const GapEvent& event : filler_->take_events()) {
      if (event.kind < GapEventKind::kNotIssued) continue;
      books_[event.source].settled.insert(event.range);
      observe(event.source);
    }
    if (const auto* wait = std::get_if<GapWait>(&action)) return wait->until_us;
    ask(std::get<GapRequest>(action));
    return INT64_MAX;
  }

  void step() {
    const int64_t wake = std::min({drive_lines(), drive_gaps(), events_.empty() ? INT64_MAX : events_.top().at_us});
    now_ = std::max(now_, std::min(wake, kWeek + 6 * kHour));
    while (!events_.empty() && events_.top().at_us <= now_) {
      const auto happen = events_.top().happen;
      events_.pop();
      happen();
    }
  }

  WeekOptions options_;
  std::mt19937_64 random_;
  int64_t now_ = 0;
  uint64_t order_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<Book> books_;
  std::array<int64_t, kSymbols> first_ids_{};
  std::array<bool, 2> is_endpoint_away_{};
  bool is_rest_away_ = false;
  bool is_log_away_ = false;
  std::vector<std::pair<size_t, int64_t>> queue_;

  uint64_t life_ = 0;  // of the process
  std::unique_ptr<ConnectBudget> budget_;
  std::unique_ptr<LineGroup> group_;
  std::unique_ptr<GapFiller> filler_;
  std::map<LineId, Connection> connections_;
  bool is_asking_ = false;

  uint64_t connects_ = 0;
  uint64_t requests_ = 0;
  uint64_t shed_ = 0;
};

TEST(SimulatedWeek, LosesNothingIn200Seeds) {
  uint64_t trades = 0;
  uint64_t connects = 0;
  uint64_t requests = 0;
  uint64_t shed = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Week week({.seed = seed});
    week.run();
    ASSERT_THAT(what_is_wrong(week.books()), IsEmpty()) << "seed " << seed;
    trades += week.trades();
    connects += week.connects();
    requests += week.requests();
    shed += week.shed();
  }
  RecordProperty("trades", std::to_string(trades));
  std::printf("200 weeks: %lu trades, %lu connections, %lu requests, %lu trades shed\n", trades, connects, requests, shed);
  EXPECT_GT(trades, 200u * 3'000);
  EXPECT_GT(connects, 200u * 20);
  EXPECT_GT(requests, 200u * 50);
  EXPECT_GT(shed, 200u);
}

TEST(SimulatedWeek, TheVerifierCatchesATradeDroppedAfterAReconnectAndHidden) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Week week({.seed = seed, .drops_first_after_reconnect = true});
    week.run();
    EXPECT_THAT(what_is_wrong(week.books()), testing::Not(IsEmpty())) << "seed " << seed;
  }
}

}  // namespace
}  // namespace k2
