// Url: scheme, host, port and target of an http, https, ws or wss URL; percent-encoding.
//
// Source: RFC 3986. No user info, no fragment: they are refused, as a URL here comes from a configuration or from code.
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace k2 {

struct Url {
  std::string scheme;  // "http", "https", "ws" or "wss"
  std::string host;    // without brackets: "stream.binance.com", "127.0.0.1", "::1"
  uint16_t port = 0;   // the scheme's default (80, 443) where the text has none
  std::string target;  // path and query as they go on the wire, "/" at least

  [[nodiscard]] bool is_tls() const { return scheme == "https" || scheme == "wss"; }
  /// "host:port" as in a Host header: brackets around an IPv6 address, no port where it is the scheme's default.
  [[nodiscard]] std::string authority() const;
  /// "scheme://authority", without the target.
  [[nodiscard]] std::string origin() const;
  [[nodiscard]] std::string to_string() const { return origin() + target; }

  bool operator==(const Url&) const = default;
};

/// InvalidInput for another scheme, no host, a bad port, user info, a fragment, and characters that have to be percent-encoded.
[[nodiscard]] Result<Url> parse_url(std::string_view text);

/// Percent-encodes all but RFC 3986's unreserved characters (letters, digits, "-._~"); bytes of UTF-8 one by one.
[[nodiscard]] std::string percent_encode(std::string_view text);
/// The same, but leaves the characters of `also_kept` as they are.
[[nodiscard]] std::string percent_encode(std::string_view text, std::string_view also_kept);

/// InvalidInput for a "%" that two hexadecimal digits do not follow. `plus_is_space`: for query strings of forms.
[[nodiscard]] Result<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

using QueryParams = std::vector<std::pair<std::string, std::string>>;

/// "a=1&b=&a=2" to decoded pairs in order, repetitions kept; "+" is a space. InvalidInput as percent_decode.
[[nodiscard]] Result<QueryParams> parse_query(std::string_view query);

/// Splits "host:port", "[::1]:80". InvalidInput otherwise. Port 0 is allowed: any free port, for listeners.
[[nodiscard]] Result<std::pair<std::string, uint16_t>> parse_host_port(std::string_view text);

/// Whether nobody but this machine reaches `host`: localhost, a name below it, 127.x.x.x, ::1. Judged by its text; no name is looked up.
[[nodiscard]] bool is_loopback(std::string_view host);

}  // namespace k2
