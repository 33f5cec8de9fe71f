#include "api/openapi.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "query/format.h"

namespace k2 {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kDescription =
    "Market data of one k2: trades, quotes, and what is known to be missing. Each answer over rows is made on one cut of tables and log "
    "and "
    "names it (read_token); the same question with that token is answered with the same bytes. Decimals are strings with their full scale, "
    "times "
    "RFC 3339 in UTC or integer microseconds (times=us). Ranges of time are half-open. Errors are problems as in RFC 9457.";

std::string base_type(std::string_view media_type) { return std::string(media_type.substr(0, media_type.find(';'))); }

Json ref(std::string_view kind, std::string_view name) { return {{"$ref", "#/components/" + std::string(kind) + "/" + std::string(name)}}; }

std::vector<std::string> split_choices(std::string_view choices) {
  std::vector<std::string> all;
  while (!choices.empty()) {
    const size_t bar = std::min(choices.find('|'), choices.size());
    all.emplace_back(choices.substr(0, bar));
    choices.remove_prefix(std::min(bar + 1, choices.size()));
  }
  return all;
}

// --- rows -------------------------------------------------------------------------------------------------------------

Json column_type(const Column& column) {
  if (column.name == "vendor_data") return {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}};
  switch (column.type) {
    case ColumnType::kUuid: return {{"type", "string"}, {"format", "uuid"}};
    case ColumnType::kString: return {{"type", "string"}};
    case ColumnType::kTimestampUs: return {{"type", Json::array({"string", "integer"})}, {"format", "date-time"}};
    case ColumnType::kDecimal18_8: return {{"type", "string"}, {"pattern", R"(^-?[0-9]+(\.[0-9]+)?$)"}};
    case ColumnType::kStringList: return {{"type", "array"}, {"items", {{"type", "string"}}}};
    case ColumnType::kLong:
    case ColumnType::kInt: return {{"type", "integer"}};
  }
  return {};
}

Json row_schema(const Route& route) {
  if (route.row.empty()) return {{"type", "object"}};
  Json properties = Json::object();
  for (const Column& column : route.row) {
    Json& type = properties[std::string(column.name)] = column_type(column);
    type["description"] = column.doc;
    if (column.required) continue;
    if (!type["type"].is_array()) type["type"] = Json::array({type["type"]});
    type["type"].push_back("null");
  }
  return {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
}

Json gap_schema() {
  return Json::parse(R"({"type":"object","properties":{"exchange":{"type":"string"},"symbol":{"type":"string"},"channel":{"type":"string"},
    "first_sequence":{"type":"integer"},"last_sequence":{"type":"integer"},"count":{"type":"integer"},
    "timestamp":{"type":["string","integer"]},"end_timestamp":{"type":["string","integer"]},"status":{"type":"string"},
    "reason":{"type":["string","null"]}},"additionalProperties":false})");
}

Json answer_schema(const Route& route) {
  Json properties{{"data", {{"type", "array"}, {"items", ref("schemas", route.row_name)}}},
                  {"count", {{"type", "integer"}, {"description", "rows in data"}}},
                  {"truncated", {{"type", "boolean"}, {"description", "whether there are more rows than limit"}}},
                  {"read_token", {{"type", "string"}, {"description", "the cut this was read on; give it back to read the same again"}}}};
  if (route.says_complete) {
    properties["complete"] = {{"type", Json::array({"boolean", "null"})},
                              {"description", "whether all events of the range are here; null: not known"}};
    properties["known_until"] = {{"type", Json::array({"string", "integer", "null"})},
                                 {"description", "up to which event time that is known"}};
    properties["gap_count"] = {{"type", "integer"}, {"description", "gaps in the range; only with complete false"}};
    properties["gaps"] = {{"type", "array"}, {"items", ref("schemas", "Gap")}, {"description", "the first ten of them"}};
  }
  if (route.has_pages)
    properties["next_page_token"] = {{"type", "string"},
                                     {"description", "page_token of the next page; empty after the last; only in pages"}};
  return {{"type", "object"},
          {"required", Json::array({"data", "count", "truncated", "read_token"})},
          {"properties", properties},
          {"additionalProperties", false}};
}

Json rows_content(const Route& route) {
  Json content{{base_type(media_type(Format::kJson)), {{"schema", answer_schema(route)}}}};
  for (const Format format : {Format::kNdjson, Format::kCsv}) content[base_type(media_type(format))] = {{"schema", {{"type", "string"}}}};
  for (const Format format : {Format::kArrow, Format::kParquet}) content[base_type(media_type(format))] = Json::object();
  return content;
}

// --- parameters -------------------------------------------------------------------------------------------------------

Json value_schema(const Param& param, bool is_member) {
  switch (param.type) {
    case ParamType::kText: return {{"type", "string"}, {"minLength", param.least}, {"maxLength", param.most}};
    case ParamType::kInteger: return {{"type", "integer"}, {"minimum", param.least}, {"maximum", param.most}};
    case ParamType::kTime:
      if (is_member) return {{"type", Json::array({"string", "integer"})}};
      return {{"type", "string"}};
    case ParamType::kChoice: return {{"type", "string"}, {"enum", split_choices(param.choices)}};
  }
  return {};
}

Json param_schema(const Param& param, bool is_member) {
  Json schema = value_schema(param, is_member);
  if (param.repeats) schema = {{"type", "array"}, {"items", schema}};
  if (!param.fallback.empty() && param.type == ParamType::kInteger) schema["default"] = std::stoll(std::string(param.fallback));
  else if (!param.fallback.empty()) schema["default"] = param.fallback;
  return schema;
}

Json parameter(const Param& param, std::string_view in) {
  Json entry{{"name", param.name}, {"in", in}, {"description", param.allowed}};
  if (param.required || in == "path") entry["required"] = true;
  entry["schema"] = param_schema(param, false);
  return entry;
}

Json body_schema(std::span<const Param> body) {
  Json properties = Json::object(), required = Json::array();
  for (const Param& param : body) {
    Json& member = properties[std::string(param.name)] = param_schema(param, true);
    member["description"] = param.allowed;
    if (param.required) required.push_back(param.name);
  }
  Json schema{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
  if (!required.empty()) schema["required"] = required;
  return schema;
}

// --- answers ----------------------------------------------------------------------------------------------------------

bool takes_token(const Route& route) {
  const auto is_token = [](const Param& param) { return param.name == "read_token" || param.name == "page_token"; };
  return std::ranges::any_of(route.params, is_token) || std::ranges::any_of(route.body, is_token);
}

Json good_answer(const Route& route) {
  switch (route.kind) {
    case AnswerKind::kRows: {
      Json headers{{"K2-Read-Token", {{"description", "read_token, in every format"}, {"schema", {{"type", "string"}}}}}};
      if (route.says_complete)
        headers["K2-Complete"] = {{"description", "complete, in every format"},
                                  {"schema", {{"type", "string"}, {"enum", Json::array({"true", "false", "unknown"})}}}};
      if (route.has_pages)
        headers["K2-Next-Page-Token"] = {{"description", "next_page_token, where it is not empty"}, {"schema", {{"type", "string"}}}};
      if (route.method == "GET" && takes_token(route))
        headers["ETag"] = {{"description", "of the answer, where the question has a read_token"}, {"schema", {{"type", "string"}}}};
      return {{"description", "Rows"}, {"headers", headers}, {"content", rows_content(route)}};
    }
    case AnswerKind::kJson:
      return {{"description", "An object"}, {"content", {{"application/json", {{"schema", Json::parse(route.schema)}}}}}};
    case AnswerKind::kText: return {{"description", "Text"}, {"content", {{"text/plain", {{"schema", {{"type", "string"}}}}}}}};
    case AnswerKind::kPage: return {{"description", "A page"}, {"content", {{"text/html", {{"schema", {{"type", "string"}}}}}}}};
    case AnswerKind::kEvents:
      return {{"description", "Events, without end"}, {"content", {{"text/event-stream", {{"schema", {{"type", "string"}}}}}}}};
  }
  return {};
}

struct KnownProblem {
  int status;
  std::string_view name;
  std::string_view description;
  bool (*happens)(const Route& route);
};

bool has_body(const Route& route) { return !route.body.empty(); }
bool is_rows(const Route& route) { return route.kind == AnswerKind::kRows; }

constexpr KnownProblem kProblems[] = {
    {400, "BadRequest", "The request cannot be read, or a parameter is not allowed: errors[] names it", [](const Route&) { return true; }},
    {403, "Forbidden", "The statement has something that is not allowed", [](const Route&) { return false; }},
    {404, "NotFound", "What the path names is not there", [](const Route& route) { return !route.path_params.empty(); }},
    {406, "NotAcceptable", "None of the accepted types is one of ours", is_rows},
    {408, "RequestTimeout", "The request did not come in time", [](const Route&) { return true; }},
    {410, "Gone", "The rows that the token names are in no snapshot and not in the log any more", takes_token},
    {413, "ContentTooLarge", "The body is larger than 64 KiB", [](const Route&) { return true; }},
    {414, "UriTooLong", "The request line is longer than 8 KiB", [](const Route&) { return true; }},
    {415, "UnsupportedMediaType", "The body is not application/json", has_body},
    {422, "UnprocessableContent", "A member of the body is not allowed: errors[] points to it", has_body},
    {429, "TooManyRequests", "Too many at once: try again later", [](const Route&) { return false; }},
    {431, "FieldsTooLarge", "The header is larger than 16 KiB or has more than 64 fields", [](const Route&) { return true; }},
    {500, "InternalError", "A source contradicts itself", [](const Route&) { return true; }},
    {503, "Unavailable", "Too much at once, or a source is away: try again later", [](const Route&) { return true; }},
};

Json responses_of(const Route& route) {
  Json responses{{"200", good_answer(route)}};
  if (is_rows(route) && route.method == "GET" && takes_token(route))
    responses["304"] = {{"description", "The client has this answer already (If-None-Match, with a read_token)"}};
  for (const KnownProblem& problem : kProblems) {
    const bool own = std::ranges::find(route.further_statuses, problem.status) != route.further_statuses.end();
    if (own || problem.happens(route)) responses[std::to_string(problem.status)] = ref("responses", problem.name);
  }
  return responses;
}

std::string operation_id(const Route& route) {
  std::string id = route.method == "GET" ? "get" : "post";
  for (const char letter : route.path) {
    const bool is_plain = std::isalnum(static_cast<unsigned char>(letter)) != 0;
    if (is_plain) id += letter;
    else if (!id.ends_with('_')) id += '_';
  }
  while (id.ends_with('_')) id.pop_back();
  return id;
}

Json operation(const Route& route) {
  Json entry{{"operationId", operation_id(route)}, {"summary", route.summary}};
  Json parameters = Json::array();
  for (const Param& param : route.path_params) parameters.push_back(parameter(param, "path"));
  for (const Param& param : route.params) parameters.push_back(parameter(param, "query"));
  if (!parameters.empty()) entry["parameters"] = parameters;
  if (!route.body.empty())
    entry["requestBody"] = {{"required", true}, {"content", {{"application/json", {{"schema", body_schema(route.body)}}}}}};
  entry["responses"] = responses_of(route);
  return entry;
}

Json problem_schema() {
  return Json::parse(R"({"type":"object","required":["type","title","status","detail","request_id"],"properties":{
    "type":{"type":"string"},"title":{"type":"string"},"status":{"type":"integer"},"detail":{"type":"string"},"instance":{"type":"string"},
    "request_id":{"type":"string"},"errors":{"type":"array","items":{"type":"object","required":["detail"],"properties":{
    "parameter":{"type":"string","description":"of the query"},"pointer":{"type":"string","description":"JSON pointer into the body"},
    "detail":{"type":"string"}},"additionalProperties":false}}},"additionalProperties":false})");
}

Json components(std::span<const Route> routes) {
  Json schemas{{"Problem", problem_schema()}, {"Gap", gap_schema()}};
  for (const Route& route : routes)
    if (!route.row_name.empty()) schemas[std::string(route.row_name)] = row_schema(route);
  Json responses = Json::object();
  for (const KnownProblem& problem : kProblems)
    responses[std::string(problem.name)] = {{"description", problem.description},
                                            {"content", {{"application/problem+json", {{"schema", ref("schemas", "Problem")}}}}}};
  return {{"schemas", schemas}, {"responses", responses}};
}

}  // namespace

std::string openapi_json(std::span<const Route> routes, std::string_view version) {
  Json paths = Json::object();
  for (const Route& route : routes) paths[std::string(route.path)][route.method == "GET" ? "get" : "post"] = operation(route);
  const Json document{{"openapi", "3.1.0"},
                      {"info", {{"title", "k2"}, {"version", version}, {"description", kDescription}}},
                      {"servers", Json::array({{{"url", "/"}}})},
                      {"paths", paths},
                      {"components", components(routes)}};
  return document.dump() + "\n";
}

}  // namespace k2
