// The parts that live in a data directory: log, lake, instruments. Opened by configuration.
//
// Thread rule: pure functions over files; the opened objects have their own rules.
#pragma once

#include <memory>
#include <string_view>

#include "app/config.h"
#include "base/result.h"
#include "log/local_log.h"
#include "market/instrument.h"
#include "table/lake.h"

namespace k2 {

/// The log of the data directory, made where it is absent. Errors of LocalLog::open().
[[nodiscard]] Result<std::unique_ptr<LocalLog>> open_log(const Config& config);

/// The lake of the data directory, made where it is absent. Errors of Lake::init() and Lake::open(); InvalidInput: a catalog or
/// warehouse of a kind this build does not have.
[[nodiscard]] Result<std::unique_ptr<Lake>> open_lake(const Config& config);
[[nodiscard]] Result<LakeOptions> lake_options(const Config& config);

/// NotFound where neither log nor catalog are there: for commands that only read and must not make an empty lake of a mistyped path.
[[nodiscard]] Status require_data(const Config& config);

/// What is known of Binance's instruments without asking: shipped ones, the copy of exchangeInfo in the data directory, configured
/// ones; later ones win. InvalidInput: a configured entry is malformed. A copy that cannot be read is as none.
[[nodiscard]] Result<InstrumentTable> known_binance_instruments(const Config& config);

/// Keeps exchangeInfo's body for the next start, whole or not at all. Unavailable: cannot be written.
[[nodiscard]] Status keep_binance_exchange_info(const Config& config, std::string_view body);

}  // namespace k2
