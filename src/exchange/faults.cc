#include "exchange/faults.h"

#include <algorithm>
#include <charconv>

#include "base/assert.h"
#include "base/time.h"

namespace k2 {

namespace {

constexpr int64_t kS = kUsPerSecond;

constexpr FaultInfo kTable[] = {
    {FaultKind::kCut, "cut", FaultSite::kTrade, 0, 0, "WebSockets torn without a close frame"},
    {FaultKind::kHalfOpen, "half_open", FaultSite::kTrade, 0, 0, "WebSockets that fall silent, pongs and all, and stay open"},
    {FaultKind::kGarbage, "garbage", FaultSite::kTrade, 0, 0, "a text frame that is no JSON"},
    {FaultKind::kWrongUtf8, "wrong_utf8", FaultSite::kTrade, 0, 0, "a text frame that is no UTF-8"},
    {FaultKind::kHugeFrame, "huge_frame", FaultSite::kTrade, 0, 64 << 20, "the header of a frame of `value` bytes"},
    {FaultKind::kMaskedFrame, "masked_frame", FaultSite::kTrade, 0, 0, "a frame masked as only clients may"},
    {FaultKind::kDuplicate, "duplicate", FaultSite::kTrade, 0, 0, "a trade's frame twice"},
    {FaultKind::kReorder, "reorder", FaultSite::kTrade, 0, 0, "a trade's frame behind that of the next trade"},
    {FaultKind::kHole, "hole", FaultSite::kTrade, 0, 0, "a trade that is in REST but was not sent"},
    {FaultKind::kNotIssued, "not_issued", FaultSite::kTrade, 0, 1, "`value` ids that no trade gets"},
    {FaultKind::kIdReset, "id_reset", FaultSite::kTrade, 0, 0, "ids that begin again at 1"},
    {FaultKind::kServerShutdown, "server_shutdown", FaultSite::kTrade, 2 * kS, 0, "the event; after `delay` WebSockets are closed"},
    {FaultKind::kDayCut, "day_cut", FaultSite::kAge, 5 * kS, 0, "a WebSocket closed when it is `delay` old"},
    {FaultKind::kNoPing, "no_ping", FaultSite::kWebSocket, 0, 0, "a new WebSocket that is sent no pings"},
    {FaultKind::kRest429, "rest_429", FaultSite::kRest, 1 * kS, 0, "too many requests; Retry-After: `delay`"},
    {FaultKind::kRest418, "rest_418", FaultSite::kRest, 2 * kS, 0, "banned; Retry-After: `delay`"},
    {FaultKind::kRest451, "rest_451", FaultSite::kRest, 0, 0, "not served in this place"},
    {FaultKind::kRestDown, "rest_down", FaultSite::kRest, 0, 0, "status 503"},
    {FaultKind::kRestCut, "rest_cut", FaultSite::kRest, 0, 0, "half an answer, then the connection torn"},
    {FaultKind::kRestLag, "rest_lag", FaultSite::kRest, 0, 100, "the newest `value` trades not yet known"},
    {FaultKind::kRefuseConnect, "refuse_connect", FaultSite::kConnection, 0, 0, "a connection torn before any byte"},
    {FaultKind::kSlowTls, "slow_tls", FaultSite::kConnection, 2 * kS, 0, "a TLS handshake held up for `delay`"},
    {FaultKind::kWrongHost, "wrong_host", FaultSite::kConnection, 0, 0, "a certificate for another host"},
    {FaultKind::kWrongAuthority, "wrong_authority", FaultSite::kConnection, 0, 0, "a certificate of an authority that nobody trusts"},
};
static_assert(std::size(kTable) == kFaultKinds);

std::unexpected<Error> refuse(const std::string& why) { return make_error(ErrorKind::kInvalidInput, "fault: " + why); }

const FaultInfo* find_kind(std::string_view name) {
  const auto* const found = std::ranges::find(kTable, name, &FaultInfo::name);
  return found == std::end(kTable) ? nullptr : found;
}

Result<int64_t> read_count(std::string_view text) {
  int64_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc() || end != text.data() + text.size() || number < 0)
    return refuse("\"" + std::string(text) + "\" is no whole number from 0 on");
  return number;
}

Result<double> read_probability(std::string_view text) {
  double number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc() || end != text.data() + text.size() || !(number > 0 && number <= 1))
    return refuse("\"" + std::string(text) + "\" is no probability above 0 and up to 1");
  return number;
}

// How each setting gets into a rule.
struct Setting {
  std::string_view name;
  Status (*set)(FaultRule&, const std::string&);
};

template <auto Member, auto Read>
Status set_read(FaultRule& rule, const std::string& text) {
  K2_TRY(rule.*Member, Read(text));
  return {};
}

template <auto Member>
Status set_text(FaultRule& rule, const std::string& text) {
  rule.*Member = text;
  return {};
}

constexpr Setting kSettings[] = {
    {"symbol", set_text<&FaultRule::symbol>},
    {"path", set_text<&FaultRule::path>},
    {"probability", set_read<&FaultRule::probability, read_probability>},
    {"at_trade", set_read<&FaultRule::at_trade, read_count>},
    {"duration", set_read<&FaultRule::duration_us, parse_duration_us>},
    {"count", set_read<&FaultRule::count, read_count>},
    {"clients", set_read<&FaultRule::clients_max, read_count>},
    {"delay", set_read<&FaultRule::delay_us, parse_duration_us>},
    {"value", set_read<&FaultRule::value, read_count>},
};

}  // namespace

std::span<const FaultInfo> fault_table() { return kTable; }

const FaultInfo& fault_info(FaultKind kind) {
  const FaultInfo& info = kTable[static_cast<size_t>(kind)];
  K2_ASSERT(info.kind == kind);
  return info;
}

Result<FaultRule> make_fault_rule(std::string_view kind, const std::vector<FaultSetting>& settings) {
  const FaultInfo* info = find_kind(kind);
  if (info == nullptr) return refuse("there is no kind \"" + std::string(kind) + "\"");
  FaultRule rule;
  rule.kind = info->kind;
  rule.delay_us = info->delay_us;
  rule.value = info->value;
  bool has_end = false;
  for (const auto& [name, text] : settings) {
    const auto* const setting = std::ranges::find(kSettings, name, &Setting::name);
    if (setting == std::end(kSettings)) return refuse("there is no setting \"" + name + "\"");
    if (const Status set = setting->set(rule, text); !set)
      return std::unexpected(set.error().with_context(std::string(kind) + ", " + name));
    has_end = has_end || name == "count" || name == "duration";
  }
  if (!has_end) rule.count = 1;
  return rule;
}

Result<FaultRule> parse_fault_rule(std::string_view text) {
  const size_t colon = text.find(':');
  std::vector<FaultSetting> settings;
  std::string_view rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  while (!rest.empty()) {
    const std::string_view setting = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), setting.size() + 1));
    const size_t equals = setting.find('=');
    if (equals == std::string_view::npos) return refuse("\"" + std::string(setting) + "\" is no setting=value");
    settings.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
  }
  return make_fault_rule(text.substr(0, colon), settings);
}

// --- FaultPlan --------------------------------------------------------------------------------------------------------

double FaultPlan::chance() {  // splitmix64
  uint64_t z = (random_ += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

void FaultPlan::add(FaultRule rule, int64_t now_us) {
  const auto armed = rule.at_trade > 0 ? std::nullopt : std::optional(now_us);
  rules_.push_back({std::move(rule), armed, 0});
}

bool FaultPlan::is_over(const Entry& entry, int64_t now_us) {
  if (entry.rule.count > 0 && entry.fired >= entry.rule.count) return true;
  return entry.rule.duration_us > 0 && entry.armed_at_us && now_us >= *entry.armed_at_us + entry.rule.duration_us;
}

bool FaultPlan::matches(const Entry& entry, FaultSite site, const FaultOpportunity& opportunity) {
  const FaultRule& rule = entry.rule;
  if (!entry.armed_at_us || fault_info(rule.kind).site != site) return false;
  const bool knows_symbol = site == FaultSite::kTrade || site == FaultSite::kRest;
  if (knows_symbol && !rule.symbol.empty() && rule.symbol != opportunity.symbol) return false;
  if (site == FaultSite::kRest && opportunity.path.find(rule.path) == std::string_view::npos) return false;
  return site != FaultSite::kAge || opportunity.age_us >= rule.delay_us;
}

void FaultPlan::trade_happens(std::string_view symbol, int64_t ordinal, int64_t now_us) {
  for (Entry& entry : rules_) {
    const FaultRule& rule = entry.rule;
    if (!entry.armed_at_us && ordinal >= rule.at_trade && (rule.symbol.empty() || rule.symbol == symbol)) entry.armed_at_us = now_us;
  }
}

std::vector<FaultRule> FaultPlan::fire(FaultSite site, const FaultOpportunity& opportunity, int64_t now_us) {
  std::vector<FaultRule> firing;
  std::erase_if(rules_, [&](const Entry& entry) { return is_over(entry, now_us); });
  for (Entry& entry : rules_) {
    if (!matches(entry, site, opportunity)) continue;
    if (entry.rule.probability < 1 && chance() >= entry.rule.probability) continue;
    ++entry.fired;
    count(entry.rule.kind);
    firing.push_back(entry.rule);
  }
  std::erase_if(rules_, [&](const Entry& entry) { return is_over(entry, now_us); });
  return firing;
}

std::vector<FaultPlan::Pending> FaultPlan::pending() const {
  std::vector<Pending> out;
  for (const Entry& entry : rules_) out.push_back({entry.rule, static_cast<uint64_t>(entry.fired), entry.armed_at_us.has_value()});
  return out;
}

}  // namespace k2
