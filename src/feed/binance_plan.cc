#include "feed/binance_plan.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "base/bytes.h"
#include "feed/binance_feed.h"
#include "net/url.h"

namespace k2 {

namespace {

bool is_name(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f || std::string_view("/@?&#%\"\\").find(c) != std::string_view::npos) return false;
  return !text.empty();
}

std::string joined(const std::vector<std::string>& parts, size_t begin, size_t end, std::string_view between) {
  std::string out;
  for (size_t i = begin; i < end; ++i) out += (i == begin ? "" : std::string(between)) + parts[i];
  return out;
}

// binance.us is documented with milliseconds only.
bool knows_microseconds(const Url& url) { return !url.host.ends_with("binance.us"); }

std::vector<std::string> subscribe_messages(const std::vector<std::string>& streams, size_t per_message) {
  std::vector<std::string> messages;
  for (size_t begin = 0; begin < streams.size(); begin += per_message) {
    const size_t end = std::min(streams.size(), begin + per_message);
    messages.push_back("{\"method\":\"SUBSCRIBE\",\"params\":[\"" + joined(streams, begin, end, "\",\"") +
                       "\"],\"id\":" + std::to_string(messages.size() + 1) + "}");
  }
  return messages;
}

std::string connect_url(const Url& endpoint, const std::string& streams, bool microseconds) {
  std::string url = endpoint.origin() + (endpoint.target == "/" ? "" : endpoint.target) + "/stream";
  std::string query = streams.empty() ? "" : "streams=" + streams;
  if (microseconds) query += (query.empty() ? "" : "&") + std::string("timeUnit=MICROSECOND");
  return query.empty() ? url : url + "?" + query;
}

Result<std::vector<Url>> parse_endpoints(const BinanceFeedOptions& options) {
  std::vector<Url> urls;
  for (const std::string& endpoint : options.endpoints) {
    K2_TRY(Url url, parse_url(endpoint));
    if (url.scheme != "ws" && url.scheme != "wss")
      return make_error(ErrorKind::kInvalidInput, "Binance endpoint \"" + endpoint + "\": want ws:// or wss://");
    urls.push_back(std::move(url));
  }
  if (urls.empty()) return make_error(ErrorKind::kInvalidInput, "Binance feed: no endpoint");
  return urls;
}

Status check_names(const BinanceFeedOptions& options) {
  std::set<std::string> streams;
  for (const std::string& symbol : options.symbols)
    for (const std::string& channel : options.channels) {
      if (!is_name(symbol) || channel.empty() || !is_name(channel.substr(0, channel.find('@'))))
        return make_error(ErrorKind::kInvalidInput,
                          "Binance stream: \"" + symbol + "\" with channel \"" + channel + "\" is no stream name");
      if (!streams.insert(ascii_lowercase(symbol) + "@" + channel).second)
        return make_error(ErrorKind::kInvalidInput, "Binance feed: \"" + symbol + "\" with channel \"" + channel + "\" is there twice");
    }
  if (streams.empty()) return make_error(ErrorKind::kInvalidInput, "Binance feed: no symbol or no channel");
  const size_t at_most = options.streams_per_connection;
  if (at_most > kBinanceStreamsMax || at_most < options.channels.size())
    return make_error(ErrorKind::kInvalidInput, "Binance feed: " + std::to_string(at_most) + " streams a connection: want " +
                                                    std::to_string(options.channels.size()) + " (the channels of a symbol) to " +
                                                    std::to_string(kBinanceStreamsMax));
  return {};
}

BinanceShard plan_shard(const BinanceFeedOptions& options, const std::vector<Url>& endpoints, size_t begin, size_t end) {
  BinanceShard shard;
  shard.symbols.assign(options.symbols.begin() + static_cast<ptrdiff_t>(begin), options.symbols.begin() + static_cast<ptrdiff_t>(end));
  for (const std::string& symbol : shard.symbols)
    for (const std::string& channel : options.channels) shard.streams.push_back(ascii_lowercase(symbol) + "@" + channel);
  std::string in_url;
  if (shard.streams.size() <= options.streams_in_url_max) {
    std::vector<std::string> encoded;
    for (const std::string& stream : shard.streams) encoded.push_back(percent_encode(stream, "@"));
    in_url = joined(encoded, 0, encoded.size(), "/");
  } else {
    shard.subscribe_messages = subscribe_messages(shard.streams, std::max<size_t>(1, options.streams_per_message));
  }
  for (const Url& url : endpoints) shard.urls.push_back(connect_url(url, in_url, options.microseconds && knows_microseconds(url)));
  return shard;
}

}  // namespace

Result<std::vector<BinanceShard>> plan_binance_shards(const BinanceFeedOptions& options) {
  K2_RETURN_IF_ERROR(check_names(options));
  K2_TRY(const std::vector<Url> endpoints, parse_endpoints(options));
  const size_t symbols_max = options.streams_per_connection / options.channels.size();
  const size_t symbols = options.symbols.size();
  const size_t count = (symbols + symbols_max - 1) / symbols_max;
  std::vector<BinanceShard> shards;
  for (size_t i = 0; i < count; ++i) shards.push_back(plan_shard(options, endpoints, symbols * i / count, symbols * (i + 1) / count));
  return shards;
}

}  // namespace k2
