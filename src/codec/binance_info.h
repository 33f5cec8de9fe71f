// Binance's GET /api/v3/exchangeInfo to an InstrumentTable. Source: binance-spot-api-docs, rest-api.md, 2026-07-21.
//
// Thread rule: a pure function.
#pragma once

#include <string_view>

#include "base/result.h"
#include "market/instrument.h"

namespace k2 {

/// Reads symbols[].{symbol, baseAsset, quoteAsset, status}; all else is ignored. InvalidInput for a body that is not such JSON.
[[nodiscard]] Result<InstrumentTable> parse_binance_exchange_info(std::string_view json);

}  // namespace k2
