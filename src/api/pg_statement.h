// What a client of the PostgreSQL protocol says besides SELECT: transactions, settings, and several statements in one text.
//
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace k2 {

/// The statements of `sql`, cut at semicolons that stand outside quotes, dollar quotes and comments; without empty ones.
[[nodiscard]] std::vector<std::string_view> split_statements(std::string_view sql);

enum class PgVerb { kQuery, kBegin, kCommit, kRollback, kSet, kReset, kShow, kDiscard, kDeallocate, kSavepoint };

struct PgStatement {
  PgVerb verb = PgVerb::kQuery;
  std::string name;   // of the setting, or of the prepared statement ("" for ALL), lower case
  std::string value;  // that SET gives
};

/// Comments before the first word are skipped.
[[nodiscard]] PgStatement read_statement(std::string_view sql);

}  // namespace k2
