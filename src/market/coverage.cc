#include "market/coverage.h"

#include <array>

namespace k2 {
namespace {

constexpr std::array<std::string_view, kCoverageStatusCount> kStatusNames = {"observed", "backfilled", "not_issued", "open", "lost"};

}  // namespace

std::string_view coverage_status_name(CoverageStatus status) { return kStatusNames[static_cast<size_t>(status)]; }

Result<CoverageStatus> parse_coverage_status(std::string_view name) {
  for (size_t i = 0; i < kStatusNames.size(); ++i)
    if (kStatusNames[i] == name) return static_cast<CoverageStatus>(i);
  return make_error(ErrorKind::kInvalidInput,
                    "\"" + std::string(name) + "\" is no coverage status: observed, backfilled, not_issued, open or lost");
}

std::string event_source(std::string_view exchange, std::string_view symbol, Channel channel) {
  std::string name;
  name.reserve(48);
  name.append(exchange).append("/").append(symbol).append("/").append(channel_name(channel));
  return name;
}

std::string settled_source(std::string_view exchange, std::string_view symbol, Channel channel) {
  return "settled/" + event_source(exchange, symbol, channel);
}

std::string feed_source(std::string_view exchange, std::string_view symbol, Channel channel) {
  return "feed/" + event_source(exchange, symbol, channel);
}

}  // namespace k2
