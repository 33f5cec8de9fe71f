#include "net/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "net/http_client.h"
#include "net/raw_socket.h"
#include "net/self_signed.h"

namespace k2 {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

class TestHandler : public HttpHandler {
 public:
  std::function<HttpReply(HttpRequest)> on_request = [](HttpRequest request) {
    return HttpResponse{.body = request.method + " " + request.path + " [" + request.body + "]"};
  };
  HttpPolicy next_policy;

  HttpPolicy policy(std::string_view, std::string_view) override { return next_policy; }
  HttpReply handle(HttpRequest request) override { return on_request(std::move(request)); }
};

class HttpServerTest : public testing::Test {
 protected:
  void start(HttpServerOptions options = {}) { server = HttpServer::start(std::move(options), handler).value(); }
  std::string exchange(std::string_view request) {
    RawSocket socket = RawSocket::connect(server->port());
    socket.send(request);
    return socket.receive_all();
  }
  std::string status_of(std::string_view request) {
    const std::string answer = exchange(request);
    return answer.size() > 12 ? answer.substr(9, 3) : "none";
  }
  bool becomes_true(const std::function<bool()>& condition) {
    for (int i = 0; i < 500 && !condition(); ++i) std::this_thread::sleep_for(10ms);
    return condition();
  }

  TestHandler handler;
  std::unique_ptr<HttpServer> server;
};

TEST_F(HttpServerTest, AnswersWithWhatTheHandlerMadeOfTheRequest) {
  handler.on_request = [](HttpRequest request) {
    EXPECT_EQ(request.path, "/v1/trades x");
    EXPECT_EQ(request.param("symbol"), "BTC&USDT");
    EXPECT_EQ(request.query.size(), 2u);
    EXPECT_EQ(request.headers.get("x-test"), "1");
    EXPECT_EQ(request.remote_address, "127.0.0.1");
    EXPECT_EQ(request.request_id, "abc-1");
    return HttpResponse{.status = 404, .content_type = "application/json", .headers = {{"X-More", "y"}}, .body = "{}"};
  };
  start();
  const std::string answer = exchange(
      "GET /v1/trades%20x?symbol=BTC%26USDT&symbol=2 HTTP/1.1\r\nHost: a\r\nX-Test: 1\r\nX-Request-Id: abc-1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 Not Found\r\nDate: "));
  for (const char* part : {"Content-Type: application/json\r\n", "Content-Length: 2\r\n", "Connection: close\r\n",
                           "X-Request-Id: abc-1\r\n", "X-More: y\r\n", "\r\n\r\n{}"})
    EXPECT_THAT(answer, HasSubstr(part));
}

TEST_F(HttpServerTest, KeepsAliveAndAnswersPipelinedRequestsInOrder) {
  start();
  const std::string answer = exchange(
      "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: "
      "a\r\nConnection: close\r\n\r\n");
  EXPECT_LT(answer.find("GET /1 []"), answer.find("POST /2 [abc]"));
  EXPECT_LT(answer.find("POST /2 [abc]"), answer.find("GET /3 []"));
  EXPECT_THAT(answer, testing::EndsWith("GET /3 []"));
}

TEST_F(HttpServerTest, HeadHasTheLengthButNoBody) {
  start();
  const std::string answer = exchange("HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 10\r\n"));
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, TakesChunkedBodiesAndExpectations) {
  start();
  EXPECT_THAT(
      exchange("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
      HasSubstr("POST / [abc]"));
  RawSocket socket = RawSocket::connect(server->port());
  socket.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(socket.receive(), "HTTP/1.1 100 Continue\r\n\r\n");
  socket.send("ok");
  EXPECT_THAT(socket.receive_all(), HasSubstr("POST / [ok]"));
}

TEST_F(HttpServerTest, RefusesSmugglingAndWhatIsTooLargeAndSaysSo) {
  std::atomic<int> seen = 0;
  handler.on_request = [&](HttpRequest) { return ++seen, HttpResponse{}; };
  handler.next_policy.body_bytes_max = 8;
  start();
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(status_of(post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n"),
            "400");
  EXPECT_EQ(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400");
  EXPECT_EQ(status_of(post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx"), "400");
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), "400");
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n"), "400");
  EXPECT_EQ(status_of("GET / HTTP/1.1\nHost: a\n\n"), "400");
  EXPECT_EQ(status_of("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"), "400");
  EXPECT_EQ(status_of("GET /" + std::string(9000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n"), "414");
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(17000, 'x') + "\r\n\r\n"), "431");
  EXPECT_EQ(status_of(post + "Content-Length: 9\r\n\r\n123456789"), "413");
  EXPECT_EQ(status_of(post + "Transfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n"), "413");
  EXPECT_EQ(status_of(post + "Transfer-Encoding: chunked\r\n\r\n2\nab\r\n"), "400");
  EXPECT_EQ(status_of(std::string("\x16\x03\x01\x02\x00\x01\r\n\r\n", 10)), "400");
  EXPECT_EQ(seen, 0);
  EXPECT_EQ(server->counts().requests_refused, 13u);
}

TEST_F(HttpServerTest, CutsOffSlowHeadersAndBodiesAndIdleConnections) {
  start({.header_timeout_us = 150'000, .body_timeout_us = 150'000, .idle_timeout_us = 150'000});
  RawSocket drip = RawSocket::connect(server->port());
  const auto started = std::chrono::steady_clock::now();
  std::string answer;
  for (int i = 0; i < 40 && answer.empty(); ++i) {
    drip.send(i == 0 ? "GET / HTTP/1.1\r\nX: " : "x");  // each byte in time, but never an end
    answer = drip.receive(20);
  }
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 408"));
  EXPECT_LT(std::chrono::steady_clock::now() - started, 2s);
  EXPECT_EQ(exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"), "");
  RawSocket idle = RawSocket::connect(server->port());
  EXPECT_EQ(idle.receive_all(), "");
  EXPECT_TRUE(becomes_true([&] { return server->counts().timeouts >= 3; }));
}

TEST_F(HttpServerTest, BlockedHandlersDoNotStopInlineOnesAndAFullQueueIs503) {
  std::mutex mutex;
  std::condition_variable changed;
  bool may_go = false;
  int waiting = 0;
  class Handler : public TestHandler {
    HttpPolicy policy(std::string_view, std::string_view path) override { return {.inline_handler = path == "/health"}; }
  } both;
  both.on_request = [&](HttpRequest request) {
    if (request.path == "/health") return HttpResponse{.body = "up"};
    std::unique_lock lock(mutex);
    ++waiting;
    changed.notify_all();
    changed.wait(lock, [&] { return may_go; });
    return HttpResponse{.body = "slow"};
  };
  server = HttpServer::start({.worker_threads = 1, .worker_queue_max = 1}, both).value();
  const std::string slow = "GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  RawSocket first = RawSocket::connect(server->port());
  first.send(slow);
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return waiting == 1; });
  }
  RawSocket second = RawSocket::connect(server->port());
  second.send(slow);
  EXPECT_TRUE(becomes_true([&] { return server->counts().requests == 2; }));
  EXPECT_EQ(status_of(slow), "503");
  EXPECT_THAT(exchange("GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), HasSubstr("up"));
  {
    const std::lock_guard lock(mutex);
    may_go = true;
  }
  changed.notify_all();
  EXPECT_THAT(first.receive_all(), HasSubstr("slow"));
  EXPECT_THAT(second.receive_all(), HasSubstr("slow"));
  server->stop();
}

TEST_F(HttpServerTest, AnExceptionIsA500) {
  handler.on_request = [](HttpRequest) -> HttpReply { throw std::runtime_error("secret"); };
  start();
  const std::string answer = exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(answer, testing::Not(HasSubstr("secret")));
}

TEST_F(HttpServerTest, TellsTheHandlerThatItsClientIsGone) {
  std::atomic<bool> was_cancelled = false;
  handler.on_request = [&](HttpRequest request) {
    for (int i = 0; i < 500 && !request.cancelled.stop_requested(); ++i) std::this_thread::sleep_for(10ms);
    was_cancelled = request.cancelled.stop_requested();
    return HttpResponse{};
  };
  start();
  {
    RawSocket socket = RawSocket::connect(server->port());
    socket.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(becomes_true([&] { return server->counts().requests == 1; }));
  }
  EXPECT_TRUE(becomes_true([&] { return was_cancelled.load(); }));
}

TEST_F(HttpServerTest, StreamsALargeBodyInBoundedMemory) {
  const std::string piece(10'000, 'x');
  handler.on_request = [&](HttpRequest) {
    return HttpStreamReply{.content_type = "text/csv", .start = [&](std::shared_ptr<HttpStream> stream) {
                             for (int i = 0; i < 1000; ++i)
                               if (!stream->write(piece)) return;
                             stream->finish();
                           }};
  };
  start({.stream_buffer_bytes = 64 << 10});
  const HttpAnswer answer = HttpClient().get(server->url() + "/").value();
  EXPECT_EQ(answer.body.size(), 10'000'000u);
  EXPECT_EQ(answer.headers.get("Transfer-Encoding"), "chunked");
  const std::string old = exchange("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(old, testing::Not(HasSubstr("chunked")));
  EXPECT_EQ(old.size() - old.find("\r\n\r\n") - 4, 10'000'000u);
}

TEST_F(HttpServerTest, AStreamDroppedUnfinishedIsNeverTakenForWhole) {
  handler.on_request = [&](HttpRequest) {
    return HttpStreamReply{.content_type = "text/csv",
                           .start = [](std::shared_ptr<HttpStream> stream) { EXPECT_TRUE(stream->write("half")); }};
  };
  start();
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), testing::EndsWith("4\r\nhalf\r\n"));
  EXPECT_FALSE(HttpClient().get(server->url() + "/"));
}

TEST_F(HttpServerTest, ASlowReaderStopsAtItsOwnStream) {
  std::atomic<bool> was_refused = false;
  handler.on_request = [&](HttpRequest) {
    return HttpStreamReply{.start = [&](std::shared_ptr<HttpStream> stream) {
      const std::string piece(100'000, 'x');
      while (stream->write(piece)) {
      }
      was_refused = stream->is_closed();
    }};
  };
  start({.stream_buffer_bytes = 64 << 10, .write_stall_us = 200'000});
  RawSocket socket = RawSocket::connect(server->port());
  socket.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(becomes_true([&] { return was_refused.load(); }));
}

TEST_F(HttpServerTest, PushesEventsFromAnyThreadUntilTheClientGoes) {
  std::shared_ptr<HttpStream> live;
  std::atomic<bool> is_started = false;
  std::atomic<bool> is_gone = false;
  handler.on_request = [&](HttpRequest) {
    return HttpStreamReply{.content_type = "text/event-stream", .is_live = true, .start = [&](std::shared_ptr<HttpStream> stream) {
                             stream->set_on_closed([&] { is_gone = true; });
                             live = std::move(stream);
                             is_started = true;
                           }};
  };
  start({.stream_buffer_bytes = 100});
  {
    RawSocket socket = RawSocket::connect(server->port());
    socket.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(becomes_true([&] { return is_started.load(); }));
    EXPECT_TRUE(live->try_write("data: 1\n\n"));
    EXPECT_THAT(socket.receive_until("data: 1\n\n"), HasSubstr("9\r\ndata: 1\n\n"));
    EXPECT_FALSE(live->try_write(std::string(101, 'x')));
  }
  EXPECT_TRUE(becomes_true([&] { return is_gone.load(); }));
  EXPECT_FALSE(live->try_write("x"));
  server = nullptr;
  live = nullptr;  // may outlive the server
}

TEST_F(HttpServerTest, StopLetsARunningRequestFinishAndEndsLiveStreams) {
  std::atomic<int> running = 0;
  std::shared_ptr<HttpStream> live;
  handler.on_request = [&](HttpRequest request) -> HttpReply {
    if (request.path == "/live")
      return HttpStreamReply{.is_live = true, .start = [&](std::shared_ptr<HttpStream> stream) { live = std::move(stream), ++running; }};
    ++running;
    std::this_thread::sleep_for(200ms);
    return HttpResponse{.body = "done"};
  };
  start();
  RawSocket idle = RawSocket::connect(server->port());
  RawSocket request = RawSocket::connect(server->port());
  RawSocket events = RawSocket::connect(server->port());
  request.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  events.send("GET /live HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(becomes_true([&] { return running == 2; }));
  const uint16_t port = server->port();
  const auto started = std::chrono::steady_clock::now();
  server->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - started, 3s);
  EXPECT_THAT(request.receive_all(), HasSubstr("done"));
  EXPECT_EQ(idle.receive_all(), "");
  EXPECT_EQ(server->counts().connections_open, 0u);
  EXPECT_FALSE(HttpClient().get("http://127.0.0.1:" + std::to_string(port) + "/"));
}

TEST_F(HttpServerTest, ServesTlsToThoseWhoTrustIt) {
  const TlsIdentity identity = make_self_signed().value();
  start({.tls = identity});
  HttpClientOptions options;
  options.trust.ca_pem = identity.certificate_pem;
  HttpClient client(options);
  EXPECT_EQ(client.get(server->url() + "/x").value().body, "GET /x []");
  EXPECT_EQ(client.post("https://localhost:" + std::to_string(server->port()) + "/", "text/plain", "hello").value().body, "POST / [hello]");
  EXPECT_THAT(HttpClient().get(server->url() + "/").error().message, HasSubstr("certificate refused: self-signed certificate"));
}

TEST_F(HttpServerTest, RefusesCertificatesForOtherHosts) {
  const TlsIdentity identity = make_self_signed({"example.com", "10.0.0.1"}).value();
  start({.tls = identity});
  HttpClientOptions options;
  options.trust.ca_pem = identity.certificate_pem;
  const std::string port = std::to_string(server->port());
  EXPECT_THAT(HttpClient(options).get("https://127.0.0.1:" + port).error().message, HasSubstr("IP address mismatch"));
  EXPECT_THAT(HttpClient(options).get("https://localhost:" + port).error().message, HasSubstr("hostname mismatch"));
}

TEST(HttpServer, RefusesBadAddressesAndIdentities) {
  TestHandler handler;
  EXPECT_EQ(HttpServer::start({.listen = "nonsense"}, handler).error().kind, ErrorKind::kInvalidInput);
  EXPECT_EQ(HttpServer::start({.tls = {"x", "y"}}, handler).error().kind, ErrorKind::kInvalidInput);
  const auto first = HttpServer::start({}, handler).value();
  EXPECT_EQ(HttpServer::start({.listen = "127.0.0.1:" + std::to_string(first->port())}, handler).error().kind, ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace k2
