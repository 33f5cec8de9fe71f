#include "app/feed_binance.h"

#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "app/data_dir.h"
#include "app/numbering_watch.h"
#include "app/quote_outages.h"
#include "app/taken.h"
#include "base/crash_point.h"
#include "base/logging.h"
#include "base/metrics.h"
#include "codec/binance.h"
#include "codec/binance_info.h"
#include "feed/binance_rest.h"
#include "market/coverage.h"

namespace k2 {
namespace {

constexpr int64_t kRestConnectTimeoutUs = 3'000'000;  // the venue's answer is welcome, its silence must not hold up the start
constexpr int64_t kRestTimeoutUs = 10'000'000;
constexpr int64_t kHandOverUs = 300 * kUsPerSecond;  // a stretch that goes on is told this often
constexpr int64_t kStrangeQuotesKept = 1'000;  // as dead letters; all are counted
constexpr const char* kDeadLetterSource = "dead_letter/feed/binance";

uint64_t random_bits() {
  uint64_t bits = 0;
  (void)!getrandom(&bits, sizeof bits, 0);
  return bits;
}

/// Asks the venue for the symbols' currencies, and keeps the answer.
void ask_instruments(const Config& config, const TlsTrust& trust, InstrumentTable& table) {
  BinanceRestOptions options;
  options.endpoints = config.binance.rest_endpoints;
  options.http.trust = trust;
  options.http.connect_timeout_us = kRestConnectTimeoutUs;
  options.http.request_timeout_us = kRestTimeoutUs;
  BinanceRest rest(options);
  const auto answer = rest.exchange_info(config.binance.symbols);
  if (!answer) {
    log_info("instruments_from_cache", {{"reason", answer.error().message}});
    return;
  }
  const auto asked = parse_binance_exchange_info(answer->body);
  if (!asked) {
    log_warning("instruments_unreadable", {{"endpoint", answer->endpoint}, {"error", asked.error().message}});
    return;
  }
  table.merge(*asked);
  if (const Status kept = keep_binance_exchange_info(config, answer->body); !kept)
    log_warning("instruments_not_kept", {{"error", kept.error().message}});
}

Status require_currencies(const Config& config, const InstrumentTable& table) {
  for (const std::string& symbol : config.binance.symbols)
    if (table.find(symbol) == nullptr)
      return make_error(ErrorKind::kInvalidInput, "currency of " + symbol +
                                                      " unknown: the venue could not be asked or does not list it; k2.toml can say it: "
                                                      "[instruments] " +
                                                      symbol + " = \"BASE/QUOTE\"");
  return {};
}

BinanceFeedOptions feed_options(const BinanceConfig& config) {
  BinanceFeedOptions options;
  options.symbols = config.symbols;
  options.channels = config.channels;
  options.endpoints = config.endpoints;
  options.streams_per_connection = static_cast<size_t>(config.streams_per_connection);
  options.session.backoff_first_us = config.backoff_first_us;
  options.session.backoff_max_us = config.backoff_max_us;
  options.session.attempts_max = static_cast<int>(config.attempts_max);
  options.session.rounds_max = config.on_exhausted == "exit" ? static_cast<int>(config.rounds_max) : 0;
  options.session.heartbeat_us = config.heartbeat_us;
  if (config.heartbeat_us > 0) options.session.stale_after_us = 3 * config.heartbeat_us;
  options.lines.lines = static_cast<int>(config.lines);
  options.lines.replace_after_us = config.replace_after_us;
  options.lines.failback_after_us = config.failback_after_us;
  return options;
}

Backfill::Options backfill_options(const BinanceConfig& config, const BinanceSource::Options& source, const TlsTrust& trust,
                                   std::shared_ptr<const InstrumentTable> instruments) {
  Backfill::Options options;
  options.policy = source.gap_policy;
  options.poll_us = source.gap_poll_us;
  options.lock_file = source.lock_file;
  options.symbols = config.symbols;
  options.rest_endpoints = config.rest_endpoints;
  options.http.trust = trust;
  options.http.connect_timeout_us = kRestConnectTimeoutUs;
  options.http.request_timeout_us = kRestTimeoutUs;
  options.instruments = std::move(instruments);
  options.is_wanted = config.backfill;
  options.policy.trades_max = config.backfill_trades_max;
  options.policy.confirm_after_us = config.backfill_confirm_after_us;
  options.policy.weight_per_minute = config.backfill_weight_per_minute;
  return options;
}

/// Takes frames of all connections; a parser for each.
class FrameIngest final : public FrameSink {
 public:
  FrameIngest(Ingest& ingest, std::shared_ptr<const InstrumentTable> instruments, std::function<void()> on_failure)
      : ingest_(ingest), instruments_(std::move(instruments)), on_failure_(std::move(on_failure)), next_letter_(random_bits()) {
    for (const std::string_view exchange : {kBinanceExchange, kBinanceUsExchange}) quote_outages_of(exchange);  // shown from the start
  }

  /// What feeds took of these symbols already (a file's ids say nothing of how the venue counts today); before the first frame. A log that is
  /// away says nothing.
  void learn_numbering(const Log& log, const std::vector<std::string>& symbols) {
    std::vector<std::string> watched, sources;
    for (const std::string& symbol : symbols)
      for (const std::string_view exchange : {kBinanceExchange, kBinanceUsExchange})
        for (const Channel channel : {Channel::kTrades, Channel::kQuotes}) {
          watched.push_back(event_source(exchange, symbol, channel));
          sources.push_back(channel == Channel::kTrades ? feed_source(exchange, symbol, channel) : watched.back());
        }
    const auto positions = log.positions(sources);
    if (!positions) return;
    const TimestampUs now = system_clock().now();
    for (size_t i = 0; i < sources.size(); ++i)
      if (const auto highest = highest_taken((*positions)[i].value)) numbering_.source(watched[i]).seed(*highest, now);
  }

  /// Who is told of each stretch received; before the first frame, and outlives the last.
  void set_backfill(Backfill* backfill) { backfill_ = backfill; }

  /// Where an earlier life's quotes end; before the first frame. What is not known is not stated.
  void resume_quotes(const Log& log, const std::vector<std::string>& symbols) {
    for (const std::string_view exchange : {kBinanceExchange, kBinanceUsExchange}) {
      const auto newest = newest_quotes(log, exchange, symbols);
      if (!newest) log_warning("quotes_not_resumed", {{"exchange", exchange}, {"error", newest.error().message}});
      else
        for (const auto& [symbol, quote] : *newest) quotes_.resume(exchange, symbol, quote);
    }
  }

  void line_live(const BinanceLineUp& line) {
    quotes_.live(line.connection_id, binance_exchange_of_url(line.endpoint), line.symbols, system_clock().now());
  }

  /// After the last frame: states what was observed of quotes.
  void finish() {
    quotes_.finish();
    if (const Status stated = state_quotes(); !stated) log_warning("quotes_not_stated", {{"error", stated.error().message}});
  }

  [[nodiscard]] QuoteOutages::Counts quote_outages() const { return quotes_.counts(); }

  void on_connected(uint64_t connection_id, std::string_view) override { quotes_.line(connection_id); }

  void on_disconnected(uint64_t connection_id, std::string_view) override {  // the feed itself says so
    quotes_.ended(connection_id);
    if (const Status stated = state_quotes(); !stated) fail(stated.error());
    std::map<uint64_t, Line>::node_type ended;
    {
      const std::scoped_lock lock(mutex_);
      ended = parsers_.extract(connection_id);
    }
    if (ended) hand_over_all(ended.mapped());
  }

  void on_frame(const RawFrame& frame) override {
    K2_CRASH("C02");
    Line& line = line_of(frame);
    line.quotes->heard(frame.received);
    const Status parsed = frame.is_text ? line.parser.parse(frame.bytes, frame.received, line.frame)
                                        : make_error(ErrorKind::kInvalidInput, "a binary message, which this stream does not have");
    const Status put = parsed ? take(line, frame) : bury(frame, parsed.error().message);
    if (!put) fail(put.error());
  }

  /// The feed ends for good; the first reason counts.
  void fail(const Error& error) {
    {
      const std::scoped_lock lock(mutex_);
      if (failure_) return;
      failure_ = error;
    }
    log_error("feed_stopped", {{"error", error.message}});
    if (on_failure_) on_failure_();
  }

  [[nodiscard]] Status health() const {
    const std::scoped_lock lock(mutex_);
    if (failure_) return std::unexpected(*failure_);
    return {};
  }

 private:
  /// Trades of one symbol that came without a hole; empty where first > last.
  struct Stretch {
    SequenceRanges::Range range{};
    TimestampUs first_time;
    TimestampUs last_time;
  };
  /// What a line keeps of one symbol.
  struct SymbolOnLine {
    std::optional<Stretch> stretch;  // since the symbol's first trade
    NumberingWatch::Source* trades = nullptr;
    NumberingWatch::Source* quotes = nullptr;
    const Instrument* instrument = nullptr;
    bool is_off_grid = false;  // a trade of it was, and it was said
  };
  struct Line {
    Line(std::shared_ptr<const InstrumentTable> instruments, std::string_view given)
        : parser(std::move(instruments), given),
          exchange(given),
          latency(metrics().histogram("k2_feed_latency_seconds", "From the venue's sending of a trade to its receipt, by both clocks.",
                                      latency_bounds_seconds(), {{"exchange", exchange}})) {}
    BinanceParser parser;
    BinanceFrame frame;
    std::string exchange;
    Histogram& latency;
    std::shared_ptr<QuoteOutages::Line> quotes;
    std::unordered_map<std::string, SymbolOnLine> symbols;
    TimestampUs handed_over;
  };

  Line& line_of(const RawFrame& frame) {
    const std::scoped_lock lock(mutex_);
    if (const auto known = parsers_.find(frame.connection_id); known != parsers_.end()) return known->second;
    Line& line = parsers_.try_emplace(frame.connection_id, instruments_, binance_exchange_of_url(frame.source)).first->second;
    line.quotes = quotes_.line(frame.connection_id);
    return line;
  }

  SymbolOnLine& symbol_of(Line& line, const std::string& symbol) {
    const auto [at, is_new] = line.symbols.try_emplace(symbol);
    if (is_new) {
      at->second.trades = &numbering_.source(event_source(line.exchange, symbol, Channel::kTrades));
      at->second.quotes = &numbering_.source(event_source(line.exchange, symbol, Channel::kQuotes));
      at->second.instrument = instruments_->find(symbol);
    }
    return at->second;
  }

  Status take(Line& line, const RawFrame& raw) {
    const BinanceFrame& frame = line.frame;
    switch (frame.kind) {
      case BinanceFrame::Kind::kTrade: return take_trade(line, frame, raw);
      case BinanceFrame::Kind::kQuote: return take_quote(line, frame.quote, raw);
      case BinanceFrame::Kind::kReply:
        if (frame.reply.is_error) refused(frame.reply);
        return {};
      case BinanceFrame::Kind::kServerShutdown: log_info("feed_server_shutdown"); return {};
      case BinanceFrame::Kind::kAggTrade:
      case BinanceFrame::Kind::kOther:
        metrics().counter("k2_feed_other_frames_total", "Well-formed frames that carry nothing k2 keeps.").add();
        return {};
    }
    return {};
  }

  Status take_trade(Line& line, const BinanceFrame& frame, const RawFrame& raw) {
    const Trade& trade = frame.trade;
    if (frame.event_time.us != 0)
      line.latency.observe(static_cast<double>(std::max<int64_t>(0, trade.ingestion_timestamp.us - frame.event_time.us)) * 1e-6);
    K2_RETURN_IF_ERROR(ingest_.put(trade));
    SymbolOnLine& symbol = symbol_of(line, trade.symbol);
    if (symbol.instrument != nullptr && !symbol.instrument->is_on_grid(trade.price, trade.quantity)) note_off_grid(line, symbol, trade);
    if (symbol.trades->is_trade_strange(*trade.source_sequence, trade.timestamp))
      return bury_strange(line.exchange, Channel::kTrades, raw);  // and nothing is said of its id, which may be another trade's
    if (backfill_ != nullptr) note(line, symbol, trade);
    return {};
  }

  Status take_quote(Line& line, const Quote& quote, const RawFrame& raw) {
    bool is_left_out = false;
    quotes_.expect(line.quotes, line.exchange, quote.symbol, *quote.source_sequence, raw.received);
    K2_RETURN_IF_ERROR(state_quotes());
    K2_RETURN_IF_ERROR(ingest_.put(quote, Numbering::kRising, &is_left_out));
    quotes_.took(line.exchange, quote.symbol, *quote.source_sequence, raw.received, is_left_out);
    if (symbol_of(line, quote.symbol).quotes->is_quote_strange(*quote.source_sequence, raw.received))
      return bury_strange(line.exchange, Channel::kQuotes, raw);
    return {};
  }

  /// The trade is taken as it is: the venue may have changed the symbol's ticks since it was asked.
  static void note_off_grid(const Line& line, SymbolOnLine& symbol, const Trade& trade) {
    metrics()
        .counter("k2_feed_off_grid_trades_total", "Live trades that are no multiple of the tick and step that exchangeInfo gave.",
                 {{"exchange", line.exchange}})
        .add();
    if (std::exchange(symbol.is_off_grid, true)) return;
    log_warning("trade_off_grid", {{"exchange", line.exchange},
                                   {"symbol", trade.symbol},
                                   {"trade_id", trade.trade_id},
                                   {"price", trade.price.to_string()},
                                   {"price_tick", symbol.instrument->price_tick.to_string()},
                                   {"quantity", trade.quantity.to_string()},
                                   {"quantity_step", symbol.instrument->quantity_step.to_string()}});
  }

  Status state_quotes() {
    for (const Coverage& statement : quotes_.take_statements()) {
      if (statement.status == CoverageStatus::kLost) {
        quote_outages_of(statement.exchange).add();
        log_warning("quotes_not_received", {{"exchange", statement.exchange},
                                            {"symbol", statement.symbol},
                                            {"from", format_rfc3339(statement.timestamp)},
                                            {"to", format_rfc3339(statement.end_timestamp)},
                                            {"reason", statement.reason}});
      }
      K2_RETURN_IF_ERROR(ingest_.put(statement));
    }
    return {};
  }

  static Counter& quote_outages_of(std::string_view exchange) {
    return metrics().counter("k2_quote_outages_total", "Times that no line brought a symbol's quotes.",
                             {{"exchange", std::string(exchange)}});
  }

  // Put like any other, but ingest takes it for a duplicate where its number was taken before. So it is kept as a dead letter as well: every trade, and of
  // quotes, which follow each other much faster, the first ones.
  Status bury_strange(const std::string& exchange, Channel channel, const RawFrame& raw) {
    metrics()
        .counter("k2_feed_id_conflicts_total", "Events whose ids say that the venue counts from the beginning again.",
                 {{"exchange", exchange}, {"channel", std::string(channel_name(channel))}})
        .add();
    if (channel == Channel::kQuotes && strange_quotes_.fetch_add(1) >= kStrangeQuotesKept) return {};
    return bury(raw, "a lower id than the newest, at a later time: the venue's ids seem to begin again; stored if this id was new");
  }

  void note(Line& line, SymbolOnLine& symbol, const Trade& trade) {
    const int64_t id = *trade.source_sequence;
    const bool is_first = !symbol.stretch;
    if (is_first) symbol.stretch.emplace();
    Stretch& stretch = *symbol.stretch;
    if (is_first) backfill_->arrived(line.exchange, trade.symbol, id);
    const bool goes_on = !is_first && id == stretch.range.last + 1;
    if (!is_first && id >= stretch.range.first && id <= stretch.range.last) return;  // once more
    if (!goes_on) {
      if (!is_first) hand_over(line, trade.symbol, stretch);
      stretch.range.first = id;
    }
    if (stretch.range.first == id) stretch.first_time = trade.timestamp;
    stretch.range.last = id;
    stretch.last_time = trade.timestamp;
    if (line.handed_over.us == 0) line.handed_over = trade.ingestion_timestamp;
    if (trade.ingestion_timestamp.us - line.handed_over.us < kHandOverUs) return;
    line.handed_over = trade.ingestion_timestamp;
    hand_over_all(line);
  }

  void hand_over_all(Line& line) {
    for (auto& [name, symbol] : line.symbols)
      if (symbol.stretch) hand_over(line, name, *symbol.stretch);
  }

  void hand_over(Line& line, const std::string& symbol, Stretch& stretch) {
    if (backfill_ != nullptr && stretch.range.first <= stretch.range.last)
      backfill_->received(line.exchange, symbol, stretch.range, stretch.first_time, stretch.last_time);
    stretch.range.first = stretch.range.last + 1;
  }

  // The connection lives, but what it asked for does not come: loud, and counted where the alerts look.
  static void refused(const BinanceReply& reply) {
    metrics().counter("k2_binance_errors_total", "Connections to Binance that failed or were lost.", {{"reason", "refused"}}).add();
    log_error("feed_refused", {{"code", reply.error_code}, {"message", reply.text}});
  }

  Status bury(const RawFrame& frame, const std::string& reason) {
    log_debug("dead_letter", {{"reason", reason}, {"bytes", frame.bytes.size()}});
    const DeadLetter letter{std::string(frame.source), reason, std::string(frame.bytes), frame.received};
    return ingest_.put(letter, {kDeadLetterSource, next_letter_.fetch_add(1), false});
  }

  Ingest& ingest_;
  Backfill* backfill_ = nullptr;
  const std::shared_ptr<const InstrumentTable> instruments_;
  const std::function<void()> on_failure_;
  std::atomic<uint64_t> next_letter_;
  mutable std::mutex mutex_;
  std::map<uint64_t, Line> parsers_;  // a Line is used by its connection's thread alone
  std::optional<Error> failure_;
  NumberingWatch numbering_;
  QuoteOutages quotes_;
  std::atomic<int64_t> strange_quotes_ = 0;
};

}  // namespace

struct BinanceSource::Impl {
  std::unique_ptr<FrameIngest> sink;
  std::unique_ptr<Backfill> backfill;
  std::unique_ptr<BinanceFeed> feed;
};

BinanceSource::BinanceSource(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BinanceSource::~BinanceSource() { stop(); }

Result<std::unique_ptr<BinanceSource>> BinanceSource::start(const Config& config, Ingest& ingest, Options options) {
  TlsTrust trust = options.trust;
  if (trust.ca_file.empty()) trust.ca_file = config.binance.ca_file;
  K2_TRY(InstrumentTable instruments, known_binance_instruments(config));
  ask_instruments(config, trust, instruments);
  K2_RETURN_IF_ERROR(require_currencies(config, instruments));
  BinanceFeedOptions feed = feed_options(config.binance);
  feed.trust = trust;
  const auto table = std::make_shared<const InstrumentTable>(std::move(instruments));
  auto impl = std::make_unique<Impl>();
  impl->sink = std::make_unique<FrameIngest>(ingest, table, std::move(options.on_failure));
  if (options.log != nullptr) {
    impl->sink->learn_numbering(*options.log, config.binance.symbols);
    impl->sink->resume_quotes(*options.log, config.binance.symbols);
    impl->backfill = std::make_unique<Backfill>(*options.log, ingest, backfill_options(config.binance, options, trust, table));
    impl->sink->set_backfill(impl->backfill.get());
  }
  feed.on_live = [sink = impl->sink.get(), backfill = impl->backfill.get()](const BinanceLineUp& line) {
    sink->line_live(line);
    if (backfill != nullptr) backfill->line_up(binance_exchange_of_url(line.endpoint), line.symbols);
  };
  feed.on_exhausted = [sink = impl->sink.get()](const std::string& why) { sink->fail({ErrorKind::kUnavailable, why}); };
  K2_TRY(impl->feed, BinanceFeed::start(feed, *impl->sink));
  return std::unique_ptr<BinanceSource>(new BinanceSource(std::move(impl)));
}

void BinanceSource::stop() {
  if (!impl_->feed) return;
  impl_->feed->stop();
  impl_->sink->finish();
  if (impl_->backfill) impl_->backfill->stop();
}
BackfillStatus BinanceSource::gaps() const { return impl_->backfill ? impl_->backfill->status() : BackfillStatus(); }
QuoteOutages::Counts BinanceSource::quote_outages() const { return impl_->sink->quote_outages(); }
BinanceFeedStatus BinanceSource::status() const { return impl_->feed->status(); }
Status BinanceSource::health() const { return impl_->sink->health(); }

}  // namespace k2
