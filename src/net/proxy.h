// ProxyRules: which connections go through an HTTP proxy, as the usual environment variables say.
//
//   https_proxy, HTTPS_PROXY   for https and wss        "http://user:password@proxy.example:3128", or "proxy.example:3128"
//   http_proxy                 for http and ws          (in small letters only: a web server's CGI sets HTTP_PROXY from a request's header)
//   all_proxy, ALL_PROXY       where the above are absent
//   no_proxy, NO_PROXY         exceptions, separated by commas or blanks: "*" everything; "example.com" and ".example.com" that name and all
//                              names below it; an address; each also with ":port". Blocks of addresses (10.0.0.0/8) are not known.
//
// Small letters win over capitals. An empty value means none. localhost and loopback addresses never go through a proxy. Every connection, also a
// plain one, is a tunnel (CONNECT, RFC 9110, 9.3.6): TLS is with the target, whose name is the one verified, and a proxy sees only host and port.
// Thread rule: values.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/url.h"

namespace k2 {

struct Proxy {
  std::string host;
  uint16_t port = 0;
  std::string authorization;  // value of Proxy-Authorization; empty: none. A secret: never logged.

  bool operator==(const Proxy&) const = default;
};

struct ProxyRules {
  std::string tls_proxy;  // for https and wss; empty: none
  std::string plain_proxy;  // for http and ws; empty: none
  std::string no_proxy;

  /// `variable`: the value of an environment variable, if set.
  [[nodiscard]] static ProxyRules of(const std::function<std::optional<std::string>(const std::string&)>& variable);
  /// The process's environment.
  [[nodiscard]] static ProxyRules of_process();

  /// The proxy to reach `target` by; nullopt: none. InvalidInput: a proxy that is no http:// URL (https:// and socks are not known) or has an
  /// unreadable host, port or user info; the message does not repeat it, as it may hold a password.
  [[nodiscard]] Result<std::optional<Proxy>> find(const Url& target) const;
};

}  // namespace k2
