// Rows of Binance's public trade dumps (data.binance.vision, spot/{daily,monthly}/trades) to Trades.
//
//   id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch
//   553287559,39432.48000000,0.00026300,10.37074224,1610064000278,True,True
//
// Source: binance-public-data README, 2025-01-09. Times are microseconds from 2025-01-01 on and milliseconds before, told apart per
// value; the header line, where there is one, is skipped. The symbol is not in the file: the caller knows it.
// Thread rule: one thread at a time.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "market/event.h"
#include "market/instrument.h"
#include "market/message_id.h"

namespace k2 {

class BinanceCsvParser {
 public:
  /// InvalidInput: "currency of X unknown".
  [[nodiscard]] static Result<BinanceCsvParser> make(std::string_view symbol, const InstrumentTable& instruments);

  /// Whether a file's first line is a header: its first field is the word "id" or "trade_id", whatever its case.
  [[nodiscard]] static bool is_header(std::string_view line);

  /// Reads one row, without its line end, into `out`, whose memory is used again. `received` becomes ingestion_timestamp.
  /// InvalidInput with the reason.
  [[nodiscard]] Status parse(std::string_view line, TimestampUs received, Trade& out) const;

 private:
  BinanceCsvParser(std::string_view symbol, std::string_view currency);

  std::string symbol_;
  std::string currency_;
  MessageIdMaker ids_;
};

}  // namespace k2
