// BinanceParser: one text frame of a Binance market stream to a Trade, a Quote, an aggregate trade, or word of what else it is.
//
// Source: binance-spot-api-docs, web-socket-streams.md, 2026-07-21. Raw and combined ({"stream":...,"data":...}) frames; trade frames
// from before 2024-06-18 with the order ids b and a, and later ones without; times in milliseconds or microseconds, told apart by
// magnitude per value. Field by field: docs/mappings.md.
// A trade frame and the same trade's row in a public dump (codec/binance_csv.h) give the same Trade but for ingestion_timestamp.
// Thread rule: one thread at a time; each connection has its own parser.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "market/event.h"
#include "market/instrument.h"

namespace k2 {

inline constexpr std::string_view kBinanceExchange = "binance";
inline constexpr std::string_view kBinanceUsExchange = "binance_us";

/// Which of the two exchanges a host belongs to. binance.com and binance.us number their trades each for itself, so the same id is another
/// trade: taken as one exchange, a failover would drop trades as duplicates. Any other host (a simulator, a mirror) is binance.com's.
[[nodiscard]] constexpr std::string_view binance_exchange_of_host(std::string_view host) {
  return host == "binance.us" || host.ends_with(".binance.us") ? kBinanceUsExchange : kBinanceExchange;
}

/// The same of a URL; of text that is none, "binance".
[[nodiscard]] std::string_view binance_exchange_of_url(std::string_view url);

/// @aggTrade: trades of one taker order at one price, with the range of trade ids that it covers.
struct BinanceAggTrade {
  std::string symbol;
  int64_t agg_trade_id = 0;
  int64_t first_trade_id = 0;
  int64_t last_trade_id = 0;  // inclusive
  TimestampUs timestamp;
  Decimal18_8 price;
  Decimal18_8 quantity;
  Side side = Side::kUnknown;

  bool operator==(const BinanceAggTrade&) const = default;
};

/// Answer to SUBSCRIBE and its like: {"result":null,"id":1}, or {"code":2,"msg":"...","id":1}.
struct BinanceReply {
  std::string id;          // as text: "1", "abc", "" for null
  bool is_error = false;
  int64_t error_code = 0;  // with is_error
  std::string text;        // the error's msg, or the JSON of result

  bool operator==(const BinanceReply&) const = default;
};

struct BinanceFrame {
  enum class Kind : uint8_t {
    kTrade,           // trade
    kQuote,           // quote, from @bookTicker; it has no time of its own: timestamp is the time of receipt
    kAggTrade,        // agg_trade
    kReply,           // reply
    kServerShutdown,  // the server is about to close the connection
    kOther,           // well-formed, but of no use here: other_kind
  };
  Kind kind = Kind::kOther;
  Trade trade;
  Quote quote;
  BinanceAggTrade agg_trade;
  BinanceReply reply;
  std::string other_kind;  // its event type ("depthUpdate"), else the stream's name, else ""
  TimestampUs event_time;  // E: when the venue sent it, for latency; 0 where absent. No part of the trade.
};

class BinanceParser {
 public:
  /// `instruments` gives each symbol's currency; `exchange` is what binance_exchange_of_host() says of the connection.
  explicit BinanceParser(std::shared_ptr<const InstrumentTable> instruments, std::string_view exchange = kBinanceExchange);
  ~BinanceParser();
  BinanceParser(const BinanceParser&) = delete;
  BinanceParser& operator=(const BinanceParser&) = delete;

  /// From now on reads currencies here.
  void set_instruments(std::shared_ptr<const InstrumentTable> instruments);

  /// Reads one whole text frame into `out`, which is for use over and over (its memory is used again; only the member that `kind`
  /// names has a meaning). `received` becomes ingestion_timestamp.
  /// InvalidInput with the reason: not JSON, not UTF-8, nested too deep, more than kFrameBytesMax; a field that is missing, repeated,
  /// of another type, or out of range; a price that is not exactly a decimal(18,8); "currency of X unknown". `out` then holds no meaning.
  [[nodiscard]] Status parse(std::string_view frame, TimestampUs received, BinanceFrame& out);
  static constexpr size_t kFrameBytesMax = 1 << 20;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
