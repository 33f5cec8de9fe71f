// ASX trade and quote files to Trades and Quotes, and the reference file that gives company ids their symbols.
//
//   trades/<company_id>.csv   Date,Time,Price,Volume,Qualifiers,Venue,BuyerID   03/10/2014,07:57:14.754,36.667,20000,3,X,
//   quotes/<company_id>.csv   Date,Time,Bid,Ask,BidVolume,AskVolume             03/10/2014,05:43:45.676,37.7,37.73,300,600
//
// No header; dates are MM/DD/YYYY; times are Australia/Sydney without a zone. A time that the change from or to summer time makes
// ambiguous or leaves out is an error of its row: it is never guessed.
// Identity: rows have no ids, and rows that look the same are different trades. Within a file, every row takes the next ordinal, from
// 0, of its local trading day, whether or not it can be read; so a repaired row later keeps all other identities. A row whose date cannot
// be read takes it of the day of the row before, and none where it is the file's first. source_sequence is ordinal_sequence(day, ordinal), trade_id is "<symbol>-<YYYY-MM-DD>-<ordinal>".
// Thread rule: one thread at a time; one parser per file.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "market/event.h"

namespace k2 {

inline constexpr std::string_view kAsxExchange = "asx";

struct AsxCompany {
  std::string company_id;
  std::string symbol;
  std::string name;
  std::string isin;  // may be empty
  int32_t start_day = 0;  // days since the epoch, local; the dates from which and to which
  int32_t end_day = 0;  //   the reference file says the symbol was listed, both inclusive
};

/// company_info.csv: company_id,symbol,company_name,ISIN,start_date,end_date under a header; fields may be in double quotes.
class AsxReference {
 public:
  /// Reads the whole file's text. InvalidInput with the line: header missing, wrong number of fields, an unreadable date, an empty id or
  /// symbol, a company id that occurs twice.
  [[nodiscard]] static Result<AsxReference> parse(std::string_view csv);
  /// nullptr where unknown.
  [[nodiscard]] const AsxCompany* find(std::string_view company_id) const;
  [[nodiscard]] size_t size() const { return by_id_.size(); }

 private:
  std::map<std::string, AsxCompany, std::less<>> by_id_;
};

/// The company id that a data file's path names: "trades/7078.csv", "7078.csv.zip" -> "7078".
[[nodiscard]] std::string_view asx_company_id(std::string_view path);

class AsxTradeParser {
 public:
  explicit AsxTradeParser(const AsxCompany& company);
  ~AsxTradeParser();
  AsxTradeParser(AsxTradeParser&&) noexcept;
  AsxTradeParser& operator=(AsxTradeParser&&) noexcept;

  /// Reads the file's next row, without its line end, into `out`, whose memory is used again. Call it for every row of the file in
  /// order: it counts them. InvalidInput with the reason. Unavailable: the machine has no time zone data.
  [[nodiscard]] Status parse(std::string_view line, TimestampUs received, Trade& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class AsxQuoteParser {
 public:
  explicit AsxQuoteParser(const AsxCompany& company);
  ~AsxQuoteParser();
  AsxQuoteParser(AsxQuoteParser&&) noexcept;
  AsxQuoteParser& operator=(AsxQuoteParser&&) noexcept;

  /// As AsxTradeParser::parse(). A price of 0 means that side is empty; crossed quotes are data.
  [[nodiscard]] Status parse(std::string_view line, TimestampUs received, Quote& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
