// The WebSocket client against our server, and against a server that breaks the rules.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "net/http_server.h"
#include "net/raw_socket.h"
#include "net/self_signed.h"
#include "net/ws_client.h"

namespace k2 {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// Remembers everything; its waits give up after 5 s.
class Recorder : public WsClientHandler {
 public:
  void on_open() override {
    note([&] { is_open = true; });
  }
  void on_message(std::string_view bytes, bool is_text, TimestampUs received) override {
    note([&] {
      messages.emplace_back((is_text ? "t:" : "b:") + std::string(bytes));
      EXPECT_GT(received.us, 1'600'000'000'000'000);
    });
  }
  void on_ping(std::string_view payload) override {
    note([&] { pings.emplace_back(payload); });
  }
  void on_end(const WsEnd& how) override {
    note([&] {
      EXPECT_FALSE(end);
      end = how;
    });
  }

  bool wait_open() {
    return wait([&] { return is_open || end; }) && is_open;
  }
  bool wait_messages(size_t count) {
    return wait([&] { return messages.size() >= count; });
  }
  bool wait_pings(size_t count) {
    return wait([&] { return pings.size() >= count; });
  }
  WsEnd wait_end() {
    EXPECT_TRUE(wait([&] { return end.has_value(); }));
    const std::lock_guard lock(mutex_);
    return end.value_or(WsEnd{});
  }

  bool is_open = false;
  std::vector<std::string> messages;
  std::vector<std::string> pings;
  std::optional<WsEnd> end;

 private:
  template <class Change>
  void note(Change change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 5s, condition);
  }
  std::mutex mutex_;
  std::condition_variable changed_;
};

// Echoes messages and keeps its sessions.
class EchoServer : public HttpHandler, public WsSessionHandler, public std::enable_shared_from_this<EchoServer> {
 public:
  HttpReply handle(HttpRequest request) override {
    if (request.path == "/refused") return HttpResponse{.status = 403};
    WsUpgrade upgrade = settings;
    upgrade.handler = std::shared_ptr<WsSessionHandler>(this, [](WsSessionHandler*) {});
    upgrade.headers = {{"X-Test", "1"}};
    return upgrade;
  }
  void on_open(std::shared_ptr<WsSession> opened) override {
    const std::lock_guard lock(mutex);
    session = std::move(opened);
    changed.notify_all();
  }
  void on_message(std::string_view bytes, bool is_text) override { is_text ? session->send_text(bytes) : session->send_binary(bytes); }
  void on_pong(std::string_view payload) override {
    const std::lock_guard lock(mutex);
    pongs.emplace_back(payload);
    changed.notify_all();
  }
  void on_close(uint16_t code, std::string_view reason) override {
    const std::lock_guard lock(mutex);
    closed = std::pair(code, std::string(reason));
    changed.notify_all();
  }
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 5s, condition);
  }

  WsUpgrade settings;
  std::mutex mutex;
  std::condition_variable changed;
  std::shared_ptr<WsSession> session;
  std::vector<std::string> pongs;
  std::optional<std::pair<uint16_t, std::string>> closed;
};

class WsTest : public testing::TestWithParam<bool> {
 protected:
  WsTest() : identity(make_self_signed().value()) {}
  void start(HttpServerOptions options = {}) {
    if (GetParam()) options.tls = identity;
    server = HttpServer::start(std::move(options), echo).value();
  }
  WsClientOptions client_options(const std::string& path = "/ws") {
    WsClientOptions options;
    options.url = (GetParam() ? "wss://127.0.0.1:" : "ws://127.0.0.1:") + std::to_string(server->port()) + path;
    options.trust.ca_pem = identity.certificate_pem;
    return options;
  }

  TlsIdentity identity;
  EchoServer echo;
  std::unique_ptr<HttpServer> server;
  Recorder recorder;
};

TEST_P(WsTest, EchoesTextAndBinaryOfAnySize) {
  echo.settings.message_bytes_max = 1 << 20;
  start();
  WsClient client(client_options(), recorder);
  ASSERT_TRUE(recorder.wait_open());
  std::vector<std::string> sent;
  for (const size_t size : {0, 1, 125, 126, 127, 4096, 65535, 65536, 300'000}) {
    sent.push_back("t:" + std::string(size, 'x'));
    ASSERT_TRUE(client.send_text(std::string_view(sent.back()).substr(2)));
  }
  ASSERT_TRUE(recorder.wait_messages(sent.size()));
  EXPECT_EQ(recorder.messages, sent);
  client.close(1000, "bye");
  EXPECT_EQ(recorder.wait_end().reason, WsEnd::Reason::kClosedByUs);
  EXPECT_TRUE(echo.wait([&] { return echo.closed.has_value(); }));
  EXPECT_EQ(echo.closed, std::pair(uint16_t{1000}, std::string("bye")));
  EXPECT_FALSE(client.send_text("late"));
}

TEST_P(WsTest, ManySmallMessagesComeWholeAndInOrder) {
  echo.settings.send_queue_bytes_max = 64 << 20;
  start();
  WsClient client(client_options(), recorder);
  ASSERT_TRUE(recorder.wait_open());
  ASSERT_TRUE(echo.wait([&] { return echo.session != nullptr; }));
  constexpr int kCount = 20'000;
  for (int i = 0; i < kCount; ++i) ASSERT_TRUE(echo.session->send_text(std::to_string(i) + std::string(static_cast<size_t>(i % 200), ' ')));
  ASSERT_TRUE(recorder.wait_messages(kCount));
  for (int i = 0; i < kCount; ++i)
    ASSERT_EQ(recorder.messages[static_cast<size_t>(i)], "t:" + std::to_string(i) + std::string(static_cast<size_t>(i % 200), ' '));
}

TEST_P(WsTest, PingsAreAnsweredWithTheirPayload) {
  start();
  WsClient client(client_options(), recorder);
  ASSERT_TRUE(recorder.wait_open());
  ASSERT_TRUE(echo.wait([&] { return echo.session != nullptr; }));
  EXPECT_TRUE(echo.session->send_ping("1700000000"));
  EXPECT_TRUE(echo.wait([&] { return !echo.pongs.empty(); }));
  EXPECT_EQ(echo.pongs, std::vector<std::string>{"1700000000"});
  EXPECT_GT(client.bytes_received(), 0u);
}

TEST_P(WsTest, TheServersCloseCodeAndReasonAreTold) {
  start();
  WsClient client(client_options(), recorder);
  ASSERT_TRUE(recorder.wait_open());
  ASSERT_TRUE(echo.wait([&] { return echo.session != nullptr; }));
  echo.session->send_text("last");
  echo.session->close(1008, "Too many requests");
  const WsEnd end = recorder.wait_end();
  EXPECT_EQ(end.reason, WsEnd::Reason::kClosedByServer);
  EXPECT_EQ(end.code, 1008);
  EXPECT_EQ(end.text, "Too many requests");
  EXPECT_EQ(recorder.messages, std::vector<std::string>{"t:last"});
}

TEST_P(WsTest, ACutIsANetworkEnd) {
  start();
  WsClient client(client_options(), recorder);
  ASSERT_TRUE(recorder.wait_open());
  ASSERT_TRUE(echo.wait([&] { return echo.session != nullptr; }));
  echo.session->abort();
  EXPECT_EQ(recorder.wait_end().reason, WsEnd::Reason::kNetwork);
}

TEST_P(WsTest, SilenceEndsAConnectionWhereAskedAndPingsAreNoSilence) {
  echo.settings.ping_interval_us = 50'000;
  start();
  WsClientOptions options = client_options();
  options.idle_timeout_us = 400'000;
  WsClient kept(options, recorder);
  ASSERT_TRUE(recorder.wait_open());
  std::this_thread::sleep_for(600ms);
  EXPECT_TRUE(recorder.wait_pings(2));
  EXPECT_TRUE(kept.send_text("still open"));
  kept.close();
  recorder.wait_end();

  echo.settings.ping_interval_us = 0;
  Recorder silent;
  options.idle_timeout_us = 100'000;
  WsClient dropped(options, silent);
  EXPECT_EQ(silent.wait_end().reason, WsEnd::Reason::kIdle);
}

TEST_P(WsTest, AServerEndsWhoDoesNotTakeItsMessages) {
  echo.settings.send_queue_bytes_max = 100'000;
  start();
  RawSocket client = RawSocket::connect(server->port());
  if (GetParam()) GTEST_SKIP() << "a plain socket is slow enough";
  client.send(
      "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
      "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  ASSERT_TRUE(echo.wait([&] { return echo.session != nullptr; }));
  const std::string message(10'000, 'x');
  int sent = 0;
  while (echo.session->send_text(message) && sent < 100'000) ++sent;
  EXPECT_LT(sent, 100'000);
  EXPECT_TRUE(echo.session->is_closed());
}

TEST_P(WsTest, ARefusedUpgradeTellsItsStatus) {
  start();
  WsClient client(client_options("/refused"), recorder);
  const WsEnd end = recorder.wait_end();
  EXPECT_EQ(end.reason, WsEnd::Reason::kConnectFailed);
  EXPECT_EQ(end.http_status, 403);
}

TEST_P(WsTest, TheServerRefusesMessagesBeyondItsLimit) {
  echo.settings.message_bytes_max = 1000;
  start();
  WsClient client(client_options(), recorder);
  ASSERT_TRUE(recorder.wait_open());
  ASSERT_TRUE(client.send_text(std::string(1001, 'x')));
  EXPECT_EQ(recorder.wait_end().code, 1009);
}

TEST_P(WsTest, StopClosesSessionsInOrder) {
  start();
  WsClient client(client_options(), recorder);
  ASSERT_TRUE(recorder.wait_open());
  server->stop();
  EXPECT_EQ(recorder.wait_end().code, 1001);
}

INSTANTIATE_TEST_SUITE_P(PlainAndTls, WsTest, testing::Bool(), [](const auto& info) { return info.param ? "Tls" : "Plain"; });

WsEnd end_of_connecting(const std::string& url, const TlsTrust& trust = {}) {
  Recorder recorder;
  WsClientOptions options;
  options.url = url;
  options.trust = trust;
  options.connect_timeout_us = 500'000;
  WsClient client(options, recorder);
  const WsEnd end = recorder.wait_end();
  EXPECT_FALSE(recorder.is_open);
  EXPECT_EQ(end.reason, WsEnd::Reason::kConnectFailed);
  return end;
}

TEST(WsClient, WrongCertificatesAndWrongHostsAreRefused) {
  const TlsIdentity identity = make_self_signed({"example.com"}).value();
  EchoServer echo;
  const auto server = HttpServer::start({.tls = identity}, echo).value();
  const std::string url = "wss://127.0.0.1:" + std::to_string(server->port());
  EXPECT_THAT(end_of_connecting(url).text, HasSubstr("self-signed certificate"));
  EXPECT_THAT(end_of_connecting(url, {.ca_pem = identity.certificate_pem}).text, HasSubstr("IP address mismatch"));
  EXPECT_THAT(end_of_connecting("wss://localhost:" + std::to_string(server->port()), {.ca_pem = identity.certificate_pem}).text,
              HasSubstr("hostname mismatch"));
}

TEST(WsClient, ConnectingEndsByItsTimeOutAndAtOnceWhenAsked) {
  RawServer silent;
  const std::string port = std::to_string(silent.port());
  EXPECT_THAT(end_of_connecting("ws://127.0.0.1:" + port).text, HasSubstr("time-out"));
  EXPECT_THAT(end_of_connecting("wss://127.0.0.1:" + port).text, HasSubstr("time-out"));
  EXPECT_THAT(end_of_connecting("http://127.0.0.1:" + port).text, HasSubstr("no ws or wss URL"));
  Recorder recorder;
  const auto started = std::chrono::steady_clock::now();
  {
    WsClient client({.url = "wss://127.0.0.1:" + port}, recorder);
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - started, 2s);
  EXPECT_EQ(recorder.end->reason, WsEnd::Reason::kClosedByUs);
}

// A server that does the handshake rightly and then sends `bytes`.
class LyingServer {
 public:
  explicit LyingServer(std::string bytes, bool stays = true)
      : thread_([this, bytes = std::move(bytes), stays] {
          RawSocket socket = server_.accept();
          const std::string request = socket.receive_until("\r\n\r\n");
          const size_t key = request.find("Sec-WebSocket-Key: ") + 19;
          const std::string accept_text = request.substr(key, 24) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
          unsigned char digest[20];
          SHA1(reinterpret_cast<const unsigned char*>(accept_text.data()), accept_text.size(), digest);
          char accept[32];
          EVP_EncodeBlock(reinterpret_cast<unsigned char*>(accept), digest, 20);
          socket.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
                      std::string(accept) + "\r\n\r\n" + bytes);
          if (stays) after = socket.receive_all();
        }) {}
  std::string url() const { return "ws://127.0.0.1:" + std::to_string(server_.port()); }
  void join() { thread_.join(); }

  std::string after;  // what the client sent

 private:
  RawServer server_;
  std::jthread thread_;
};

struct Lie {
  const char* name;
  std::string bytes;
  WsEnd::Reason reason;
  int code;
};

TEST(WsClient, EndsTheConnectionOfAServerThatBreaksTheRules) {
  const std::string good("\x81\x02hi", 4);
  const Lie lies[] = {
      {"masked frame", good + std::string("\x81\x82\x01\x02\x03\x04gg", 8), WsEnd::Reason::kProtocol, 1002},
      {"reserved bit", good + std::string("\xc1\x02hi", 4), WsEnd::Reason::kProtocol, 1002},
      {"reserved opcode", good + std::string("\x83\x02hi", 4), WsEnd::Reason::kProtocol, 1002},
      {"continuation of nothing", good + std::string("\x80\x02hi", 4), WsEnd::Reason::kProtocol, 1002},
      {"text within a fragmented text", good + std::string("\x01\x01x\x81\x01y", 6), WsEnd::Reason::kProtocol, 1002},
      {"fragmented ping", good + std::string("\x09\x01x", 3), WsEnd::Reason::kProtocol, 1002},
      {"ping over 125 bytes", good + std::string("\x89\x7e\x00\x7e", 4) + std::string(126, 'x'), WsEnd::Reason::kProtocol, 1002},
      {"length not minimal", good + std::string("\x81\x7e\x00\x02hi", 6), WsEnd::Reason::kProtocol, 1002},
      {"text that is not UTF-8", good + std::string("\x81\x02\xc3\x28", 4), WsEnd::Reason::kProtocol, 1007},
      {"close code 1005", good + std::string("\x88\x02\x03\xed", 4), WsEnd::Reason::kProtocol, 1002},
      {"message over the limit", good + std::string("\x81\x7f\x00\x00\x00\x00\x00\x10\x00\x01", 10), WsEnd::Reason::kProtocol, 1009},
      {"fragments over the limit",
       good + std::string("\x01\x7f\x00\x00\x00\x00\x00\x0f\xff\xff", 10) + std::string((1 << 20) - 1, 'x') + std::string("\x80\x02zz", 4),
       WsEnd::Reason::kProtocol, 1009},
      {"length of 2^63", good + std::string("\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00", 10), WsEnd::Reason::kProtocol, 1009},
  };
  for (const Lie& lie : lies) {
    LyingServer server(lie.bytes);
    Recorder recorder;
    WsClient client({.url = server.url()}, recorder);
    const WsEnd end = recorder.wait_end();
    EXPECT_EQ(end.reason, lie.reason) << lie.name << ": " << end.text;
    EXPECT_EQ(end.code, lie.code) << lie.name << ": " << end.text;
    EXPECT_EQ(recorder.messages, std::vector<std::string>{"t:hi"}) << lie.name;
    server.join();
    EXPECT_EQ(server.after.substr(0, 1), "\x88") << lie.name << ": a close frame says why";
  }
}

TEST(WsClient, TakesFragmentsWithPingsBetweenAndHalfFrames) {
  LyingServer server(std::string("\x01\x01"
                                 "a\x89\x01!\x00\x01"
                                 "b\x80\x01"
                                 "c\x82\x00\x81\x05half",
                                 20),
                     /*stays=*/false);
  Recorder recorder;
  WsClient client({.url = server.url()}, recorder);
  EXPECT_EQ(recorder.wait_end().reason, WsEnd::Reason::kNetwork);
  EXPECT_EQ(recorder.messages, (std::vector<std::string>{"t:abc", "b:"}));
  EXPECT_EQ(recorder.pings, std::vector<std::string>{"!"});
}

TEST(WsClient, AWrongHandshakeIsNoConnection) {
  for (const char* answer :
       {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
        "garbage\r\n\r\n", ""}) {
    RawServer server;
    std::jthread thread([&] {
      RawSocket socket = server.accept();
      socket.receive_until("\r\n\r\n");
      socket.send(answer);
    });
    EXPECT_NE(end_of_connecting("ws://127.0.0.1:" + std::to_string(server.port())).text, "");
  }
}

}  // namespace
}  // namespace k2
