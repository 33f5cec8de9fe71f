#include "net/url.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

TEST(Url, ReadsTheFourSchemes) {
  const Url url = parse_url("wss://Stream.Binance.com:9443/stream?streams=btcusdt@trade/ethusdt@trade").value();
  EXPECT_EQ(url, (Url{"wss", "stream.binance.com", 9443, "/stream?streams=btcusdt@trade/ethusdt@trade"}));
  EXPECT_TRUE(url.is_tls());
  EXPECT_EQ(url.authority(), "stream.binance.com:9443");
  EXPECT_EQ(parse_url("http://a").value(), (Url{"http", "a", 80, "/"}));
  EXPECT_EQ(parse_url("https://a?x=1").value(), (Url{"https", "a", 443, "/?x=1"}));
  EXPECT_EQ(parse_url("https://a:443/").value().to_string(), "https://a/");
  EXPECT_EQ(parse_url("ws://[::1]:80/x").value(), (Url{"ws", "::1", 80, "/x"}));
  EXPECT_EQ(parse_url("ws://[::1]:81").value().to_string(), "ws://[::1]:81/");
  EXPECT_EQ(parse_url("ws://[::1]").value().host, "::1");
}

TEST(Url, RefusesWhatIsAmbiguousOrDangerous) {
  for (const char* text :
       {"", "a", "ftp://a", "http://", "http://:80", "http://a:", "http://a:0", "http://a:65536", "http://a:80x", "http://u:p@a",
        "http://a/#f", "http://a/ b", "http://a/\r\nX: y", "http://a b/", "http://\xc3\xa9/", "http://[::1", "http://[g]:1"})
    EXPECT_FALSE(parse_url(text)) << text;
}

TEST(Url, PercentEncodesUtf8ByteByByte) {
  EXPECT_EQ(percent_encode("１@trade/x"), "%EF%BC%91%40trade%2Fx");
  EXPECT_EQ(percent_encode("a@trade/x", "@/"), "a@trade/x");
  EXPECT_EQ(percent_decode("%EF%BC%91%40+a").value(), "１@+a");
  for (const char* text : {"%", "%4", "%4g", "%%41"}) EXPECT_FALSE(percent_decode(text)) << text;
}

TEST(Url, QueriesKeepRepetitionsAndOrder) {
  const QueryParams params = parse_query("symbol=A&symbol=B%26C&empty=&flag&x=a+b&&").value();
  EXPECT_EQ(params, (QueryParams{{"symbol", "A"}, {"symbol", "B&C"}, {"empty", ""}, {"flag", ""}, {"x", "a b"}}));
  EXPECT_FALSE(parse_query("a=%zz"));
}

TEST(Url, SplitsAddresses) {
  EXPECT_EQ(parse_host_port("127.0.0.1:0").value(), std::pair(std::string("127.0.0.1"), uint16_t{0}));
  EXPECT_EQ(parse_host_port("[::]:80").value(), std::pair(std::string("::"), uint16_t{80}));
  for (const char* text : {"", "a", "a:", ":1", "a:b", "a:1:2", "::1:80", "a:-1"}) EXPECT_FALSE(parse_host_port(text)) << text;
}

}  // namespace
}  // namespace k2
