// HttpClient: blocking GET and POST over plain TCP or TLS, with limits on everything the other side decides.
//
// One connection is kept per client for the next request to the same origin. Redirects are not followed (a 3xx is an answer like
// any other); no cookies, no compression asked for. Proxies: net/proxy.h. A server is untrusted: its head is at most 16 KB, its body at most
// body_bytes_max, and the whole exchange ends by the deadline.
// Thread rule: one thread at a time; cancel() from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http_message.h"
#include "net/proxy.h"
#include "net/tls.h"

namespace k2 {

struct HttpClientOptions {
  TlsTrust trust;
  int64_t connect_timeout_us = 5'000'000;  // name resolution, TCP and TLS together
  int64_t request_timeout_us = 30'000'000;  // everything, from the call to the last byte
  size_t body_bytes_max = 64 << 20;  // of an answer
  std::string user_agent = "k2";
  std::optional<ProxyRules> proxy;  // nullopt: as the process's environment says
};

struct HttpAnswer {
  int status = 0;  // 100..599; any status is an answer, not an error
  HttpHeaders headers;
  std::string body;
};

class HttpClient {
 public:
  explicit HttpClient(HttpClientOptions options = {});
  ~HttpClient();
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;

  /// InvalidInput: a URL that is not http or https. Unavailable: name not found, refused, time-out, TLS failure (with the reason: an
  /// unknown authority, a wrong host name), a cut answer, an answer that breaks HTTP/1.1 or a limit. Cancelled: by cancel().
  /// A GET on a kept connection that the server has closed meanwhile is sent once more on a new one.
  [[nodiscard]] Result<HttpAnswer> get(std::string_view url, const HttpHeaders& headers = {});

  /// As get(), with a body; never sent twice. UnknownOutcome where the request was sent whole and no answer came.
  [[nodiscard]] Result<HttpAnswer> post(std::string_view url, std::string_view content_type, std::string_view body,
                                        const HttpHeaders& headers = {});

  /// Any method. Retried only if GET or HEAD.
  [[nodiscard]] Result<HttpAnswer> request(std::string_view method, std::string_view url, const HttpHeaders& headers,
                                           std::string_view body);

  /// Ends the running request, if any, and every later one, with Cancelled.
  void cancel();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
