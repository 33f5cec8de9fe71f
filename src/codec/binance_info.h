// Binance's GET /api/v3/exchangeInfo to an InstrumentTable. Source: binance-spot-api-docs, rest-api.md, 2026-07-21.
//
// Thread rule: a pure function.
#pragma once

#include <string_view>

#include "base/result.h"
#include "market/instrument.h"

namespace k2 {

/// Reads symbols[].{symbol, baseAsset, quoteAsset, status} and of its filters PRICE_FILTER.tickSize and LOT_SIZE.stepSize, which are not known
/// where absent, 0 (the venue then has no such rule) or unreadable; all else is ignored. The precisions there (8, mostly) are those of accounts, not of prices.
/// InvalidInput for a body that is not such JSON.
[[nodiscard]] Result<InstrumentTable> parse_binance_exchange_info(std::string_view json);

}  // namespace k2
