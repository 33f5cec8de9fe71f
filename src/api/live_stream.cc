#include "api/live_stream.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "base/logging.h"
#include "base/metrics.h"
#include "codec/avro.h"
#include "codec/resolve.h"

namespace k2 {
namespace {

constexpr int64_t kWaitUs = 100'000;
constexpr int64_t kWaitBehindUs = 5'000;   // while somebody is behind
constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kEventsMax = 20'000;      // of one round and reader
constexpr size_t kChunkBytes = 64 << 10;

struct Event {
  std::string symbol;
  std::string text;  // the whole SSE event
  TopicPartition place;
  int64_t offset = 0;
};

struct Subscriber {
  std::shared_ptr<HttpStream> stream;
  std::set<std::string> symbols;
  Offsets next;
  bool over = false;
};

class JsonObject {
 public:
  void text(std::string_view name, std::string_view value) {
    key(name);
    append_json_string(out_, value);
  }
  void raw(std::string_view name, std::string_view value) {
    key(name);
    out_ += value;
  }
  std::string finish() && { return std::move(out_) + "}"; }

 private:
  void key(std::string_view name) {
    out_ += out_.empty() ? '{' : ',';
    out_.append("\"").append(name).append("\":");
  }
  std::string out_;
};

std::string conditions_json(const std::vector<std::string>& conditions) {
  std::string out = "[";
  for (const std::string& condition : conditions) {
    if (out.size() > 1) out += ',';
    append_json_string(out, condition);
  }
  return out + "]";
}

std::string note(std::string_view event, std::string_view reason) {
  std::string text = "event: " + std::string(event) + "\ndata: {\"reason\":";
  append_json_string(text, reason);
  return text + "}\n\n";
}

int64_t lag(const Offsets& from, const Offsets& to) {
  int64_t records = 0;
  for (const auto& [partition, end] : to) records += end.value - offset_of(from, partition).value;
  return records;
}

}  // namespace

std::string trade_json(const Trade& trade, std::string_view topic, int32_t partition, int64_t offset) {
  JsonObject json;
  json.text("message_id", trade.message_id.to_string());
  json.text("trade_id", trade.trade_id);
  json.text("symbol", trade.symbol);
  json.text("exchange", trade.exchange);
  json.text("asset_class", asset_class_name(trade.asset_class));
  json.text("timestamp", format_rfc3339(trade.timestamp));
  json.text("price", trade.price.to_string());
  json.text("quantity", trade.quantity.to_string());
  json.text("currency", trade.currency);
  json.text("side", side_name(trade.side));
  json.raw("trade_conditions", conditions_json(trade.trade_conditions));
  json.raw("source_sequence", trade.source_sequence ? std::to_string(*trade.source_sequence) : "null");
  json.text("ingestion_timestamp", format_rfc3339(trade.ingestion_timestamp));
  json.raw("vendor_data", trade.vendor_data ? vendor_data_json(*trade.vendor_data) : "null");
  json.text("log_topic", topic);
  json.raw("log_partition", std::to_string(partition));
  json.raw("log_offset", std::to_string(offset));
  return std::move(json).finish();
}

struct LiveStream::Impl {
  Impl(const Log& log_in, const SchemaStore& schemas, Engine& engine_in, const LiveStreamOptions& options_in)
      : log(log_in), engine(engine_in), options(options_in), resolver(schemas) {}

  const Log& log;
  Engine& engine;
  const LiveStreamOptions options;
  SchemaResolver resolver;  // the thread's own

  mutable std::mutex mutex;
  std::vector<std::shared_ptr<Subscriber>> subscribers;
  std::jthread thread;

  void run(const std::stop_token& stop);
  Result<std::vector<Event>> read(const Offsets& from, const Offsets& end);
  Status read_partition(const TopicPartition& partition, Offset end, Offsets& next, std::vector<Event>& events);
  Status advance(const Offsets& head, const Offsets& end);
  void serve_one(Subscriber& reader, const Offsets& end);
  void push(Subscriber& reader, const std::vector<Event>& events);
  void drop(Subscriber& reader, std::string_view event, std::string_view reason);
  void heartbeat();
  bool sweep(const Offsets& end);
  std::vector<std::shared_ptr<Subscriber>> readers() const {
    const std::scoped_lock lock(mutex);
    return subscribers;
  }
};

Status LiveStream::Impl::read_partition(const TopicPartition& partition, Offset end, Offsets& next, std::vector<Event>& events) {
  Trade trade;
  for (Offset at = offset_of(next, partition); at < end && events.size() < kEventsMax;) {
    K2_TRY(const LogBatch batch, log.read(partition, at, end, kReadBytes));
    if (batch.empty()) break;
    for (const LogRecord& record : batch.records()) {
      if (events.size() >= kEventsMax) break;
      at = {record.offset.value + 1};
      next[partition] = at;
      K2_TRY(const std::string_view body, resolver.own_body(RecordKind::kTrade, record.value));
      K2_RETURN_IF_ERROR(decode_trade(body, trade));
      std::string text = "id: " + offsets_json(next) +
                         "\nevent: trade\ndata: " + trade_json(trade, partition.topic, partition.partition, record.offset.value) + "\n\n";
      events.push_back({trade.symbol, std::move(text), partition, record.offset.value});
    }
  }
  return {};
}

/// The events between, as many as one round takes; each carries the offsets after it.
Result<std::vector<Event>> LiveStream::Impl::read(const Offsets& from, const Offsets& end) {
  Offsets next = from;
  std::vector<Event> events;
  for (const auto& [partition, partition_end] : end) K2_RETURN_IF_ERROR(read_partition(partition, partition_end, next, events));
  return events;
}

/// Writes what the reader wants of `events`, in chunks, as far as its buffer has room; its offsets say how far that was.
void LiveStream::Impl::push(Subscriber& reader, const std::vector<Event>& events) {
  Offsets reached = reader.next;
  std::string chunk;
  for (size_t i = 0; i < events.size(); ++i) {
    const Event& event = events[i];
    if (reader.symbols.empty() || reader.symbols.contains(event.symbol)) chunk += event.text;
    reached[event.place] = {event.offset + 1};
    if (chunk.size() < kChunkBytes && i + 1 < events.size()) continue;
    if (!chunk.empty() && !reader.stream->try_write(chunk)) return;
    chunk.clear();
    reader.next = reached;
  }
}

void LiveStream::Impl::drop(Subscriber& reader, std::string_view event, std::string_view reason) {
  log_info("stream_dropped", {{"reason", reason}});
  metrics().counter("k2_stream_dropped_total", "Readers of /v1/stream that were dropped.").add();
  reader.over = true;
  if (reader.stream->try_write(note(event, reason))) reader.stream->finish();
  else reader.stream->abort();
}

/// A reader who is not where the others are reads the log for itself.
void LiveStream::Impl::serve_one(Subscriber& reader, const Offsets& end) {
  if (lag(reader.next, end) > options.lag_records_max) return drop(reader, "dropped", "too far behind; come back with Last-Event-ID");
  const auto events = read(reader.next, end);
  if (events) return push(reader, *events);
  if (events.error().kind != ErrorKind::kNotFound) return drop(reader, "dropped", events.error().message);
  const auto begin = log.begin_offsets();
  if (!begin) return;
  for (auto& [partition, offset] : reader.next) offset = std::max(offset, offset_of(*begin, partition));
  if (!reader.stream->try_write(note("gap", "older trades are no longer in the log; /v1/trades has them"))) reader.over = true;
}

/// What came between head and end, to all; read once for those who stand at head.
Status LiveStream::Impl::advance(const Offsets& head, const Offsets& end) {
  std::optional<std::vector<Event>> shared;
  for (const auto& reader : readers()) {
    if (reader->over || reader->next == end) continue;
    if (reader->next != head) {
      serve_one(*reader, end);
      continue;
    }
    if (!shared) {
      K2_TRY(shared, read(head, end));
    }
    push(*reader, *shared);
  }
  return {};
}

void LiveStream::Impl::heartbeat() {
  for (const auto& reader : readers()) (void)reader->stream->try_write(": k2\n\n");
}

/// Forgets readers who are gone. True if somebody is behind.
bool LiveStream::Impl::sweep(const Offsets& end) {
  const std::scoped_lock lock(mutex);
  std::erase_if(subscribers, [](const auto& reader) { return reader->over || reader->stream->is_closed(); });
  return std::ranges::any_of(subscribers, [&](const auto& reader) { return reader->next != end; });
}

void LiveStream::Impl::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "k2-stream");
  Offsets seen;  // of all topics
  Offsets head;  // of the trades' topics
  bool somebody_behind = false;
  int64_t next_heartbeat_ns = 0;
  std::string last_trouble;
  while (!stop.stop_requested()) {
    log.wait_for_append(seen, somebody_behind ? kWaitBehindUs : kWaitUs);
    if (somebody_behind) std::this_thread::sleep_for(std::chrono::microseconds(kWaitBehindUs));
    const auto end = log.end_offsets();
    Status done = end ? engine.follow() : std::unexpected(end.error());
    if (end) {
      seen = *end;
      const Offsets trades = offsets_of_channel(*end, Channel::kTrades);
      const Status pushed = advance(head, trades);
      if (done) done = pushed;
      head = trades;
      somebody_behind = sweep(trades);
    }
    if (const int64_t now = system_clock().monotonic_ns(); now >= next_heartbeat_ns) {
      heartbeat();
      next_heartbeat_ns = now + options.heartbeat_us * 1000;
    }
    if (!done && done.error().message != last_trouble) log_warning("stream_trouble", {{"error", done.error().message}});
    last_trouble = done ? "" : done.error().message;
    if (!done) std::this_thread::sleep_for(std::chrono::microseconds(kWaitUs));
  }
}

LiveStream::LiveStream(const Log& log, const SchemaStore& schemas, Engine& engine, const LiveStreamOptions& options)
    : impl_(std::make_unique<Impl>(log, schemas, engine, options)) {
  metrics().gauge_function("k2_stream_subscribers", "Readers of /v1/stream.", {},
                           [impl = impl_.get()] { return static_cast<double>(impl->readers().size()); });
  impl_->thread = std::jthread([impl = impl_.get()](const std::stop_token& stop) { impl->run(stop); });
}

LiveStream::~LiveStream() {
  metrics().remove_function("k2_stream_subscribers", {});
  impl_->thread.request_stop();
  impl_->thread.join();
  for (const auto& reader : impl_->readers()) reader->stream->finish();
}

Result<Offsets> LiveStream::begin(std::string_view last_event_id) const {
  K2_TRY(const Offsets all, impl_->log.end_offsets());
  const Offsets end = offsets_of_channel(all, Channel::kTrades);
  if (last_event_id.empty()) return end;
  const auto refuse = [&] {
    return make_error(ErrorKind::kInvalidInput, "Last-Event-ID is none of this log's: " + std::string(last_event_id.substr(0, 128)));
  };
  const auto from = parse_offsets_json(last_event_id);
  if (!from) return refuse();
  for (const auto& [partition, offset] : *from)
    if (!end.contains(partition) || offset > offset_of(end, partition)) return refuse();
  Offsets complete = end;
  for (auto& [partition, offset] : complete) offset = offset_of(*from, partition);
  return complete;
}

bool LiveStream::subscribe(std::shared_ptr<HttpStream> stream, std::set<std::string> symbols, Offsets from) {
  const std::scoped_lock lock(impl_->mutex);
  if (impl_->subscribers.size() >= impl_->options.subscribers_max) return false;
  if (!stream->try_write("retry: 1000\n\n")) return false;
  impl_->subscribers.push_back(std::make_shared<Subscriber>(Subscriber{std::move(stream), std::move(symbols), std::move(from), false}));
  return true;
}

size_t LiveStream::subscribers() const { return impl_->readers().size(); }

}  // namespace k2
