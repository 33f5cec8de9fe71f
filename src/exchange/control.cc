#include "exchange/control.h"

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

namespace k2 {

namespace {

using Json = nlohmann::json;

struct Refusal {
  int code;
  std::string message;
};

// A request that could be read: its id and parameters.
struct Request {
  const Json& id;
  const Json* params;  // nullptr: none given
};

using Answer = std::pair<Json, std::optional<Refusal>>;  // result, or why not

Answer refused(int code, std::string message) { return {nullptr, Refusal{code, std::move(message)}}; }

std::optional<std::vector<std::string>> stream_names(const Request& request) {
  std::vector<std::string> names;
  if (request.params == nullptr || !request.params->is_array()) return std::nullopt;
  for (const Json& name : *request.params) {
    if (!name.is_string()) return std::nullopt;
    names.push_back(name.get<std::string>());
  }
  return names;
}

Answer subscribe(const Request& request, StreamSubscriptions& subscriptions, ControlAnswer& answer, size_t streams_max) {
  const auto names = stream_names(request);
  if (!names) return refused(2, "Invalid request: property name must be a string");
  auto& streams = subscriptions.streams;
  for (const std::string& name : *names) {
    if (std::find(streams.begin(), streams.end(), name) != streams.end()) continue;
    if (streams.size() >= streams_max) return refused(2, "Invalid request: too many parameters");
    streams.push_back(name);
    answer.added.push_back(name);
  }
  return {nullptr, std::nullopt};
}

Answer unsubscribe(const Request& request, StreamSubscriptions& subscriptions, ControlAnswer& answer, size_t) {
  const auto names = stream_names(request);
  if (!names) return refused(2, "Invalid request: property name must be a string");
  for (const std::string& name : *names)
    if (std::erase(subscriptions.streams, name) > 0) answer.removed.push_back(name);
  return {nullptr, std::nullopt};
}

Answer list_subscriptions(const Request& request, StreamSubscriptions& subscriptions, ControlAnswer&, size_t) {
  if (request.params != nullptr && !request.params->empty()) return refused(2, "Invalid request: too many parameters");
  return {Json(subscriptions.streams), std::nullopt};
}

std::optional<Refusal> check_property(const Request& request, size_t params) {
  if (request.params == nullptr || !request.params->is_array() || request.params->empty() || !request.params->front().is_string())
    return Refusal{2, "Invalid request: property name must be a string"};
  if (request.params->size() > params) return Refusal{2, "Invalid request: too many parameters"};
  if (request.params->front() != "combined") return Refusal{0, "Unknown property"};
  return std::nullopt;
}

Answer set_property(const Request& request, StreamSubscriptions& subscriptions, ControlAnswer&, size_t) {
  if (auto wrong = check_property(request, 2)) return {nullptr, std::move(wrong)};
  if (request.params->size() != 2 || !request.params->back().is_boolean()) return refused(1, "Invalid value type: expected Boolean");
  subscriptions.combined = request.params->back().get<bool>();
  return {nullptr, std::nullopt};
}

Answer get_property(const Request& request, StreamSubscriptions& subscriptions, ControlAnswer&, size_t) {
  if (auto wrong = check_property(request, 1)) return {nullptr, std::move(wrong)};
  return {subscriptions.combined, std::nullopt};
}

using Method = Answer (*)(const Request&, StreamSubscriptions&, ControlAnswer&, size_t);

const std::map<std::string, Method, std::less<>>& methods() {
  static const std::map<std::string, Method, std::less<>> all = {{"SUBSCRIBE", subscribe},
                                                                 {"UNSUBSCRIBE", unsubscribe},
                                                                 {"LIST_SUBSCRIPTIONS", list_subscriptions},
                                                                 {"SET_PROPERTY", set_property},
                                                                 {"GET_PROPERTY", get_property}};
  return all;
}

// int64, alphanumeric text of at most 36 characters, or null.
bool is_id(const Json& id) {
  if (id.is_null() || id.is_number_integer()) return true;
  if (!id.is_string()) return false;
  const auto& text = id.get_ref<const std::string&>();
  return text.size() <= 36 && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0; });
}

std::string error_text(const Refusal& refusal, const Json* id) {
  std::string out = "{\"code\":" + std::to_string(refusal.code) +
                    ",\"msg\":" + Json(refusal.message).dump(-1, ' ', false, Json::error_handler_t::replace);
  if (id != nullptr) out += ",\"id\":" + id->dump();
  return out + "}";
}

// Where serde, which Binance's messages show, says that a value ends: the column behind it.
std::string column_behind(std::string_view message, std::string_view value) {
  const size_t at = message.find(value);
  return std::to_string(at == std::string_view::npos ? message.size() : at + value.size() + 1);
}

}  // namespace

ControlAnswer answer_control(std::string_view message, StreamSubscriptions& subscriptions, size_t streams_max) {
  ControlAnswer answer;
  const Json request = Json::parse(message, nullptr, /*allow_exceptions=*/false);
  if (request.is_discarded() || !request.is_object()) {
    answer.text = error_text({3, "Invalid JSON: expected value at line 1 column 1"}, nullptr);
    return answer;
  }
  const auto id = request.find("id");
  const auto method = request.find("method");
  if (id == request.end() || !is_id(*id)) {
    answer.text = error_text({2, "Invalid request: request ID must be an unsigned integer"}, nullptr);
    return answer;
  }
  if (method == request.end() || !method->is_string()) {
    answer.text = error_text({2, "Invalid request: missing field `method` at line 1 column " + std::to_string(message.size())}, &*id);
    return answer;
  }
  const auto& name = method->get_ref<const std::string&>();
  const auto found = methods().find(name);
  if (found == methods().end()) {
    answer.text = error_text(
        {2, "Invalid request: unknown variant `" + name.substr(0, 64) +
                "`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY` at line 1 column " +
                column_behind(message, name)},
        &*id);
    return answer;
  }
  const auto params = request.find("params");
  const auto [result, refusal] = found->second({*id, params == request.end() ? nullptr : &*params}, subscriptions, answer, streams_max);
  answer.text = refusal ? error_text(*refusal, &*id)
                        : "{\"result\":" + result.dump(-1, ' ', false, Json::error_handler_t::replace) + ",\"id\":" + id->dump() + "}";
  return answer;
}

}  // namespace k2
