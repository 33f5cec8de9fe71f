#include "api/finish.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace k2 {
namespace {

constexpr std::string_view kExposedHeaders =
    "ETag, K2-Read-Token, K2-Complete, K2-Next-Page-Token, Link, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id, traceparent";
constexpr std::string_view kAllowedHeaders =
    "Accept, Authorization, Content-Type, If-None-Match, Last-Event-ID, X-Request-Id, traceparent, tracestate";

bool is_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char letter) { return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f'); });
}

bool is_allowed(std::string_view origin, const std::vector<std::string>& origins) {
  return std::ranges::any_of(origins, [&](const std::string& allowed) { return allowed == "*" || allowed == origin; });
}

void add_origin(const HttpRequest& request, const std::vector<std::string>& origins, HttpHeaders& headers) {
  const bool is_any = std::ranges::find(origins, "*") != origins.end();
  headers.add("Access-Control-Allow-Origin", is_any ? "*" : std::string(request.headers.get("Origin")));
}

// The request's codings and origin choose what is sent, so caches must know.
void add_common(const HttpRequest& request, const std::vector<std::string>& origins, bool may_encode, HttpHeaders& headers) {
  std::string vary = may_encode ? "Accept-Encoding" : "";
  if (!origins.empty()) vary += vary.empty() ? "Origin" : ", Origin";
  if (!vary.empty()) headers.add("Vary", vary);
  if (is_allowed(request.headers.get("Origin"), origins)) {
    add_origin(request, origins, headers);
    headers.add("Access-Control-Expose-Headers", std::string(kExposedHeaders));
  }
  const std::string_view trace = request.headers.get("traceparent");
  if (is_traceparent(trace)) headers.add("traceparent", std::string(trace));
}

void encode(Encoding encoding, HttpResponse& response) {
  if (encoding == Encoding::kIdentity || response.body.size() < kEncodeBytesMin) return;
  response.body = encoded(encoding, response.body);
  response.headers.add("Content-Encoding", std::string(encoding_name(encoding)));
}

void encode(Encoding encoding, HttpStreamReply& reply) {
  if (encoding == Encoding::kIdentity) return;
  reply.headers.add("Content-Encoding", std::string(encoding_name(encoding)));
  reply.start = [encoding, start = std::move(reply.start)](std::shared_ptr<HttpStream> out) {
    start(encoding_stream(encoding, std::move(out)));
  };
}

}  // namespace

bool is_traceparent(std::string_view text) {
  return text.size() == 55 && text.starts_with("00-") && text[35] == '-' && text[52] == '-' && is_hex(text.substr(3, 32)) &&
         is_hex(text.substr(36, 16)) && is_hex(text.substr(53, 2));
}

HttpReply finish_reply(const HttpRequest& request, const std::vector<std::string>& cors_origins, HttpReply reply) {
  const auto finish = [&](auto& answer) {
    const bool may_encode = is_encodable(answer.content_type);
    add_common(request, cors_origins, may_encode, answer.headers);
    if (may_encode) encode(accepted_encoding(request.headers.get("Accept-Encoding")), answer);
  };
  if (auto* response = std::get_if<HttpResponse>(&reply)) finish(*response);
  else if (auto* stream = std::get_if<HttpStreamReply>(&reply)) finish(*stream);
  return reply;
}

std::optional<HttpResponse> preflight_reply(const HttpRequest& request, const std::vector<std::string>& cors_origins,
                                            std::string_view allow) {
  const bool is_preflight = request.method == "OPTIONS" && request.headers.find("Access-Control-Request-Method") != nullptr;
  if (!is_preflight || !is_allowed(request.headers.get("Origin"), cors_origins)) return std::nullopt;
  HttpResponse response{.status = 204, .content_type = "", .headers = {}, .body = ""};
  response.headers.add("Access-Control-Allow-Methods", std::string(allow));
  response.headers.add("Access-Control-Allow-Headers", std::string(kAllowedHeaders));
  response.headers.add("Access-Control-Max-Age", "600");
  return response;
}

}  // namespace k2
