// k2 gaps: what is missing of the sources' sequence numbers, and how complete the rest is.
#include <CLI/CLI.hpp>

#include <array>

#include "app/command.h"
#include "app/command_tree.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/query_sources.h"
#include "market/sequence_ranges.h"

namespace k2 {
namespace {

struct GapsFlags {
  std::vector<std::string> symbols;
  std::string exchange;
  std::string since;
  std::string read_token;
  bool all = false;
};

/// One source's ranges in numbers.
struct Tally {
  std::array<int64_t, kCoverageStatusCount> events{};  // sequence numbers, by status
  int64_t gaps = 0;                                    // ranges that are open or lost
  int64_t unstated = 0;                                // sequence numbers between the first and the last that nothing was said of
  int64_t silently_missing = 0;                        // of those and of later ones that the feed took: neither taken nor settled
  int64_t newer = 0;                                   // later ones that the feed took
  std::optional<CoverageRange> span;                   // from the first to the last, and from the earliest to the latest time

  [[nodiscard]] int64_t of(CoverageStatus status) const { return events[static_cast<size_t>(status)]; }
};

void count(const CoverageRange& range, Tally& tally) {
  tally.events[static_cast<size_t>(range.status)] += range.count();
  if (range.is_gap()) ++tally.gaps;
  if (!tally.span) {
    tally.span = range;
    return;
  }
  tally.unstated += range.first - tally.span->last - 1;
  tally.span->last = range.last;
  tally.span->timestamp = std::min(tally.span->timestamp, range.timestamp);
  tally.span->end_timestamp = std::max(tally.span->end_timestamp, range.end_timestamp);
}

Tally tally_of(const std::vector<CoverageRange>& ranges, const CoverageWindow& window) {
  Tally tally;
  for (const CoverageRange& range : ranges)
    if (overlaps(range, window)) count(range, tally);
  return tally;
}

/// What the log's positions have of a source.
struct Accounted {
  SequenceRanges all;  // taken, or known not to come
  SequenceRanges by_feed;  // of those, what a feed took
};

Result<Accounted> accounted(const Log& log, const CoverageSource& source) {
  K2_TRY(const Channel channel, parse_channel(source.channel));
  std::vector<std::string> names;
  for (const auto& name_of : {event_source, settled_source, feed_source}) names.push_back(name_of(source.exchange, source.symbol, channel));
  K2_TRY(const auto positions, log.positions(names));
  Accounted accounted;
  K2_TRY(accounted.all, SequenceRanges::parse(positions[0].value));
  K2_TRY(const SequenceRanges settled, SequenceRanges::parse(positions[1].value));
  K2_TRY(accounted.by_feed, SequenceRanges::parse(positions[2].value));
  accounted.all.insert(settled);
  return accounted;
}

/// How many of first..last are not in `ranges`.
int64_t absent(const SequenceRanges& ranges, int64_t first, int64_t last) {
  int64_t count = std::max<int64_t>(0, last - first + 1);
  for (const SequenceRanges::Range& part : ranges.overlap({first, last})) count -= part.last - part.first + 1;
  return count;
}

/// A program that was killed, or stopped as soon as it saw a hole, has not stated it; the positions show it all the same.
int64_t silently_missing(const std::vector<CoverageRange>& stated, const Accounted& known, const Tally& tally) {
  int64_t count = 0;
  int64_t next = tally.span->first;
  for (const CoverageRange& range : stated) {
    if (range.first < tally.span->first) continue;
    count += absent(known.all, next, range.first - 1);
    next = range.last + 1;
  }
  return count + absent(known.all, next, known.by_feed.last().value_or(next - 1));
}

/// What the feed took behind the last statement.
int64_t newer(const Accounted& known, const Tally& tally) {
  int64_t count = 0;
  for (const SequenceRanges::Range& part : known.by_feed.overlap({tally.span->last + 1, known.by_feed.last().value_or(0)}))
    count += part.last - part.first + 1;
  return count;
}

/// "binance BTCUSDT trades: complete, 12,345 from 553,287,559 to 553,299,903, ..."
std::string summary(const CoverageSource& source, const Tally& tally) {
  const int64_t missing = tally.of(CoverageStatus::kOpen) + tally.of(CoverageStatus::kLost);
  std::string text = source.exchange + " " + source.symbol + " " + source.channel + ": ";
  // Of quotes the numbers are update ids, most of which never were one: how many are missing is not known.
  if (missing > 0 && source.channel == channel_name(Channel::kQuotes))
    text += "not received in " + with_commas(tally.gaps) + (tally.gaps == 1 ? " stretch" : " stretches");
  else if (missing > 0) text += with_commas(missing) + " missing in " + with_commas(tally.gaps) + (tally.gaps == 1 ? " gap" : " gaps");
  else if (tally.silently_missing == 0)
    text += tally.unstated > 0 ? "no gap known" : (tally.newer > 0 ? "complete as far as stated" : "complete");
  if (tally.silently_missing > 0) text += (missing > 0 ? ", " : "") + with_commas(tally.silently_missing) + " missing and not stated yet";
  text += (source.channel == channel_name(Channel::kQuotes) ? ", update ids " : ", ids ") + std::to_string(tally.span->first) + " to " +
          std::to_string(tally.span->last) + ", from " + format_rfc3339(tally.span->timestamp) + " to " +
          format_rfc3339(tally.span->end_timestamp) + ":";
  std::string parts;
  for (size_t i = 0; i < kCoverageStatusCount; ++i)
    if (tally.events[i] > 0)
      parts += (parts.empty() ? " " : ", ") + with_commas(tally.events[i]) + " " +
               (static_cast<CoverageStatus>(i) == CoverageStatus::kNotIssued
                    ? "not issued"
                    : std::string(coverage_status_name(static_cast<CoverageStatus>(i))));
  if (tally.unstated > 0) parts += ", " + with_commas(tally.unstated) + " of which nothing was stated";
  if (tally.newer > 0) parts += "; " + with_commas(tally.newer) + " newer trades are in the log, of which nothing is stated yet";
  return text + parts;
}

Result<int> run_gaps(const CommandContext& context, const GapsFlags& flags) {
  CoverageQuery query{.symbols = flags.symbols, .exchange = flags.exchange};
  if (!flags.since.empty()) {
    const auto since = parse_time(flags.since, system_clock().now());
    if (!since) return usage_error(since.error().message);
    query.start = *since;
  }
  if (!flags.all) query.statuses = {CoverageStatus::kOpen, CoverageStatus::kLost, CoverageStatus::kNotIssued};
  auto opened = QuerySources::open(context, flags.read_token);
  if (!opened) return not_opened(opened.error());
  const QuerySources sources = *std::move(opened);
  K2_TRY(const auto rows, sources.engine->coverage(query, sources.cut));
  K2_TRY(const int64_t printed, print(*rows, context));
  static_cast<void>(printed);

  K2_TRY(const auto state, sources.engine->coverage_state(sources.cut));
  const CoverageWindow window{query.symbols, query.exchange, "", query.start, std::nullopt};
  bool is_partial = false;
  bool is_empty = true;
  for (const auto& [source, ranges] : *state) {
    if (!matches(source, window)) continue;
    Tally tally = tally_of(*ranges, window);
    if (!tally.span) continue;
    if (source.channel == channel_name(Channel::kTrades) && flags.read_token.empty()) {
      K2_TRY(const Accounted known, accounted(*sources.log, source));
      tally.silently_missing = silently_missing(*ranges, known, tally);
      tally.newer = newer(known, tally);
    }
    say(context, summary(source, tally));
    is_partial = is_partial || tally.gaps > 0 || tally.silently_missing > 0;
    is_empty = false;
  }
  if (is_empty)
    for (const std::string& words : absent_in_words(sources, flags.symbols, flags.exchange)) say(context, words);
  if (is_empty)
    say(context, "nothing is stated yet: a live feed states what it took within 5 minutes, and files that were loaded have no coverage");
  return is_partial ? kExitPartial : kExitOk;
}

}  // namespace

void add_gaps_command(CommandLine& commands) {
  auto flags = std::make_shared<GapsFlags>();
  CLI::App* gaps = commands.add(commands.root(), "gaps", "What is missing of the live feed's trades, and why; exit code 3 if anything is",
                                {"k2 gaps", "k2 gaps BTCUSDT --since -24h", "k2 gaps --all -o csv > coverage.csv"},
                                [flags](CommandContext& context) { return run_gaps(context, *flags); });
  gaps->add_option("symbols", flags->symbols, "all without one")->type_name("SYMBOL ...");
  gaps->add_option("--exchange", flags->exchange, "one venue: binance")->type_name(type_offering("NAME", {"binance"}));
  gaps->add_option("--since", flags->since, "only what reaches past this time: 2026-11-23, -24h")->type_name("TIME");
  gaps->add_flag("--all", flags->all, "also what was observed and backfilled");
  gaps->add_option("--read-token", flags->read_token, "of what that earlier answer read")->type_name("TOKEN");
  commands.add_output(*gaps);
}

}  // namespace k2
