#include "query/outside_sql.h"

#include <utility>

namespace k2 {
namespace {

struct Meaning {
  std::string_view words;  // in DuckDB's message
  std::string_view sqlstate;
};

// The first that fits. DuckDB has kinds of errors, but gives them by name in the text only where a statement is prepared.
constexpr Meaning kMeanings[] = {
    {"Parser Error", "42601"},
    {"syntax error", "42601"},
    {"Table with name", "42P01"},
    {"Referenced table", "42P01"},
    {"Referenced column", "42703"},
    {"does not have a column named", "42703"},
    {"Ambiguous reference", "42702"},
    {"No function matches", "42883"},
    {"Function with name", "42883"},
    {"Type with name", "42704"},
    {"must appear in the GROUP BY", "42803"},
    {"Catalog Error", "42704"},
    {"Division by zero", "22012"},
    {"Conversion Error: Could not convert string", "22P02"},
    {"Conversion Error", "22P02"},
    {"Out of Range Error", "22003"},
    {"Out of Memory Error", "53200"},
    {"std::bad_alloc", "53200"},
    {"Permission Error", "42501"},
    {"Not implemented Error", "0A000"},
    {"Invalid Input Error", "22023"},
    {"Binder Error", "42804"},
    {"INTERRUPT Error", "57014"},
};

std::string_view state_of(const Error& error) {
  for (const Meaning& meaning : kMeanings)
    if (error.message.find(meaning.words) != std::string::npos) return meaning.sqlstate;
  switch (error.kind) {
    case ErrorKind::kInvalidInput: return "42000";
    case ErrorKind::kNotFound: return "55000";
    case ErrorKind::kConflict: return "40001";
    case ErrorKind::kCancelled: return "57014";
    case ErrorKind::kUnknownOutcome:
    case ErrorKind::kUnavailable: return "58030";
    case ErrorKind::kCorrupt: return "XX001";
  }
  return "XX000";
}

// DuckDB ends its messages with "\n\nLINE 1: SELECT fro\n               ^": the place under the caret, as a letter of `sql`, from 1.
int64_t position_of(std::string_view message, std::string_view sql) {
  const size_t excerpt = message.rfind("LINE ");
  if (excerpt == std::string_view::npos) return 0;
  const size_t colon = message.find(": ", excerpt), end = message.find('\n', excerpt);
  if (colon == std::string_view::npos || end == std::string_view::npos || colon > end) return 0;
  const std::string_view line = message.substr(colon + 2, end - colon - 2);
  const size_t caret = message.find('^', end);
  if (caret == std::string_view::npos || line.starts_with("...")) return 0;
  const size_t indent = caret - end - 1, head = colon + 2 - excerpt;
  if (indent < head) return 0;
  const int64_t number = std::atoll(std::string(message.substr(excerpt + 5, colon - excerpt - 5)).c_str());
  size_t start = 0;
  for (int64_t i = 1; i < number; ++i) {
    start = sql.find('\n', start);
    if (start == std::string_view::npos) return 0;
    ++start;
  }
  return static_cast<int64_t>(start + (indent - head)) + 1;
}

}  // namespace

SqlFailure sql_failure(Error error, std::string_view sql) {
  SqlFailure failure{std::move(error), "", 0};
  failure.sqlstate = state_of(failure.error);
  std::string& message = failure.error.message;
  if (failure.sqlstate == "53200") failure.error.kind = ErrorKind::kUnavailable;
  if (!sql.empty()) failure.position = position_of(message, sql);
  if (const size_t excerpt = message.find("\n\nLINE "); excerpt != std::string::npos) message.resize(excerpt);
  return failure;
}

}  // namespace k2
