#include "net/url.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"

namespace k2 {
namespace {

constexpr std::string_view kUnreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

std::unexpected<Error> bad_url(std::string_view text, std::string_view why) {
  return make_error(ErrorKind::kInvalidInput, "URL \"" + std::string(text.substr(0, 200)) + "\": " + std::string(why));
}

uint16_t default_port(std::string_view scheme) { return scheme == "https" || scheme == "wss" ? 443 : 80; }

bool is_host_character(char c) { return kUnreserved.find(c) != std::string_view::npos; }

bool is_address_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
}

// What may stand in a target as it is: RFC 3986's pchar and "?" and "/", and "%" of an encoding.
bool is_target_character(char c) {
  static constexpr std::string_view also = "!$&'()*+,;=:@/?%[]";
  return is_host_character(c) || also.find(c) != std::string_view::npos;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string Url::authority() const {
  std::string out = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != default_port(scheme)) out += ":" + std::to_string(port);
  return out;
}

std::string Url::origin() const { return scheme + "://" + authority(); }

Result<std::pair<std::string, uint16_t>> parse_host_port(std::string_view text) {
  const auto bad = [&] {
    return make_error(ErrorKind::kInvalidInput, "address \"" + std::string(text.substr(0, 200)) + "\": want host:port");
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == text.size()) return bad();
  std::string_view host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (!std::all_of(host.begin(), host.end(), is_address_character)) return bad();
  } else if (!std::all_of(host.begin(), host.end(), is_host_character)) {
    return bad();
  }
  if (host.empty()) return bad();
  uint16_t port = 0;
  const auto [end, status] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  if (status != std::errc() || end != text.data() + text.size()) return bad();
  return std::pair(std::string(host), port);
}

Result<Url> parse_url(std::string_view text) {
  Url url;
  const size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return bad_url(text, "want http://, https://, ws:// or wss://");
  url.scheme = ascii_lowercase(text.substr(0, scheme_end));
  if (url.scheme != "http" && url.scheme != "https" && url.scheme != "ws" && url.scheme != "wss")
    return bad_url(text, "want http://, https://, ws:// or wss://");

  const std::string_view rest = text.substr(scheme_end + 3);
  const size_t authority_end = std::min(rest.find_first_of("/?#"), rest.size());
  const std::string_view authority = rest.substr(0, authority_end);
  if (authority.find('@') != std::string_view::npos) return bad_url(text, "user info is not allowed");
  const size_t colon = authority.rfind(':');
  const bool has_port = colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  const std::string host_port = has_port ? std::string(authority) : std::string(authority) + ":" + std::to_string(default_port(url.scheme));
  auto parsed = parse_host_port(host_port);
  if (!parsed) return bad_url(text, "host or port cannot be read");
  if (parsed->second == 0) return bad_url(text, "port 0");
  url.host = ascii_lowercase(parsed->first);
  url.port = parsed->second;

  const std::string_view target = rest.substr(authority_end);
  if (!std::all_of(target.begin(), target.end(), is_target_character))
    return bad_url(text, "a fragment or a character that has to be percent-encoded");
  url.target = target.empty() || target.front() == '?' ? "/" + std::string(target) : std::string(target);
  return url;
}

std::string percent_encode(std::string_view text, std::string_view also_kept) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (kUnreserved.find(c) != std::string_view::npos || also_kept.find(c) != std::string_view::npos) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', kHex[byte >> 4], kHex[byte & 15]};
  }
  return out;
}

std::string percent_encode(std::string_view text) { return percent_encode(text, {}); }

Result<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] == '%') {
      const int high = i + 1 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) return make_error(ErrorKind::kInvalidInput, "percent-encoding: \"%\" without two hexadecimal digits");
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

Result<QueryParams> parse_query(std::string_view query) {
  QueryParams params;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    K2_TRY(std::string name, percent_decode(pair.substr(0, equals), true));
    K2_TRY(std::string value, percent_decode(pair.substr(std::min(equals + 1, pair.size())), true));
    params.emplace_back(std::move(name), std::move(value));
  }
  return params;
}

bool is_loopback(std::string_view host) {
  if (host == "localhost" || host.ends_with(".localhost") || host == "::1") return true;
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace k2
