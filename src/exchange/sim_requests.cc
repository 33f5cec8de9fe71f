// The simulated exchange's HTTP side: connections, REST with what goes wrong with it, and the routes of whoever runs it.
#include <algorithm>
#include <charconv>

#include "exchange/admin.h"
#include "exchange/rest.h"
#include "exchange/sim_impl.h"

namespace k2 {

HttpPolicy SimExchange::Impl::policy(std::string_view method, std::string_view path) {
  const bool has_body = method == "POST" && path == "/sim/faults";
  return {.body_bytes_max = has_body ? size_t{64} << 10 : 0, .inline_handler = true};
}

HttpReply SimExchange::Impl::handle(HttpRequest request) {
  if (request.path.starts_with("/ws") || request.path.starts_with("/stream")) return open_stream(request);
  if (request.path.starts_with("/sim/")) return admin(request);
  return rest(request);
}

// --- connections ------------------------------------------------------------------------------------------------------

HttpAdmission SimExchange::Impl::admit() {
  HttpAdmission admission;
  const std::lock_guard lock(mutex);
  if (faults.is_idle()) return admission;
  for (const FaultRule& rule : faults.fire(FaultSite::kConnection, {}, options.clock->monotonic_us())) {
    if (rule.kind == FaultKind::kRefuseConnect) admission.is_refused = true;
    if (rule.kind == FaultKind::kSlowTls) admission.tls_delay_us = rule.delay_us;
    if (rule.kind == FaultKind::kWrongHost) admission.tls_identity = kWrongHostIdentity;
    if (rule.kind == FaultKind::kWrongAuthority) admission.tls_identity = kWrongAuthorityIdentity;
  }
  if (!options.tls) admission.tls_identity = 0;
  return admission;
}

// --- REST -------------------------------------------------------------------------------------------------------------

namespace {

std::string retry_after(int64_t delay_us) { return std::to_string((delay_us + kUsPerSecond - 1) / kUsPerSecond); }

HttpResponse refusal(int status, std::string body) {
  return {.status = status, .content_type = "application/json;charset=UTF-8", .body = std::move(body)};
}

// rest-api.md, "HTTP Return Codes" and "IP Limits": 429 with Retry-After in seconds, 418 for who goes on.
HttpResponse too_many_requests(int status, int64_t delay_us) {
  HttpResponse response = refusal(status, status == 418 ? R"({"code":-1003,"msg":"Way too much request weight used; IP banned."})"
                                                        : R"({"code":-1003,"msg":"Too much request weight used."})");
  response.headers.add("Retry-After", retry_after(delay_us));
  return response;
}

// What a fault answers instead; nullopt: it answers nothing itself.
std::optional<HttpResponse> answer_of(const FaultRule& rule) {
  switch (rule.kind) {
    case FaultKind::kRest429: return too_many_requests(429, rule.delay_us);
    case FaultKind::kRest418: return too_many_requests(418, rule.delay_us);
    case FaultKind::kRest451: return refusal(451, R"({"code":0,"msg":"Service unavailable from a restricted location."})");
    case FaultKind::kRestDown: return refusal(503, R"({"code":-1000,"msg":"Service unavailable."})");
    default: return std::nullopt;
  }
}

// Half the answer's body, then nothing.
HttpStreamReply half_of(HttpResponse response) {
  HttpStreamReply reply;
  reply.status = response.status;
  reply.content_type = response.content_type;
  reply.start = [body = std::move(response.body)](const std::shared_ptr<HttpStream>& stream) {
    (void)stream->try_write(std::string_view(body).substr(0, body.size() / 2));
    stream->abort();
  };
  return reply;
}

}  // namespace

HttpReply SimExchange::Impl::rest(const HttpRequest& request) {
  RestContext context;
  const std::lock_guard lock(mutex);
  context.now = options.clock->now();
  context.read = [this](std::string_view symbol, const std::function<void(const Ledger&)>& look) {
    const auto book = books.find(symbol);
    if (book != books.end()) look(book->second.ledger);
    return book != books.end();
  };
  for (const auto& [symbol, book] : books) context.symbols.push_back(symbol);
  const auto rules =
      faults.fire(FaultSite::kRest, {.symbol = request.param("symbol").value_or(""), .path = request.path}, options.clock->monotonic_us());
  for (const FaultRule& rule : rules)
    if (rule.kind == FaultKind::kRestLag) context.hidden = static_cast<size_t>(rule.value);
  RestAnswer answer = answer_rest(request, context);
  for (const FaultRule& rule : rules)
    if (auto instead = answer_of(rule)) answer.response = *std::move(instead);

  constexpr int64_t kMinuteUs = 60 * kUsPerSecond;
  const int64_t minute = context.now.us / kMinuteUs;
  weight_used = minute == weight_minute ? weight_used + answer.weight : answer.weight;
  weight_minute = minute;
  if (options.weight_per_minute_max > 0 && weight_used > options.weight_per_minute_max)
    answer.response = too_many_requests(429, kMinuteUs - context.now.us % kMinuteUs);
  answer.response.headers.add("X-MBX-USED-WEIGHT", std::to_string(weight_used));
  answer.response.headers.add("X-MBX-USED-WEIGHT-1M", std::to_string(weight_used));
  ++counts.rest_requests;
  ++counts.rest_by_status[answer.response.status];
  if (std::ranges::find(rules, FaultKind::kRestCut, &FaultRule::kind) != rules.end()) return half_of(std::move(answer.response));
  return std::move(answer.response);
}

// --- /sim/ ------------------------------------------------------------------------------------------------------------

namespace {

HttpResponse json(std::string body, int status = 200) {
  return {.status = status, .content_type = "application/json", .body = std::move(body) + "\n"};
}

size_t number_or(const HttpRequest& request, std::string_view name, size_t otherwise) {
  const std::string_view text = request.param(name).value_or("");
  size_t number = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

HttpResponse SimExchange::Impl::admin(const HttpRequest& request) {
  const std::lock_guard lock(mutex);
  const std::string route = request.method + " " + request.path;
  if (route == "GET /sim/counts") {
    SimCounts now = counts;
    for (const FaultInfo& info : fault_table()) now.faults[std::string(info.name)] = faults.fired(info.kind);
    return json(counts_json(now));
  }
  if (route == "GET /sim/ledger") {
    const auto book = books.find(request.param("symbol").value_or(""));
    if (book == books.end()) return json(R"({"error":"no such symbol"})", 404);
    size_t first = std::max<size_t>(1, number_or(request, "from", 1));
    const auto trades = book->second.ledger.from_ordinal(first, std::min<size_t>(100'000, number_or(request, "limit", 100'000)));
    return {.content_type = "application/x-ndjson", .body = ledger_ndjson(trades, first)};
  }
  if (route == "POST /sim/faults") {
    auto rules = read_fault_rules(request.body);
    if (!rules) return {.status = 400, .body = rules.error().message + "\n"};
    for (FaultRule& rule : *rules) faults.add(std::move(rule), options.clock->monotonic_us());
    changed.notify_all();
  }
  if (route == "DELETE /sim/faults") faults.clear();
  if (request.path == "/sim/faults") return json(faults_json(faults));
  return json("{}", 404);
}

}  // namespace k2
