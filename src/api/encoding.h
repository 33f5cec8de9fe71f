// Content codings of answers: gzip (RFC 1952) and zstd (RFC 8878), whichever the client prefers, for whole and for streamed bodies.
//
// Bodies under kEncodeBytesMin, Parquet (compressed inside) and live events stay as they are.
// Thread rule: pure functions; a stream one thread at a time, as HttpStream.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/http_server.h"

namespace k2 {

enum class Encoding : uint8_t { kIdentity, kGzip, kZstd };

inline constexpr size_t kEncodeBytesMin = 1'024;

/// "gzip", "zstd"; "" of kIdentity.
[[nodiscard]] std::string_view encoding_name(Encoding encoding);

/// What an Accept-Encoding header asks for (RFC 9110, 12.5.3): the one of ours with the highest weight, zstd before gzip where they are equal; kIdentity
/// where neither is acceptable or there is no header.
[[nodiscard]] Encoding accepted_encoding(std::string_view accept_encoding);

/// Whether bodies of this media type are encoded at all.
[[nodiscard]] bool is_encodable(std::string_view content_type);

[[nodiscard]] std::string encoded(Encoding encoding, std::string_view bytes);

/// A stream whose bytes reach `out` encoded; finish() ends the coding, and then `out`. Not for kIdentity. Without finish(), a reader sees the coding cut off.
[[nodiscard]] std::shared_ptr<HttpStream> encoding_stream(Encoding encoding, std::shared_ptr<HttpStream> out);

}  // namespace k2
