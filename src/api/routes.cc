#include "api/routes.h"

#include <algorithm>
#include <array>
#include <utility>

#include "api/answers.h"

namespace k2 {
namespace {

// Members of rows that are no table's own.
constexpr Column kCoverageRow[] = {
    {"exchange", ColumnType::kString, true, 0, 0, "lowercase venue name"},
    {"symbol", ColumnType::kString, true, 0, 0, "the venue's spelling"},
    {"channel", ColumnType::kString, true, 0, 0, "trades or quotes"},
    {"first_sequence", ColumnType::kLong, true, 0, 0, "first source sequence of the range"},
    {"last_sequence", ColumnType::kLong, true, 0, 0, "last source sequence of the range, inclusive"},
    {"count", ColumnType::kLong, true, 0, 0, "sequences in the range"},
    {"timestamp", ColumnType::kTimestampUs, true, 0, 0, "event time at the range's start, as near as known"},
    {"end_timestamp", ColumnType::kTimestampUs, true, 0, 0, "event time at the range's end, as near as known"},
    {"status", ColumnType::kString, true, 0, 0, "observed, backfilled, not_issued, open or lost"},
    {"reason", ColumnType::kString, false, 0, 0, "why, where not simply observed"},
};

constexpr Column kSymbolRow[] = {
    {"symbol", ColumnType::kString, true, 0, 0, "the venue's spelling"},
    {"exchange", ColumnType::kString, true, 0, 0, "lowercase venue name"},
    {"asset_class", ColumnType::kString, true, 0, 0, "equities, crypto, futures or options"},
    {"currency", ColumnType::kString, true, 0, 0, "what prices are quoted in"},
    {"count", ColumnType::kLong, true, 0, 0, "events"},
    {"first_timestamp", ColumnType::kTimestampUs, true, 0, 0, "of the first event"},
    {"last_timestamp", ColumnType::kTimestampUs, true, 0, 0, "of the last event"},
    {"last_price", ColumnType::kDecimal18_8, true, 0, 0, "of the last trade; only of trades"},
    {"last_bid_price", ColumnType::kDecimal18_8, true, 0, 0, "of the last quote; only of quotes"},
    {"last_ask_price", ColumnType::kDecimal18_8, true, 0, 0, "of the last quote; only of quotes"},
};

constexpr Column kStatsRow[] = {
    {"name", ColumnType::kString, true, 0, 0, "a table, or dead_letters"},
    {"rows", ColumnType::kLong, false, 0, 0, "rows of the cut"},
    {"table_rows", ColumnType::kLong, false, 0, 0, "of them, in the table"},
    {"log_rows", ColumnType::kLong, false, 0, 0, "of them, in the log only"},
    {"files", ColumnType::kLong, false, 0, 0, "data files"},
    {"size_bytes", ColumnType::kLong, false, 0, 0, "of the data files"},
    {"snapshots", ColumnType::kLong, false, 0, 0, "that are kept"},
    {"snapshot_id", ColumnType::kLong, false, 0, 0, "of the cut"},
    {"committed", ColumnType::kLong, false, 0, 0, "offsets that the snapshot has, summed over partitions"},
    {"log_end", ColumnType::kLong, false, 0, 0, "offsets of the cut, summed over partitions"},
};

constexpr Column kSnapshotRow[] = {
    {"snapshot_id", ColumnType::kLong, true, 0, 0, "names the snapshot"},
    {"parent_id", ColumnType::kLong, false, 0, 0, "the snapshot it was made from"},
    {"sequence_number", ColumnType::kLong, true, 0, 0, "grows with each commit of the table"},
    {"committed", ColumnType::kTimestampUs, true, 0, 0, "by the committing machine's clock"},
    {"operation", ColumnType::kString, true, 0, 0, "append, replace, overwrite or delete"},
    {"added_rows", ColumnType::kLong, true, 0, 0, "by this commit"},
    {"total_rows", ColumnType::kLong, true, 0, 0, "of the table"},
    {"files", ColumnType::kLong, true, 0, 0, "data files of the table"},
    {"size_bytes", ColumnType::kLong, true, 0, 0, "of the data files"},
    {"offsets", ColumnType::kString, false, 0, 0, "offsets of the log up to which the table has all records, as JSON"},
};

// Trades or quotes, whichever were asked for: a trade's members, and a quote's that a trade does not have.
constexpr auto kEventRow = [] {
  std::array<Column, std::size(kTradeColumns) + 5> row{};
  size_t size = 0;
  for (const Column& column : kTradeColumns) row[size++] = column;
  for (const Column& column : kQuoteColumns)
    if (std::ranges::find(kTradeColumns, column.name, &Column::name) == std::end(kTradeColumns)) row[size++] = column;
  return row;
}();

constexpr int kNotReady[] = {503};
constexpr int kSqlProblems[] = {403, 429};

const Route kRoutes[] = {
    {.method = "GET",
     .path = "/",
     .summary = "The live page",
     .kind = AnswerKind::kPage,
     .scope = Scope::kNone,
     .takes_any_query = true,
     .answer = answer_page},
    {.method = "GET",
     .path = "/docs",
     .summary = "This API as a page",
     .kind = AnswerKind::kPage,
     .scope = Scope::kNone,
     .takes_any_query = true,
     .answer = answer_docs},
    {.method = "GET",
     .path = "/openapi.json",
     .summary = "This API as an OpenAPI document",
     .kind = AnswerKind::kJson,
     .schema = R"({"type":"object"})",
     .scope = Scope::kNone,
     .takes_any_query = true,
     .answer = answer_openapi},
    {.method = "GET",
     .path = "/v1/trades",
     .summary = "Trades by symbol and time, on one cut of tables and log",
     .params = event_params(),
     .row_name = "Trade",
     .row = kTradeColumns,
     .says_complete = true,
     .answer = answer_trades},
    {.method = "GET",
     .path = "/v1/quotes",
     .summary = "Quotes by symbol and time, on one cut of tables and log",
     .params = event_params(),
     .row_name = "Quote",
     .row = kQuoteColumns,
     .says_complete = true,
     .answer = answer_quotes},
    {.method = "POST",
     .path = "/v1/trades/query",
     .summary = "Trades of several symbols, some of their members, whole or in pages",
     .body = trades_query_members(),
     .row_name = "Trade",
     .row = kTradeColumns,
     .says_complete = true,
     .has_pages = true,
     .answer = answer_trades},
    {.method = "POST",
     .path = "/v1/quotes/query",
     .summary = "Quotes of several symbols, some of their members, whole or in pages",
     .body = quotes_query_members(),
     .row_name = "Quote",
     .row = kQuoteColumns,
     .says_complete = true,
     .has_pages = true,
     .answer = answer_quotes},
    {.method = "POST",
     .path = "/v1/replay",
     .summary = "Trades or quotes in the order they happened, in pages of one cut",
     .body = replay_members(),
     .row_name = "Event",
     .row = kEventRow,
     .has_pages = true,
     .answer = answer_replay},
    {.method = "POST",
     .path = "/v1/sql",
     .summary = "One SELECT over trades, quotes and coverage, on one cut, in a locked process",
     .body = sql_members(),
     .row_name = "SqlRow",
     .further_statuses = kSqlProblems,
     .scope = Scope::kSql,
     .answer = answer_sql},
    {.method = "GET",
     .path = "/v1/stats",
     .summary = "How much each table and the log hold",
     .params = stats_params(),
     .row_name = "TableStats",
     .row = kStatsRow,
     .answer = answer_stats},
    {.method = "GET",
     .path = "/v1/snapshots",
     .summary = "The snapshots of a table, newest first",
     .params = snapshots_params(),
     .row_name = "Snapshot",
     .row = kSnapshotRow,
     .answer = answer_snapshots},
    {.method = "POST",
     .path = "/v1/snapshots/{id}/query",
     .summary = "Trades or quotes as they were in that snapshot, and nothing later",
     .path_params = snapshot_id_params(),
     .body = snapshot_query_members(),
     .row_name = "Event",
     .row = kEventRow,
     .has_pages = true,
     .answer = answer_snapshot_query},
    {.method = "GET",
     .path = "/v1/coverage",
     .summary = "Which ranges of each venue's numbering were recorded, and which are missing",
     .params = coverage_params(),
     .row_name = "CoverageRange",
     .row = kCoverageRow,
     .answer = answer_coverage},
    {.method = "GET",
     .path = "/v1/symbols",
     .summary = "The symbols there are, with their first and last event",
     .params = symbol_params(),
     .row_name = "Symbol",
     .row = kSymbolRow,
     .answer = answer_symbols},
    {.method = "GET",
     .path = "/v1/stream",
     .summary = "New trades as they come, as server-sent events",
     .params = stream_params(),
     .kind = AnswerKind::kEvents,
     .answer = answer_stream},
    {.method = "GET",
     .path = "/health",
     .summary = "How each part is",
     .kind = AnswerKind::kJson,
     .schema = R"({"type":"object"})",
     .scope = Scope::kNone,
     .takes_any_query = true,
     .answer = answer_health},
    {.method = "GET",
     .path = "/livez",
     .summary = "Whether the process answers",
     .kind = AnswerKind::kText,
     .scope = Scope::kNone,
     .takes_any_query = true,
     .answer = answer_live},
    {.method = "GET",
     .path = "/readyz",
     .summary = "Whether it is ready to be asked",
     .kind = AnswerKind::kText,
     .further_statuses = kNotReady,
     .scope = Scope::kNone,
     .takes_any_query = true,
     .answer = answer_ready},
    {.method = "GET",
     .path = "/metrics",
     .summary = "Metrics in Prometheus's text format",
     .kind = AnswerKind::kText,
     .scope = Scope::kNone,
     .takes_any_query = true,
     .answer = answer_metrics},
};

std::string_view next_segment(std::string_view& path) {
  const size_t slash = path.find('/');
  const std::string_view segment = path.substr(0, slash);
  path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  return segment;
}

bool is_name(std::string_view segment) { return segment.size() > 2 && segment.front() == '{' && segment.back() == '}'; }

// Whether `path` is of the shape `pattern`; the values of its names go into `segments`.
bool match(std::string_view pattern, std::string_view path, QueryParams& segments) {
  if (std::ranges::count(pattern, '/') != std::ranges::count(path, '/')) return false;
  segments.clear();
  while (!pattern.empty() || !path.empty()) {
    const std::string_view expected = next_segment(pattern);
    const std::string_view given = next_segment(path);
    if (is_name(expected) && !given.empty()) segments.emplace_back(expected.substr(1, expected.size() - 2), given);
    else if (expected != given) return false;
  }
  return true;
}

}  // namespace

std::span<const Route> routes() { return kRoutes; }

RouteMatch find_route(std::string_view method, std::string_view path) {
  if (method == "HEAD") method = "GET";
  RouteMatch found;
  QueryParams segments;
  for (const Route& route : kRoutes) {
    if (!match(route.path, path, segments)) continue;
    found.allow.append(found.allow.empty() ? "" : ", ").append(route.method == "GET" ? "GET, HEAD" : route.method);
    found.pattern = route.path;
    if (found.route != nullptr || route.method != method) continue;
    found.route = &route;
    found.segments = segments;
  }
  return found;
}

HttpResponse text_response(std::string body, std::string content_type) {
  return {.status = 200, .content_type = std::move(content_type), .headers = {{"Cache-Control", "no-store"}}, .body = std::move(body)};
}

}  // namespace k2
