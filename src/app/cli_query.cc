// k2 query trades|quotes|symbols|stats|snapshots|dead-letters, k2 sql.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "app/cli_values.h"
#include "app/command.h"
#include "app/command_tree.h"
#include "app/data_dir.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/query_sources.h"
#include "base/time_zone.h"
#include "query/dead_letters.h"
#include "query/known_symbols.h"

namespace k2 {
namespace {

constexpr int64_t kTableRows = 50;      // of trades and quotes as a table without --limit: what a screen shows
constexpr int64_t kLetterCellMax = 60;  // of dead letters as a table: a line that could not be read may be long

struct QueryFlags {
  std::vector<std::string> symbols;
  std::string exchange;
  std::string start;
  std::string end;
  std::string zone;
  int64_t limit = -1;
  bool newest = false;
  bool quotes = false;
  std::vector<std::string> columns;
  std::string read_token;
  bool show_token = false;
  bool check_complete = false;
  std::string table = "trades_v2";
  std::string sql;
};

Result<int> print_all(const CommandContext& context, QueryResult& result) {
  const auto rows = print(result, context);
  if (!rows) return std::unexpected(rows.error());
  return kExitOk;
}

Result<EventQuery> event_query(Channel channel, const QueryFlags& flags) {
  const TimestampUs now = system_clock().now();
  EventQuery query;
  query.channel = channel;
  query.symbols = flags.symbols;
  query.exchange = flags.exchange;
  query.columns = flags.columns;
  const auto read = [&](const std::string& text, std::optional<TimestampUs>& to) -> Status {
    if (text.empty()) return {};
    if (flags.zone.empty()) {
      K2_TRY(to, parse_time(text, now));
      return {};
    }
    K2_TRY(const TimeZone zone, TimeZone::find(flags.zone));
    K2_TRY(to, parse_time(text, now, zone));
    return {};
  };
  K2_RETURN_IF_ERROR(read(flags.start, query.start));
  K2_RETURN_IF_ERROR(read(flags.end, query.end));
  if (query.start && query.end && *query.start > *query.end)
    return make_error(ErrorKind::kInvalidInput, "--end " + flags.end + " lies before --start " + flags.start);
  if (flags.limit >= 0) query.limit = flags.limit;
  if (flags.newest) query.order = EventOrder::kNewestFirst;
  return query;
}

/// Says on standard error whether the answer has all there is; exit code 3 where it is known not to.
int say_complete(const Completeness& found) {
  const auto line = [](const std::string& text) { std::fprintf(stderr, "k2: %s\n", text.c_str()); };
  if (found.complete == true) {
    line("complete");
    return kExitOk;
  }
  if (!found.complete) {
    line("not known to be complete" +
         (found.known_until ? "; everything is known until " + format_rfc3339(*found.known_until) : std::string()));
    return kExitOk;
  }
  for (const CoverageGap& gap : found.gaps)
    line("missing: " + gap.source.exchange + " " + gap.source.symbol + " " + std::to_string(gap.range.first) + " to " +
         std::to_string(gap.range.last) + ", " + std::string(coverage_status_name(gap.range.status)) +
         (gap.range.reason.empty() ? "" : ": " + gap.range.reason));
  line("not complete: " + with_commas(found.gap_count) + (found.gap_count == 1 ? " gap" : " gaps") + "; k2 gaps shows all");
  return kExitPartial;
}

/// What fits a screen; the other formats have all columns.
std::vector<std::string> table_columns(Channel channel) {
  if (channel == Channel::kQuotes)
    return {"timestamp", "exchange", "symbol", "bid_price", "bid_quantity", "ask_price", "ask_quantity", "currency"};
  return {"timestamp", "exchange", "symbol", "side", "price", "quantity", "currency", "trade_id"};
}

/// Says which of the symbols asked for are nowhere, and what is there instead: a slip must not look like a quiet market.
Status say_absent(const CommandContext& context, const EventQuery& query, const QuerySources& sources, int64_t rows) {
  if (context.quiet || query.limit == 0 || (rows > 0 && query.symbols.size() < 2)) return {};
  if (rows == 0 && query.symbols.empty() && query.exchange.empty()) return {};
  K2_TRY(std::vector<std::string> absent, absent_symbols(*sources.engine, query.channel, query.symbols, query.exchange, sources.cut));
  if (rows > 0 && absent.empty()) return {};
  K2_TRY(const auto known, known_symbols(*sources.engine, query.channel, sources.cut));
  if (query.symbols.empty()) absent.emplace_back();
  for (const std::string& symbol : absent)
    if (const std::string why = why_absent(known, query.channel, symbol, query.exchange); !why.empty()) say(context, why);
  if (!absent.empty()) return {};
  for (const KnownSymbol& one : known)
    if (std::ranges::find(query.symbols, one.symbol) != query.symbols.end() && (query.exchange.empty() || one.exchange == query.exchange))
      say(context, "no " + std::string(channel_name(query.channel)) + " of " + one.symbol + " in that time; there are some from " +
                       format_rfc3339(one.first) + " to " + format_rfc3339(one.last));
  return {};
}

Result<int> query_events(const CommandContext& context, Channel channel, const QueryFlags& flags) {
  auto query = event_query(channel, flags);
  if (!query) return usage_error(query.error().message);
  const bool is_table = output_format(context) == Format::kTable;
  const bool is_screenful = is_table && !query->limit;
  if (is_table && query->columns.empty()) query->columns = table_columns(channel);
  if (is_screenful) query->limit = kTableRows;
  const bool is_turned = is_screenful && query->order == EventOrder::kOldestFirst;  // the newest rows, the newest last
  if (is_turned) query->order = EventOrder::kNewestFirst;
  auto sources = QuerySources::open(context, flags.read_token);
  if (!sources) return not_opened(sources.error());
  auto result = sources->engine->events(*query, sources->cut);
  if (!result) return usage_or_failure(result.error());
  if (is_turned) {
    K2_TRY(result, reversed(**result));
  }
  K2_TRY(const int64_t rows, print(**result, context));
  if (is_screenful && rows == kTableRows)
    say(context, "the newest " + with_commas(rows) + " rows; --limit for more, -o csv for all columns");
  K2_RETURN_IF_ERROR(say_absent(context, *query, *sources, rows));
  if (flags.show_token) std::fprintf(stderr, "read_token %s\n", read_token(sources->cut).c_str());
  if (!flags.check_complete) return kExitOk;
  K2_TRY(const Completeness found, sources->engine->completeness(*query, sources->cut));
  return say_complete(found);
}

Result<int> query_symbols(const CommandContext& context, const QueryFlags& flags) {
  const auto sources = QuerySources::open(context, flags.read_token);
  if (!sources) return not_opened(sources.error());
  K2_TRY(const auto result, sources->engine->symbols(flags.quotes ? Channel::kQuotes : Channel::kTrades, sources->cut));
  return print_all(context, *result);
}

Result<int> query_stats(const CommandContext& context, const QueryFlags&) {
  K2_TRY(const QuerySources sources, QuerySources::open(context, ""));
  K2_TRY(const auto result, sources.engine->stats(sources.cut));
  return print_all(context, *result);
}

Result<int> query_snapshots(const CommandContext& context, const QueryFlags& flags) {
  K2_TRY(const QuerySources sources, QuerySources::open(context, ""));
  const auto result = sources.engine->snapshots(flags.table);
  if (!result) return usage_or_failure(result.error());
  return print_all(context, **result);
}

Result<int> query_dead_letters(const CommandContext& context, const QueryFlags& flags) {
  K2_RETURN_IF_ERROR(require_data(context.config));
  K2_TRY(const std::unique_ptr<LocalLog> log, open_log(context.config));
  K2_TRY(const auto result, dead_letters(*log, *log, flags.limit));
  K2_TRY(const int64_t rows, print(*result, context, {.table_cell_max = kLetterCellMax}));
  static_cast<void>(rows);
  return kExitOk;
}

Result<int> run_sql(const CommandContext& context, const QueryFlags& flags) {
  const auto sources = QuerySources::open(context, flags.read_token);
  if (!sources) return not_opened(sources.error());
  K2_TRY(const auto result, sources->engine->sql(flags.sql, sources->cut));  // an error shows the line of the statement itself
  return print_all(context, *result);
}

using RunQuery = Result<int> (*)(const CommandContext&, const QueryFlags&);

CLI::App* add_query(CommandLine& commands, CLI::App& group, std::shared_ptr<QueryFlags> flags, std::string_view name,
                    std::string_view summary, std::vector<std::string> examples, RunQuery run) {
  CLI::App* command =
      commands.add(group, name, summary, std::move(examples), [flags, run](CommandContext& context) { return run(context, *flags); });
  commands.add_output(*command);
  return command;
}

void add_limit(CLI::App& command, QueryFlags& flags) {
  command.add_option("--limit", flags.limit, "at most so many rows")->check(whole_number(0))->type_name("N");
}

void add_token(CLI::App& command, QueryFlags& flags) {
  command.add_option("--read-token", flags.read_token, "read what that earlier answer read")->type_name("TOKEN");
}

void add_event_flags(CLI::App& command, QueryFlags& flags) {
  command.add_option("symbols", flags.symbols, "all without one")->type_name("SYMBOL ...");
  command.add_option("--exchange", flags.exchange, "one venue: asx, binance")->type_name(type_offering("NAME", {"asx", "binance"}));
  command.add_option("--start", flags.start, "from this time on, UTC: 2014-03-10, 2014-03-10T09:30, 2014-03-10T09:30+11:00, -15m")
      ->type_name("TIME");
  command.add_option("--end", flags.end, "before this time, likewise")->type_name("TIME");
  command.add_option("--tz", flags.zone, "whose days and times --start and --end are, in place of UTC: Australia/Sydney")
      ->type_name("ZONE");
  add_limit(command, flags);
  command.add_flag("--newest", flags.newest, "newest rows first (with --limit: the newest ones)");
  command.add_option("--columns", flags.columns, "these columns, in this order")->delimiter(',')->type_name("A,B");
  add_token(command, flags);
  command.add_flag("--show-token", flags.show_token, "say the answer's read token on standard error");
}

}  // namespace

void add_query_commands(CommandLine& commands) {
  auto flags = std::make_shared<QueryFlags>();
  CLI::App* group = commands.add_group(commands.root(), "query", "Ask for trades, quotes and what there is of them",
                                       {"k2 query symbols", "k2 query trades BHP --start 2014-03-10 --end 2014-03-11 --tz Australia/Sydney",
                                        "k2 query trades BTCUSDT --start -15m -o csv"});
  CLI::App* trades = add_query(
      commands, *group, flags, "trades", "Trades, oldest first; a table without --limit has the newest 50",
      {"k2 query trades BTCUSDT --start -15m",
       "k2 query trades BHP --start 2014-03-10 --end 2014-03-11 --tz Australia/Sydney -o csv > bhp.csv   # the exchange's day",
       "k2 query trades BHP RIO --newest --limit 20 --columns timestamp,symbol,price,quantity", "k2 query trades -o parquet > all.parquet"},
      [](const CommandContext& c, const QueryFlags& f) { return query_events(c, Channel::kTrades, f); });
  add_event_flags(*trades, *flags);
  trades->add_flag("--complete", flags->check_complete, "say whether these are all trades of that time; exit code 3 where gaps are known");
  add_event_flags(*add_query(commands, *group, flags, "quotes", "Quotes, oldest first; a table without --limit has the newest 50",
                             {"k2 query quotes BHP --newest --limit 10", "k2 query quotes BHP -o arrow > bhp.arrow"},
                             [](const CommandContext& c, const QueryFlags& f) { return query_events(c, Channel::kQuotes, f); }),
                  *flags);
  CLI::App* symbols = add_query(commands, *group, flags, "symbols", "Symbols with counts, times and last prices",
                                {"k2 query symbols", "k2 query symbols --quotes -o json"}, query_symbols);
  symbols->add_flag("--quotes", flags->quotes, "of quotes instead of trades");
  add_token(*symbols, *flags);
  add_query(commands, *group, flags, "stats", "Rows, files and bytes of each table of v2 and of the log", {"k2 query stats"}, query_stats);
  CLI::App* snapshots = add_query(commands, *group, flags, "snapshots", "A table's snapshots, newest first",
                                  {"k2 query snapshots", "k2 query snapshots quotes_v2 -o json"}, query_snapshots);
  snapshots->add_option("table", flags->table, "trades_v2, quotes_v2 or coverage")
      ->type_name(type_offering("TABLE", {"trades_v2", "quotes_v2", "coverage"}))
      ->capture_default_str();
  CLI::App* letters = add_query(commands, *group, flags, "dead-letters", "Inputs that could not become events, with the reason",
                                {"k2 query dead-letters --limit 20", "k2 query dead-letters -o ndjson"}, query_dead_letters);
  add_limit(*letters, *flags);

  CLI::App* sql =
      add_query(commands, commands.root(), flags, "sql", "One SELECT over the views trades, quotes and coverage",
                {"k2 sql \"SELECT symbol, count(*), sum(quantity) FROM trades GROUP BY symbol\"",
                 "k2 sql \"SELECT time_bucket(INTERVAL 1 minute, timestamp) AS minute, max(price) FROM trades WHERE symbol = "
                 "'BHP' GROUP BY 1 ORDER BY 1\" -o csv",
                 "k2 sql \"SELECT symbol, sum(price::DECIMAL(38,8) * quantity) / sum(quantity) AS vwap FROM trades GROUP BY symbol\""},
                run_sql);
  sql->add_option("statement", flags->sql, "the SELECT")->required()->type_name("SQL");
  add_token(*sql, *flags);

  add_gaps_command(commands);
}

}  // namespace k2
