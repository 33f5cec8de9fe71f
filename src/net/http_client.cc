#include "net/http_client.h"

#include <atomic>
#include <mutex>

#include "base/assert.h"
#include "net/http_parser.h"
#include "net/transport.h"

namespace k2 {

using namespace net;

namespace {

struct Request {
  std::string_view method;
  Url url;
  const HttpHeaders& headers;
  std::string_view body;

  [[nodiscard]] bool may_be_repeated() const { return method == "GET" || method == "HEAD"; }
};

bool is_field_text(std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos; }

Result<std::string> request_head(const Request& request, const std::string& user_agent) {
  std::string head = std::string(request.method) + " " + request.url.target + " HTTP/1.1\r\nHost: " + request.url.authority() + "\r\n";
  if (request.headers.find("User-Agent") == nullptr) head += "User-Agent: " + user_agent + "\r\n";
  if (request.headers.find("Accept") == nullptr) head += "Accept: */*\r\n";
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT")
    head += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  for (const auto& [name, value] : request.headers) {
    if (name.empty() || !is_field_text(name) || !is_field_text(value))
      return make_error(ErrorKind::kInvalidInput, "HTTP request: a header with a line break");
    head += name + ": " + value + "\r\n";
  }
  return head + "\r\n";
}

// What happened to a request on one connection.
struct Attempt {
  std::optional<HttpAnswer> answer;
  std::string why;               // without an answer
  bool is_sent = false;          // all of the request went out
  bool has_answer_begun = false;
  bool can_be_kept = false;
};

}  // namespace

struct HttpClient::Impl {
  explicit Impl(HttpClientOptions o) : options(std::move(o)) {
    if (!options.proxy) options.proxy = ProxyRules::of_process();
  }

  Task<Result<HttpAnswer>> exchange(const Request& request, std::string head);
  Task<Attempt> attempt(Transport& transport, const Request& request, const std::string& message);
  Task<std::string> read_body(Transport& transport, const HttpResponseHead& head, std::string& rest, std::string& body);
  Status make_tls(const Url& url);

  HttpClientOptions options;
  asio::io_context io{1};
  std::unique_ptr<asio::ssl::context> tls;
  std::unique_ptr<Transport> kept;
  std::string kept_origin;
  Canceller canceller;  // on the thread of the request
  std::atomic<bool> is_cancelled = false;
};

HttpClient::HttpClient(HttpClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

Status HttpClient::Impl::make_tls(const Url& url) {
  if (!url.is_tls() || tls) return {};
  K2_TRY(tls, make_client_tls(options.trust));
  return {};
}

// Reads the body that follows `head`; `rest` holds what was read already, and afterwards what is not the body's. Returns why it failed, or "".
Task<std::string> HttpClient::Impl::read_body(Transport& transport, const HttpResponseHead& head, std::string& rest, std::string& body) {
  const bool until_end = !head.is_chunked && !head.content_length;
  const std::string too_large = "an answer larger than " + std::to_string(options.body_bytes_max) + " bytes";
  if (head.content_length.value_or(0) > options.body_bytes_max) co_return too_large;
  ChunkDecoder chunks(options.body_bytes_max);
  std::string piece(64 << 10, '\0');
  for (;;) {
    if (head.is_chunked) {
      std::string_view input = rest;
      const auto decoded = chunks.decode(input, body);
      if (!decoded) co_return decoded.error().reason;
      rest.erase(0, rest.size() - input.size());
      if (chunks.is_done()) co_return "";
    } else {
      const size_t wanted = until_end ? rest.size() : std::min<size_t>(rest.size(), *head.content_length - body.size());
      if (body.size() + wanted > options.body_bytes_max) co_return too_large;
      body.append(rest, 0, wanted);
      rest.erase(0, wanted);
      if (!until_end && body.size() == *head.content_length) co_return "";
    }
    error_code ec;
    const size_t count = co_await transport.read_some(asio::buffer(piece), ec);
    if (ec == asio::error::eof && until_end) co_return "";  // over TLS, eof is a close_notify: a cut connection is another error
    if (ec) co_return "the answer was cut after " + std::to_string(body.size()) + " bytes of its body: " + ec.message();
    rest.append(piece, 0, count);
  }
}

Task<Attempt> HttpClient::Impl::attempt(Transport& transport, const Request& request, const std::string& message) {
  Attempt out;
  error_code ec;
  co_await transport.write(asio::buffer(message), 0, ec);
  if (ec) {
    out.why = "sending: " + ec.message();
    co_return out;
  }
  out.is_sent = true;
  std::string input;
  std::string piece(16 << 10, '\0');
  const HttpHeadLimits limits;
  for (;;) {
    // Informational answers (1xx) come before the real one.
    size_t searched = 0;
    std::optional<size_t> end;
    for (;;) {
      const auto found = find_head_end(input, searched, limits);
      if (!found) {
        out.why = "the answer is not HTTP/1.1: " + found.error().reason;
        co_return out;
      }
      end = *found;
      if (end) break;
      searched = input.size();
      const size_t count = co_await transport.read_some(asio::buffer(piece), ec);
      if (ec) {
        out.why = "waiting for the answer: " + ec.message();
        co_return out;
      }
      out.has_answer_begun = true;
      input.append(piece, 0, count);
    }
    auto head = parse_response_head(std::string_view(input).substr(0, *end), limits);
    if (!head) {
      out.why = head.error().message;
      co_return out;
    }
    input.erase(0, *end);
    if (head->status < 200) continue;
    HttpAnswer answer;
    answer.status = head->status;
    const bool has_body = request.method != "HEAD" && head->status != 204 && head->status != 304;
    if (has_body) out.why = co_await read_body(transport, *head, input, answer.body);
    if (!out.why.empty()) co_return out;
    out.can_be_kept = head->keep_alive && input.empty() && (!has_body || head->is_chunked || head->content_length);
    answer.headers = std::move(head->headers);
    out.answer = std::move(answer);
    co_return out;
  }
}

Task<Result<HttpAnswer>> HttpClient::Impl::exchange(const Request& request, std::string message) {
  const std::string context = std::string(request.method) + " " + request.url.to_string();
  bool timed_out = false;
  Deadline deadline(io.get_executor(), [&] {
    timed_out = true;
    canceller.cancel();
  });
  deadline.set(options.request_timeout_us);
  const auto end_of_wait = [&](const std::string& why, bool is_sent) {
    if (is_cancelled) return Error{ErrorKind::kCancelled, context + ": cancelled"};
    const bool may_have_happened = is_sent && !request.may_be_repeated();
    return Error{may_have_happened ? ErrorKind::kUnknownOutcome : ErrorKind::kUnavailable,
                 context + ": " + (timed_out ? std::string("time-out") : why)};
  };
  for (;;) {
    std::unique_ptr<Transport> transport;
    const bool is_reused = kept && kept_origin == request.url.origin() && !kept->is_peer_gone();
    if (is_reused) {
      transport = std::move(kept);
    } else {
      kept = nullptr;
      auto connected = co_await connect_transport(request.url, tls.get(), *options.proxy, options.connect_timeout_us, canceller);
      if (!connected) co_return std::unexpected(end_of_wait(connected.error().message, false));
      transport = *std::move(connected);
    }
    canceller.action = [&transport] { transport->close(); };
    if (canceller.is_cancelled) transport->close();
    Attempt done = co_await attempt(*transport, request, message);
    canceller.action = nullptr;
    if (done.answer) {
      if (done.can_be_kept) {
        kept = std::move(transport);
        kept_origin = request.url.origin();
      }
      co_return *std::move(done.answer);
    }
    // A kept connection may have been closed by the server just now, without having looked at this request.
    const bool again = is_reused && !done.has_answer_begun && request.may_be_repeated() && !canceller.is_cancelled;
    if (!again) co_return std::unexpected(end_of_wait(done.why, done.is_sent));
  }
}

Result<HttpAnswer> HttpClient::request(std::string_view method, std::string_view url_text, const HttpHeaders& headers,
                                       std::string_view body) {
  Impl& impl = *impl_;
  K2_TRY(Url url, parse_url(url_text));
  if (url.scheme != "http" && url.scheme != "https")
    return make_error(ErrorKind::kInvalidInput, "\"" + std::string(url_text) + "\" is no http or https URL");
  K2_RETURN_IF_ERROR(impl.make_tls(url));
  const Request request{method, std::move(url), headers, body};
  K2_TRY(std::string message, request_head(request, impl.options.user_agent));
  message += body;
  if (impl.is_cancelled) return make_error(ErrorKind::kCancelled, std::string(method) + " " + std::string(url_text) + ": cancelled");

  impl.io.restart();
  impl.canceller = {};
  std::optional<Result<HttpAnswer>> result;
  asio::co_spawn(impl.io, impl.exchange(request, std::move(message)), [&result](std::exception_ptr failure, Result<HttpAnswer> answer) {
    K2_ASSERT(!failure);
    result = std::move(answer);
  });
  // Not until nothing is left to run: a kept connection's timer may still be set.
  while (!result && impl.io.run_one() > 0) {
  }
  K2_ASSERT(result.has_value());
  return *std::move(result);
}

Result<HttpAnswer> HttpClient::get(std::string_view url, const HttpHeaders& headers) { return request("GET", url, headers, {}); }

Result<HttpAnswer> HttpClient::post(std::string_view url, std::string_view content_type, std::string_view body,
                                    const HttpHeaders& headers) {
  HttpHeaders all = headers;
  all.set("Content-Type", std::string(content_type));
  return request("POST", url, all, body);
}

void HttpClient::cancel() {
  impl_->is_cancelled = true;
  asio::post(impl_->io, [impl = impl_.get()] { impl->canceller.cancel(); });
}

}  // namespace k2
