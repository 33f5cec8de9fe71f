#include "api/rows.h"

#include <algorithm>
#include <string>
#include <utility>

#include "api/complete.h"
#include "api/encoding.h"
#include "api/page_token.h"
#include "api/problem.h"
#include "api/server.h"
#include "base/logging.h"
#include "base/sha256.h"
#include "query/format.h"

namespace k2 {
namespace {

constexpr int64_t kBufferedRowsMax = 10'000;  // answers up to here are made whole before the first byte goes out

/// A result whose first batch was read already, to learn of an early error while a status can still be chosen.
class PeekedResult final : public QueryResult {
 public:
  PeekedResult(std::unique_ptr<QueryResult> rest, std::shared_ptr<arrow::RecordBatch> first)
      : rest_(std::move(rest)), first_(std::move(first)) {}
  [[nodiscard]] const std::shared_ptr<arrow::Schema>& schema() const override { return rest_->schema(); }
  [[nodiscard]] Result<std::shared_ptr<arrow::RecordBatch>> next() override {
    if (first_) return std::exchange(first_, nullptr);
    if (is_at_end_) return nullptr;
    auto batch = rest_->next();
    is_at_end_ = !batch || !*batch;
    return batch;
  }
  /// Reads the first batch of `result`.
  static Result<std::unique_ptr<QueryResult>> peek(std::unique_ptr<QueryResult> result) {
    K2_TRY(auto first, result->next());
    auto peeked = std::make_unique<PeekedResult>(std::move(result), first);
    peeked->is_at_end_ = first == nullptr;
    return peeked;
  }

 private:
  std::unique_ptr<QueryResult> rest_;
  std::shared_ptr<arrow::RecordBatch> first_;
  bool is_at_end_ = false;
};

// What a cache may do: keep what never changes, and ask whether it may use it.
void add_caching(HttpHeaders& headers, const std::string& etag) {
  headers.add("Cache-Control", etag.empty() ? "no-store" : "private, no-cache");
  if (!etag.empty()) headers.add("ETag", etag);
}

/// One answer over rows: what to write, and what goes around it.
struct Rows {
  LimitedResult result;
  Format format = Format::kJson;
  FormatOptions options;
  std::optional<Completeness> completeness;
  std::optional<std::string> next_page_token;
  std::string token;
  std::string etag;  // empty: the answer may change

  /// Writes the whole body.
  Status write_to(const Sink& sink) {
    if (format == Format::kJson) K2_RETURN_IF_ERROR(sink("{\"data\":"));
    K2_TRY(const int64_t count, write(result, format, options, sink));
    if (format != Format::kJson) return {};
    const bool is_truncated = result.has_more() || (next_page_token && !next_page_token->empty());
    std::string rest = ",\"count\":" + std::to_string(count) + ",\"truncated\":" + (is_truncated ? "true" : "false");
    if (completeness) rest += "," + complete_json(*completeness, options.integer_times);
    if (next_page_token) rest += ",\"next_page_token\":\"" + *next_page_token + "\"";
    return sink(rest + ",\"read_token\":\"" + token + "\"}\n");
  }
  [[nodiscard]] HttpHeaders headers() const {
    HttpHeaders headers{{"K2-Read-Token", token}};
    add_caching(headers, etag);
    if (completeness) headers.add("K2-Complete", std::string(complete_word(*completeness)));
    if (next_page_token && !next_page_token->empty()) headers.add("K2-Next-Page-Token", *next_page_token);
    return headers;
  }
};

void write_stream(const std::shared_ptr<Rows>& rows, const std::shared_ptr<HttpStream>& stream) {
  const Status done = rows->write_to([&](std::string_view bytes) { return stream->write(bytes); });
  rows->result = LimitedResult(nullptr, 0);  // lets go of what the answer stood on
  if (done) return stream->finish();
  if (!stream->is_closed()) log_warning("answer_torn", {{"error", done.error().message}});
  stream->abort();
}

// The bytes of an answer are a matter of its question, its cut, this program and how they are coded; so they have a name before they are made. Empty: the
// question names no cut.
std::string etag_of(const Call& call, Format format, const Cut& cut) {
  if (call.route.method != "GET" || call.query.read_token.empty()) return {};
  const auto time_text = [](const std::optional<TimestampUs>& time) { return time ? std::to_string(time->us) : std::string("-"); };
  std::string text = question_text(call.request.path, call.given);
  for (const std::string& part :
       {time_text(call.query.events.start), time_text(call.query.events.end), std::string(format_name(format)),
        std::string(call.query.options.integer_times ? "us" : "rfc3339"), read_token(cut),
        std::string(encoding_name(accepted_encoding(call.request.headers.get("Accept-Encoding")))), call.api.options.version})
    text += "\n" + part;
  return '"' + sha256_hex(text).substr(0, 32) + '"';
}

// If-None-Match (RFC 9110, 13.1.2).
bool is_known_to_client(const HttpRequest& request, std::string_view etag) {
  std::string_view known = request.headers.get("If-None-Match");
  if (etag.empty()) return false;
  while (!known.empty()) {
    const size_t comma = std::min(known.find(','), known.size());
    std::string_view one = known.substr(0, comma);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == etag || one == "*") return true;
    known.remove_prefix(std::min(comma + 1, known.size()));
  }
  return false;
}

HttpResponse not_modified(const std::string& etag, const Cut& cut) {
  HttpResponse response{.status = 304, .content_type = "", .headers = {{"K2-Read-Token", read_token(cut)}}, .body = ""};
  add_caching(response.headers, etag);
  return response;
}

HttpResponse no_format(const HttpRequest& request) {
  return problem(request, 406,
                 "none of the accepted types is here: application/json, application/x-ndjson, text/csv, Arrow stream, Parquet");
}

}  // namespace

HttpReply answer_rows(const Call& call, const std::function<Result<Answer>(const Cut&, const QueryLimits&)>& ask) {
  const HttpRequest& request = call.request;
  const RequestQuery& query = call.query;
  const auto format = query.format ? query.format : accepted_format(request.headers.get("Accept"));
  if (!format) return no_format(request);
  const auto cut = query.read_token.empty() ? call.api.engine.cut() : call.api.engine.cut_of(query.read_token);
  if (!cut) return problem_of(request, cut.error());
  const std::string etag = etag_of(call, *format, *cut);
  if (is_known_to_client(request, etag)) return not_modified(etag, *cut);
  auto asked = ask(*cut, QueryLimits{.timeout_us = call.api.options.query_timeout_us, .stop = request.cancelled});
  if (!asked) return problem_of(request, asked.error());
  auto result = PeekedResult::peek(std::move(asked->result));
  if (!result) return problem_of(request, result.error());
  auto rows = std::make_shared<Rows>(Rows{LimitedResult(*std::move(result), asked->limit.value_or(INT64_MAX)), *format, query.options,
                                          std::move(asked->completeness), std::move(asked->next_page_token), read_token(*cut), etag});
  if (query.events.limit > kBufferedRowsMax)
    return HttpStreamReply{.status = 200,
                           .content_type = std::string(media_type(*format)),
                           .headers = rows->headers(),
                           .start = [rows](const std::shared_ptr<HttpStream>& out) { write_stream(rows, out); }};
  std::string body;
  const Status written = rows->write_to([&](std::string_view bytes) -> Status {
    body += bytes;
    return {};
  });
  if (!written) return problem_of(request, written.error());
  return HttpResponse{.status = 200, .content_type = std::string(media_type(*format)), .headers = rows->headers(), .body = std::move(body)};
}

}  // namespace k2
