#include "api/encoding.h"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <random>

#include "api/finish.h"

namespace k2 {
namespace {

std::string decoded(Encoding encoding, const std::string& bytes, size_t size) {
  std::string plain(size + 1, '\0');
  if (encoding == Encoding::kZstd) {
    ZSTD_DCtx* state = ZSTD_createDCtx();
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    ZSTD_outBuffer out{plain.data(), plain.size(), 0};
    while (in.pos < in.size && ZSTD_isError(ZSTD_decompressStream(state, &out, &in)) == 0) continue;
    ZSTD_freeDCtx(state);
    plain.resize(out.pos);
    return plain;
  }
  z_stream state{};
  EXPECT_EQ(inflateInit2(&state, 15 + 16), Z_OK);
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  state.avail_in = static_cast<uInt>(bytes.size());
  state.next_out = reinterpret_cast<Bytef*>(plain.data());
  state.avail_out = static_cast<uInt>(plain.size());
  EXPECT_EQ(inflate(&state, Z_FINISH), Z_STREAM_END);
  plain.resize(state.total_out);
  inflateEnd(&state);
  return plain;
}

std::string random_text(size_t size) {
  std::mt19937_64 random(size);
  std::string text;
  while (text.size() < size) text += std::to_string(random());
  text.resize(size);
  return text;
}

TEST(EncodingTest, TheHighestWeightWinsAndZstdBeforeGzip) {
  const std::pair<const char*, Encoding> cases[] = {{"", Encoding::kIdentity},
                                                    {"gzip", Encoding::kGzip},
                                                    {"gzip, deflate, br, zstd", Encoding::kZstd},
                                                    {"zstd;q=0.4, gzip;q=0.8", Encoding::kGzip},
                                                    {"GZIP", Encoding::kGzip},
                                                    {"*", Encoding::kZstd},
                                                    {"*, zstd;q=0", Encoding::kGzip},
                                                    {"gzip;q=0", Encoding::kIdentity},
                                                    {"identity", Encoding::kIdentity},
                                                    {"gzip;q=nan, zstd;q=x,,;", Encoding::kIdentity},
                                                    {"br", Encoding::kIdentity}};
  for (const auto& [header, expected] : cases) EXPECT_EQ(accepted_encoding(header), expected) << header;
}

TEST(EncodingTest, WholeBodiesComeBack) {
  for (const Encoding encoding : {Encoding::kGzip, Encoding::kZstd})
    for (const size_t size : {0, 1, 1'000, 70'000, 500'000}) {
      const std::string text = random_text(size);
      EXPECT_EQ(decoded(encoding, encoded(encoding, text), size), text) << encoding_name(encoding) << size;
    }
}

class Collected final : public HttpStream {
 public:
  Status write(std::string_view bytes) override {
    text += bytes;
    return {};
  }
  bool try_write(std::string_view) override { return false; }
  void finish() override { is_finished = true; }
  void abort() override { is_torn = true; }
  bool is_closed() const override { return false; }
  void set_on_closed(std::function<void()>) override {}
  std::string text;
  bool is_finished = false, is_torn = false;
};

TEST(EncodingTest, StreamedBodiesComeBackAndAreEndedOnlyWhenFinished) {
  for (const Encoding encoding : {Encoding::kGzip, Encoding::kZstd}) {
    const auto out = std::make_shared<Collected>();
    const auto stream = encoding_stream(encoding, out);
    std::string all;
    for (size_t size = 1; size < 300'000; size *= 3) {
      all += random_text(size);
      ASSERT_TRUE(stream->write(random_text(size)));
    }
    EXPECT_FALSE(out->is_finished);
    stream->finish();
    EXPECT_TRUE(out->is_finished);
    EXPECT_EQ(decoded(encoding, out->text, all.size()), all);
  }
  const auto torn = std::make_shared<Collected>();
  encoding_stream(Encoding::kZstd, torn)->abort();
  EXPECT_TRUE(torn->is_torn);
}

TEST(FinishTest, OnlyOriginsOfTheListMayRead) {
  const auto origin_of = [](const std::vector<std::string>& origins, const std::string& origin) {
    HttpRequest request{.method = "GET", .headers = {{"Origin", origin}}};
    const HttpReply reply = finish_reply(request, origins, HttpResponse{});
    return std::string(std::get<HttpResponse>(reply).headers.get("Access-Control-Allow-Origin"));
  };
  EXPECT_EQ(origin_of({"https://a.example"}, "https://a.example"), "https://a.example");
  EXPECT_EQ(origin_of({"https://a.example"}, "https://b.example"), "");
  EXPECT_EQ(origin_of({"*"}, "https://b.example"), "*");
  EXPECT_EQ(origin_of({}, "https://b.example"), "");
}

TEST(FinishTest, ATraceParentComesBackWhereItIsOne) {
  EXPECT_TRUE(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
  EXPECT_FALSE(is_traceparent("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
  EXPECT_FALSE(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-"));
  EXPECT_FALSE(is_traceparent(""));
}

}  // namespace
}  // namespace k2
