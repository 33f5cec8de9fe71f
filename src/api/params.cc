#include "api/params.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "api/page_token.h"
#include "market/columns.h"
#include "net/http_message.h"

namespace k2 {

bool read_count(std::string_view text, int64_t at_least, int64_t at_most, int64_t& count) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), count);
  return read.ec == std::errc() && read.ptr == text.data() + text.size() && count >= at_least && count <= at_most;
}

namespace {

constexpr size_t kTextBytesMax = 256;  // of a symbol or a venue's name
constexpr size_t kSymbolsMax = 1'000;
constexpr size_t kStatusesMax = 16;
constexpr int kBodyDepthMax = 32;

using Json = nlohmann::json;

bool set_symbol(RequestQuery& query, std::string_view value, TimestampUs) {
  while (true) {
    const size_t comma = std::min(value.find(','), value.size());
    if (comma == 0 || comma > kTextBytesMax || query.events.symbols.size() >= kSymbolsMax) return false;
    query.events.symbols.emplace_back(value.substr(0, comma));
    if (comma == value.size()) return true;
    value.remove_prefix(comma + 1);
  }
}

bool set_exchange(RequestQuery& query, std::string_view value, TimestampUs) {
  query.events.exchange = value;
  return !value.empty() && value.size() <= kTextBytesMax;
}

bool set_time(std::optional<TimestampUs>& to, std::string_view value, TimestampUs now) {
  const auto time = parse_time(value, now);
  if (time) to = *time;
  return time.has_value();
}

bool set_start(RequestQuery& query, std::string_view value, TimestampUs now) { return set_time(query.events.start, value, now); }
bool set_end(RequestQuery& query, std::string_view value, TimestampUs now) { return set_time(query.events.end, value, now); }

bool set_window(RequestQuery& query, std::string_view value, TimestampUs now) {
  int64_t minutes = 0;
  if (!read_count(value, 1, 525'600, minutes)) return false;
  query.window_minutes = minutes;
  query.events.start = TimestampUs{now.us - minutes * 60 * kUsPerSecond};
  return true;
}

bool set_page_size(RequestQuery& query, std::string_view value, TimestampUs) {
  int64_t size = 0;
  if (!read_count(value, 1, kPageSizeMax, size)) return false;
  query.page_size = size;
  return true;
}

bool set_page_token(RequestQuery& query, std::string_view value, TimestampUs) {
  query.page_token = value;
  return value.size() <= kPageTokenBytesMax;
}

// An element of an array, so a comma is a letter as others are.
bool add_symbol(RequestQuery& query, std::string_view value, TimestampUs) {
  if (value.empty() || value.size() > kTextBytesMax || query.events.symbols.size() >= kSymbolsMax) return false;
  query.events.symbols.emplace_back(value);
  return true;
}

// One column of `columns`; each once.
bool add_field(RequestQuery& query, std::string_view value, std::span<const Column> columns) {
  if (std::ranges::find(columns, value, &Column::name) == columns.end()) return false;
  if (std::ranges::find(query.events.columns, value) != query.events.columns.end()) return false;
  query.events.columns.emplace_back(value);
  return true;
}

bool add_trade_field(RequestQuery& query, std::string_view value, TimestampUs) { return add_field(query, value, kTradeColumns); }
bool add_quote_field(RequestQuery& query, std::string_view value, TimestampUs) { return add_field(query, value, kQuoteColumns); }
bool add_any_field(RequestQuery& query, std::string_view value, TimestampUs) {
  return add_field(query, value, kTradeColumns) || add_field(query, value, kQuoteColumns);
}

bool set_snapshot_id(RequestQuery& query, std::string_view value, TimestampUs) {
  return read_count(value, 1, INT64_MAX, query.snapshot_id);
}

bool set_table(RequestQuery& query, std::string_view value, TimestampUs) {
  query.table = value;
  return value == "trades_v2" || value == "quotes_v2" || value == "coverage";
}

bool set_limit(RequestQuery& query, std::string_view value, TimestampUs) {
  int64_t limit = 0;
  if (!read_count(value, 1, kLimitMax, limit)) return false;
  query.events.limit = limit;
  return true;
}

bool set_order(RequestQuery& query, std::string_view value, TimestampUs) {
  query.events.order = value == "oldest" ? EventOrder::kOldestFirst : EventOrder::kNewestFirst;
  return value == "oldest" || value == "newest";
}

bool set_format(RequestQuery& query, std::string_view value, TimestampUs) {
  const auto format = parse_format(value);
  if (!format || *format == Format::kTable) return false;
  query.format = *format;
  return true;
}

bool set_times(RequestQuery& query, std::string_view value, TimestampUs) {
  query.options.integer_times = value == "us";
  return value == "us" || value == "rfc3339";
}

bool set_sql(RequestQuery& query, std::string_view value, TimestampUs) {
  query.sql = value;
  return !value.empty();
}

bool set_read_token(RequestQuery& query, std::string_view value, TimestampUs) {
  query.read_token = value;
  return !value.empty() && value.size() <= kReadTokenBytesMax;
}

bool set_channel(RequestQuery& query, std::string_view value, TimestampUs) {
  query.events.channel = value == "quotes" ? Channel::kQuotes : Channel::kTrades;
  return value == "quotes" || value == "trades";
}

bool set_coverage_channel(RequestQuery& query, std::string_view value, TimestampUs) {
  query.coverage_channel = value;
  return value == "quotes" || value == "trades";
}

bool set_status(RequestQuery& query, std::string_view value, TimestampUs) {
  while (true) {
    const size_t comma = std::min(value.find(','), value.size());
    const auto status = parse_coverage_status(value.substr(0, comma));
    if (!status || query.statuses.size() >= kStatusesMax) return false;
    query.statuses.push_back(*status);
    if (comma == value.size()) return true;
    value.remove_prefix(comma + 1);
  }
}

constexpr std::string_view kTimeAllowed = "a time: 2014-03-10, 2014-03-10T09:30:00Z, -15m, or microseconds since 1970";

constexpr Param kSymbol{.name = "symbol", .allowed = "a symbol, several by comma or by repeating it", .repeats = true, .set = set_symbol};
constexpr Param kExchange{.name = "exchange", .allowed = "a venue's name: asx, binance", .set = set_exchange};
constexpr Param kStart{.name = "start", .allowed = kTimeAllowed, .set = set_start, .type = ParamType::kTime};
constexpr Param kEnd{.name = "end", .allowed = kTimeAllowed, .set = set_end, .type = ParamType::kTime};
constexpr Param kWindow{.name = "window_minutes",
                        .allowed = "a number of minutes from 1 to 525600, in place of start",
                        .set = set_window,
                        .type = ParamType::kInteger,
                        .most = 525'600};
constexpr Param kLimit{.name = "limit",
                       .allowed = "a number of rows from 1 to 1000000",
                       .set = set_limit,
                       .type = ParamType::kInteger,
                       .most = kLimitMax,
                       .fallback = "1000"};
constexpr Param kOrder{.name = "order",
                       .allowed = "newest (first) or oldest (first)",
                       .set = set_order,
                       .type = ParamType::kChoice,
                       .choices = "newest|oldest",
                       .fallback = "newest"};
constexpr Param kFormat{.name = "format",
                        .allowed = "json, ndjson, csv, arrow or parquet",
                        .set = set_format,
                        .type = ParamType::kChoice,
                        .choices = "json|ndjson|csv|arrow|parquet"};
constexpr Param kTimes{.name = "times",
                       .allowed = "rfc3339 or us",
                       .set = set_times,
                       .type = ParamType::kChoice,
                       .choices = "rfc3339|us",
                       .fallback = "rfc3339"};
constexpr Param kReadToken{
    .name = "read_token", .allowed = "the read_token of an earlier answer", .set = set_read_token, .most = kReadTokenBytesMax};
constexpr Param kCoverageChannel{
    .name = "channel", .allowed = "trades or quotes", .set = set_coverage_channel, .type = ParamType::kChoice, .choices = "trades|quotes"};
constexpr Param kChannel{.name = "channel",
                         .allowed = "trades or quotes",
                         .set = set_channel,
                         .type = ParamType::kChoice,
                         .choices = "trades|quotes",
                         .fallback = "trades"};
constexpr Param kStatus{.name = "status",
                        .allowed = "observed, backfilled, not_issued, open or lost, several by comma or by repeating it",
                        .repeats = true,
                        .set = set_status,
                        .type = ParamType::kChoice,
                        .choices = "observed|backfilled|not_issued|open|lost"};

constexpr Param kEventParams[] = {kSymbol, kExchange, kStart, kEnd, kWindow, kLimit, kOrder, kFormat, kTimes, kReadToken};
constexpr Param kCoverageParams[] = {kSymbol, kExchange, kCoverageChannel, kStart, kEnd, kStatus, kLimit, kFormat, kTimes, kReadToken};
constexpr Param kSymbolParams[] = {kChannel, kFormat, kTimes, kReadToken};
constexpr Param kStreamParams[] = {kSymbol};

constexpr Param kSymbols{.name = "symbols", .allowed = "symbols; none: all", .repeats = true, .set = add_symbol};
constexpr Param kTradeFields{
    .name = "fields", .allowed = "members of a trade, each once; none: all", .repeats = true, .set = add_trade_field};
constexpr Param kQuoteFields{
    .name = "fields", .allowed = "members of a quote, each once; none: all", .repeats = true, .set = add_quote_field};
constexpr Param kAnyFields{.name = "fields",
                           .allowed = "members of a trade or of a quote, whichever are asked for, each once; none: all",
                           .repeats = true,
                           .set = add_any_field};
constexpr Param kPageSize{.name = "page_size",
                          .allowed = "a number of rows from 1 to 10000, in place of limit: the answer comes in pages",
                          .set = set_page_size,
                          .type = ParamType::kInteger,
                          .most = kPageSizeMax};
constexpr Param kReplayPageSize{.name = "page_size",
                                .allowed = "a number of rows from 1 to 10000",
                                .set = set_page_size,
                                .type = ParamType::kInteger,
                                .most = kPageSizeMax,
                                .fallback = "1000"};
constexpr Param kPageToken{.name = "page_token",
                           .allowed = "next_page_token of the page before; the other members stay as they were",
                           .set = set_page_token,
                           .least = 0,
                           .most = kPageTokenBytesMax};
constexpr Param kSnapshotId{.name = "id",
                            .allowed = "a snapshot_id of /v1/snapshots",
                            .set = set_snapshot_id,
                            .type = ParamType::kInteger,
                            .most = INT64_MAX,
                            .required = true};
constexpr Param kTable{.name = "table",
                       .allowed = "trades_v2, quotes_v2 or coverage",
                       .set = set_table,
                       .type = ParamType::kChoice,
                       .choices = "trades_v2|quotes_v2|coverage",
                       .fallback = "trades_v2"};

constexpr Param kSql{
    .name = "sql", .allowed = "one SELECT over trades, quotes and coverage", .set = set_sql, .most = 60'000, .required = true};
constexpr Param kSqlMembers[] = {kSql, kLimit, kFormat, kTimes, kReadToken};

constexpr Param kStatsParams[] = {kFormat, kTimes};
constexpr Param kSnapshotsParams[] = {kTable, kFormat, kTimes};
constexpr Param kSnapshotIdParams[] = {kSnapshotId};
constexpr Param kTradesMembers[] = {kSymbols, kExchange, kStart, kEnd,       kWindow,   kTradeFields, kLimit,
                                    kOrder,   kFormat,   kTimes, kReadToken, kPageSize, kPageToken};
constexpr Param kQuotesMembers[] = {kSymbols, kExchange, kStart, kEnd,       kWindow,   kQuoteFields, kLimit,
                                    kOrder,   kFormat,   kTimes, kReadToken, kPageSize, kPageToken};
constexpr Param kSnapshotMembers[] = {kSymbols, kExchange, kStart, kEnd,      kAnyFields, kLimit,
                                      kOrder,   kFormat,   kTimes, kPageSize, kPageToken};
constexpr Param kReplayMembers[] = {kChannel, kSymbols, kExchange,  kStart,          kEnd,      kWindow, kAnyFields,
                                    kFormat,  kTimes,   kReadToken, kReplayPageSize, kPageToken};

std::string names_of(std::span<const Param> params) {
  std::string names;
  for (const Param& param : params) names.append(names.empty() ? "" : ", ").append(param.name);
  return names;
}

// nullopt: of a type that the parameter does not take.
std::optional<std::string> member_text(const Param& param, const Json& value) {
  const bool is_integer = value.is_number_integer() && (param.type == ParamType::kInteger || param.type == ParamType::kTime);
  if (is_integer) return value.dump();
  if (value.is_string() && param.type != ParamType::kInteger) return value.get<std::string>();
  return std::nullopt;
}

size_t count_of(const QueryParams& given, std::string_view name) {
  return static_cast<size_t>(std::ranges::count_if(given, [&](const auto& pair) { return pair.first == name; }));
}

}  // namespace

std::span<const Param> event_params() { return kEventParams; }
std::span<const Param> symbol_params() { return kSymbolParams; }
std::span<const Param> coverage_params() { return kCoverageParams; }
std::span<const Param> stream_params() { return kStreamParams; }
std::span<const Param> stats_params() { return kStatsParams; }
std::span<const Param> snapshots_params() { return kSnapshotsParams; }
std::span<const Param> snapshot_id_params() { return kSnapshotIdParams; }
std::span<const Param> trades_query_members() { return kTradesMembers; }
std::span<const Param> quotes_query_members() { return kQuotesMembers; }
std::span<const Param> snapshot_query_members() { return kSnapshotMembers; }
std::span<const Param> sql_members() { return kSqlMembers; }
std::span<const Param> replay_members() { return kReplayMembers; }

std::expected<RequestQuery, ParamError> read_params(std::span<const Param> params, const QueryParams& given, TimestampUs now) {
  RequestQuery query;
  query.events.limit = kLimitDefault;
  query.events.order = EventOrder::kNewestFirst;
  for (const auto& [name, value] : given) {
    const auto param = std::ranges::find(params, name, &Param::name);
    if (param == params.end()) return std::unexpected(ParamError{name, "unknown parameter \"" + name + "\"; known: " + names_of(params)});
    if (!param->repeats && count_of(given, name) > 1) return std::unexpected(ParamError{name, "\"" + name + "\" is given more than once"});
    if (!param->set(query, value, now))
      return std::unexpected(
          ParamError{name, "\"" + value.substr(0, 64) + "\" is not allowed for " + name + ": want " + std::string(param->allowed)});
  }
  for (const Param& param : params)
    if (param.required && count_of(given, param.name) == 0)
      return std::unexpected(ParamError{std::string(param.name), std::string(param.name) + " is needed: " + std::string(param.allowed)});
  if (query.window_minutes && count_of(given, "start") > 0)
    return std::unexpected(ParamError{"window_minutes", "window_minutes and start exclude each other"});
  if ((query.page_size || !query.page_token.empty()) && count_of(given, "limit") > 0)
    return std::unexpected(ParamError{"limit", "limit and pages exclude each other"});
  if (query.events.start && query.events.end && *query.events.start > *query.events.end)
    return std::unexpected(ParamError{"end", "end lies before start"});
  return query;
}

std::expected<QueryParams, ParamError> read_members(std::span<const Param> params, std::string_view json) {
  const auto refuse = [](std::string parameter, std::string detail) {
    return std::unexpected(ParamError{std::move(parameter), std::move(detail)});
  };
  std::set<std::string> names;
  std::string repeated;
  bool is_too_deep = false;
  const auto look = [&](int depth, Json::parse_event_t event, Json& parsed) {
    is_too_deep |= depth > kBodyDepthMax;
    if (event == Json::parse_event_t::key && depth == 1 && !names.insert(parsed.get<std::string>()).second) repeated = parsed;
    return !is_too_deep;
  };
  const Json body = Json::parse(json, look, false);
  if (is_too_deep || !body.is_object()) return refuse("", "the body is no JSON object");
  if (!repeated.empty()) return refuse(repeated, "\"" + repeated + "\" is given more than once");
  QueryParams members;
  for (const auto& [name, value] : body.items()) {
    const auto param = std::ranges::find(params, name, &Param::name);
    if (param == params.end()) {
      members.emplace_back(name, "");  // read_params() says what is known
      continue;
    }
    if (value.is_array() != param->repeats) return refuse(name, name + (param->repeats ? " must be an array" : " must not be an array"));
    for (const Json& element : param->repeats ? value : Json::array({value})) {
      auto text = member_text(*param, element);
      if (!text) return refuse(name, "not allowed for " + name + ": want " + std::string(param->allowed));
      members.emplace_back(name, *std::move(text));
    }
  }
  return members;
}

std::optional<Format> accepted_format(std::string_view accept) {
  if (accept.empty()) return Format::kJson;
  while (!accept.empty()) {
    const size_t comma = std::min(accept.find(','), accept.size());
    std::string_view type = accept.substr(0, comma);
    type = type.substr(0, type.find(';'));
    while (type.starts_with(' ')) type.remove_prefix(1);
    while (type.ends_with(' ')) type.remove_suffix(1);
    if (type == "*/*" || equal_ignoring_case(type, "application/*")) return Format::kJson;
    for (const Format format : {Format::kJson, Format::kNdjson, Format::kCsv, Format::kArrow, Format::kParquet}) {
      const std::string_view ours = media_type(format);
      if (equal_ignoring_case(type, ours.substr(0, ours.find(';')))) return format;
    }
    accept.remove_prefix(std::min(comma + 1, accept.size()));
  }
  return std::nullopt;
}

}  // namespace k2
