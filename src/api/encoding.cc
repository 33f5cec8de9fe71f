#include "api/encoding.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/assert.h"
#include "net/http_message.h"

namespace k2 {
namespace {

// Fast levels: the network of a market-data client is rarely slower than a core.
constexpr int kGzipLevel = 1;
constexpr int kZstdLevel = 1;
constexpr int kGzipWindowBits = 15 + 16;  // a gzip header, not zlib's
constexpr size_t kPieceBytes = 64 << 10;

// Makes coded bytes of plain ones, piece by piece.
class Encoder {
 public:
  virtual ~Encoder() = default;
  /// Appends to `out` what `bytes` come to; with `is_last`, all that is left and the end of the coding.
  virtual void add(std::string_view bytes, bool is_last, std::string& out) = 0;
};

class GzipEncoder final : public Encoder {
 public:
  GzipEncoder() { K2_ASSERT(deflateInit2(&state_, kGzipLevel, Z_DEFLATED, kGzipWindowBits, 8, Z_DEFAULT_STRATEGY) == Z_OK); }
  ~GzipEncoder() override { deflateEnd(&state_); }
  GzipEncoder(const GzipEncoder&) = delete;
  GzipEncoder& operator=(const GzipEncoder&) = delete;

  void add(std::string_view bytes, bool is_last, std::string& out) override {
    // zlib counts in 32 bits.
    for (; bytes.size() > kPieceBytes; bytes.remove_prefix(kPieceBytes)) run(bytes.substr(0, kPieceBytes), Z_NO_FLUSH, out);
    run(bytes, is_last ? Z_FINISH : Z_NO_FLUSH, out);
  }

 private:
  void run(std::string_view bytes, int flush, std::string& out) {
    std::array<char, kPieceBytes> piece;
    state_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    state_.avail_in = static_cast<uInt>(bytes.size());
    do {
      state_.next_out = reinterpret_cast<Bytef*>(piece.data());
      state_.avail_out = piece.size();
      K2_ASSERT(deflate(&state_, flush) != Z_STREAM_ERROR);
      out.append(piece.data(), piece.size() - state_.avail_out);
    } while (state_.avail_out == 0);
  }

  z_stream state_{};
};

class ZstdEncoder final : public Encoder {
 public:
  ZstdEncoder() : state_(ZSTD_createCCtx()) {
    K2_ASSERT(state_ != nullptr);
    ZSTD_CCtx_setParameter(state_, ZSTD_c_compressionLevel, kZstdLevel);
  }
  ~ZstdEncoder() override { ZSTD_freeCCtx(state_); }
  ZstdEncoder(const ZstdEncoder&) = delete;
  ZstdEncoder& operator=(const ZstdEncoder&) = delete;

  void add(std::string_view bytes, bool is_last, std::string& out) override {
    std::array<char, kPieceBytes> piece;
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    while (true) {
      ZSTD_outBuffer part{piece.data(), piece.size(), 0};
      const size_t left = ZSTD_compressStream2(state_, &part, &in, is_last ? ZSTD_e_end : ZSTD_e_continue);
      K2_ASSERT(ZSTD_isError(left) == 0);
      out.append(piece.data(), part.pos);
      if (is_last ? left == 0 : in.pos == in.size) return;
    }
  }

 private:
  ZSTD_CCtx* state_;
};

std::unique_ptr<Encoder> encoder_of(Encoding encoding) {
  K2_ASSERT(encoding != Encoding::kIdentity);
  if (encoding == Encoding::kGzip) return std::make_unique<GzipEncoder>();
  return std::make_unique<ZstdEncoder>();
}

class EncodingStream final : public HttpStream {
 public:
  EncodingStream(Encoding encoding, std::shared_ptr<HttpStream> out) : encoder_(encoder_of(encoding)), out_(std::move(out)) {}

  Status write(std::string_view bytes) override {
    coded_.clear();
    encoder_->add(bytes, false, coded_);
    return coded_.empty() ? Status{} : out_->write(coded_);
  }
  // Only live streams are written without waiting, and those are not encoded.
  bool try_write(std::string_view) override {
    K2_ASSERT(!"an encoded stream is written by write()");
    return false;
  }
  void finish() override {
    coded_.clear();
    encoder_->add({}, true, coded_);
    if (out_->write(coded_)) out_->finish();
    else out_->abort();
  }
  void abort() override { out_->abort(); }
  [[nodiscard]] bool is_closed() const override { return out_->is_closed(); }
  void set_on_closed(std::function<void()> callback) override { out_->set_on_closed(std::move(callback)); }

 private:
  std::unique_ptr<Encoder> encoder_;
  std::shared_ptr<HttpStream> out_;
  std::string coded_;
};

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// "gzip;q=0.5": the name and the weight, in thousandths; 1000 where there is none, 0 where it cannot be read.
std::pair<std::string_view, int> name_and_weight(std::string_view item) {
  const size_t semicolon = item.find(';');
  const std::string_view name = trimmed(item.substr(0, semicolon));
  if (semicolon == std::string_view::npos) return {name, 1000};
  std::string_view weight = trimmed(item.substr(semicolon + 1));
  if (!weight.starts_with("q=") && !weight.starts_with("Q=")) return {name, 0};
  weight.remove_prefix(2);
  double value = 0;
  const auto read = std::from_chars(weight.data(), weight.data() + weight.size(), value);
  if (read.ec != std::errc() || !(value >= 0 && value <= 1)) return {name, 0};
  return {name, static_cast<int>(value * 1000)};
}

}  // namespace

std::string_view encoding_name(Encoding encoding) {
  switch (encoding) {
    case Encoding::kIdentity: return "";
    case Encoding::kGzip: return "gzip";
    case Encoding::kZstd: return "zstd";
  }
  return "";
}

Encoding accepted_encoding(std::string_view header) {
  int gzip = -1, zstd = -1, any = -1;
  while (!header.empty()) {
    const size_t comma = std::min(header.find(','), header.size());
    const auto [name, weight] = name_and_weight(header.substr(0, comma));
    if (equal_ignoring_case(name, "gzip") || equal_ignoring_case(name, "x-gzip")) gzip = weight;
    else if (equal_ignoring_case(name, "zstd")) zstd = weight;
    else if (name == "*") any = weight;
    header.remove_prefix(std::min(comma + 1, header.size()));
  }
  if (gzip < 0) gzip = any;
  if (zstd < 0) zstd = any;
  if (gzip <= 0 && zstd <= 0) return Encoding::kIdentity;
  return zstd >= gzip ? Encoding::kZstd : Encoding::kGzip;
}

bool is_encodable(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  return !type.empty() && type != "application/vnd.apache.parquet" && type != "text/event-stream";
}

std::string encoded(Encoding encoding, std::string_view bytes) {
  std::string out;
  encoder_of(encoding)->add(bytes, true, out);
  return out;
}

std::shared_ptr<HttpStream> encoding_stream(Encoding encoding, std::shared_ptr<HttpStream> out) {
  return std::make_shared<EncodingStream>(encoding, std::move(out));
}

}  // namespace k2
