#include "exchange/admin.h"

#include <nlohmann/json.hpp>

namespace k2 {

namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Decimal18_8& decimal) {
  char text[Decimal18_8::kTextMax];
  return {text, decimal.write(text)};
}

Json rule_json(const FaultPlan::Pending& pending) {
  const FaultRule& rule = pending.rule;
  return {{"kind", fault_info(rule.kind).name},
          {"symbol", rule.symbol},
          {"path", rule.path},
          {"probability", rule.probability},
          {"at_trade", rule.at_trade},
          {"duration_us", rule.duration_us},
          {"count", rule.count},
          {"clients", rule.clients_max},
          {"delay_us", rule.delay_us},
          {"value", rule.value},
          {"is_armed", pending.is_armed},
          {"fired", pending.fired}};
}

Result<FaultRule> read_rule(const Json& json) {
  const auto refuse = [&](const std::string& why) { return make_error(ErrorKind::kInvalidInput, "fault: " + why); };
  if (!json.is_object()) return refuse("want an object with a kind, or an array of them");
  const auto kind = json.find("kind");
  if (kind == json.end() || !kind->is_string()) return refuse("it has no kind");
  std::vector<FaultSetting> settings;
  for (const auto& [name, value] : json.items()) {
    if (name == "kind") continue;
    if (!value.is_string() && !value.is_number()) return refuse(name + " is neither text nor a number");
    settings.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return make_fault_rule(kind->get<std::string>(), settings);
}

}  // namespace

std::string counts_json(const SimCounts& counts) {
  Json rest = Json::object();
  for (const auto& [status, count] : counts.rest_by_status) rest[std::to_string(status)] = count;
  Json faults = Json::object();
  for (const auto& [name, count] : counts.faults) faults[name] = count;
  return Json{{"trades", counts.trades},
              {"frames", counts.frames},
              {"messages", counts.messages},
              {"connections", counts.connections},
              {"connections_open", counts.connections_open},
              {"disconnected_slow", counts.disconnected_slow},
              {"rest_requests", counts.rest_requests},
              {"rest", rest},
              {"faults", faults}}
      .dump();
}

std::string faults_json(const FaultPlan& plan) {
  Json rules = Json::array();
  for (const auto& pending : plan.pending()) rules.push_back(rule_json(pending));
  return rules.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string ledger_ndjson(const std::vector<SimTrade>& trades, size_t first) {
  std::string out;
  for (const SimTrade& trade : trades) {
    out += "{\"n\":" + std::to_string(first++) + ",\"id\":" + std::to_string(trade.id) + ",\"price\":\"" + text_of(trade.price) +
           "\",\"quantity\":\"" + text_of(trade.quantity) + "\",\"time_us\":" + std::to_string(trade.time.us) +
           ",\"buyer_is_maker\":" + (trade.buyer_is_maker ? "true" : "false") + "}\n";
  }
  return out;
}

Result<std::vector<FaultRule>> read_fault_rules(std::string_view json) {
  const Json body = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  std::vector<FaultRule> rules;
  for (const Json& one : body.is_array() ? body : Json::array({body})) {
    K2_TRY(FaultRule rule, read_rule(one));
    rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace k2
