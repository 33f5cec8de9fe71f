#include "codec/avro.h"

#include <algorithm>

#include "base/assert.h"
#include "base/bytes.h"
#include "codec/avro_reader.h"
#include "codec/avro_writer.h"
#include "codec/event_view.h"

namespace k2 {
namespace {

size_t vendor_data_bytes_max(const std::optional<VendorData>& map) {
  size_t bytes = 3 * kLongBytesMax;
  if (map)
    for (const auto& [key, value] : *map) bytes += string_bytes_max(key) + string_bytes_max(value);
  return bytes;
}

// Appends to `out` what `write` puts down, given room for `bytes_max`.
template <class Write>
void append(std::string& out, size_t bytes_max, Write write) {
  const size_t before = out.size();
  const size_t room = before + bytes_max + kSlackBytes;
  if (out.capacity() < room) out.reserve(std::max(room, out.capacity() * 2));  // resize_and_overwrite alone would grow step by step
  out.resize_and_overwrite(room, [&](char* data, size_t) {
    AvroWriter writer(data + before);
    write(writer);
    return static_cast<size_t>(writer.end() - data);
  });
  K2_ASSERT(out.size() <= before + bytes_max);
}

}  // namespace

void encode_trade(const Trade& trade, int32_t schema_id, std::string& out) {
  K2_ASSERT(schema_id >= 0);
  size_t bytes_max = kFrameHeaderBytes + 1 + kUuidTextBytes + string_bytes_max(trade.trade_id) + string_bytes_max(trade.symbol) +
                     string_bytes_max(trade.exchange) + string_bytes_max(trade.currency) + 2 * kDecimalBytesMax + 8 * kLongBytesMax +
                     vendor_data_bytes_max(trade.vendor_data);
  for (const std::string& condition : trade.trade_conditions) bytes_max += string_bytes_max(condition);
  append(out, bytes_max, [&](AvroWriter& writer) {
    writer.write_header(schema_id);
    writer.write_message_id(trade.message_id);
    writer.write_bytes(trade.trade_id);
    writer.write_bytes(trade.symbol);
    writer.write_bytes(trade.exchange);
    writer.write_long(static_cast<int64_t>(trade.asset_class));
    writer.write_long(trade.timestamp.us);
    writer.write_decimal(trade.price);
    writer.write_decimal(trade.quantity);
    writer.write_bytes(trade.currency);
    writer.write_long(static_cast<int64_t>(trade.side));
    writer.write_strings(trade.trade_conditions);
    writer.write_optional_long(trade.source_sequence);
    writer.write_long(trade.ingestion_timestamp.us);
    writer.write_optional_map(trade.vendor_data);
  });
}

void encode_quote(const Quote& quote, int32_t schema_id, std::string& out) {
  K2_ASSERT(schema_id >= 0);
  const size_t bytes_max = kFrameHeaderBytes + 1 + kUuidTextBytes + string_bytes_max(quote.quote_id) + string_bytes_max(quote.symbol) +
                           string_bytes_max(quote.exchange) + string_bytes_max(quote.currency) + 4 * kDecimalBytesMax + 5 * kLongBytesMax +
                           vendor_data_bytes_max(quote.vendor_data);
  append(out, bytes_max, [&](AvroWriter& writer) {
    writer.write_header(schema_id);
    writer.write_message_id(quote.message_id);
    writer.write_bytes(quote.quote_id);
    writer.write_bytes(quote.symbol);
    writer.write_bytes(quote.exchange);
    writer.write_long(static_cast<int64_t>(quote.asset_class));
    writer.write_long(quote.timestamp.us);
    writer.write_decimal(quote.bid_price);
    writer.write_decimal(quote.bid_quantity);
    writer.write_decimal(quote.ask_price);
    writer.write_decimal(quote.ask_quantity);
    writer.write_bytes(quote.currency);
    writer.write_optional_long(quote.source_sequence);
    writer.write_long(quote.ingestion_timestamp.us);
    writer.write_optional_map(quote.vendor_data);
  });
}

void encode_coverage(const Coverage& coverage, int32_t schema_id, std::string& out) {
  K2_ASSERT(schema_id >= 0);
  const std::string_view channel = channel_name(coverage.channel);
  const size_t bytes_max = kFrameHeaderBytes + string_bytes_max(coverage.exchange) + string_bytes_max(coverage.symbol) +
                           string_bytes_max(channel) + string_bytes_max(coverage.reason) + 7 * kLongBytesMax;
  append(out, bytes_max, [&](AvroWriter& writer) {
    writer.write_header(schema_id);
    writer.write_bytes(coverage.exchange);
    writer.write_bytes(coverage.symbol);
    writer.write_bytes(channel);
    writer.write_long(coverage.first_sequence);
    writer.write_long(coverage.last_sequence);
    writer.write_long(coverage.timestamp.us);
    writer.write_long(coverage.end_timestamp.us);
    writer.write_long(static_cast<int64_t>(coverage.status));
    writer.write_long(coverage.reason.empty() ? 0 : 1);
    if (!coverage.reason.empty()) writer.write_bytes(coverage.reason);
    writer.write_long(coverage.ingestion_timestamp.us);
  });
}

void encode_dead_letter(const DeadLetter& letter, int32_t schema_id, std::string& out) {
  K2_ASSERT(schema_id >= 0);
  const size_t bytes_max =
      kFrameHeaderBytes + string_bytes_max(letter.source) + string_bytes_max(letter.reason) + string_bytes_max(letter.raw) + kLongBytesMax;
  append(out, bytes_max, [&](AvroWriter& writer) {
    writer.write_header(schema_id);
    writer.write_bytes(letter.source);
    writer.write_bytes(letter.reason);
    writer.write_bytes(letter.raw);
    writer.write_long(letter.ingestion_timestamp.us);
  });
}

Result<Frame> read_frame(std::string_view message) {
  if (message.size() < kFrameHeaderBytes || message.front() != 0)
    return make_error(ErrorKind::kCorrupt, "wire format: a message of " + std::to_string(message.size()) + " bytes beginning \"" +
                                               to_hex(message.substr(0, kFrameHeaderBytes)) + "\" is not 00 and a schema id of 4 bytes");
  const auto schema_id = load_big_endian<int32_t>(message.data() + 1);
  if (schema_id < 0) return make_error(ErrorKind::kCorrupt, "wire format: negative schema id " + std::to_string(schema_id));
  return Frame{schema_id, message.substr(kFrameHeaderBytes)};
}

namespace {

void copy_vendor_data(const EventView& view, std::optional<VendorData>& out) {
  if (!view.has_vendor_data) {
    out.reset();
    return;
  }
  if (!out) out.emplace();
  out->resize(view.vendor_data.size());
  for (size_t i = 0; i < view.vendor_data.size(); ++i) {
    (*out)[i].first.assign(view.vendor_data[i].first);
    (*out)[i].second.assign(view.vendor_data[i].second);
  }
}

// The view's vectors are kept between calls: one allocation per thread, not per event.
EventView& scratch_view() {
  thread_local EventView view;
  return view;
}

}  // namespace

Status decode_trade(std::string_view body, Trade& out) {
  EventView& view = scratch_view();
  K2_RETURN_IF_ERROR(decode_event(Channel::kTrades, body, view));
  out.message_id = view.message_id;
  out.trade_id.assign(view.event_id);
  out.symbol.assign(view.symbol);
  out.exchange.assign(view.exchange);
  out.asset_class = view.asset_class;
  out.timestamp = view.timestamp;
  out.price = view.decimals[0];
  out.quantity = view.decimals[1];
  out.currency.assign(view.currency);
  out.side = view.side;
  out.trade_conditions.assign(view.trade_conditions.begin(), view.trade_conditions.end());
  out.source_sequence = view.source_sequence;
  out.ingestion_timestamp = view.ingestion_timestamp;
  copy_vendor_data(view, out.vendor_data);
  return {};
}

Status decode_quote(std::string_view body, Quote& out) {
  EventView& view = scratch_view();
  K2_RETURN_IF_ERROR(decode_event(Channel::kQuotes, body, view));
  out.message_id = view.message_id;
  out.quote_id.assign(view.event_id);
  out.symbol.assign(view.symbol);
  out.exchange.assign(view.exchange);
  out.asset_class = view.asset_class;
  out.timestamp = view.timestamp;
  out.bid_price = view.decimals[0];
  out.bid_quantity = view.decimals[1];
  out.ask_price = view.decimals[2];
  out.ask_quantity = view.decimals[3];
  out.currency.assign(view.currency);
  out.source_sequence = view.source_sequence;
  out.ingestion_timestamp = view.ingestion_timestamp;
  copy_vendor_data(view, out.vendor_data);
  return {};
}

Status decode_coverage(std::string_view body, Coverage& out) {
  CoverageView view;
  K2_RETURN_IF_ERROR(decode_coverage_view(body, view));
  const auto channel = parse_channel(view.channel);
  if (!channel) return make_error(ErrorKind::kCorrupt, "avro: CoverageV2: " + channel.error().message);
  out.exchange.assign(view.exchange);
  out.symbol.assign(view.symbol);
  out.channel = *channel;
  out.first_sequence = view.first_sequence;
  out.last_sequence = view.last_sequence;
  out.timestamp = view.timestamp;
  out.end_timestamp = view.end_timestamp;
  out.status = view.status;
  out.reason.assign(view.reason.value_or(""));
  out.ingestion_timestamp = view.ingestion_timestamp;
  return {};
}

Status decode_dead_letter(std::string_view body, DeadLetter& out) {
  AvroReader reader(body);
  out.source.assign(reader.read_bytes("source"));
  out.reason.assign(reader.read_bytes("reason"));
  out.raw.assign(reader.read_bytes("raw"));
  out.ingestion_timestamp.us = reader.read_long("ingestion_timestamp");
  return reader.finish("DeadLetter");
}

}  // namespace k2
