#include "net/http_parser.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace k2 {

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return lower(x) == lower(y); });
}

void HttpHeaders::set(std::string_view name, std::string value) {
  std::erase_if(fields_, [&](const Field& field) { return equal_ignoring_case(field.first, name); });
  fields_.emplace_back(name, std::move(value));
}

const std::string* HttpHeaders::find(std::string_view name) const {
  const auto found =
      std::find_if(fields_.begin(), fields_.end(), [&](const Field& field) { return equal_ignoring_case(field.first, name); });
  return found == fields_.end() ? nullptr : &found->second;
}

std::string_view HttpHeaders::get(std::string_view name) const {
  const std::string* value = find(name);
  return value == nullptr ? std::string_view() : std::string_view(*value);
}

size_t HttpHeaders::count(std::string_view name) const {
  return static_cast<size_t>(
      std::count_if(fields_.begin(), fields_.end(), [&](const Field& field) { return equal_ignoring_case(field.first, name); }));
}

namespace {

using Refused = std::unexpected<HttpRefusal>;

Refused refuse(int status, std::string reason) { return Refused(HttpRefusal{status, std::move(reason)}); }

// RFC 9110, 5.6.2.
bool is_token_character(char c) {
  static constexpr std::string_view also = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || also.find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character); }

// Visible ASCII, space, tab, and bytes above ASCII (RFC 9110, 5.5).
bool is_value_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

bool is_target_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f && c != '#';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes one line off the front, its CRLF too. Only CRLF ends a line: a CR or LF alone is refused by the character checks.
std::string_view take_line(std::string_view& head) {
  const size_t end = head.find("\r\n");
  const std::string_view line = head.substr(0, end);
  head.remove_prefix(std::min(head.size(), line.size() + 2));
  return line;
}

std::expected<HttpHeaders, HttpRefusal> parse_fields(std::string_view lines, const HttpHeadLimits& limits) {
  HttpHeaders headers;
  while (!lines.empty()) {
    const std::string_view line = take_line(lines);
    if (line.empty()) break;
    if (line.front() == ' ' || line.front() == '\t') return refuse(400, "a folded header line");
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return refuse(400, "a header line without a colon");
    const std::string_view name = line.substr(0, colon);
    if (!is_token(name)) return refuse(400, "a header name with characters that are not allowed");
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (!std::all_of(value.begin(), value.end(), is_value_character)) return refuse(400, "a control character in a header value");
    if (headers.fields().size() == limits.fields_max)
      return refuse(431, "more than " + std::to_string(limits.fields_max) + " header fields");
    headers.add(std::string(name), std::string(value));
  }
  return headers;
}

struct Framing {
  std::optional<uint64_t> content_length;
  bool is_chunked = false;
};

std::expected<Framing, HttpRefusal> parse_framing(const HttpHeaders& headers, int minor_version) {
  Framing framing;
  const size_t lengths = headers.count("Content-Length");
  const size_t encodings = headers.count("Transfer-Encoding");
  if (lengths > 1) return refuse(400, "Content-Length more than once");
  if (encodings > 1) return refuse(400, "Transfer-Encoding more than once");
  if (lengths + encodings > 1) return refuse(400, "both Transfer-Encoding and Content-Length");
  if (encodings == 1) {
    if (minor_version == 0) return refuse(400, "Transfer-Encoding on HTTP/1.0");
    if (!equal_ignoring_case(headers.get("Transfer-Encoding"), "chunked")) return refuse(501, "a Transfer-Encoding other than chunked");
    framing.is_chunked = true;
  }
  if (lengths == 1) {
    const std::string_view text = headers.get("Content-Length");
    uint64_t length = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), length);
    if (status != std::errc() || end != text.data() + text.size() || text.size() > 19)
      return refuse(400, "a Content-Length that is no number");
    framing.content_length = length;
  }
  return framing;
}

bool keeps_alive(const HttpHeaders& headers, int minor_version) {
  bool keep = minor_version >= 1;
  for (const auto& [name, value] : headers) {
    if (!equal_ignoring_case(name, "Connection")) continue;
    if (has_token(value, "close")) return false;
    if (has_token(value, "keep-alive")) keep = true;
  }
  return keep;
}

std::expected<int, HttpRefusal> parse_version(std::string_view text) {
  if (text == "HTTP/1.1") return 1;
  if (text == "HTTP/1.0") return 0;
  const bool is_other_version = text.size() == 8 && text.starts_with("HTTP/") && text[6] == '.';
  return is_other_version ? refuse(505, "an HTTP version other than 1.0 and 1.1") : refuse(400, "a request line without an HTTP version");
}

}  // namespace

bool has_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const std::string_view part = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), part.size() + 1));
    if (equal_ignoring_case(trimmed(part), token)) return true;
  }
  return false;
}

std::expected<std::optional<size_t>, HttpRefusal> find_head_end(std::string_view bytes, size_t searched, const HttpHeadLimits& limits) {
  const size_t line_end = bytes.substr(0, limits.start_line_bytes_max + 2).find("\r\n");
  if (line_end == std::string_view::npos && bytes.size() > limits.start_line_bytes_max + 1)
    return refuse(414, "a request line longer than " + std::to_string(limits.start_line_bytes_max) + " bytes");
  // A line feed alone as the end of a request would otherwise be waited on until the time-out.
  const size_t line_feed = bytes.find('\n', searched);
  if (line_feed != std::string_view::npos && (line_feed == 0 || bytes[line_feed - 1] != '\r'))
    return refuse(400, "a line feed without a carriage return");
  const size_t end = bytes.find("\r\n\r\n", searched < 3 ? 0 : searched - 3);
  const size_t head_bytes = end == std::string_view::npos ? bytes.size() : end + 4;
  if (head_bytes > limits.head_bytes_max) return refuse(431, "a header larger than " + std::to_string(limits.head_bytes_max) + " bytes");
  if (end == std::string_view::npos) return std::nullopt;
  return end + 4;
}

std::expected<HttpRequestHead, HttpRefusal> parse_request_head(std::string_view head, const HttpHeadLimits& limits) {
  HttpRequestHead out;
  const std::string_view line = take_line(head);
  const size_t first_space = line.find(' ');
  const size_t last_space = line.rfind(' ');
  if (first_space == std::string_view::npos || first_space == last_space)
    return refuse(400, "a request line that is not METHOD TARGET VERSION");

  const std::string_view method = line.substr(0, first_space);
  const std::string_view target = line.substr(first_space + 1, last_space - first_space - 1);
  if (!is_token(method) || method.size() > 32) return refuse(400, "a malformed method");
  if (target.empty() || (target.front() != '/' && target != "*")) return refuse(400, "a target that is not a path");
  if (!std::all_of(target.begin(), target.end(), is_target_character)) return refuse(400, "a target with characters that are not allowed");
  const auto version = parse_version(line.substr(last_space + 1));
  if (!version) return Refused(version.error());
  out.method = method;
  out.target = target;
  out.minor_version = *version;

  auto headers = parse_fields(head, limits);
  if (!headers) return Refused(headers.error());
  out.headers = *std::move(headers);
  const size_t hosts = out.headers.count("Host");
  if (hosts > 1) return refuse(400, "Host more than once");
  if (hosts == 0 && out.minor_version == 1) return refuse(400, "no Host");

  const auto framing = parse_framing(out.headers, out.minor_version);
  if (!framing) return Refused(framing.error());
  out.content_length = framing->content_length;
  out.is_chunked = framing->is_chunked;
  out.keep_alive = keeps_alive(out.headers, out.minor_version);
  if (const std::string* expect = out.headers.find("Expect")) {
    if (!equal_ignoring_case(*expect, "100-continue")) return refuse(417, "an expectation other than 100-continue");
    out.expects_continue = out.minor_version == 1;
  }
  return out;
}

Result<HttpResponseHead> parse_response_head(std::string_view head, const HttpHeadLimits& limits) {
  const auto broken = [](const std::string& why) { return make_error(ErrorKind::kUnavailable, "the answer is not HTTP/1.1: " + why); };
  HttpResponseHead out;
  const std::string_view line = take_line(head);
  const auto version = parse_version(line.substr(0, 8));
  if (!version) return broken("its version");
  out.minor_version = *version;
  const std::string_view code = line.size() > 9 && line[8] == ' ' ? line.substr(9, 3) : std::string_view();
  const auto [end, status] = std::from_chars(code.data(), code.data() + code.size(), out.status);
  if (code.size() != 3 || status != std::errc() || end != code.data() + 3 || out.status < 100 || (line.size() > 12 && line[12] != ' '))
    return broken("its status");
  auto headers = parse_fields(head, limits);
  if (!headers) return broken(headers.error().reason);
  out.headers = *std::move(headers);
  const auto framing = parse_framing(out.headers, out.minor_version);
  if (!framing) return broken(framing.error().reason);
  out.content_length = framing->content_length;
  out.is_chunked = framing->is_chunked;
  out.keep_alive = keeps_alive(out.headers, out.minor_version);
  return out;
}

// Moves bytes into line_ up to CRLF; true once a whole line is there, without its CRLF.
std::expected<bool, HttpRefusal> ChunkDecoder::take_line(std::string_view& input, size_t bytes_max) {
  while (!input.empty()) {
    const char c = input.front();
    input.remove_prefix(1);
    const bool after_return = !line_.empty() && line_.back() == '\r';
    if (c == '\n' && !after_return) return refuse(400, "a line feed without a carriage return in a chunked body");
    if (c != '\n' && after_return) return refuse(400, "a carriage return without a line feed in a chunked body");
    if (c == '\n') {
      line_.pop_back();
      return true;
    }
    line_ += c;
    if (line_.size() > bytes_max) return refuse(400, "a line of a chunked body longer than " + std::to_string(bytes_max) + " bytes");
  }
  return false;
}

std::expected<void, HttpRefusal> ChunkDecoder::begin_chunk() {
  const std::string_view digits = std::string_view(line_).substr(0, line_.find(';'));
  uint64_t size = 0;
  const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
  if (digits.empty() || digits.size() > 15 || status != std::errc() || end != digits.data() + digits.size())
    return refuse(400, "a malformed chunk size");
  if (!std::all_of(line_.begin(), line_.end(), is_value_character)) return refuse(400, "a control character in a chunk extension");
  line_.clear();
  if (size > body_bytes_max_ - body_bytes_) return refuse(413, "a body larger than " + std::to_string(body_bytes_max_) + " bytes");
  chunk_left_ = size;
  state_ = size == 0 ? State::kTrailer : State::kData;
  return {};
}

std::expected<void, HttpRefusal> ChunkDecoder::decode(std::string_view& input, std::string& body) {
  constexpr size_t kSizeLineMax = 1024;
  constexpr size_t kTrailerMax = 8192;
  while (!input.empty() && state_ != State::kDone) {
    if (state_ == State::kData) {
      const size_t bytes = static_cast<size_t>(std::min<uint64_t>(chunk_left_, input.size()));
      body.append(input.substr(0, bytes));
      input.remove_prefix(bytes);
      chunk_left_ -= bytes;
      body_bytes_ += bytes;
      if (chunk_left_ == 0) state_ = State::kDataEnd;
      continue;
    }
    const auto line = take_line(input, state_ == State::kSizeLine ? kSizeLineMax : kTrailerMax);
    if (!line) return Refused(line.error());
    if (!*line) return {};
    if (state_ == State::kSizeLine) {
      if (auto begun = begin_chunk(); !begun) return begun;
    } else if (state_ == State::kDataEnd) {
      if (!line_.empty()) return refuse(400, "a chunk longer than its size");
      state_ = State::kSizeLine;
    } else {
      trailer_bytes_ += line_.size() + 2;
      if (trailer_bytes_ > kTrailerMax) return refuse(400, "trailers larger than " + std::to_string(kTrailerMax) + " bytes");
      if (line_.empty()) state_ = State::kDone;
      line_.clear();
    }
  }
  return {};
}

}  // namespace k2
