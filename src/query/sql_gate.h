// SqlGate: which SQL from outside is let through: exactly one SELECT over k2's own views, with functions off a list.
//
// The text is judged by its syntax tree, as DuckDB's own parser gives it (json_serialize_sql), before anything is bound or run. What is not on a
// list is refused: kinds of nodes, tables, table functions, functions. So a function that a later DuckDB brings is refused until somebody has looked
// at it. Functions whose result may be of any size (repeat, lpad, range, ...) need a constant bound.
// The gate keeps honest questions honest and gives the clear message. What it lets through still runs in a process of its own that can write nothing, open
// nothing and be killed: docs/decisions/0019-sql-from-outside.md.
// Private to query/. Thread rule: pure functions, but for the connection, which is one thread's at a time.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "query/duck.h"
#include "query/outside_sql.h"

namespace k2 {

struct GatedSql {
  std::string text;  // what is to be run: the user's text, or the tree with its parameters filled in, as text again
  std::set<std::string> tables;  // of the views trades, quotes, coverage: those it names
  int parameter_count = 0;  // $1 to $n
};

/// What becomes of $1, $2, ...
enum class ParameterUse {
  kFill,  // each is replaced by its value: a literal of the given type, so that an untyped one takes the type its place wants
  kDeclare,  // each that has a type becomes CAST($n AS type); the others stay as they are. For asking what a statement needs and gives
};

/// Judges `text`. SQLSTATE 42601: not one SELECT; 42501: something that is not allowed, which the message names; 42P02: a parameter without a value;
/// 54001: nested too deeply.
[[nodiscard]] SqlResult<GatedSql> gate_sql(DuckConnection& connection, std::string_view text, const std::vector<SqlParameter>& parameters,
                                           ParameterUse use);

}  // namespace k2
