#include "query/known_symbols.h"

#include <arrow/api.h>

#include <algorithm>

#include "query/batch_column.h"

namespace k2 {
namespace {

constexpr size_t kNamesMax = 8;  // of those that are listed

char capital(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool is_same_but_for_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return capital(x) == capital(y); });
}

/// Whether one letter more, less or another makes `a` to `b`.
bool is_one_slip_away(std::string_view a, std::string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > 1) return false;
  const auto [at, bt] = std::ranges::mismatch(a, b);
  const auto rest_of = [](std::string_view text, auto from, bool skip) { return std::string_view(from, text.end()).substr(skip ? 1 : 0); };
  return at == a.end() || rest_of(a, at, a.size() == b.size()) == rest_of(b, bt, true);
}

/// The name that `word` is likely to mean: another case, one that begins so, one slip in a longer word; empty otherwise.
std::string likely(std::string_view word, const std::vector<std::string>& names) {
  constexpr size_t kSlipBytesMin = 5;  // shorter names are all alike
  const auto find = [&](const auto& fits) {
    const auto found = std::ranges::find_if(names, fits);
    return found == names.end() ? std::string() : *found;
  };
  if (std::string same = find([&](const std::string& name) { return is_same_but_for_case(name, word); }); !same.empty()) return same;
  if (std::string longer = find([&](const std::string& name) {
        return word.size() > 1 && is_same_but_for_case(std::string_view(name).substr(0, word.size()), word);
      });
      !longer.empty())
    return longer;
  if (word.size() < kSlipBytesMin) return "";
  std::string capitals(word);
  std::ranges::transform(capitals, capitals.begin(), capital);
  return find([&](const std::string& name) { return is_one_slip_away(name, capitals); });
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kNamesMax); ++i) text += (i > 0 ? ", " : "") + names[i];
  return names.size() > kNamesMax ? text + " and " + std::to_string(names.size() - kNamesMax) + " more" : text;
}

/// Sorted, each once.
std::vector<std::string> names_of(std::span<const KnownSymbol> known, std::string KnownSymbol::* member) {
  std::vector<std::string> names;
  for (const KnownSymbol& one : known) names.push_back(one.*member);
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

std::string nearest_or_all(std::string_view word, const std::vector<std::string>& names) {
  const std::string near = likely(word, names);
  return near.empty() ? "; known: " + listed(names) : "; did you mean " + near + "?";
}

}  // namespace

Result<std::vector<KnownSymbol>> known_symbols(Engine& engine, Channel channel, const Cut& cut) {
  K2_TRY(const auto result, engine.symbols(channel, cut));
  K2_TRY(const auto batch, read_all(*result));
  std::vector<KnownSymbol> known;
  const auto& symbols = column_of<arrow::StringArray>(*batch, "symbol");
  const auto& exchanges = column_of<arrow::StringArray>(*batch, "exchange");
  const auto& counts = column_of<arrow::Int64Array>(*batch, "count");
  const auto& first = column_of<arrow::TimestampArray>(*batch, "first_timestamp");
  const auto& last = column_of<arrow::TimestampArray>(*batch, "last_timestamp");
  for (int64_t row = 0; row < batch->num_rows(); ++row)
    known.push_back({symbols.GetString(row), exchanges.GetString(row), counts.Value(row), {first.Value(row)}, {last.Value(row)}});
  return known;
}

Result<std::vector<std::string>> absent_symbols(Engine& engine, Channel channel, std::span<const std::string> symbols,
                                                const std::string& exchange, const Cut& cut) {
  std::vector<std::string> absent;
  for (const std::string& symbol : symbols) {
    EventQuery query;
    query.channel = channel;
    query.symbols = {symbol};
    query.exchange = exchange;
    query.limit = 1;
    query.columns = {"symbol"};
    K2_TRY(const auto result, engine.events(query, cut));
    K2_TRY(const auto row, result->next());
    if (!row) absent.push_back(symbol);
  }
  return absent;
}

std::string why_absent(std::span<const KnownSymbol> known, Channel channel, std::string_view symbol, std::string_view exchange) {
  const std::string none = "no " + std::string(channel_name(channel));
  if (known.empty()) return none + " at all yet";
  const std::vector<std::string> exchanges = names_of(known, &KnownSymbol::exchange);
  if (!exchange.empty() && !std::ranges::binary_search(exchanges, exchange))
    return none + " of exchange " + std::string(exchange) + nearest_or_all(exchange, exchanges);
  if (symbol.empty()) return "";
  std::vector<KnownSymbol> same;
  std::ranges::copy_if(known, std::back_inserter(same), [&](const KnownSymbol& one) { return one.symbol == symbol; });
  if (same.empty()) return none + " of " + std::string(symbol) + nearest_or_all(symbol, names_of(known, &KnownSymbol::symbol));
  if (exchange.empty() || std::ranges::find(same, exchange, &KnownSymbol::exchange) != same.end()) return "";
  return none + " of " + std::string(symbol) + " on " + std::string(exchange) + ", but on " +
         listed(names_of(same, &KnownSymbol::exchange));
}

}  // namespace k2
