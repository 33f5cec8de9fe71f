#include "net/http_parser.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

// The status a request's head is refused with; 0: accepted, -1: more bytes are waited for.
int refusal_of(std::string_view request, HttpHeadLimits limits = {}) {
  const auto end = find_head_end(request, 0, limits);
  if (!end) return end.error().status;
  if (!*end) return -1;
  const auto head = parse_request_head(request.substr(0, **end), limits);
  return head ? 0 : head.error().status;
}

HttpRequestHead head_of(std::string_view request) { return parse_request_head(request, {}).value(); }

TEST(HttpParser, ReadsARequestHead) {
  const HttpRequestHead head =
      head_of("POST /v1/sql?x=%20 HTTP/1.1\r\nhost:  a \r\nContent-Length: 12\r\nX: a\tb\r\nExpect: 100-Continue\r\n\r\n");
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/v1/sql?x=%20");
  EXPECT_EQ(head.headers.get("HOST"), "a");
  EXPECT_EQ(head.content_length, 12u);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_TRUE(head.expects_continue);
}

TEST(HttpParser, KeepAliveFollowsVersionAndConnection) {
  EXPECT_TRUE(head_of("GET / HTTP/1.1\r\nHost: a\r\n\r\n").keep_alive);
  EXPECT_FALSE(head_of("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n").keep_alive);
  EXPECT_FALSE(head_of("GET / HTTP/1.0\r\n\r\n").keep_alive);
  EXPECT_TRUE(head_of("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
}

TEST(HttpParser, RefusesWhatCouldBeReadInTwoWays) {
  const struct {
    int status;
    std::string_view request;
  } cases[] = {
      {0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {-1, "GET / HTTP/1.1\r\nHost: a\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"},
      {400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
      {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\r\n : chunked\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\nY: c\r\n\r\n"},
      {400, "GET / HTTP/1.1\nHost: a\n\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n"},
      {400, std::string_view("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 29)},
      {400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET /\r\nHost: a\r\n\r\n"},
      {400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
      {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
      {505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"},
      {417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: something\r\n\r\n"},
      {400, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "\x16\x03\x01\r\n\r\n"},
  };
  for (const auto& one : cases) EXPECT_EQ(refusal_of(one.request), one.status) << one.request;
}

TEST(HttpParser, HoldsItsLimits) {
  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(refusal_of("GET /" + std::string(8192, 'a')), 414);
  EXPECT_EQ(refusal_of("GET /" + std::string(8192, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
  EXPECT_EQ(refusal_of("GET /" + std::string(8000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
  EXPECT_EQ(refusal_of(start + "X: " + std::string(16384, 'a')), 431);
  EXPECT_EQ(refusal_of(start + "X: " + std::string(16384, 'a') + "\r\n\r\n"), 431);
  std::string many = start;
  for (int i = 0; i < 64; ++i) many += "X: y\r\n";
  EXPECT_EQ(refusal_of(many + "\r\n"), 431);
}

TEST(HttpParser, FindsTheEndWhereverTheBytesAreCut) {
  const std::string_view request = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
  for (size_t cut = 0; cut < request.size() - 4; ++cut) {
    const auto before = find_head_end(request.substr(0, cut), 0, {});
    ASSERT_TRUE(before && !*before) << cut;
    EXPECT_EQ(find_head_end(request, cut, {}).value(), request.size() - 4);
  }
}

TEST(HttpParser, ReadsAnAnswersHead) {
  const HttpResponseHead head =
      parse_response_head("HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n", {}).value();
  EXPECT_EQ(head.status, 429);
  EXPECT_TRUE(head.is_chunked);
  EXPECT_EQ(head.headers.get("retry-after"), "7");
  EXPECT_EQ(parse_response_head("HTTP/1.1 200\r\n\r\n", {}).value().status, 200);
  for (const char* text : {"HTTP/1.1 20 x\r\n\r\n", "HTTP/1.1 2000 x\r\n\r\n", "HTTP/1.1  200 x\r\n\r\n", "SSH-2.0\r\n\r\n",
                           "HTTP/1.1 099 x\r\n\r\n", "HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"})
    EXPECT_FALSE(parse_response_head(text, {})) << text;
}

// The decoded body, or the refusal's status, or "..." while more is needed; fed in pieces of `step` bytes.
std::string decoded(std::string_view chunked, size_t step, size_t bytes_max = 100) {
  ChunkDecoder decoder(bytes_max);
  std::string body;
  while (!chunked.empty() && !decoder.is_done()) {
    std::string_view piece = chunked.substr(0, step);
    const size_t before = piece.size();
    const auto status = decoder.decode(piece, body);
    if (!status) return std::to_string(status.error().status);
    chunked.remove_prefix(before - piece.size());
  }
  return decoder.is_done() ? body + "|" + std::string(chunked) : "...";
}

TEST(HttpParser, DecodesChunksInPiecesOfAnySize) {
  for (const size_t step : {1, 2, 3, 7, 1000}) {
    EXPECT_EQ(decoded("3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nnext", step), "abc0123456789|next");
    EXPECT_EQ(decoded("0\r\n\r\n", step), "|");
    EXPECT_EQ(decoded("5\r\nabc", step), "...");
    EXPECT_EQ(decoded("65\r\n", step), "413");
    EXPECT_EQ(decoded("ffffffffffffffff\r\n", step), "400");
    for (const char* bad :
         {"3\nabc\r\n", "3\r\nabcd\r\n", "-1\r\n", "0x3\r\n", " 3\r\n", "3 \r\n", "\r\n", "g\r\n", "3\r\nabc\n", "3\rX\n", "3;a\x01\r\n"})
      EXPECT_EQ(decoded(bad, step), "400") << bad;
  }
}

}  // namespace
}  // namespace k2
