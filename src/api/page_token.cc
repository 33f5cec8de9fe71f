#include "api/page_token.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <vector>

#include "base/base64url.h"
#include "base/sha256.h"

namespace k2 {
namespace {

constexpr size_t kDigestBytes = 16;
constexpr std::string_view kVersion = "1";
constexpr size_t kFields = 9;

// Parameters that may differ from page to page.
const std::set<std::string_view> kOfThePage = {"page_token", "page_size", "read_token", "format", "times"};

std::string digest(std::string_view body, std::string_view question) {
  const auto whole = sha256(std::to_string(body.size()) + ":" + std::string(body) + std::string(question));
  return {reinterpret_cast<const char*>(whole.data()), kDigestBytes};
}

std::string time_text(const std::optional<TimestampUs>& time) { return time ? std::to_string(time->us) : ""; }

bool read_number(std::string_view text, int64_t& number) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc() && read.ptr == text.data() + text.size();
}

bool read_optional_time(std::string_view text, std::optional<TimestampUs>& time) {
  int64_t us = 0;
  if (text.empty()) return true;
  if (!read_number(text, us)) return false;
  time = TimestampUs{us};
  return true;
}

std::vector<std::string_view> lines_of(std::string_view body) {
  std::vector<std::string_view> lines;
  while (true) {
    const size_t end = body.find('\n');
    lines.push_back(body.substr(0, end));
    if (end == std::string_view::npos) return lines;
    body.remove_prefix(end + 1);
  }
}

bool read_fields(const std::vector<std::string_view>& fields, PageToken& token) {
  int64_t partition = 0;
  if (fields.size() != kFields || fields[0] != kVersion) return false;
  token.after.topic = fields[4];
  token.read_token = fields[8];
  const bool numbers = read_optional_time(fields[1], token.start) && read_optional_time(fields[2], token.end) &&
                       read_number(fields[3], token.after.timestamp.us) && read_number(fields[5], partition) &&
                       read_number(fields[6], token.after.offset) && read_number(fields[7], token.after.rows_at_timestamp);
  token.after.partition = static_cast<int32_t>(partition);
  constexpr int64_t kRowsMax = 1'000'000;  // of one timestamp; as many as the largest answer may have
  return numbers && token.after.rows_at_timestamp >= 1 && token.after.rows_at_timestamp <= kRowsMax;
}

}  // namespace

std::string question_text(std::string_view route, const QueryParams& given) {
  QueryParams sorted = given;
  std::ranges::stable_sort(sorted, {}, [](const auto& pair) { return pair.first; });
  std::string text(route);
  for (const auto& [name, value] : sorted) {
    if (kOfThePage.contains(name)) continue;
    text += "\n" + name + "=" + std::to_string(value.size()) + ":" + value;
  }
  return text;
}

std::string page_token(const PageToken& token, std::string_view question) {
  const PageEnd& after = token.after;
  std::string body(kVersion);
  for (const std::string& field :
       {time_text(token.start), time_text(token.end), std::to_string(after.timestamp.us), after.topic, std::to_string(after.partition),
        std::to_string(after.offset), std::to_string(after.rows_at_timestamp), token.read_token})
    body += "\n" + field;
  return to_base64url(digest(body, question) + body);
}

Result<PageToken> parse_page_token(std::string_view text, std::string_view question) {
  const auto refuse = [](std::string_view why) { return make_error(ErrorKind::kInvalidInput, "page_token " + std::string(why)); };
  const auto bytes = from_base64url(text);
  PageToken token;
  if (!bytes || bytes->size() <= kDigestBytes) return refuse("is not one of ours");
  const std::string_view body = std::string_view(*bytes).substr(kDigestBytes);
  if (!read_fields(lines_of(body), token)) return refuse("is not one of ours");
  if (bytes->substr(0, kDigestBytes) != digest(body, question))
    return refuse("was altered, or is of another question: all parameters but page_size, format and times must stay as they were");
  return token;
}

}  // namespace k2
