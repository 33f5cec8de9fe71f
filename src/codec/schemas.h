// The Avro schemas of k2, as text in the program; schemas/v2/*.avsc hold the same bytes (schemas_test compares them).
//
// Thread rule: constants.
#pragma once

#include <string_view>

#include "market/event.h"

namespace k2 {

inline constexpr std::string_view kAvroNamespace = "com.k2.marketdata";

[[nodiscard]] std::string_view trade_schema();           // record TradeV2
[[nodiscard]] std::string_view quote_schema();           // record QuoteV2
[[nodiscard]] std::string_view reference_data_schema();  // record ReferenceDataV2
[[nodiscard]] std::string_view coverage_schema();        // record CoverageV2
[[nodiscard]] std::string_view dead_letter_schema();     // record DeadLetter

/// trade_schema(), quote_schema() or coverage_schema(): what topics of that channel carry.
[[nodiscard]] std::string_view event_schema(Channel channel);

}  // namespace k2
