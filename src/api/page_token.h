// Page tokens: where the next page of an answer begins (docs/formats/page-token.md).
//
// A token holds the cut, the window with its times as they were on the first page (so that "-15m" does not move), and the last row's place. It
// is checked against the question it was given for. It grants nothing: whoever makes one up gets rows that he could have asked for.
// Thread rule: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "net/url.h"
#include "query/page.h"

namespace k2 {

struct PageToken {
  std::string read_token;
  std::optional<TimestampUs> start;  // of the whole window
  std::optional<TimestampUs> end;
  PageEnd after;

  bool operator==(const PageToken&) const = default;
};

inline constexpr size_t kPageTokenBytesMax = 60 << 10;  // fits into a body of 64 KiB

/// What a question is, apart from how its answer is cut into pages and written: the route and its parameters in one order.
[[nodiscard]] std::string question_text(std::string_view route, const QueryParams& given);

[[nodiscard]] std::string page_token(const PageToken& token, std::string_view question);
/// InvalidInput: no token of ours, or of another question.
[[nodiscard]] Result<PageToken> parse_page_token(std::string_view text, std::string_view question);

}  // namespace k2
