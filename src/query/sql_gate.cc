#include "query/sql_gate.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "query/sql_functions.h"
#include "query/sql_text.h"

namespace k2 {
namespace {

using Json = nlohmann::json;

constexpr int kDepthMax = 1200;  // of the tree as JSON; DuckDB's own limit of expressions is about a third of it
constexpr uint64_t kNowhere = UINT64_MAX;  // a query_location that is none
constexpr size_t kTextBytesMax = 1 << 20;

const std::set<std::string_view> kViews{"trades", "quotes", "coverage"};
// What clients ask to learn whom they talk to: DuckDB's own answers would be about DuckDB.
const std::map<std::string_view, std::string_view> kFixedAnswers{{"version", "PostgreSQL 15.0 (k2)"},
                                                                 {"current_schema", "public"},
                                                                 {"current_database", "k2"},
                                                                 {"current_catalog", "k2"},
                                                                 {"current_user", "k2"},
                                                                 {"session_user", "k2"},
                                                                 {"current_role", "k2"},
                                                                 {"user", "k2"}};
const std::set<std::string_view> kQueryNodes{"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"};
const std::set<std::string_view> kTableNodes{"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "PIVOT"};
const std::set<std::string_view> kExpressions{
    "CONSTANT", "COLUMN_REF", "FUNCTION", "WINDOW",    "CAST",   "COMPARISON", "CONJUNCTION",          "OPERATOR",
    "CASE",     "BETWEEN",    "SUBQUERY", "PARAMETER", "LAMBDA", "COLLATE",    "POSITIONAL_REFERENCE", "STAR"};

std::string lowercase(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char letter) { return std::tolower(letter); });
  return text;
}

/// The string under `key`, "" where there is none.
std::string text_at(const Json& node, const char* key) {
  const auto found = node.find(key);
  return found != node.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool is_name(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](unsigned char letter) { return std::isalnum(letter) != 0 || letter == '_' || letter >= 0x80; });
}

/// A name that DuckDB has a meaning of its own for: a WITH of that name would let through what is meant outside of it.
bool is_taken_name(const std::string& name) {
  for (const std::string_view prefix : {"duckdb_", "pg_", "sqlite_", "pragma_", "k2_"})
    if (name.starts_with(prefix)) return true;
  return kViews.contains(name);
}

/// The one SELECT's tree, or why there is none.
SqlResult<Json> parse(DuckConnection& connection, std::string_view text) {
  if (text.size() > kTextBytesMax) return SqlFailure::make(ErrorKind::kInvalidInput, "54000", "SQL: longer than 1 MiB");
  if (text.find('\0') != std::string_view::npos) return SqlFailure::make(ErrorKind::kInvalidInput, "42601", "SQL: has a NUL character");
  const auto answer = connection.one_text("SELECT json_serialize_sql(" + quote_text(text) + ")");
  if (!answer) return std::unexpected(sql_failure(answer.error()));
  Json tree = Json::parse(*answer, nullptr, false);
  if (!tree.is_object()) return SqlFailure::make(ErrorKind::kCorrupt, "XX000", "SQL: its syntax tree cannot be read");
  if (tree.value("error", true)) {
    const std::string type = text_at(tree, "error_type"), message = text_at(tree, "error_message");
    if (type != "not implemented") {
      int64_t position = 0;
      if (const std::string at = text_at(tree, "position"); !at.empty()) position = std::atoll(at.c_str()) + 1;
      return SqlFailure::make(ErrorKind::kInvalidInput, "42601", "SQL: " + message, position);
    }
    return SqlFailure::make(ErrorKind::kInvalidInput, "42501", "SQL: only SELECT is allowed: " + message);
  }
  const Json& statements = tree["statements"];
  if (statements.empty()) return SqlFailure::make(ErrorKind::kInvalidInput, "42601", "SQL: there is no statement");
  if (statements.size() > 1)
    return SqlFailure::make(ErrorKind::kInvalidInput, "42601",
                            "SQL: " + std::to_string(statements.size()) + " statements, where one SELECT is allowed");
  return tree;
}

class Walk {
 public:
  Walk(DuckConnection& connection, const std::vector<SqlParameter>& parameters, ParameterUse use)
      : connection_(connection), parameters_(parameters), use_(use) {}

  /// Judges and, where needed, changes the tree.
  SqlResult<void> over(Json& tree) {
    if (auto named = collect_ctes(tree, 0); !named) return named;
    return visit(tree, 0);
  }

  std::set<std::string> tables;
  int parameter_count = 0;
  bool has_changed = false;

 private:
  static std::unexpected<SqlFailure> refuse(const Json& node, std::string message, std::string_view sqlstate = "42501") {
    const uint64_t location = node.value("query_location", kNowhere);
    return SqlFailure::make(ErrorKind::kInvalidInput, sqlstate, "SQL: " + std::move(message),
                            location == kNowhere ? 0 : static_cast<int64_t>(location) + 1);
  }

  SqlResult<void> collect_ctes(const Json& node, int depth) {
    if (depth > kDepthMax) return SqlFailure::make(ErrorKind::kInvalidInput, "54001", "SQL: nested too deeply");
    if (const auto found = node.is_object() ? node.find("cte_map") : node.end(); node.is_object() && found != node.end()) {
      for (const Json& entry : found->value("map", Json::array())) {
        const std::string name = lowercase(text_at(entry, "key"));
        if (!is_name(name) || is_taken_name(name)) return refuse(entry, "WITH cannot be called \"" + name + "\"");
        ctes_.insert(name);
      }
    }
    if (node.is_structured())
      for (const Json& child : node)
        if (auto done = collect_ctes(child, depth + 1); !done) return done;
    return {};
  }

  SqlResult<void> visit(Json& node, int depth) {
    if (depth > kDepthMax) return SqlFailure::make(ErrorKind::kInvalidInput, "54001", "SQL: nested too deeply");
    if (node.is_object()) {
      if (text_at(node, "class") == "PARAMETER") return fill_parameter(node);
      if (auto allowed = judge(node); !allowed) return allowed;
    }
    if (!node.is_structured()) return {};
    const bool is_table_function = node.is_object() && text_at(node, "type") == "TABLE_FUNCTION";
    for (auto child = node.begin(); child != node.end(); ++child) {
      is_judged_ = is_table_function && child.key() == "function";
      if (auto done = visit(*child, depth + 1); !done) return done;
    }
    return {};
  }

  SqlResult<void> judge(Json& node) {
    const bool is_judged = std::exchange(is_judged_, false);
    const std::string type = text_at(node, "type");
    if (node.contains("cte_map") && !kQueryNodes.contains(type)) return refuse(node, type + " is not allowed");
    if (node.contains("sample") && node.contains("alias") && !node.contains("cte_map")) {
      if (!kTableNodes.contains(type))
        return refuse(node, type == "SHOW_REF" ? "DESCRIBE, SHOW and SUMMARIZE are not allowed" : type + " is not allowed in FROM");
      if (type == "BASE_TABLE") return judge_table(node);
      if (type == "TABLE_FUNCTION") return judge_table_function(node);
    }
    if (node.contains("class")) {
      const std::string kind = text_at(node, "class");
      if (!kExpressions.contains(kind)) return refuse(node, "an expression of kind " + kind + " is not allowed");
    }
    if (node.contains("function_name") && !is_judged) return judge_function(node);
    return {};
  }

  SqlResult<void> judge_table(Json& node) {
    const std::string catalog = lowercase(text_at(node, "catalog_name"));
    const std::string schema = lowercase(text_at(node, "schema_name"));
    const std::string name = lowercase(text_at(node, "table_name"));
    const auto at = node.find("at_clause");
    if (at != node.end() && !at->is_null()) return refuse(node, "AT is not allowed");
    if (!catalog.empty() && catalog != "k2") return refuse(node, "there is no database \"" + catalog + "\"", "3F000");
    if (schema.empty() && ctes_.contains(name)) return {};
    if ((schema.empty() || schema == "public") && kViews.contains(name)) {
      tables.insert(name);
      if (!schema.empty() || !catalog.empty()) {
        node["schema_name"] = "";
        node["catalog_name"] = "";
        has_changed = true;
      }
      return {};
    }
    return refuse(node,
                  "there is no table \"" + (schema.empty() ? name : schema + "." + name) + "\"; there are trades, quotes and coverage",
                  "42P01");
  }

  SqlResult<void> judge_table_function(const Json& node) {
    const Json function = node.value("function", Json::object());
    const std::string name = lowercase(text_at(function, "function_name"));
    if (!allowed_table_functions().contains(name) || !is_our_schema(function))
      return refuse(node, "the table function " + name + " is not allowed");
    return {};
  }

  static bool is_our_schema(const Json& function) {
    const std::string schema = lowercase(text_at(function, "schema")), catalog = lowercase(text_at(function, "catalog"));
    return (schema.empty() || schema == "main" || schema == "pg_catalog") && (catalog.empty() || catalog == "system");
  }

  SqlResult<void> judge_function(Json& node) {
    const std::string name = lowercase(text_at(node, "function_name"));
    if (!is_our_schema(node)) return refuse(node, "the function " + name + " is not allowed");
    if (const auto fixed = kFixedAnswers.find(name); fixed != kFixedAnswers.end() && node.value("children", Json()).empty()) {
      const std::string alias = text_at(node, "alias");
      node = literal_of(std::string(fixed->second), alias.empty() ? name : alias);
      has_changed = true;
      return {};
    }
    if (allowed_functions().contains(name)) return {};
    if (!bounded_functions().contains(name)) return refuse(node, "the function " + name + " is not allowed");
    const bool begins_with_text = name != "range" && name != "generate_series";
    const Json& arguments = node.at("children");
    for (size_t i = begins_with_text ? 1 : 0; i < arguments.size(); ++i)
      if (!is_padding(name, arguments[i]) && !is_bounded(arguments[i]))
        return refuse(node, name + " needs constants of at most " + std::to_string(kBoundMax) + " as numbers here");
    return {};
  }

  /// The text that lpad and rpad fill with.
  static bool is_padding(const std::string& name, const Json& argument) {
    return (name == "lpad" || name == "rpad") && text_at(argument, "class") == "CONSTANT" &&
           argument.at("value").value("value", Json()).is_string();
  }

  static bool is_bounded(const Json& argument) {
    if (text_at(argument, "class") != "CONSTANT") return false;
    const Json value = argument.at("value").value("value", Json());
    return value.is_number_integer() && value.get<int64_t>() >= -kBoundMax && value.get<int64_t>() <= kBoundMax;
  }

  // --- parameters

  static Json literal_of(const std::optional<std::string>& text, const std::string& alias) {
    Json literal{{"class", "CONSTANT"}, {"type", "VALUE_CONSTANT"}, {"alias", alias}, {"query_location", kNowhere}};
    literal["value"] = {{"type", {{"id", text ? "VARCHAR" : "NULL"}, {"type_info", nullptr}}}, {"is_null", !text}};
    if (text) literal["value"]["value"] = *text;
    return literal;
  }

  SqlResult<void> fill_parameter(Json& node) {
    const std::string name = text_at(node, "identifier");
    const int index =
        std::all_of(name.begin(), name.end(), [](unsigned char letter) { return std::isdigit(letter) != 0; }) && name.size() < 6
            ? std::atoi(name.c_str())
            : 0;
    if (index < 1) return refuse(node, "a parameter is $1, $2, ..., not $" + name, "42P02");
    parameter_count = std::max(parameter_count, index);
    const SqlParameter* parameter = static_cast<size_t>(index) <= parameters_.size() ? &parameters_[index - 1] : nullptr;
    if (use_ == ParameterUse::kDeclare) {
      if (parameter == nullptr || parameter->type.empty()) return {};
      return wrap_in_cast(node, parameter->type);
    }
    if (parameter == nullptr)
      return refuse(node, "there is no parameter $" + name + ": " + std::to_string(parameters_.size()) + " were given", "42P02");
    node = literal_of(parameter->text, text_at(node, "alias"));
    has_changed = true;
    return parameter->type.empty() ? SqlResult<void>{} : wrap_in_cast(node, parameter->type);
  }

  /// CAST(node AS type), the type's own tree taken from DuckDB.
  SqlResult<void> wrap_in_cast(Json& node, const std::string& type) {
    const auto made = parse(connection_, "SELECT CAST(NULL AS " + type + ")");
    if (!made) return std::unexpected(made.error());
    Json cast = (*made)["statements"][0]["node"]["select_list"][0];
    cast["alias"] = text_at(node, "alias");
    node["alias"] = "";
    cast["child"] = std::move(node);
    cast["query_location"] = kNowhere;
    node = std::move(cast);
    has_changed = true;
    return {};
  }

  DuckConnection& connection_;
  const std::vector<SqlParameter>& parameters_;
  const ParameterUse use_;
  std::set<std::string> ctes_;
  bool is_judged_ = false;  // what is visited next is a table function's call, which has been judged as that
};

}  // namespace

SqlResult<GatedSql> gate_sql(DuckConnection& connection, std::string_view text, const std::vector<SqlParameter>& parameters,
                             ParameterUse use) {
  auto tree = parse(connection, text);
  if (!tree) return std::unexpected(std::move(tree).error());
  Walk walk(connection, parameters, use);
  if (auto allowed = walk.over(*tree); !allowed) return std::unexpected(std::move(allowed).error());
  GatedSql gated{std::string(text), std::move(walk.tables), walk.parameter_count};
  if (!walk.has_changed) return gated;
  if (use == ParameterUse::kFill) (*tree)["statements"][0]["named_param_map"] = Json::array();
  auto changed = connection.one_text("SELECT json_deserialize_sql(" + quote_text(tree->dump()) + ")");
  if (!changed) return std::unexpected(sql_failure(std::move(changed).error()));
  gated.text = *std::move(changed);
  return gated;
}

}  // namespace k2
