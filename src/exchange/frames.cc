#include "exchange/frames.h"

#include <charconv>

namespace k2 {

namespace {

void append(std::string& out, std::string_view name, int64_t number) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, number).ptr;
  out.append(name).append(text, end);
}

void append(std::string& out, std::string_view name, Decimal18_8 decimal) {
  char text[Decimal18_8::kTextMax];
  out.append(name).append("\"").append(text, decimal.write(text)).append("\"");
}

void append(std::string& out, std::string_view name, std::string_view text) { out.append(name).append("\"").append(text).append("\""); }
void append(std::string& out, std::string_view name, bool truth) { out.append(name).append(truth ? "true" : "false"); }

}  // namespace

void append_trade_frame(std::string& out, std::string_view symbol, const SimTrade& trade, TimestampUs event_time, TimeUnit unit,
                        bool old_frame) {
  append(out, "{\"e\":\"trade\",\"E\":", in_unit(event_time, unit));
  append(out, ",\"s\":", symbol);
  append(out, ",\"t\":", trade.id);
  append(out, ",\"p\":", trade.price);
  append(out, ",\"q\":", trade.quantity);
  if (old_frame) {
    append(out, ",\"b\":", trade.id * 2);
    append(out, ",\"a\":", trade.id * 2 + 1);
  }
  append(out, ",\"T\":", in_unit(trade.time, unit));
  append(out, ",\"m\":", trade.buyer_is_maker);
  append(out, ",\"M\":", trade.is_best_match);
  out += '}';
}

void append_agg_trade_frame(std::string& out, std::string_view symbol, const SimTrade& trade, TimestampUs event_time, TimeUnit unit) {
  append(out, "{\"e\":\"aggTrade\",\"E\":", in_unit(event_time, unit));
  append(out, ",\"s\":", symbol);
  append(out, ",\"a\":", trade.id);
  append(out, ",\"p\":", trade.price);
  append(out, ",\"q\":", trade.quantity);
  append(out, ",\"f\":", trade.id);
  append(out, ",\"l\":", trade.id);
  append(out, ",\"T\":", in_unit(trade.time, unit));
  append(out, ",\"m\":", trade.buyer_is_maker);
  append(out, ",\"M\":", trade.is_best_match);
  out += '}';
}

void append_book_ticker_frame(std::string& out, std::string_view symbol, const SimTrade& trade) {
  constexpr int64_t kTick = Decimal18_8::kUnitsPerOne / 100;
  const int64_t price = trade.price.units();
  append(out, "{\"u\":", trade.id);
  append(out, ",\"s\":", symbol);
  append(out, ",\"b\":", Decimal18_8::from_units_checked(price > kTick ? price - kTick : price));
  append(out, ",\"B\":", trade.quantity);
  append(out, ",\"a\":", Decimal18_8::from_units_checked(price <= Decimal18_8::kUnitsMax - kTick ? price + kTick : price));
  append(out, ",\"A\":", trade.quantity);
  out += '}';
}

void append_combined(std::string& out, std::string_view stream, std::string_view data) {
  out.append("{\"stream\":\"").append(stream).append("\",\"data\":").append(data).append("}");
}

std::string ws_frame_head(uint8_t first, uint64_t payload_bytes, bool masked) {
  const uint8_t mask_bit = masked ? 0x80 : 0;
  const int length_bytes = payload_bytes < 126 ? 0 : payload_bytes <= 0xffff ? 2 : 8;
  std::string head{static_cast<char>(first)};
  if (length_bytes == 0) head += static_cast<char>(payload_bytes | mask_bit);
  else head += static_cast<char>((length_bytes == 2 ? 126 : 127) | mask_bit);
  for (int i = length_bytes - 1; i >= 0; --i) head += static_cast<char>(payload_bytes >> (8 * i) & 0xff);
  return head;
}

std::string quote_quantity(const SimTrade& trade) {
  auto units = static_cast<unsigned __int128>(trade.price.units()) * static_cast<unsigned __int128>(trade.quantity.units()) /
               Decimal18_8::kUnitsPerOne;
  std::string digits;
  for (; units > 0 || digits.size() < 9; units /= 10) {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(units % 10)));
  }
  return digits.insert(digits.size() - 8, ".");
}

void append_rest_trade(std::string& out, const SimTrade& trade, TimeUnit unit) {
  append(out, "{\"id\":", trade.id);
  append(out, ",\"price\":", trade.price);
  append(out, ",\"qty\":", trade.quantity);
  append(out, ",\"quoteQty\":", std::string_view(quote_quantity(trade)));
  append(out, ",\"time\":", in_unit(trade.time, unit));
  append(out, ",\"isBuyerMaker\":", trade.buyer_is_maker);
  append(out, ",\"isBestMatch\":", trade.is_best_match);
  out += '}';
}

void append_rest_agg_trade(std::string& out, const SimTrade& trade, TimeUnit unit) {
  append(out, "{\"a\":", trade.id);
  append(out, ",\"p\":", trade.price);
  append(out, ",\"q\":", trade.quantity);
  append(out, ",\"f\":", trade.id);
  append(out, ",\"l\":", trade.id);
  append(out, ",\"T\":", in_unit(trade.time, unit));
  append(out, ",\"m\":", trade.buyer_is_maker);
  append(out, ",\"M\":", trade.is_best_match);
  out += '}';
}

}  // namespace k2
