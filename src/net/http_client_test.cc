#include "net/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "net/raw_socket.h"

namespace k2 {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// A server that gives the next of `answers` to each request, on one connection after another as asked; "" closes.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<std::vector<std::string>> connections)
      : thread_([this, connections = std::move(connections)] {
          for (const auto& answers : connections) {
            RawSocket socket = server_.accept();
            for (const std::string& answer : answers) {
              requests.push_back(socket.receive_until("\r\n\r\n"));
              if (!answer.empty()) socket.send(answer);
            }
          }
        }) {}
  std::string url(const std::string& target = "/") const { return "http://127.0.0.1:" + std::to_string(server_.port()) + target; }
  void join() { thread_.join(); }

  std::vector<std::string> requests;

 private:
  RawServer server_;
  std::jthread thread_;
};

TEST(HttpClient, KeepsAConnectionAndSendsAGetAgainWhenItWasClosed) {
  const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
  ScriptedServer server({{ok + "1", ok + "2", ""}, {ok + "3"}});
  HttpClient client;
  EXPECT_EQ(client.get(server.url()).value().body, "1");
  EXPECT_EQ(client.get(server.url("/b?x=1"), {{"X-A", "b"}}).value().body, "2");
  EXPECT_EQ(client.get(server.url()).value().body, "3");
  server.join();
  EXPECT_THAT(server.requests[1], testing::StartsWith("GET /b?x=1 HTTP/1.1\r\nHost: 127.0.0.1:"));
  EXPECT_THAT(server.requests[1], HasSubstr("X-A: b\r\n"));
}

TEST(HttpClient, APostThatMayHaveHappenedIsAnUnknownOutcome) {
  ScriptedServer server({{""}});
  EXPECT_EQ(HttpClient().post(server.url(), "text/plain", "x").error().kind, ErrorKind::kUnknownOutcome);
}

TEST(HttpClient, ReadsBodiesByLengthByChunksAndToTheEnd) {
  ScriptedServer server(
      {{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"},
       {"HTTP/1.0 200 OK\r\n\r\nto the end"},
       {"HTTP/1.1 204 No Content\r\n\r\n"},
       {"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n"}});
  const auto get = [&] { return HttpClient().get(server.url()).value(); };
  const HttpAnswer slow_down = get();
  EXPECT_EQ(slow_down.status, 429);
  EXPECT_EQ(slow_down.body, "ab");
  EXPECT_EQ(slow_down.headers.get("retry-after"), "7");
  EXPECT_EQ(get().body, "to the end");
  EXPECT_EQ(get().status, 204);
  EXPECT_EQ(get().status, 302);
}

TEST(HttpClient, BrokenAnswersAreUnavailableNeverPartial) {
  const std::vector<std::string> answers = {
      "",
      "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nab",
      "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
      "HTTP/1.0 200 OK\r\n\r\n" + std::string(1001, 'x'),
      "HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n",
      "SSH-2.0-OpenSSH\r\n\r\n",
  };
  std::vector<std::vector<std::string>> connections;
  for (const std::string& answer : answers) connections.push_back({answer});
  ScriptedServer server(connections);
  for (const std::string& answer : answers) {
    const auto got = HttpClient({.body_bytes_max = 1000}).get(server.url());
    ASSERT_FALSE(got) << answer;
    EXPECT_EQ(got.error().kind, ErrorKind::kUnavailable) << got.error().message;
  }
}

TEST(HttpClient, EndsByItsDeadline) {
  RawServer server;  // takes connections in the backlog, and never answers
  const std::string url = "http://127.0.0.1:" + std::to_string(server.port());
  const auto started = std::chrono::steady_clock::now();
  const auto plain = HttpClient({.request_timeout_us = 100'000}).get(url);
  EXPECT_THAT(plain.error().message, HasSubstr("time-out"));
  const auto tls = HttpClient({.connect_timeout_us = 100'000}).get("https://127.0.0.1:" + std::to_string(server.port()));
  EXPECT_THAT(tls.error().message, HasSubstr("time-out"));
  EXPECT_LT(std::chrono::steady_clock::now() - started, 3s);
}

TEST(HttpClient, CanBeCancelledFromAnotherThread) {
  RawServer server;
  HttpClient client;
  std::jthread other([&] {
    std::this_thread::sleep_for(50ms);
    client.cancel();
  });
  EXPECT_EQ(client.get("http://127.0.0.1:" + std::to_string(server.port())).error().kind, ErrorKind::kCancelled);
  EXPECT_EQ(client.get("http://127.0.0.1:" + std::to_string(server.port())).error().kind, ErrorKind::kCancelled);
}

TEST(HttpClient, RefusesWhatItCannotSend) {
  for (const char* url : {"ws://a/", "nonsense", "http://a/\r\nX: y"})
    EXPECT_EQ(HttpClient().get(url).error().kind, ErrorKind::kInvalidInput) << url;
  EXPECT_EQ(HttpClient().get("http://127.0.0.1:1/", {{"X", "a\r\nY: b"}}).error().kind, ErrorKind::kInvalidInput);
  EXPECT_EQ(HttpClient().get("http://127.0.0.1:1/").error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(HttpClient({.trust = {.ca_file = "/dev/null/none"}}).get("https://127.0.0.1:1/").error().kind, ErrorKind::kInvalidInput);
}

}  // namespace
}  // namespace k2
