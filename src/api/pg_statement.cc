#include "api/pg_statement.h"

#include <algorithm>
#include <cctype>
#include <map>

namespace k2 {
namespace {

bool is_space(char letter) { return std::isspace(static_cast<unsigned char>(letter)) != 0; }
bool is_word(char letter) { return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_' || letter == '.'; }

// The end of what begins at `at` and may hold semicolons: a quoted text, a comment; at + 1 for any other letter.
size_t skip_one(std::string_view sql, size_t at) {
  const auto behind = [&](std::string_view end, size_t from) {
    const size_t found = sql.find(end, from);
    return found == std::string_view::npos ? sql.size() : found + end.size();
  };
  const char letter = sql[at];
  if (letter == '\'' || letter == '"') return behind(std::string_view(&letter, 1), at + 1);  // a doubled quote begins the next one
  if (sql.substr(at).starts_with("--")) return behind("\n", at);
  if (sql.substr(at).starts_with("/*")) {
    int depth = 0;
    while (at < sql.size()) {
      if (sql.substr(at).starts_with("/*")) ++depth, at += 2;
      else if (sql.substr(at).starts_with("*/")) {
        at += 2;
        if (--depth == 0) return at;
      } else ++at;
    }
    return at;
  }
  if (letter == '$' && (at == 0 || !is_word(sql[at - 1]))) {
    size_t end = at + 1;
    while (end < sql.size() && is_word(sql[end])) ++end;
    const bool is_parameter = end > at + 1 && std::isdigit(static_cast<unsigned char>(sql[at + 1])) != 0;
    if (end < sql.size() && sql[end] == '$' && !is_parameter) return behind(sql.substr(at, end + 1 - at), end + 1);
  }
  return at + 1;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool has_content(std::string_view sql) {
  for (size_t at = 0; at < sql.size();) {
    const bool is_comment = sql.substr(at).starts_with("--") || sql.substr(at).starts_with("/*");
    if (!is_comment && !is_space(sql[at])) return true;
    at = skip_one(sql, at);
  }
  return false;
}

// The next word in lower case, spaces and comments before it skipped; a quoted one without its quotes.
std::string next_word(std::string_view& rest) {
  size_t at = 0;
  while (at < rest.size() && (is_space(rest[at]) || rest.substr(at).starts_with("--") || rest.substr(at).starts_with("/*")))
    at = skip_one(rest, at);
  size_t end = at;
  std::string word;
  if (end < rest.size() && rest[end] == '"') {
    end = skip_one(rest, at);
    word = rest.substr(at + 1, end - at - 2);
  } else {
    while (end < rest.size() && is_word(rest[end])) ++end;
    word = rest.substr(at, end - at);
    std::ranges::transform(word, word.begin(), [](unsigned char letter) { return std::tolower(letter); });
  }
  rest.remove_prefix(end);
  return word;
}

}  // namespace

std::vector<std::string_view> split_statements(std::string_view sql) {
  std::vector<std::string_view> statements;
  size_t start = 0;
  for (size_t at = 0; at <= sql.size();) {
    if (at < sql.size() && sql[at] != ';') {
      at = skip_one(sql, at);
      continue;
    }
    const std::string_view one = sql.substr(start, at - start);
    if (has_content(one)) statements.push_back(trim(one));
    start = ++at;
  }
  return statements;
}

PgStatement read_statement(std::string_view sql) {
  static const std::map<std::string_view, PgVerb> verbs{{"begin", PgVerb::kBegin},
                                                        {"start", PgVerb::kBegin},
                                                        {"commit", PgVerb::kCommit},
                                                        {"end", PgVerb::kCommit},
                                                        {"set", PgVerb::kSet},
                                                        {"rollback", PgVerb::kRollback},
                                                        {"abort", PgVerb::kRollback},
                                                        {"reset", PgVerb::kReset},
                                                        {"show", PgVerb::kShow},
                                                        {"discard", PgVerb::kDiscard},
                                                        {"deallocate", PgVerb::kDeallocate},
                                                        {"savepoint", PgVerb::kSavepoint},
                                                        {"release", PgVerb::kSavepoint}};
  std::string_view rest = sql;
  const auto verb = verbs.find(next_word(rest));
  if (verb == verbs.end()) return {};
  PgStatement statement{verb->second, "", ""};
  switch (statement.verb) {
    case PgVerb::kSet: {
      statement.name = next_word(rest);
      if (statement.name == "session" || statement.name == "local") statement.name = next_word(rest);
      rest = trim(rest);
      if (rest.starts_with('=')) rest.remove_prefix(1);
      else if (std::string_view after = rest; next_word(after) == "to") rest = after;
      rest = trim(rest);
      if (rest.size() >= 2 && rest.front() == '\'' && rest.back() == '\'') rest = rest.substr(1, rest.size() - 2);
      statement.value = rest;
      break;
    }
    case PgVerb::kShow: {
      statement.name = next_word(rest);
      if (statement.name == "transaction") statement.name = "transaction_isolation";
      if (statement.name == "time") statement.name = "timezone";
      break;
    }
    case PgVerb::kDeallocate: {
      statement.name = next_word(rest);
      if (statement.name == "prepare") statement.name = next_word(rest);
      if (statement.name == "all") statement.name.clear();
      break;
    }
    case PgVerb::kRollback: {  // ROLLBACK TO a savepoint ends nothing
      std::string word = next_word(rest);
      if (word == "work" || word == "transaction") word = next_word(rest);
      if (word == "to") statement.verb = PgVerb::kSavepoint;
      break;
    }
    default: break;
  }
  return statement;
}

}  // namespace k2
