// Heads and chunked bodies of HTTP/1.x messages, parsed strictly: what two parsers could read in two ways is refused (RFC 9112, 11.2).
//
// Boost 1.81's Beast honours chunked bodies on HTTP/1.0 and unfolds lines, which makes request smuggling possible behind a proxy; hence a
// parser of our own. It is small, has no input or output, and a table of tests.
// Thread rule: pure functions and values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http_message.h"

namespace k2 {

struct HttpRequestHead {
  std::string method;  // 1 to 32 token characters
  std::string target;  // origin form ("/...") or "*"
  int minor_version = 1;
  HttpHeaders headers;
  std::optional<uint64_t> content_length;
  bool is_chunked = false;
  bool keep_alive = true;
  bool expects_continue = false;
};

struct HttpResponseHead {
  int status = 0;
  int minor_version = 1;
  HttpHeaders headers;
  std::optional<uint64_t> content_length;
  bool is_chunked = false;
  bool keep_alive = true;
};

struct HttpHeadLimits {
  size_t start_line_bytes_max = 8 << 10;
  size_t head_bytes_max = 16 << 10;  // all of it, with the empty line
  size_t fields_max = 64;
};

/// Why a request is refused, as the answer to it.
struct HttpRefusal {
  int status = 400;
  std::string reason;  // a sentence part, for people
};

/// The length of the head at the start of `bytes`, its empty line included; nullopt as long as more bytes are needed. A refusal where a limit is
/// passed. Looks for CRLFCRLF only from `searched` on: bytes before were looked at by earlier calls.
[[nodiscard]] std::expected<std::optional<size_t>, HttpRefusal> find_head_end(std::string_view bytes, size_t searched,
                                                                              const HttpHeadLimits& limits);

/// `head`: exactly a head as found by find_head_end.
[[nodiscard]] std::expected<HttpRequestHead, HttpRefusal> parse_request_head(std::string_view head, const HttpHeadLimits& limits);

/// An answer's head. Unavailable (the other side is broken; another may work) with the reason.
[[nodiscard]] Result<HttpResponseHead> parse_response_head(std::string_view head, const HttpHeadLimits& limits);

/// Decodes a chunked body (RFC 9112, 7.1) as it comes. Chunk extensions are skipped, trailers are read and dropped, both within limits.
class ChunkDecoder {
 public:
  explicit ChunkDecoder(size_t body_bytes_max) : body_bytes_max_(body_bytes_max) {}

  /// Takes bytes off the front of `input` and appends what they carry to `body`; stops after the body's end (is_done()), leaving the rest.
  /// 413 where the body gets larger than allowed, 400 otherwise.
  [[nodiscard]] std::expected<void, HttpRefusal> decode(std::string_view& input, std::string& body);
  [[nodiscard]] bool is_done() const { return state_ == State::kDone; }

 private:
  enum class State { kSizeLine, kData, kDataEnd, kTrailer, kDone };
  [[nodiscard]] std::expected<bool, HttpRefusal> take_line(std::string_view& input, size_t bytes_max);
  [[nodiscard]] std::expected<void, HttpRefusal> begin_chunk();

  size_t body_bytes_max_;
  State state_ = State::kSizeLine;
  std::string line_;
  uint64_t chunk_left_ = 0;
  size_t body_bytes_ = 0;
  size_t trailer_bytes_ = 0;
};

/// Whether a comma-separated field value has that token, ignoring case: Connection: keep-alive, Upgrade.
[[nodiscard]] bool has_token(std::string_view list, std::string_view token);

}  // namespace k2
