#include "net/proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "net/http_client.h"
#include "net/http_server.h"
#include "net/raw_socket.h"
#include "net/self_signed.h"
#include "net/ws_client.h"

namespace k2 {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::optional<Proxy> find(const ProxyRules& rules, const std::string& url) { return rules.find(parse_url(url).value()).value(); }

ProxyRules rules_of(const std::map<std::string, std::string>& variables) {
  return ProxyRules::of([&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(Proxy, ComesFromTheVariableOfTheScheme) {
  const ProxyRules rules = rules_of({{"HTTPS_PROXY", "http://secure:1"}, {"http_proxy", "plain:2"}});
  EXPECT_EQ(find(rules, "wss://a.example:9443"), (Proxy{"secure", 1, ""}));
  EXPECT_EQ(find(rules, "https://a.example"), (Proxy{"secure", 1, ""}));
  EXPECT_EQ(find(rules, "ws://a.example"), (Proxy{"plain", 2, ""}));
  EXPECT_EQ(find(rules_of({{"ALL_PROXY", "http://all"}}), "wss://a.example"), (Proxy{"all", 80, ""}));
  EXPECT_EQ(find(rules_of({{"HTTP_PROXY", "evil:1"}}), "http://a.example"), std::nullopt);
  EXPECT_EQ(find(rules_of({{"https_proxy", ""}, {"HTTPS_PROXY", "x:1"}}), "https://a.example"), std::nullopt);
  EXPECT_EQ(find(rules_of({{"https_proxy", "small:1"}, {"HTTPS_PROXY", "capital:1"}}), "https://a.example")->host, "small");
  EXPECT_EQ(find(rules_of({{"https_proxy", "http://[::2]:3128/"}}), "https://a.example"), (Proxy{"::2", 3128, ""}));
}

TEST(Proxy, CredentialsAreSentAsBasic) {
  // The example of RFC 7617, section 2.
  EXPECT_EQ(find({.tls_proxy = "http://Aladdin:open%20sesame@p:1"}, "https://a.example")->authorization,
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  EXPECT_EQ(find({.tls_proxy = "u@p:1"}, "https://a.example")->authorization, "Basic dTo=");
}

TEST(Proxy, WhatCannotBeReadIsRefusedWithoutRepeatingIt) {
  for (const char* text :
       {"https://u:secret@p:1", "socks5://u:secret@p", "http://u:secret@", "http://u:secret@p:99999", "http://u:secret%zz@p:1"}) {
    const auto found = ProxyRules{.tls_proxy = text}.find(parse_url("https://a.example").value());
    ASSERT_FALSE(found) << text;
    EXPECT_EQ(found.error().kind, ErrorKind::kInvalidInput);
    EXPECT_THAT(found.error().message, Not(HasSubstr("secret")));
  }
}

TEST(Proxy, ExceptionsGoDirectly) {
  struct Case {
    const char* no_proxy;
    const char* url;
    bool goes_directly;
  };
  for (const Case& each :
       {Case{"*", "https://a.example", true}, Case{"example.com", "https://example.com", true},
        Case{"example.com", "https://stream.example.com", true}, Case{".example.com", "https://stream.example.com", true},
        Case{"*.example.com", "https://stream.example.com", true}, Case{"example.com", "https://badexample.com", false},
        Case{"Example.COM", "https://example.com", true}, Case{"other, example.com", "https://example.com", true},
        Case{"example.com:443", "https://example.com", true}, Case{"example.com:8443", "https://example.com", false},
        Case{"10.0.0.7", "https://10.0.0.7", true}, Case{"0.0.7", "https://10.0.0.7", true}, Case{"::2", "https://[::2]", true},
        Case{"[::2]:444", "https://[::2]", false}, Case{"", "https://a.example", false}, Case{"", "https://localhost", true},
        Case{"", "https://127.0.0.1", true}, Case{"", "https://[::1]", true}, Case{",,", "https://a.example", false}})
    EXPECT_EQ(!find({.tls_proxy = "p:1", .no_proxy = each.no_proxy}, each.url), each.goes_directly) << each.no_proxy << " " << each.url;
}

// A proxy for one connection: answers its CONNECT as told and, where that was 200, carries bytes to a port of this machine.
class OneTunnel {
 public:
  OneTunnel(uint16_t to_port, std::string answer)
      : thread_([this, to_port, answer = std::move(answer)] {
          RawSocket client = server_.accept();
          request = client.receive_until("\r\n\r\n");
          client.send(answer);
          if (!answer.starts_with("HTTP/1.1 200")) return;
          RawSocket target = RawSocket::connect(to_port);
          std::jthread back([&] { carry(target, client); });
          carry(client, target);
        }) {}
  [[nodiscard]] std::string url() const { return "http://user:pass@127.0.0.1:" + std::to_string(server_.port()); }
  void wait() { thread_.join(); }

  std::string request;  // once it is over

 private:
  static void carry(RawSocket& from, RawSocket& to) {
    for (;;) {
      const std::string bytes = from.receive();
      if (bytes.empty()) break;
      to.send(bytes);
    }
    to.shutdown_send();
  }
  RawServer server_;
  std::jthread thread_;
};

class Hello : public HttpHandler {
 public:
  HttpReply handle(HttpRequest) override { return HttpResponse{.body = "hello"}; }
};

// The name exists for the proxy alone, and is the one that the certificate is for.
TEST(ProxyTunnel, HttpsGoesThroughItAndTheTargetsNameIsVerified) {
  const TlsIdentity identity = make_self_signed({"exchange.test"}).value();
  HttpServerOptions options;
  options.tls = identity;
  Hello hello;
  const auto server = HttpServer::start(std::move(options), hello).value();
  for (const bool is_right_name : {true, false}) {
    OneTunnel proxy(server->port(), "HTTP/1.1 200 Connection established\r\n\r\n");
    {
      HttpClientOptions client_options;
      client_options.trust.ca_pem = identity.certificate_pem;
      client_options.proxy = ProxyRules{.tls_proxy = proxy.url()};
      HttpClient client(client_options);
      const auto answer = client.get(is_right_name ? "https://exchange.test:9443/x" : "https://other.test:9443/x");
      if (is_right_name) EXPECT_EQ(answer.value().body, "hello");
      else EXPECT_THAT(answer.error().message, HasSubstr("certificate refused"));
    }
    proxy.wait();
    EXPECT_THAT(proxy.request, StartsWith(is_right_name ? "CONNECT exchange.test:9443 HTTP/1.1\r\nHost: exchange.test:9443\r\n"
                                                        : "CONNECT other.test:9443 HTTP/1.1\r\n"));
    EXPECT_THAT(proxy.request, HasSubstr("\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n"));
  }
}

TEST(ProxyTunnel, WhatTheProxyRefusesIsSaidWithItsStatus) {
  OneTunnel proxy(0, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
  HttpClientOptions options;
  options.proxy = ProxyRules{.plain_proxy = proxy.url()};
  const auto answer = HttpClient(options).get("http://exchange.test/");
  EXPECT_EQ(answer.error().kind, ErrorKind::kUnavailable);
  EXPECT_THAT(answer.error().message, HasSubstr("407"));
  EXPECT_THAT(answer.error().message, Not(HasSubstr("pass")));
}

TEST(ProxyTunnel, AProxyThatSaysNothingIsGivenUp) {
  RawServer silent;
  HttpClientOptions options;
  options.connect_timeout_us = 200'000;
  options.proxy = ProxyRules{.plain_proxy = "127.0.0.1:" + std::to_string(silent.port())};
  EXPECT_THAT(HttpClient(options).get("http://exchange.test/").error().message, HasSubstr("time-out"));
}

class Silence : public WsSessionHandler {
 public:
  void on_open(std::shared_ptr<WsSession> session) override { session->send_text("through"); }
  void on_message(std::string_view, bool) override {}
  void on_close(uint16_t, std::string_view) override {}
};

class Upgrades : public HttpHandler {
 public:
  HttpReply handle(HttpRequest) override { return WsUpgrade{.handler = std::make_shared<Silence>()}; }
};

class FirstText : public WsClientHandler {
 public:
  void on_open() override {}
  void on_message(std::string_view bytes, bool, TimestampUs) override {
    text = bytes;
    came.test_and_set();
    came.notify_all();
  }
  void on_end(const WsEnd& how) override {
    end = how.text;
    came.test_and_set();
    came.notify_all();
  }
  std::string text;
  std::string end;
  std::atomic_flag came;
};

TEST(ProxyTunnel, WebSocketsGoThroughIt) {
  const TlsIdentity identity = make_self_signed({"exchange.test"}).value();
  HttpServerOptions server_options;
  server_options.tls = identity;
  Upgrades upgrades;
  const auto server = HttpServer::start(std::move(server_options), upgrades).value();
  OneTunnel proxy(server->port(), "HTTP/1.1 200 OK\r\nX: y\r\n\r\n");
  FirstText first;
  {
    WsClientOptions options;
    options.url = "wss://exchange.test:9443/ws";
    options.trust.ca_pem = identity.certificate_pem;
    options.proxy = ProxyRules{.tls_proxy = proxy.url()};
    WsClient client(options, first);
    first.came.wait(false);
    EXPECT_EQ(first.text, "through") << first.end;
  }
  proxy.wait();
}

}  // namespace
}  // namespace k2
