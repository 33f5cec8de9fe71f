#include "api/complete.h"

namespace k2 {
namespace {

std::string time_json(TimestampUs time, bool integer_times) {
  return integer_times ? std::to_string(time.us) : '"' + format_rfc3339(time) + '"';
}

void add_text(std::string& json, std::string_view name, std::string_view value) {
  json.append("\"").append(name).append("\":");
  append_json_string(json, value);
  json += ',';
}

std::string gap_json(const CoverageGap& gap, bool integer_times) {
  std::string json = "{";
  add_text(json, "exchange", gap.source.exchange);
  add_text(json, "symbol", gap.source.symbol);
  add_text(json, "channel", gap.source.channel);
  json += "\"first_sequence\":" + std::to_string(gap.range.first) + ",\"last_sequence\":" + std::to_string(gap.range.last) +
          ",\"count\":" + std::to_string(gap.range.count()) + ",\"timestamp\":" + time_json(gap.range.timestamp, integer_times) +
          ",\"end_timestamp\":" + time_json(gap.range.end_timestamp, integer_times) + ",";
  add_text(json, "status", coverage_status_name(gap.range.status));
  json += "\"reason\":";
  if (gap.range.reason.empty()) json += "null";
  else append_json_string(json, gap.range.reason);
  return json + "}";
}

}  // namespace

std::string complete_json(const Completeness& found, bool integer_times) {
  std::string json = "\"complete\":";
  json += found.complete ? *found.complete ? "true" : "false" : "null";
  json += ",\"known_until\":" + (found.known_until ? time_json(*found.known_until, integer_times) : "null");
  if (found.complete != false) return json;
  json += ",\"gap_count\":" + std::to_string(found.gap_count) + ",\"gaps\":[";
  for (const CoverageGap& gap : found.gaps) {
    if (&gap != &found.gaps.front()) json += ',';
    json += gap_json(gap, integer_times);
  }
  return json + "]";
}

std::string_view complete_word(const Completeness& found) { return !found.complete ? "unknown" : *found.complete ? "true" : "false"; }

}  // namespace k2
