#include "market/event.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>

namespace k2 {
namespace {

constexpr std::array<std::string_view, kAssetClassCount> kAssetClassNames{"equities", "crypto", "futures", "options"};
constexpr std::array<std::string_view, std::size(kChannels)> kChannelNames{"trades", "quotes", "coverage"};
constexpr std::array<std::string_view, kSideCount> kSideNames{"BUY", "SELL", "SELL_SHORT", "UNKNOWN"};

template <class Enum, size_t N>
Result<Enum> parse_name(const std::array<std::string_view, N>& names, std::string_view name, std::string_view what) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    return make_error(ErrorKind::kInvalidInput, std::string(what) + ": unknown name \"" + std::string(name.substr(0, 64)) + "\"");
  return static_cast<Enum>(found - names.begin());
}

constexpr auto kMustEscape = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; };

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\b': out += "\\b"; return;
    case '\f': out += "\\f"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: break;
  }
  char escaped[8];
  std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
  out += escaped;
}

}  // namespace

std::string_view asset_class_name(AssetClass asset_class) { return kAssetClassNames[static_cast<size_t>(asset_class)]; }
std::string_view side_name(Side side) { return kSideNames[static_cast<size_t>(side)]; }

Result<AssetClass> parse_asset_class(std::string_view name) { return parse_name<AssetClass>(kAssetClassNames, name, "asset class"); }
Result<Side> parse_side(std::string_view name) { return parse_name<Side>(kSideNames, name, "side"); }

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const auto plain = static_cast<size_t>(std::find_if(text.begin(), text.end(), kMustEscape) - text.begin());
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    append_escaped(out, text.front());
    text.remove_prefix(1);
  }
  out += '"';
}

std::string vendor_data_json(const VendorData& data) {
  std::string json = "{";
  for (const auto& [key, value] : data) {
    if (json.size() > 1) json += ',';
    append_json_string(json, key);
    json += ':';
    append_json_string(json, value);
  }
  json += '}';
  return json;
}

std::string_view channel_name(Channel channel) { return kChannelNames[static_cast<size_t>(channel)]; }
Result<Channel> parse_channel(std::string_view name) { return parse_name<Channel>(kChannelNames, name, "channel"); }

std::string topic_name(AssetClass asset_class, Channel channel, std::string_view exchange) {
  std::string topic = "market.";
  topic.append(asset_class_name(asset_class)).append(".").append(channel_name(channel)).append(".").append(exchange);
  return topic;
}

std::optional<Channel> topic_channel(std::string_view topic) {
  constexpr std::string_view kPrefix = "market.";
  if (!topic.starts_with(kPrefix)) return std::nullopt;
  topic.remove_prefix(kPrefix.size());
  const size_t dot = topic.find('.');
  if (dot == std::string_view::npos || !parse_asset_class(topic.substr(0, dot))) return std::nullopt;
  topic.remove_prefix(dot + 1);
  for (const Channel channel : kChannels) {
    const std::string_view name = channel_name(channel);
    if (topic.starts_with(name) && topic.size() > name.size() + 1 && topic[name.size()] == '.') return channel;
  }
  return std::nullopt;
}

}  // namespace k2
