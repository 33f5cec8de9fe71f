// Faults: what the simulated exchange does wrong, and when. Decisions only; carrying them out is the exchange's.
//
// A rule is armed when it is added, or, with `at_trade`, when the first trade of its symbol with that ordinal or a later one happens.
// While it is armed it fires at every opportunity of its kind (a trade, a request, a new connection, ...; see FaultSite), with its probability,
// until it has fired `count` times or `duration_us` has passed. Every firing is counted by kind.
// Thread rule: its owner's lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace k2 {

enum class FaultKind : uint8_t {
  // at a trade
  kCut,  // WebSockets torn without a close frame
  kHalfOpen,  // WebSockets that send nothing any more, not even pongs, and stay open
  kGarbage,  // a text frame that is no JSON
  kWrongUtf8,  // a text frame that is no UTF-8
  kHugeFrame,  // the header of a frame of `value` bytes
  kMaskedFrame,  // a frame masked as only clients may
  kDuplicate,  // the trade's frame twice
  kReorder,  // the trade's frame after that of the trade behind it
  kHole,  // the trade's frame not sent; it is in the ledger and in REST
  kNotIssued,  // `value` ids are skipped before the next trade
  kIdReset,  // ids begin again at 1 with the next trade
  kServerShutdown,  // the event, then all WebSockets closed after `delay`
  // at a WebSocket, looked at some times a second
  kDayCut,  // closed once it is older than `delay`
  // at a new WebSocket
  kNoPing,  // it is sent no pings
  // at a REST request
  kRest429,  // with Retry-After: `delay`
  kRest418,  // with Retry-After: `delay`
  kRest451,
  kRestDown,  // 503
  kRestCut,  // half a body, then the connection torn
  kRestLag,  // as if the newest `value` trades had not happened yet
  // at a new TCP connection
  kRefuseConnect,  // torn before any byte
  kSlowTls,  // the handshake is held up for `delay`
  kWrongHost,  // a certificate for another host name, of the authority that clients trust
  kWrongAuthority,  // a certificate that nobody vouches for
};
inline constexpr size_t kFaultKinds = static_cast<size_t>(FaultKind::kWrongAuthority) + 1;

/// Where a kind has its opportunities.
enum class FaultSite : uint8_t { kTrade, kAge, kWebSocket, kRest, kConnection };

struct FaultInfo {
  FaultKind kind;
  std::string_view name;  // "half_open"
  FaultSite site;
  int64_t delay_us;  // the default of FaultRule::delay_us
  int64_t value;  // the default of FaultRule::value
  std::string_view doc;  // for people, one clause
};
/// All kinds, in the order of FaultKind.
[[nodiscard]] std::span<const FaultInfo> fault_table();
[[nodiscard]] const FaultInfo& fault_info(FaultKind kind);

struct FaultRule {
  FaultKind kind = FaultKind::kCut;
  std::string symbol;  // at a trade and in REST: only what concerns that symbol; empty: all
  std::string path;  // REST: only paths that contain it; empty: all
  double probability = 1;  // of firing at an opportunity, in (0, 1]
  int64_t at_trade = 0;  // armed by the n-th trade of a symbol, n from 1; 0: at once
  int64_t duration_us = 0;  // armed for so long; 0: without limit
  int64_t count = 0;  // fires so often at most; 0: without limit
  int64_t clients_max = 0;  // at a trade: concerns so many WebSockets at most, the oldest first; 0: all
  int64_t delay_us = 0;  // by kind
  int64_t value = 0;  // by kind
};

/// One setting of a rule as text: {"duration", "2s"}.
using FaultSetting = std::pair<std::string, std::string>;

/// A rule of that kind's defaults and the settings: symbol, path, probability, at_trade, duration, count, clients, delay, value. Without
/// count and duration it fires once. InvalidInput: an unknown kind or setting, a value that cannot be read.
[[nodiscard]] Result<FaultRule> make_fault_rule(std::string_view kind, const std::vector<FaultSetting>& settings);

/// The same from one word, as a flag has it: "hole:at_trade=500,count=20", "cut". InvalidInput likewise.
[[nodiscard]] Result<FaultRule> parse_fault_rule(std::string_view text);

/// What a rule is asked about.
struct FaultOpportunity {
  std::string_view symbol;  // at a trade, and of a REST request where it names one
  std::string_view path;  // REST
  int64_t age_us = 0;  // kAge: of the WebSocket
};

class FaultPlan {
 public:
  explicit FaultPlan(uint64_t seed) : random_(seed) {}

  void add(FaultRule rule, int64_t now_us);
  /// Forgets all rules; what has fired stays counted.
  void clear() { rules_.clear(); }
  /// Whether any rule is left that may still fire: asked first where trades are many.
  [[nodiscard]] bool is_idle() const { return rules_.empty(); }

  /// The n-th trade of that symbol happens: arms what waits for it. Before fire(kTrade, ...).
  void trade_happens(std::string_view symbol, int64_t ordinal, int64_t now_us);

  /// The rules that fire there and now, each counted; forgets those that are used up.
  [[nodiscard]] std::vector<FaultRule> fire(FaultSite site, const FaultOpportunity& opportunity, int64_t now_us);

  /// Counts a firing that no rule asked for (the venue's own 24 hours).
  void count(FaultKind kind) { ++fired_[static_cast<size_t>(kind)]; }
  [[nodiscard]] uint64_t fired(FaultKind kind) const { return fired_[static_cast<size_t>(kind)]; }

  struct Pending {
    FaultRule rule;
    uint64_t fired = 0;
    bool is_armed = false;
  };
  /// The rules that are left.
  [[nodiscard]] std::vector<Pending> pending() const;

 private:
  struct Entry {
    FaultRule rule;
    std::optional<int64_t> armed_at_us;
    int64_t fired = 0;
  };
  [[nodiscard]] static bool is_over(const Entry& entry, int64_t now_us);
  [[nodiscard]] static bool matches(const Entry& entry, FaultSite site, const FaultOpportunity& opportunity);
  double chance();

  std::vector<Entry> rules_;
  std::array<uint64_t, kFaultKinds> fired_{};
  uint64_t random_;
};

}  // namespace k2
