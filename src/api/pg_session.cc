#include "api/pg_session.h"

#include <algorithm>
#include <utility>

#include "base/logging.h"

namespace k2 {
namespace {

constexpr int64_t kStartTimeoutUs = 10'000'000;
constexpr int32_t kStartBytesMax = 10'000;
constexpr int32_t kMessageBytesMax = 2 << 20;
constexpr size_t kFlushBytes = 64 << 10;
constexpr size_t kPreparedMax = 1'000;
constexpr size_t kParametersMax = 1'000;

SqlFailure protocol_violation(std::string message) { return {{ErrorKind::kInvalidInput, "protocol: " + std::move(message)}, "08P01", 0}; }

/// What the client sent is read by letters; a position in bytes is counted again in letters of UTF-8.
int64_t letters_until(std::string_view sql, int64_t position) {
  const size_t bytes = std::min(sql.size(), static_cast<size_t>(position));
  return std::count_if(sql.begin(), sql.begin() + static_cast<int64_t>(bytes),
                       [](char letter) { return (static_cast<uint8_t>(letter) & 0xC0) != 0x80; });
}

}  // namespace

// --- the conversation -------------------------------------------------------------------------------------------------

void PgSession::run() {
  if (!start_up()) return;
  const PgKey key = sessions_.enter([this] {
    const std::scoped_lock lock(mutex_);
    stop_.request_stop();
  });
  static_cast<void>(converse(key));
  portals_.clear();
  sessions_.leave(key);
}

Status PgSession::start_up() {
  for (;;) {
    char head[4];
    K2_RETURN_IF_ERROR(connection_.read(head, sizeof head, kStartTimeoutUs));
    const auto length = load_network<int32_t>(head);
    if (length < 8 || length > kStartBytesMax) return make_error(ErrorKind::kInvalidInput, "pg: no start message");
    std::string body(static_cast<size_t>(length) - 4, '\0');
    K2_RETURN_IF_ERROR(connection_.read(body.data(), body.size(), kStartTimeoutUs));
    PgReader reader(body);
    const auto version = reader.integer<int32_t>();
    if (version == kPgSslRequest || version == kPgGssRequest) {
      K2_RETURN_IF_ERROR(connection_.write("N"));
      continue;
    }
    if (version == kPgCancelRequest) {
      PgKey key;
      key.process = reader.integer<int32_t>();
      key.secret = reader.integer<int32_t>();
      sessions_.cancel(key);
      return make_error(ErrorKind::kCancelled, "pg: a request to cancel");
    }
    if (version >> 16 != 3) {
      fail({{ErrorKind::kInvalidInput, "protocol version " + std::to_string(version >> 16) + " is not spoken here, 3.0 is"}, "0A000", 0});
      static_cast<void>(flush());
      return make_error(ErrorKind::kInvalidInput, "pg: version");
    }
    for (std::string_view name = reader.text(); reader.ok() && !name.empty(); name = reader.text())
      settings_[std::string(name)] = reader.text();
    if (!reader.ok()) return make_error(ErrorKind::kInvalidInput, "pg: start message cut short");
    return {};
  }
}

Status PgSession::converse(const PgKey& key) {
  out_.begin('R').integer(int32_t{0}).end();  // authentication: done
  for (const char* name :
       {"server_version", "server_encoding", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes", "standard_conforming_strings",
        "IntervalStyle", "is_superuser", "default_transaction_read_only", "in_hot_standby"})
    parameter_status(name, show(name));
  parameter_status("application_name", settings_["application_name"]);
  parameter_status("session_authorization", settings_["user"]);
  out_.begin('K').integer(key.process).integer(key.secret).end();
  K2_RETURN_IF_ERROR(ready());
  for (;;) {
    char head[5];
    K2_RETURN_IF_ERROR(connection_.read(head, sizeof head));
    const auto length = load_network<int32_t>(head + 1);
    if (length < 4 || length > kMessageBytesMax) {
      fail(protocol_violation("a message of " + std::to_string(length) + " bytes"));
      return flush();
    }
    std::string body(static_cast<size_t>(length) - 4, '\0');
    K2_RETURN_IF_ERROR(connection_.read(body.data(), body.size(), kStartTimeoutUs));
    if (head[0] == 'X') return {};
    {
      const std::scoped_lock lock(mutex_);
      if (stop_.stop_requested()) stop_ = std::stop_source();  // a cancel ends what runs, whichever message began it
    }
    K2_RETURN_IF_ERROR(one_message(head[0], body));
  }
}

Status PgSession::one_message(char type, std::string_view body) {
  PgReader reader(body);
  if (type == 'S') {
    is_skipping_ = false;
    if (transaction_ == 'I') portals_.clear();
    return ready();
  }
  if (is_skipping_) return {};
  switch (type) {
    case 'Q': return simple_query(reader.text());
    case 'P': return parse(reader);
    case 'B': return bind(reader);
    case 'D': return describe(reader);
    case 'E': return execute(reader);
    case 'C': return close(reader);
    case 'H': return flush();
    case 'd':
    case 'c':
    case 'f': return {};  // of a COPY that was refused
    default: fail(protocol_violation(std::string("a message of type '") + type + "' is not known")); return flush();
  }
}

Status PgSession::ready() {
  out_.begin('Z').byte(transaction_).end();
  return flush();
}

Status PgSession::flush() {
  const std::string bytes = std::exchange(out_.bytes(), {});
  return connection_.write(bytes);
}

// --- answers ----------------------------------------------------------------------------------------------------------

void PgSession::parameter_status(std::string_view name, std::string_view value) { out_.begin('S').text(name).text(value).end(); }

void PgSession::complete(std::string_view tag) { out_.begin('C').text(tag).end(); }

void PgSession::fail(const SqlFailure& failure, std::string_view sql) {
  out_.begin('E').byte('S').text("ERROR").byte('V').text("ERROR").byte('C').text(failure.sqlstate).byte('M').text(failure.error.message);
  if (failure.position > 0 && !sql.empty()) out_.byte('P').text(std::to_string(letters_until(sql, failure.position)));
  out_.byte('\0').end();
  if (transaction_ == 'T') transaction_ = 'E';
}

void PgSession::row_description(const arrow::Schema& schema, const std::vector<PgFormat>& formats) {
  const std::vector<PgColumn> columns = pg_columns(schema);
  out_.begin('T').integer(static_cast<int16_t>(columns.size()));
  for (size_t i = 0; i < columns.size(); ++i)
    out_.text(columns[i].name)
        .integer(int32_t{0})
        .integer(int16_t{0})
        .integer(columns[i].oid)
        .integer(columns[i].size)
        .integer(columns[i].modifier)
        .integer(static_cast<int16_t>(i < formats.size() ? formats[i] : PgFormat::kText));
  out_.end();
}

std::string PgSession::show(const std::string& name) const {
  static const std::map<std::string, std::string, std::less<>> fixed{{"server_version", "15.0"},
                                                                     {"server_version_num", "150000"},
                                                                     {"server_encoding", "UTF8"},
                                                                     {"client_encoding", "UTF8"},
                                                                     {"DateStyle", "ISO, MDY"},
                                                                     {"datestyle", "ISO, MDY"},
                                                                     {"TimeZone", "UTC"},
                                                                     {"timezone", "UTC"},
                                                                     {"integer_datetimes", "on"},
                                                                     {"standard_conforming_strings", "on"},
                                                                     {"IntervalStyle", "postgres"},
                                                                     {"is_superuser", "off"},
                                                                     {"default_transaction_read_only", "on"},
                                                                     {"transaction_read_only", "on"},
                                                                     {"in_hot_standby", "off"},
                                                                     {"transaction_isolation", "repeatable read"},
                                                                     {"default_transaction_isolation", "repeatable read"},
                                                                     {"search_path", "public"},
                                                                     {"max_identifier_length", "63"}};
  if (const auto found = fixed.find(name); found != fixed.end()) return found->second;
  const auto set = settings_.find(name);
  return set == settings_.end() ? "" : set->second;
}

void PgSession::run_statement(const PgStatement& statement) {
  switch (statement.verb) {
    case PgVerb::kBegin: transaction_ = 'T'; return complete("BEGIN");
    case PgVerb::kCommit: {
      const bool failed = transaction_ == 'E';
      transaction_ = 'I';
      pinned_.reset();
      return complete(failed ? "ROLLBACK" : "COMMIT");
    }
    case PgVerb::kRollback:
      transaction_ = 'I';
      pinned_.reset();
      return complete("ROLLBACK");
    case PgVerb::kSavepoint:
      if (transaction_ == 'E') transaction_ = 'T';  // nothing was changed: there is nothing to undo
      return complete("SAVEPOINT");
    case PgVerb::kSet:
      if (statement.name == "timezone" || statement.name == "client_encoding") {
        // Answers are in UTC and UTF-8 whatever is set; the client hears so, and reads them right.
        parameter_status(statement.name == "timezone" ? "TimeZone" : "client_encoding", show(statement.name));
      } else if (settings_.size() < 200) {
        settings_[statement.name] = statement.value.substr(0, 1000);
        if (statement.name == "application_name") parameter_status("application_name", settings_[statement.name]);
      }
      return complete("SET");
    case PgVerb::kReset: return complete("RESET");
    case PgVerb::kDiscard:
      prepared_.clear();
      portals_.clear();
      return complete("DISCARD ALL");
    case PgVerb::kDeallocate:
      if (statement.name.empty()) prepared_.clear();
      else prepared_.erase(statement.name);
      return complete("DEALLOCATE");
    case PgVerb::kShow: {
      const std::string value = show(statement.name);
      out_.begin('D').integer(int16_t{1}).integer(static_cast<int32_t>(value.size()));
      out_.bytes() += value;
      out_.end();
      return complete("SHOW");
    }
    case PgVerb::kQuery: return;
  }
}

// --- queries ----------------------------------------------------------------------------------------------------------

SqlResult<Cut> PgSession::cut() {
  if (pinned_) return *pinned_;
  auto taken = engine_.cut();
  if (!taken) return std::unexpected(sql_failure(std::move(taken).error()));
  if (transaction_ == 'T') pinned_ = *taken;
  return *std::move(taken);
}

std::vector<PgFormat> PgSession::formats_of(const Portal& portal, size_t columns) {
  if (portal.formats.size() == columns) return portal.formats;
  return std::vector<PgFormat>(columns, portal.formats.size() == 1 ? portal.formats[0] : PgFormat::kText);
}

SqlResult<void> PgSession::start_rows(Portal& portal) {
  auto at = cut();
  if (!at) return std::unexpected(std::move(at).error());
  SqlRequest request{
      .text = portal.prepared.sql, .parameters = portal.parameters, .cut = *std::move(at), .limits = {.timeout_us = timeout_us_}};
  {
    const std::scoped_lock lock(mutex_);
    request.limits.stop = stop_.get_token();
  }
  auto rows = sql_.run(request);
  if (!rows) return std::unexpected(std::move(rows).error());
  portal.rows = *std::move(rows);
  return {};
}

/// Up to `rows_max` rows (0: all); false where the portal has more.
SqlResult<bool> PgSession::send_rows(Portal& portal, int64_t rows_max) {
  const auto formats = formats_of(portal, pg_columns(*portal.rows->schema()).size());
  int64_t left = rows_max > 0 ? rows_max : INT64_MAX;
  for (;;) {
    const int64_t batch_rows = portal.batch ? pg_row_count(*portal.batch) : 0;
    if (portal.batch_row == batch_rows) {
      auto next = portal.rows->next();
      if (!next) return std::unexpected(portal.rows->failure() ? *portal.rows->failure() : sql_failure(std::move(next).error()));
      portal.batch = *std::move(next);
      portal.batch_row = 0;
      if (!portal.batch) return true;
      continue;
    }
    if (left == 0) return false;
    const int64_t count = std::min({left, batch_rows - portal.batch_row, int64_t{500}});
    append_pg_rows(*portal.batch, portal.batch_row, portal.batch_row + count, formats, out_.bytes());
    portal.batch_row += count;
    portal.sent += count;
    left -= count;
    if (out_.bytes().size() < kFlushBytes) continue;
    if (Status sent = flush(); !sent) return std::unexpected(sql_failure(std::move(sent).error()));
  }
}

Status PgSession::simple_query(std::string_view sql) {
  const auto statements = split_statements(sql);
  if (statements.empty()) out_.begin('I').end();
  for (const std::string_view text : statements) {
    const PgStatement statement = read_statement(text);
    if (transaction_ == 'E' && statement.verb != PgVerb::kCommit && statement.verb != PgVerb::kRollback &&
        statement.verb != PgVerb::kSavepoint) {
      fail({{ErrorKind::kInvalidInput, "current transaction is aborted, commands ignored until end of transaction block"}, "25P02", 0});
      break;
    }
    if (statement.verb == PgVerb::kShow) {
      out_.begin('T')
          .integer(int16_t{1})
          .text(statement.name)
          .integer(int32_t{0})
          .integer(int16_t{0})
          .integer(int32_t{25})
          .integer(int16_t{-1});
      out_.integer(int32_t{-1}).integer(int16_t{0}).end();
    }
    if (statement.verb != PgVerb::kQuery) {
      run_statement(statement);
      continue;
    }
    Portal portal;
    portal.prepared.sql = text;
    if (auto started = start_rows(portal); !started) {
      fail(started.error(), text);
      break;
    }
    row_description(*portal.rows->schema(), {});
    const auto sent = send_rows(portal, 0);
    if (!sent) {
      fail(sent.error(), text);
      break;
    }
    complete("SELECT " + std::to_string(portal.sent));
  }
  return ready();
}

// --- the extended protocol --------------------------------------------------------------------------------------------

Status PgSession::parse(PgReader& reader) {
  const std::string name(reader.text());
  Prepared prepared;
  prepared.sql = reader.text();
  for (size_t left = reader.count(); left > 0; --left) prepared.parameter_oids.push_back(reader.integer<int32_t>());
  const auto statements = split_statements(prepared.sql);
  SqlFailure failure;
  if (!reader.ok()) failure = protocol_violation("Parse is cut short");
  else if (statements.size() > 1)
    failure = {{ErrorKind::kInvalidInput, "cannot insert multiple commands into a prepared statement"}, "42601", 0};
  else if (!name.empty() && prepared_.contains(name))
    failure = {{ErrorKind::kInvalidInput, "prepared statement \"" + name + "\" already exists"}, "42P05", 0};
  else if (prepared_.size() >= kPreparedMax) failure = {{ErrorKind::kUnavailable, "too many prepared statements"}, "53400", 0};
  if (!failure.sqlstate.empty()) {
    fail(failure);
    is_skipping_ = true;
    return flush();
  }
  if (!statements.empty()) {
    prepared.statement = read_statement(statements[0]);
    prepared.sql = statements[0];
  } else {
    prepared.sql.clear();
  }
  prepared_.insert_or_assign(name, std::move(prepared));
  out_.begin('1').end();
  return {};
}

Status PgSession::bind(PgReader& reader) {
  const std::string portal_name(reader.text());
  const std::string name(reader.text());
  const auto refuse = [&](SqlFailure failure) {
    fail(failure);
    is_skipping_ = true;
    return flush();
  };
  const auto found = prepared_.find(name);
  if (found == prepared_.end())
    return refuse({{ErrorKind::kInvalidInput, "prepared statement \"" + name + "\" does not exist"}, "26000", 0});
  Portal portal;
  portal.prepared = found->second;
  std::vector<PgFormat> formats;
  for (size_t left = reader.count(); left > 0; --left) formats.push_back(static_cast<PgFormat>(reader.integer<int16_t>()));
  const size_t count = reader.count();
  if (count > kParametersMax) return refuse(protocol_violation("too many parameters"));
  for (size_t i = 0; i < count; ++i) {
    const auto bytes = reader.value();
    const auto& declared = portal.prepared.parameter_oids;
    int32_t oid = i < declared.size() ? declared[i] : 0;
    const PgFormat format = formats.size() == count ? formats[i] : formats.size() == 1 ? formats[0] : PgFormat::kText;
    if (oid == 0 && format == PgFormat::kBinary && portal.prepared.described_oids && i < portal.prepared.described_oids->size())
      oid = (*portal.prepared.described_oids)[i];
    SqlParameter& parameter = portal.parameters.emplace_back();
    if (!bytes || !reader.ok()) {
      parameter.type = pg_parameter_type(oid, "0");
      continue;
    }
    auto text = pg_parameter_text(oid, format, *bytes);
    if (!text) return refuse({{ErrorKind::kInvalidInput, "$" + std::to_string(i + 1) + ": " + text.error().message}, "22P03", 0});
    parameter.type = pg_parameter_type(oid, *text);
    parameter.text = *std::move(text);
  }
  for (size_t left = reader.count(); left > 0; --left) portal.formats.push_back(static_cast<PgFormat>(reader.integer<int16_t>()));
  if (!reader.ok()) return refuse(protocol_violation("Bind is cut short"));
  portals_.insert_or_assign(portal_name, std::move(portal));
  out_.begin('2').end();
  return {};
}

SqlResult<void> PgSession::describe_statement(Prepared& prepared) {
  if (prepared.described_oids) return {};
  std::vector<int32_t> oids = prepared.parameter_oids;
  if (prepared.statement.verb == PgVerb::kQuery && !prepared.sql.empty()) {
    SqlRequest request{.text = prepared.sql, .parameters = {}, .cut = {}, .limits = {.timeout_us = timeout_us_}};
    for (const int32_t oid : prepared.parameter_oids)
      request.parameters.push_back({oid == 1700 ? "" : pg_parameter_type(oid, "0"), std::nullopt});
    auto described = sql_.describe(request);
    if (!described) return std::unexpected(std::move(described).error());
    prepared.columns = std::move(described->columns);
    oids.resize(std::max(oids.size(), described->parameter_types.size()), 0);
    for (size_t i = 0; i < oids.size(); ++i)
      if (oids[i] == 0) oids[i] = i < described->parameter_types.size() ? pg_oid_of(described->parameter_types[i]) : 25;
  }
  prepared.described_oids = std::move(oids);
  return {};
}

Status PgSession::describe(PgReader& reader) {
  const char kind = reader.byte();
  const std::string name(reader.text());
  const auto refuse = [&](const SqlFailure& failure, std::string_view sql = {}) {
    fail(failure, sql);
    is_skipping_ = true;
    return flush();
  };
  Prepared* prepared = nullptr;
  Portal* portal = nullptr;
  if (kind == 'S') {
    if (const auto found = prepared_.find(name); found != prepared_.end()) prepared = &found->second;
  } else if (const auto found = portals_.find(name); found != portals_.end()) {
    portal = &found->second;
    prepared = &portal->prepared;
  }
  if (prepared == nullptr)
    return refuse({{ErrorKind::kInvalidInput, "\"" + name + "\" does not exist"}, kind == 'S' ? "26000" : "34000", 0});
  std::shared_ptr<arrow::Schema> columns;
  if (portal != nullptr && prepared->statement.verb == PgVerb::kQuery && !prepared->sql.empty()) {
    // Its values are known, and what it gives may depend on them: it is started here, and its rows wait for Execute.
    if (!portal->rows)
      if (auto started = start_rows(*portal); !started) return refuse(started.error(), prepared->sql);
    columns = portal->rows->schema();
  } else {
    if (auto described = describe_statement(*prepared); !described) return refuse(described.error(), prepared->sql);
    columns = prepared->columns;
  }
  if (kind == 'S') {
    out_.begin('t').integer(static_cast<int16_t>(prepared->described_oids->size()));
    for (const int32_t oid : *prepared->described_oids) out_.integer(oid);
    out_.end();
  }
  if (columns) {
    row_description(*columns, portal == nullptr ? std::vector<PgFormat>{} : formats_of(*portal, pg_columns(*columns).size()));
  } else if (prepared->statement.verb == PgVerb::kShow) {
    out_.begin('T').integer(int16_t{1}).text(prepared->statement.name).integer(int32_t{0}).integer(int16_t{0}).integer(int32_t{25});
    out_.integer(int16_t{-1}).integer(int32_t{-1}).integer(int16_t{0}).end();
  } else {
    out_.begin('n').end();
  }
  return {};
}

Status PgSession::execute(PgReader& reader) {
  const std::string name(reader.text());
  const auto rows_max = reader.integer<int32_t>();
  const auto refuse = [&](const SqlFailure& failure, std::string_view sql = {}) {
    fail(failure, sql);
    is_skipping_ = true;
    portals_.clear();
    return flush();
  };
  const auto found = portals_.find(name);
  if (found == portals_.end()) return refuse({{ErrorKind::kInvalidInput, "portal \"" + name + "\" does not exist"}, "34000", 0});
  Portal& portal = found->second;
  const PgStatement statement = portal.prepared.statement;
  if (transaction_ == 'E' && statement.verb != PgVerb::kCommit && statement.verb != PgVerb::kRollback &&
      statement.verb != PgVerb::kSavepoint)
    return refuse(
        {{ErrorKind::kInvalidInput, "current transaction is aborted, commands ignored until end of transaction block"}, "25P02", 0});
  if (portal.prepared.sql.empty()) {
    out_.begin('I').end();
    return {};
  }
  if (statement.verb != PgVerb::kQuery) {
    run_statement(statement);
    return {};
  }
  if (!portal.rows)
    if (auto started = start_rows(portal); !started) return refuse(started.error(), portal.prepared.sql);
  const auto sent = send_rows(portal, rows_max);
  if (!sent) return refuse(sent.error(), portal.prepared.sql);
  if (*sent) complete("SELECT " + std::to_string(portal.sent));
  else out_.begin('s').end();
  return {};
}

Status PgSession::close(PgReader& reader) {
  const char kind = reader.byte();
  const std::string name(reader.text());
  if (kind == 'S') prepared_.erase(name);
  else portals_.erase(name);
  out_.begin('3').end();
  return {};
}

}  // namespace k2
