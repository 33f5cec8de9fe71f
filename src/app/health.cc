#include "app/health.h"

#include "app/progress.h"

namespace k2 {
namespace {

std::string counted(int64_t count, std::string_view one, std::string_view many) {
  return with_commas(count).append(" ").append(count == 1 ? one : many);
}

bool is_recent(int64_t at_us, const HealthFacts& facts) { return at_us > 0 && facts.now.us - at_us < kLossRememberedUs; }

std::string at_text(int64_t at_us) { return format_rfc3339({at_us}); }

/// "not connected to Binance (wss://..., backing_off); last error: connection refused"
std::string disconnected(const BinanceFeedStatus& feed) {
  std::string text = "not connected to Binance (" + feed.endpoint + ", " + std::string(session_state_name(feed.state)) + ")";
  if (!feed.last_error.empty()) text += "; last error: " + feed.last_error;
  return text;
}

/// "2 gaps open: 1,234 trades of BTCUSDT, 5 of ETHUSDT missing; see /v1/coverage or `k2 gaps`"
std::string open_gaps(const BackfillStatus& gaps) {
  std::string missing;
  for (const SymbolGaps& symbol : gaps.symbols)
    missing += (missing.empty() ? counted(symbol.missing, "trade", "trades") : ", " + with_commas(symbol.missing)) + " of " + symbol.symbol;
  if (missing.empty()) missing = counted(gaps.missing, "trade", "trades");
  std::string text = counted(gaps.open, "gap", "gaps") + " open: " + missing + " missing; see /v1/coverage or `k2 gaps`";
  if (!gaps.last_error.empty()) text += "; last error: " + gaps.last_error;
  return text;
}

/// What was left out under load.
std::string left_out(const Ingest::Counts& ingest) {
  std::string what;
  if (ingest.trades_shed > 0) what = counted(ingest.trades_shed, "trade", "trades") + " (asked for again)";
  if (ingest.quotes_shed > 0) what += (what.empty() ? "" : " and ") + counted(ingest.quotes_shed, "quote", "quotes");
  return what + " left out because too much waited for the log, last at " + at_text(ingest.last_shed_us);
}

}  // namespace

std::vector<std::string> health_problems(const HealthFacts& facts) {
  std::vector<std::string> problems;
  if (facts.not_ready) problems.push_back(*facts.not_ready);
  if (facts.feed && !facts.feed->connected) problems.push_back(disconnected(*facts.feed));
  if (facts.ingest && facts.ingest->breaker != CircuitBreaker::State::kClosed)
    problems.push_back("the log does not take what comes: " + counted(facts.ingest->pending, "record waits", "records wait") +
                       " in memory");
  if (facts.gaps && facts.gaps->open > 0) problems.push_back(open_gaps(*facts.gaps));
  if (facts.gaps && is_recent(facts.gaps->last_lost_us, facts))
    problems.push_back(counted(facts.gaps->lost, "trade", "trades") + " lost for good since the start, last known at " +
                       at_text(facts.gaps->last_lost_us) + "; see /v1/coverage?status=lost");
  if (facts.quotes && is_recent(facts.quotes->last_us, facts))
    problems.push_back(counted(facts.quotes->outages, "outage", "outages") + " of quotes since the start, the last of " +
                       facts.quotes->last_symbol + " until " + at_text(facts.quotes->last_us) +
                       "; see /v1/coverage?channel=quotes&status=lost");
  if (facts.ingest && is_recent(facts.ingest->last_shed_us, facts)) problems.push_back(left_out(*facts.ingest));
  for (const HealthFacts::Table& table : facts.tables)
    if (!table.error.empty()) problems.push_back(table.name + ": " + counted(table.lag, "row waits", "rows wait") + ": " + table.error);
  return problems;
}

std::string_view health_word(const HealthFacts& facts) {
  if (facts.not_ready) return "failing";
  return health_problems(facts).empty() ? "ok" : "degraded";
}

}  // namespace k2
