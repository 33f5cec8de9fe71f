// Reading and refusing the text fields of venues' frames and rows. Inside codec only.
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/decimal.h"
#include "base/result.h"
#include "market/event.h"

namespace k2 {

/// "what: field name: why". Control and non-ASCII bytes of `why` are for the caller to have passed through shown().
[[nodiscard]] std::unexpected<Error> refuse_field(std::string_view what, std::string_view field, std::string_view why);

/// `text` in double quotes, at most 64 bytes of it, bytes outside printable ASCII as \xNN: safe in a message whatever it holds.
[[nodiscard]] std::string shown(std::string_view text);

/// A decimal(18,8) that is not negative, as Decimal18_8::parse() reads it but without sign, exponent or anything else than
/// digits and one point. False otherwise.
[[nodiscard]] bool parse_unsigned_decimal(std::string_view text, Decimal18_8& out);

/// Why parse_unsigned_decimal() refused `text`.
[[nodiscard]] std::string decimal_refusal(std::string_view text);

/// An integer as JSON writes it: digits without leading zeros, "-" allowed. False if it is anything else or does not fit.
[[nodiscard]] bool parse_integer(std::string_view text, int64_t& out);

/// Binance's times: milliseconds since the epoch below 10^14, microseconds from there on (10^14 ms is the year 5138, 10^14 us is 1973).
/// False if negative or past the year 9999.
[[nodiscard]] bool binance_time(int64_t value, TimestampUs& out);

/// vendor_data of a Binance trade: is_best_match (where the venue said it) and is_buyer_maker.
void set_binance_vendor_data(bool is_buyer_maker, const bool* is_best_match, std::optional<VendorData>& out);

/// Splits a row at its commas into exactly `out.size()` fields. False if it has another number of them. Quotes mean nothing here.
[[nodiscard]] bool split_row(std::string_view row, std::span<std::string_view> out);

/// What is wrong with a row that split_row() refused.
[[nodiscard]] std::string split_refusal(std::string_view row, size_t fields_wanted);

}  // namespace k2
