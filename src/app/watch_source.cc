#include "app/watch_source.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "codec/avro.h"
#include "codec/resolve.h"
#include "net/http_client.h"
#include "net/url.h"
#include "query/cut.h"

namespace k2 {
namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr int64_t kPollUs = 250'000;
constexpr int64_t kRequestTimeoutUs = 10'000'000;
constexpr int64_t kOverlapUs = 5'000'000;  // trades may come out of the order of their times by so much

class LogSource final : public WatchSource {
 public:
  LogSource(const Log& log, const SchemaStore& schemas, std::vector<std::string> symbols, Offsets seen, Offsets next)
      : log_(log), resolver_(schemas), symbols_(std::move(symbols)), seen_(std::move(seen)), next_(std::move(next)) {}

  Result<std::vector<WatchTrade>> next(int64_t timeout_us) override {
    if (!is_behind_) log_.wait_for_append(seen_, timeout_us);
    K2_TRY(seen_, log_.end_offsets());
    std::vector<WatchTrade> trades;
    is_behind_ = false;
    for (const auto& [partition, end] : offsets_of_channel(seen_, Channel::kTrades)) K2_RETURN_IF_ERROR(read(partition, end, trades));
    return trades;
  }

 private:
  Status read(const TopicPartition& partition, Offset end, std::vector<WatchTrade>& trades) {
    Offset& next = next_[partition];
    if (next >= end) return {};
    K2_TRY(const LogBatch batch, log_.read(partition, next, end, kReadBytes));
    for (const LogRecord& record : batch.records()) {
      K2_TRY(const std::string_view body, resolver_.own_body(RecordKind::kTrade, record.value));
      K2_RETURN_IF_ERROR(decode_trade(body, trade_));
      if (symbols_.empty() || std::ranges::find(symbols_, trade_.symbol) != symbols_.end()) trades.push_back(WatchTrade::of(trade_));
    }
    next = batch.next_offset();
    is_behind_ = is_behind_ || next < end;
    return {};
  }

  const Log& log_;
  SchemaResolver resolver_;
  const std::vector<std::string> symbols_;
  Offsets seen_;
  Offsets next_;
  Trade trade_;
  bool is_behind_ = true;
};

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

HttpClientOptions client_options() {
  HttpClientOptions options;
  options.request_timeout_us = kRequestTimeoutUs;
  return options;
}

class ServerSource final : public WatchSource {
 public:
  ServerSource(std::string url, const std::vector<std::string>& symbols)
      : url_(std::move(url) + "/v1/trades?times=us&format=ndjson"), client_(client_options()) {
    for (const std::string& symbol : symbols) url_ += "&symbol=" + percent_encode(symbol);
  }

  Result<std::vector<WatchTrade>> next(int64_t timeout_us) override {
    if (newest_us_ > 0) std::this_thread::sleep_for(std::chrono::microseconds(std::min(timeout_us, kPollUs)));
    const std::string url = newest_us_ == 0 ? url_ + "&limit=50" : url_ + "&limit=10000&start=" + std::to_string(newest_us_ - kOverlapUs);
    K2_TRY(const HttpAnswer answer, client_.get(url));
    if (answer.status != 200)
      return make_error(ErrorKind::kUnavailable, url + ": status " + std::to_string(answer.status) + ": " + answer.body.substr(0, 300));
    std::vector<WatchTrade> trades;
    for (size_t at = 0; at < answer.body.size();) {
      const size_t end = std::min(answer.body.find('\n', at), answer.body.size());
      K2_RETURN_IF_ERROR(take(std::string_view(answer.body).substr(at, end - at), trades));
      at = end + 1;
    }
    std::ranges::reverse(trades);  // the server gives the newest first
    if (newest_us_ == 0) newest_us_ = 1 + kOverlapUs;
    for (const WatchTrade& trade : trades) newest_us_ = std::max(newest_us_, trade.timestamp.us);
    seen_ = std::move(fresh_);
    return trades;
  }

 private:
  /// Answers overlap; a trade's place in the log tells whether it was shown.
  Status take(std::string_view line, std::vector<WatchTrade>& trades) {
    if (line.empty()) return {};
    const auto row = nlohmann::json::parse(line, nullptr, false);
    const auto text = [&](const char* name) {
      return row.is_object() && row.contains(name) && row[name].is_string() ? row[name].get<std::string>() : std::string();
    };
    const auto number = [&](const char* name) {
      return row.is_object() && row.contains(name) && row[name].is_number_integer() ? row[name].get<int64_t>() : -1;
    };
    const TopicPartition partition{text("log_topic"), static_cast<int32_t>(number("log_partition"))};
    K2_TRY(const Decimal18_8 price, Decimal18_8::parse(text("price")));
    K2_TRY(const Decimal18_8 quantity, Decimal18_8::parse(text("quantity")));
    const Offset after{number("log_offset") + 1};
    Offset& fresh = fresh_.try_emplace(partition, offset_of(seen_, partition)).first->second;
    fresh = std::max(fresh, after);
    if (after <= offset_of(seen_, partition)) return {};
    trades.push_back({text("symbol"), text("exchange"), TimestampUs{number("timestamp")}, price, quantity,
                      parse_side(text("side")).value_or(Side::kUnknown)});
    return {};
  }

  std::string url_;
  HttpClient client_;
  int64_t newest_us_ = 0;
  Offsets seen_;   // shown by earlier answers
  Offsets fresh_;  // and by this one
};

}  // namespace

Result<std::unique_ptr<WatchSource>> watch_log(const Log& log, const SchemaStore& schemas, std::vector<std::string> symbols, int64_t past) {
  K2_TRY(const Offsets end, log.end_offsets());
  K2_TRY(const Offsets begin, log.begin_offsets());
  Offsets next = offsets_of_channel(end, Channel::kTrades);
  for (auto& [partition, offset] : next) offset.value = std::max(offset_of(begin, partition).value, offset.value - past);
  return std::make_unique<LogSource>(log, schemas, std::move(symbols), end, std::move(next));
}

std::unique_ptr<WatchSource> watch_server(std::string url, std::vector<std::string> symbols) {
  url = without_slash(std::move(url));
  return std::make_unique<ServerSource>(std::move(url), symbols);
}

Result<std::vector<KnownSymbol>> symbols_of_server(std::string url) {
  url = without_slash(std::move(url)) + "/v1/symbols?format=json";
  HttpClient client(client_options());
  K2_TRY(const HttpAnswer answer, client.get(url));
  const auto body = nlohmann::json::parse(answer.body, nullptr, false);
  if (answer.status != 200 || !body.is_object() || !body.contains("data") || !body["data"].is_array())
    return make_error(ErrorKind::kUnavailable, url + ": status " + std::to_string(answer.status) + ", no list of symbols");
  std::vector<KnownSymbol> known;
  for (const auto& row : body["data"])
    if (row.is_object()) known.push_back({row.value("symbol", ""), row.value("exchange", "")});
  return known;
}

}  // namespace k2
