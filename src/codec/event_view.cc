#include "codec/event_view.h"

#include <algorithm>

#include "base/assert.h"
#include "codec/avro_reader.h"

namespace k2 {
namespace {

constexpr uint8_t kNotHex = 0xff;

constexpr std::array<uint8_t, 256> kHexValues = [] {
  std::array<uint8_t, 256> values{};
  values.fill(kNotHex);
  for (uint8_t i = 0; i < 10; ++i) values['0' + i] = i;
  for (uint8_t i = 0; i < 6; ++i) values['a' + i] = values['A' + i] = static_cast<uint8_t>(10 + i);
  return values;
}();

// Where each of the 16 bytes begins in "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx".
constexpr std::array<uint8_t, 16> kUuidPlaces{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};

// MessageId::parse() without its error text; this runs once per row.
bool parse_uuid(std::string_view text, MessageId& id) {
  if (text.size() != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-') return false;
  uint8_t seen = 0;
  for (size_t i = 0; i < 16; ++i) {
    const uint8_t high = kHexValues[static_cast<uint8_t>(text[kUuidPlaces[i]])];
    const uint8_t low = kHexValues[static_cast<uint8_t>(text[kUuidPlaces[i] + 1])];
    seen |= high | low;
    id.bytes[i] = static_cast<uint8_t>(high << 4 | (low & 0x0f));
  }
  return seen < 16;
}

void read_conditions(AvroReader& reader, std::vector<std::string_view>& out) {
  out.clear();
  for (int64_t count = reader.read_block_count("trade_conditions"); count != 0; count = reader.read_block_count("trade_conditions"))
    for (; count > 0 && reader.ok(); --count) out.push_back(reader.read_bytes("trade_conditions"));
}

void sort_unique(AvroReader& reader, std::vector<std::pair<std::string_view, std::string_view>>& pairs) {
  const auto key_less = [](const auto& a, const auto& b) { return a.first < b.first; };
  const auto not_less = [](const auto& a, const auto& b) { return !(a.first < b.first); };
  if (std::ranges::adjacent_find(pairs, not_less) == pairs.end()) return;  // sorted already, as we write it
  std::ranges::sort(pairs, key_less);
  if (std::ranges::adjacent_find(pairs, not_less) != pairs.end()) reader.fail("vendor_data", "a key occurs twice");
}

void read_vendor_data(AvroReader& reader, EventView& out) {
  out.vendor_data.clear();
  out.has_vendor_data = reader.read_index("vendor_data", 2) == 1;
  if (!out.has_vendor_data) return;
  const char* const begin = reader.position();
  for (int64_t count = reader.read_block_count("vendor_data"); count != 0; count = reader.read_block_count("vendor_data")) {
    for (; count > 0 && reader.ok(); --count) {
      const std::string_view key = reader.read_bytes("vendor_data");
      out.vendor_data.emplace_back(key, reader.read_bytes("vendor_data"));
    }
  }
  out.vendor_data_bytes = {begin, reader.position()};
  sort_unique(reader, out.vendor_data);
}

void read_message_id(AvroReader& reader, MessageId& id) {
  if (!parse_uuid(reader.read_bytes("message_id"), id)) reader.fail("message_id", "not a UUID");
}

std::optional<int64_t> read_optional_long(AvroReader& reader, const char* field) {
  if (reader.read_index(field, 2) == 0) return std::nullopt;
  return reader.read_long(field);
}

Status decode_trade_event(std::string_view body, EventView& out) {
  AvroReader reader(body);
  read_message_id(reader, out.message_id);
  out.event_id = reader.read_bytes("trade_id");
  out.symbol = reader.read_bytes("symbol");
  out.exchange = reader.read_bytes("exchange");
  out.asset_class = static_cast<AssetClass>(reader.read_index("asset_class", kAssetClassCount));
  out.timestamp.us = reader.read_long("timestamp");
  out.decimals[0] = reader.read_decimal("price");
  out.decimals[1] = reader.read_decimal("quantity");
  out.currency = reader.read_bytes("currency");
  out.side = static_cast<Side>(reader.read_index("side", kSideCount));
  read_conditions(reader, out.trade_conditions);
  out.source_sequence = read_optional_long(reader, "source_sequence");
  out.ingestion_timestamp.us = reader.read_long("ingestion_timestamp");
  read_vendor_data(reader, out);
  return reader.finish("TradeV2");
}

Status decode_quote_event(std::string_view body, EventView& out) {
  AvroReader reader(body);
  read_message_id(reader, out.message_id);
  out.event_id = reader.read_bytes("quote_id");
  out.symbol = reader.read_bytes("symbol");
  out.exchange = reader.read_bytes("exchange");
  out.asset_class = static_cast<AssetClass>(reader.read_index("asset_class", kAssetClassCount));
  out.timestamp.us = reader.read_long("timestamp");
  out.decimals[0] = reader.read_decimal("bid_price");
  out.decimals[1] = reader.read_decimal("bid_quantity");
  out.decimals[2] = reader.read_decimal("ask_price");
  out.decimals[3] = reader.read_decimal("ask_quantity");
  out.currency = reader.read_bytes("currency");
  out.source_sequence = read_optional_long(reader, "source_sequence");
  out.ingestion_timestamp.us = reader.read_long("ingestion_timestamp");
  read_vendor_data(reader, out);
  return reader.finish("QuoteV2");
}

}  // namespace

Status decode_event(Channel channel, std::string_view body, EventView& out) {
  K2_ASSERT(channel != Channel::kCoverage);
  return channel == Channel::kTrades ? decode_trade_event(body, out) : decode_quote_event(body, out);
}

Status decode_coverage_view(std::string_view body, CoverageView& out) {
  AvroReader reader(body);
  out.exchange = reader.read_bytes("exchange");
  out.symbol = reader.read_bytes("symbol");
  out.channel = reader.read_bytes("channel");
  out.first_sequence = reader.read_long("first_sequence");
  out.last_sequence = reader.read_long("last_sequence");
  out.timestamp.us = reader.read_long("timestamp");
  out.end_timestamp.us = reader.read_long("end_timestamp");
  out.status = static_cast<CoverageStatus>(reader.read_index("status", kCoverageStatusCount));
  out.reason.reset();
  if (reader.read_index("reason", 2) == 1) out.reason = reader.read_bytes("reason");
  out.ingestion_timestamp.us = reader.read_long("ingestion_timestamp");
  if (out.first_sequence < 0 || out.last_sequence < out.first_sequence) reader.fail("last_sequence", "no range of sequence numbers");
  return reader.finish("CoverageV2");
}

}  // namespace k2
