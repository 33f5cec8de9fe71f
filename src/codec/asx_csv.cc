#include "codec/asx_csv.h"

#include <date/tz.h>
#define SIMDJSON_EXCEPTIONS 0  // an error that is not looked at then does not compile
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <optional>
#include <unordered_map>

#include "codec/fields.h"
#include "market/message_id.h"

namespace k2 {
namespace {

constexpr const char* kCurrency = "AUD";
constexpr const char* kZone = "Australia/Sydney";
constexpr size_t kTradeFields = 7;
constexpr size_t kQuoteFields = 6;

// `count` digits at `text[at]`, which the caller has measured; nullopt if one is none.
std::optional<int> digits(std::string_view text, size_t at, size_t count) {
  int value = 0;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

// MM/DD/YYYY to days since the epoch.
std::optional<int32_t> parse_day(std::string_view text) {
  if (text.size() != 10 || text[2] != '/' || text[5] != '/') return std::nullopt;
  const auto month = digits(text, 0, 2);
  const auto day = digits(text, 3, 2);
  const auto year = digits(text, 6, 4);
  if (!month || !day || !year) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return static_cast<int32_t>(std::chrono::sys_days{date}.time_since_epoch().count());
}

// HH:MM:SS or HH:MM:SS.ffffff (one to six digits) to microseconds since local midnight.
std::optional<int64_t> parse_time_of_day(std::string_view text) {
  if (text.size() < 8 || text[2] != ':' || text[5] != ':') return std::nullopt;
  const auto hour = digits(text, 0, 2);
  const auto minute = digits(text, 3, 2);
  const auto second = digits(text, 6, 2);
  if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  int64_t us = ((*hour * 60 + *minute) * 60 + *second) * kUsPerSecond;
  if (text.size() == 8) return us;
  const size_t fraction_digits = text.size() - 9;
  if (text[8] != '.' || fraction_digits < 1 || fraction_digits > 6) return std::nullopt;
  const auto fraction = digits(text, 9, fraction_digits);
  if (!fraction) return std::nullopt;
  int64_t fraction_us = *fraction;
  for (size_t i = fraction_digits; i < 6; ++i) fraction_us *= 10;
  return us + fraction_us;
}

std::unexpected<Error> refuse(std::string_view what, std::string why) {
  return make_error(ErrorKind::kInvalidInput, std::string(what) + ": " + std::move(why));
}

// Local times of Sydney to UTC. On almost every day one offset holds from midnight to midnight; it is looked up once a day.
class SydneyTime {
 public:
  Result<TimestampUs> to_utc(const char* what, int32_t day, int64_t us_of_day) {
    if (!known_day_ || *known_day_ != day) K2_RETURN_IF_ERROR(look_up_day(day));
    const int64_t local_us = day * kUsPerDay + us_of_day;
    if (day_offset_us_) [[likely]]
      return TimestampUs{local_us - *day_offset_us_};
    const auto info = zone_->get_info(local(local_us));
    if (info.result == date::local_info::nonexistent)
      return refuse_field(what, "Time", std::string("does not exist in ") + kZone + ": clocks were put forward over it");
    if (info.result == date::local_info::ambiguous)
      return refuse_field(what, "Time", std::string("occurs twice in ") + kZone + ": clocks were put back over it");
    return TimestampUs{local_us - offset_us(info.first)};
  }

 private:
  static date::local_seconds local(int64_t local_us) { return date::local_seconds{std::chrono::seconds{local_us / kUsPerSecond}}; }
  static int64_t offset_us(const date::sys_info& info) { return info.offset.count() * kUsPerSecond; }

  Status look_up_day(int32_t day) {
    known_day_.reset();
    if (zone_ == nullptr) {
      try {
        zone_ = date::locate_zone(kZone);
      } catch (const std::exception& e) {
        return make_error(ErrorKind::kUnavailable, std::string("time zone ") + kZone + ": " + e.what());
      }
    }
    const auto begin = zone_->get_info(local(day * kUsPerDay));
    const auto last = zone_->get_info(local(day * kUsPerDay + kUsPerDay - kUsPerSecond));
    day_offset_us_.reset();
    if (begin.result == date::local_info::unique && last.result == date::local_info::unique && begin.first.begin == last.first.begin)
      day_offset_us_ = offset_us(begin.first);
    known_day_ = day;
    return {};
  }

  const date::time_zone* zone_ = nullptr;  // lives as long as the program
  std::optional<int32_t> known_day_;
  std::optional<int64_t> day_offset_us_;  // of the known day; empty on a day on which the clocks change
};

// The ordinals given out so far, by local trading day. Files are in order of days, so the last day is nearly always the right one.
class DayOrdinals {
 public:
  int64_t take(int32_t day) {
    if (last_ == nullptr || last_day_ != day) {
      last_ = &next_[day];
      last_day_ = day;
    }
    return (*last_)++;
  }

  /// Takes one of the day last asked for, where there was one.
  void skip() {
    if (last_ != nullptr) ++*last_;
  }

 private:
  std::unordered_map<int32_t, int64_t> next_;
  int64_t* last_ = nullptr;  // into next_, whose elements do not move
  int32_t last_day_ = 0;
};

// What every row of a file begins with, and who it is.
struct RowIdentity {
  int32_t day = 0;
  int64_t sequence = 0;
  TimestampUs timestamp;
};

class RowReader {
 public:
  RowReader(const AsxCompany& company, Channel channel) : company_(company), ids_(kAsxExchange, company.symbol, channel_name(channel)) {}

  [[nodiscard]] const AsxCompany& company() const { return company_; }
  [[nodiscard]] MessageId message_id(const RowIdentity& row) const { return ids_.make(row.sequence); }

  // Splits the row and works out its identity and time. Each row takes an ordinal, whatever is wrong with it, so that the rows after it keep
  // theirs when it is repaired: one whose date cannot be read takes it of the day of the row before, which in a file in order of days is
  // nearly always its own.
  Result<RowIdentity> read(const char* what, std::string_view line, std::span<std::string_view> fields) {
    const std::string_view date_text = line.substr(0, line.find(','));
    const auto day = parse_day(date_text);
    if (!day) {
      if (!line.empty()) ordinals_.skip();
      return refuse_field(what, "Date", shown(date_text) + " is not a date as MM/DD/YYYY");
    }
    RowIdentity row;
    row.day = *day;
    last_ordinal_ = ordinals_.take(*day);
    K2_TRY(row.sequence, ordinal_sequence(*day, last_ordinal_));
    if (!split_row(line, fields)) return refuse(what, split_refusal(line, fields.size()));
    if (!simdjson::validate_utf8(line.data(), line.size())) return refuse(what, "is not UTF-8: " + shown(line));
    const auto time = parse_time_of_day(fields[1]);
    if (!time) return refuse_field(what, "Time", shown(fields[1]) + " is not a time as HH:MM:SS.mmm");
    K2_TRY(row.timestamp, time_.to_utc(what, *day, *time));
    return row;
  }

  // "<symbol>-<YYYY-MM-DD>-<ordinal>" of the row just read.
  void write_id(const RowIdentity& row, std::string& out) {
    if (id_prefix_.empty() || id_prefix_day_ != row.day) {
      id_prefix_ = company_.symbol + "-" + format_date(row.day) + "-";
      id_prefix_day_ = row.day;
    }
    out.assign(id_prefix_).append(std::to_string(last_ordinal_));
  }

 private:
  AsxCompany company_;
  MessageIdMaker ids_;
  SydneyTime time_;
  DayOrdinals ordinals_;
  int64_t last_ordinal_ = 0;
  std::string id_prefix_;
  int32_t id_prefix_day_ = 0;
};

Status read_decimal(const char* what, const char* name, std::string_view text, Decimal18_8& out) {
  if (!parse_unsigned_decimal(text, out)) return refuse_field(what, name, decimal_refusal(text));
  return {};
}

// Puts what is not empty, in the order given, which is the keys' order.
void set_vendor_data(std::span<const std::pair<const char*, std::string_view>> pairs, std::optional<VendorData>& out) {
  if (!out) out.emplace();
  out->resize(static_cast<size_t>(std::ranges::count_if(pairs, [](const auto& pair) { return !pair.second.empty(); })));
  size_t i = 0;
  for (const auto& [key, value] : pairs) {
    if (value.empty()) continue;
    (*out)[i].first.assign(key);
    (*out)[i].second.assign(value);
    ++i;
  }
}

// ---- Reference file -----------------------------------------------------------------------------------------------------------------

constexpr std::array<std::string_view, 6> kReferenceHeader{"company_id", "symbol", "company_name", "ISIN", "start_date", "end_date"};

// One line of RFC 4180: fields in double quotes may hold commas, and quotes doubled. nullopt where quotes do not match.
std::optional<std::vector<std::string>> split_quoted(std::string_view line) {
  std::vector<std::string> fields(1);
  size_t i = 0;
  while (i < line.size()) {
    if (line[i] == '"' && fields.back().empty()) {
      for (++i;; ++i) {
        if (i == line.size()) return std::nullopt;
        if (line[i] != '"') fields.back() += line[i];
        else if (i + 1 < line.size() && line[i + 1] == '"') fields.back() += line[i++];
        else break;
      }
      ++i;
      if (i < line.size() && line[i] != ',') return std::nullopt;
    } else if (line[i] == ',') {
      fields.emplace_back();
      ++i;
    } else if (line[i] == '"') {
      return std::nullopt;
    } else {
      fields.back() += line[i++];
    }
  }
  return fields;
}

Result<AsxCompany> parse_company(std::string_view line) {
  const auto fields = split_quoted(line);
  if (!fields || fields->size() != kReferenceHeader.size()) return refuse("has not 6 fields", shown(line));
  AsxCompany company{.company_id = (*fields)[0], .symbol = (*fields)[1], .name = (*fields)[2], .isin = (*fields)[3]};
  if (company.company_id.empty() || company.symbol.empty()) return refuse("has an empty company_id or symbol", shown(line));
  const auto start = parse_day((*fields)[4]);
  const auto end = parse_day((*fields)[5]);
  if (!start || !end) return refuse("has a date that is not MM/DD/YYYY", shown(line));
  company.start_day = *start;
  company.end_day = *end;
  return company;
}

std::string_view take_line(std::string_view& text) {
  const size_t newline = text.find('\n');
  std::string_view line = text.substr(0, newline);
  text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

Result<AsxReference> AsxReference::parse(std::string_view csv) {
  if (csv.starts_with("\xef\xbb\xbf")) csv.remove_prefix(3);
  if (!simdjson::validate_utf8(csv.data(), csv.size())) return refuse("asx reference", "is not UTF-8: " + shown(csv));
  const std::string_view header_line = take_line(csv);
  const auto header = split_quoted(header_line);
  if (!header || !std::ranges::equal(*header, kReferenceHeader))
    return refuse("asx reference line 1",
                  "is not the header company_id,symbol,company_name,ISIN,start_date,end_date: " + shown(header_line));
  AsxReference reference;
  for (int64_t number = 2; !csv.empty(); ++number) {
    const std::string_view line = take_line(csv);
    if (line.empty()) continue;
    const std::string place = "asx reference line " + std::to_string(number);
    auto company = parse_company(line);
    if (!company) return std::unexpected(company.error().with_context(place));
    std::string id = company->company_id;
    if (reference.by_id_.contains(id)) return refuse(place, "company_id " + shown(id) + " occurs twice");
    reference.by_id_.emplace(std::move(id), *std::move(company));
  }
  return reference;
}

const AsxCompany* AsxReference::find(std::string_view company_id) const {
  const auto found = by_id_.find(company_id);
  return found == by_id_.end() ? nullptr : &found->second;
}

std::string_view asx_company_id(std::string_view path) {
  if (const size_t slash = path.rfind('/'); slash != std::string_view::npos) path.remove_prefix(slash + 1);
  return path.substr(0, path.find('.'));
}

struct AsxTradeParser::Impl {
  RowReader reader;

  Status parse(std::string_view line, TimestampUs received, Trade& out) {
    constexpr const char* kWhat = "asx trade row";
    std::array<std::string_view, kTradeFields> fields;
    K2_TRY(const RowIdentity row, reader.read(kWhat, line, fields));
    const auto& [date, time, price, volume, qualifiers, venue, buyer_id] = fields;
    K2_RETURN_IF_ERROR(read_decimal(kWhat, "Price", price, out.price));
    K2_RETURN_IF_ERROR(read_decimal(kWhat, "Volume", volume, out.quantity));

    out.message_id = reader.message_id(row);
    reader.write_id(row, out.trade_id);
    out.symbol.assign(reader.company().symbol);
    out.exchange.assign(kAsxExchange);
    out.asset_class = AssetClass::kEquities;
    out.timestamp = row.timestamp;
    out.currency.assign(kCurrency);
    out.side = Side::kUnknown;
    out.trade_conditions.resize(qualifiers.empty() ? 0 : 1);
    if (!qualifiers.empty()) out.trade_conditions.front().assign(qualifiers);
    out.source_sequence = row.sequence;
    out.ingestion_timestamp = received;
    const std::pair<const char*, std::string_view> vendor[] = {
        {"buyer_id", buyer_id}, {"company_id", reader.company().company_id}, {"qualifiers", qualifiers}, {"venue", venue}};
    set_vendor_data(vendor, out.vendor_data);
    return {};
  }
};

AsxTradeParser::AsxTradeParser(const AsxCompany& company) : impl_(new Impl{RowReader(company, Channel::kTrades)}) {}
AsxTradeParser::~AsxTradeParser() = default;
AsxTradeParser::AsxTradeParser(AsxTradeParser&&) noexcept = default;
AsxTradeParser& AsxTradeParser::operator=(AsxTradeParser&&) noexcept = default;
Status AsxTradeParser::parse(std::string_view line, TimestampUs received, Trade& out) { return impl_->parse(line, received, out); }

struct AsxQuoteParser::Impl {
  RowReader reader;

  Status parse(std::string_view line, TimestampUs received, Quote& out) {
    constexpr const char* kWhat = "asx quote row";
    std::array<std::string_view, kQuoteFields> fields;
    K2_TRY(const RowIdentity row, reader.read(kWhat, line, fields));
    const auto& [date, time, bid, ask, bid_volume, ask_volume] = fields;
    K2_RETURN_IF_ERROR(read_decimal(kWhat, "Bid", bid, out.bid_price));
    K2_RETURN_IF_ERROR(read_decimal(kWhat, "Ask", ask, out.ask_price));
    K2_RETURN_IF_ERROR(read_decimal(kWhat, "BidVolume", bid_volume, out.bid_quantity));
    K2_RETURN_IF_ERROR(read_decimal(kWhat, "AskVolume", ask_volume, out.ask_quantity));

    out.message_id = reader.message_id(row);
    reader.write_id(row, out.quote_id);
    out.symbol.assign(reader.company().symbol);
    out.exchange.assign(kAsxExchange);
    out.asset_class = AssetClass::kEquities;
    out.timestamp = row.timestamp;
    out.currency.assign(kCurrency);
    out.source_sequence = row.sequence;
    out.ingestion_timestamp = received;
    const std::pair<const char*, std::string_view> vendor[] = {{"company_id", reader.company().company_id}};
    set_vendor_data(vendor, out.vendor_data);
    return {};
  }
};

AsxQuoteParser::AsxQuoteParser(const AsxCompany& company) : impl_(new Impl{RowReader(company, Channel::kQuotes)}) {}
AsxQuoteParser::~AsxQuoteParser() = default;
AsxQuoteParser::AsxQuoteParser(AsxQuoteParser&&) noexcept = default;
AsxQuoteParser& AsxQuoteParser::operator=(AsxQuoteParser&&) noexcept = default;
Status AsxQuoteParser::parse(std::string_view line, TimestampUs received, Quote& out) { return impl_->parse(line, received, out); }

}  // namespace k2
