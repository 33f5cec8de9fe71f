// The simulated exchange's own routes below /sim/, for whoever runs it: what happened, and what is to go wrong.
//
//   GET    /sim/counts                          {"trades":..,"frames":..,"messages":..,"connections":..,..,"rest":{"200":..},"faults":{"cut":..}}
//   GET    /sim/ledger?symbol=S&from=N&limit=M  NDJSON, a line a trade from the N-th on that ever happened to S (N from 1, at most M = 100,000):
//                                               {"n":..,"id":..,"price":"..","quantity":"..","time_us":..,"buyer_is_maker":..}
//   GET    /sim/faults                          the rules that may still fire
//   POST   /sim/faults                          adds a rule, or an array of them: {"kind":"hole","symbol":"BTCUSDT","at_trade":500,"count":20};
//                                               names and meanings are those of make_fault_rule() in exchange/faults.h. 400: none was added
//   DELETE /sim/faults                          forgets all rules
//
// They are served where the exchange listens, to everyone who can reach it, and suffer from faults at connections like everything else.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "exchange/faults.h"
#include "exchange/ledger.h"
#include "exchange/sim.h"

namespace k2 {

[[nodiscard]] std::string counts_json(const SimCounts& counts);
[[nodiscard]] std::string faults_json(const FaultPlan& plan);
/// Lines of trades, the first of them the n-th.
[[nodiscard]] std::string ledger_ndjson(const std::vector<SimTrade>& trades, size_t first);
/// A body of POST /sim/faults. InvalidInput: not such JSON, or a rule that cannot be made.
[[nodiscard]] Result<std::vector<FaultRule>> read_fault_rules(std::string_view json);

}  // namespace k2
