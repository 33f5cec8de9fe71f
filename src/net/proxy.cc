#include "net/proxy.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"

namespace k2 {
namespace {

// RFC 4648, section 4.
std::string base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends it with a zero byte
  out.resize(static_cast<size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                                 reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()))));
  return out;
}

// The name or address of an authority, in small letters and without brackets, and its port, 0 where there is none.
std::optional<std::pair<std::string, uint16_t>> split_host(std::string_view text) {
  if (const auto both = parse_host_port(text)) return std::pair(ascii_lowercase(both->first), both->second);
  if (std::ranges::count(text, ':') > 1 && text.front() != '[')
    return std::pair(ascii_lowercase(text), uint16_t{0});  // a bare IPv6 address
  const auto alone = parse_host_port(std::string(text) + ":0");
  if (!alone) return std::nullopt;
  return std::pair(ascii_lowercase(alone->first), uint16_t{0});
}

bool matches(std::string_view entry, const Url& target) {
  if (entry == "*") return true;
  if (entry.starts_with("*.")) entry.remove_prefix(1);
  if (entry.starts_with('.')) entry.remove_prefix(1);
  if (entry.empty()) return false;
  const auto split = split_host(entry);
  if (!split || (split->second != 0 && split->second != target.port)) return false;
  const std::string& name = split->first;
  std::string_view host = target.host;
  if (host.ends_with('.')) host.remove_suffix(1);
  return host == name || (host.ends_with(name) && host[host.size() - name.size() - 1] == '.');
}

bool is_excepted(std::string_view list, const Url& target) {
  while (!list.empty()) {
    const size_t end = std::min(list.find_first_of(", \t"), list.size());
    if (matches(list.substr(0, end), target)) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

std::unexpected<Error> bad_proxy(std::string_view why) {
  return make_error(ErrorKind::kInvalidInput, "the proxy of the environment: " + std::string(why));
}

Result<Proxy> parse_proxy(std::string_view text) {
  if (const size_t scheme_end = text.find("://"); scheme_end != std::string_view::npos) {
    if (ascii_lowercase(text.substr(0, scheme_end)) != "http")
      return bad_proxy("want http://host:port; https and socks proxies are not known");
    text.remove_prefix(scheme_end + 3);
  }
  text = text.substr(0, text.find_first_of("/?#"));
  Proxy proxy;
  if (const size_t at = text.rfind('@'); at != std::string_view::npos) {
    const auto credentials = percent_decode(text.substr(0, at));
    if (!credentials) return bad_proxy("user and password have to be percent-encoded");
    // RFC 7617: a user without a password is a user with an empty one.
    proxy.authorization = "Basic " + base64(*credentials + (credentials->find(':') == std::string::npos ? ":" : ""));
    text.remove_prefix(at + 1);
  }
  if (text.empty()) return bad_proxy("no host");
  const auto split = split_host(text);
  if (!split) return bad_proxy("host or port cannot be read");
  proxy.host = split->first;
  proxy.port = split->second == 0 ? 80 : split->second;
  return proxy;
}

}  // namespace

ProxyRules ProxyRules::of(const std::function<std::optional<std::string>(const std::string&)>& variable) {
  const auto first_of = [&](std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (auto value = variable(name)) return *std::move(value);
    return std::string();
  };
  return {first_of({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}), first_of({"http_proxy", "all_proxy", "ALL_PROXY"}),
          first_of({"no_proxy", "NO_PROXY"})};
}

ProxyRules ProxyRules::of_process() {
  return of([](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  });
}

Result<std::optional<Proxy>> ProxyRules::find(const Url& target) const {
  const std::string& text = target.is_tls() ? tls_proxy : plain_proxy;
  if (text.empty() || is_loopback(target.host) || is_excepted(no_proxy, target)) return std::nullopt;
  K2_TRY(Proxy proxy, parse_proxy(text));
  return proxy;
}

}  // namespace k2
