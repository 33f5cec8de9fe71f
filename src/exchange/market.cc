#include "exchange/market.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <vector>

#include "base/assert.h"

namespace k2 {

namespace {

std::optional<int64_t> read_int(std::string_view text) {
  int64_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<bool> read_bool(std::string_view text) {
  if (text == "True" || text == "true") return true;
  if (text == "False" || text == "false") return false;
  return std::nullopt;
}

constexpr int64_t kFirstMicroseconds = 100'000'000'000'000;  // as milliseconds: the year 5138; as microseconds: 1973

}  // namespace

Result<SimTrade> parse_dump_row(std::string_view line) {
  const auto bad = [&] {
    return make_error(ErrorKind::kInvalidInput, "\"" + std::string(line.substr(0, 100)) + "\" is no row of a trade dump");
  };
  std::array<std::string_view, 7> fields;
  size_t count = 0;
  for (std::string_view rest = line; count < fields.size(); ++count) {
    const size_t comma = rest.find(',');
    fields[count] = rest.substr(0, comma);
    if (comma == std::string_view::npos) {
      ++count;
      break;
    }
    rest.remove_prefix(comma + 1);
    if (count == 6) return bad();
  }
  if (count != 7) return bad();
  const auto id = read_int(fields[0]);
  const auto time = read_int(fields[4]);
  const auto buyer_is_maker = read_bool(fields[5]);
  const auto is_best_match = read_bool(fields[6]);
  if (!id || !time || !buyer_is_maker || !is_best_match) return bad();
  SimTrade trade;
  trade.id = *id;
  K2_TRY(trade.price, Decimal18_8::parse(fields[1]));
  K2_TRY(trade.quantity, Decimal18_8::parse(fields[2]));
  trade.time.us = *time >= kFirstMicroseconds ? *time : *time * 1000;
  trade.buyer_is_maker = *buyer_is_maker;
  trade.is_best_match = *is_best_match;
  return trade;
}

// --- played -----------------------------------------------------------------------------------------------------------

namespace {

class PlayedMarket final : public Market {
 public:
  PlayedMarket(std::vector<SimTrade> trades, const PlayedMarketOptions& options) : trades_(std::move(trades)), options_(options) {
    id_span_ = trades_.back().id - trades_.front().id + 1;
    time_span_us_ = std::max<int64_t>(0, trades_.back().time.us - trades_.front().time.us) + 1000;
  }

  std::optional<MarketStep> next() override {
    if (options_.trades_max > 0 && played_ >= options_.trades_max) return std::nullopt;
    const auto index = static_cast<size_t>(played_) % trades_.size();
    const int64_t round = played_ / static_cast<int64_t>(trades_.size());
    if (round > 0 && !options_.loop) return std::nullopt;
    MarketStep step{trades_[index]};
    step.trade.id += round * id_span_;
    step.trade.time.us += round * time_span_us_;
    if (options_.rate > 0) step.wait_us = static_cast<int64_t>(1e6 / options_.rate);
    else if (played_ > 0) step.wait_us = std::max<int64_t>(0, step.trade.time.us - last_time_us_);
    last_time_us_ = step.trade.time.us;
    ++played_;
    return step;
  }

 private:
  std::vector<SimTrade> trades_;
  PlayedMarketOptions options_;
  int64_t id_span_ = 0;
  int64_t time_span_us_ = 0;
  int64_t played_ = 0;
  int64_t last_time_us_ = 0;
};

bool is_header(std::string_view line) { return !line.empty() && (line.front() < '0' || line.front() > '9'); }

}  // namespace

Result<std::unique_ptr<Market>> make_played_market(const PlayedMarketOptions& options) {
  std::ifstream file(options.file);
  if (!file) return make_error(ErrorKind::kNotFound, "playing " + options.file + ": it cannot be opened");
  std::vector<SimTrade> trades;
  std::string line;
  for (int64_t number = 1; std::getline(file, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || (number == 1 && is_header(line))) continue;
    auto trade = parse_dump_row(line);
    const std::string place = "playing " + options.file + ", line " + std::to_string(number);
    if (!trade) return std::unexpected(trade.error().with_context(place));
    if (!trades.empty() && trade->id <= trades.back().id) return make_error(ErrorKind::kInvalidInput, place + ": its id does not rise");
    trades.push_back(*std::move(trade));
  }
  if (trades.empty()) return make_error(ErrorKind::kInvalidInput, "playing " + options.file + ": it has no trade");
  return std::make_unique<PlayedMarket>(std::move(trades), options);
}

// --- random -----------------------------------------------------------------------------------------------------------

namespace {

class RandomMarket final : public Market {
 public:
  explicit RandomMarket(const RandomMarketOptions& options) : options_(options), state_(options.seed) {
    for (const char c : options.symbol) state_ = state_ * 1099511628211ull + static_cast<unsigned char>(c);
    if (options.symbol.starts_with("BTC")) cents_ = 4'000'000;
    else if (options.symbol.starts_with("ETH")) cents_ = 120'000;
    time_us_ = static_cast<double>(options.start.us);
  }

  std::optional<MarketStep> next() override {
    if (options_.trades_max > 0 && last_id_ >= options_.trades_max) return std::nullopt;
    MarketStep step;
    const double wait_us = -std::log(1.0 - chance()) * 1e6 / options_.rate;
    time_us_ += wait_us;
    step.wait_us = static_cast<int64_t>(wait_us);
    cents_ = std::max<int64_t>(1, cents_ + static_cast<int64_t>(random() % 201) - 100);
    step.trade.id = ++last_id_;
    step.trade.price = Decimal18_8::from_units_checked(cents_ * 1'000'000);
    step.trade.quantity = Decimal18_8::from_units_checked(static_cast<int64_t>(1 + random() % 100'000) * 1'000);
    step.trade.time.us = static_cast<int64_t>(time_us_);
    step.trade.buyer_is_maker = random() % 2 == 0;
    return step;
  }

 private:
  uint64_t random() {  // splitmix64
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  double chance() { return static_cast<double>(random() >> 11) * 0x1p-53; }

  RandomMarketOptions options_;
  uint64_t state_;
  int64_t cents_ = 10'000;
  int64_t last_id_ = 0;
  double time_us_ = 0;
};

}  // namespace

std::unique_ptr<Market> make_random_market(const RandomMarketOptions& options) {
  K2_ASSERT(options.rate > 0);
  return std::make_unique<RandomMarket>(options);
}

}  // namespace k2
