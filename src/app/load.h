// Load: files of trades or quotes into the log, row by row, each row once however often the file is loaded.
//
// A row that can't be read becomes a dead letter with file, line and reason; the rest of the file goes on, until bad_rows_max rows:
// then the file is not what it was said to be. Memory does not grow with the file.
// Thread rule: one thread. Durable: everything that the report counts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "app/ingest.h"
#include "app/progress.h"
#include "base/result.h"
#include "market/instrument.h"

namespace k2 {

struct LoadReport {
  int64_t files = 0;
  int64_t rows = 0;       // without header and empty lines
  int64_t added = 0;      // new in the log
  int64_t there = 0;      // were in the log already
  int64_t bad_rows = 0;   // rows that became dead letters, now or at an earlier load
  int64_t bad_there = 0;  // of those, at an earlier load
  std::vector<std::string> first_bad;  // "trades/7078.csv:17: price: ...", at most kFirstBadMax
  std::vector<std::string> notes;      // worth saying, no failure: an empty file
  static constexpr size_t kFirstBadMax = 5;
};

/// Reads the rows of one file. parse() is called for every row in order; put() after each parse() that succeeded.
class RowReader {
 public:
  virtual ~RowReader() = default;
  [[nodiscard]] virtual bool is_header(std::string_view line) const = 0;
  [[nodiscard]] virtual Status parse(std::string_view line, TimestampUs received) = 0;
  [[nodiscard]] virtual Status put(Ingest& ingest) = 0;
};

/// One file to load.
struct LoadFile {
  std::string path;
  std::string kind;      // "asx/trades", for dead letters
  std::string looks;     // "an ASX trades file", for messages
  std::function<Result<std::unique_ptr<RowReader>>()> open_reader;
  std::function<Status(const std::string& name)> check_member = {};      // of a zip's member, by its name
  std::function<std::string(std::string_view line)> guess = {};  // what a file with such a first row may be; empty where nobody knows
};

/// Looks into a file before anything of it is loaded. InvalidInput: none of its first rows can be read, so it is something else; a zip's
/// member has the wrong name. Errors of LineFile.
[[nodiscard]] Status examine(const LoadFile& file);

struct LoadOptions {
  int64_t bad_rows_max = 1'000;
};

class Loader {
 public:
  /// Both outlive it.
  Loader(Ingest& ingest, Progress& progress, const LoadOptions& options, std::stop_token stop)
      : ingest_(ingest), progress_(progress), options_(options), stop_(std::move(stop)) {}

  /// Loads one file and waits until its rows are durable. InvalidInput: too many bad rows. Cancelled: told to stop; what was read is
  /// kept. NotFound, Corrupt, Unavailable of the file and of the log. report() tells what went in, in every case.
  [[nodiscard]] Status load(const LoadFile& file);
  [[nodiscard]] const LoadReport& report() const { return report_; }

 private:
  Status read_rows(const LoadFile& file);
  Status take_bad_row(const LoadFile& file, int64_t line_number, std::string_view line, const std::string& reason);
  void settle(const Ingest::Counts& before);

  Ingest& ingest_;
  Progress& progress_;
  LoadOptions options_;
  std::stop_token stop_;
  LoadReport report_;
  int64_t bad_in_file_ = 0;
};

/// The files of `k2 load asx`. InvalidInput: a company id that the reference does not have. Errors of reading the reference. NotFound: no
/// such file.
[[nodiscard]] Result<std::vector<LoadFile>> asx_files(const std::string& reference, const std::vector<std::string>& trades,
                                                      const std::vector<std::string>& quotes);

/// Whose trades dumps hold.
struct DumpSymbol {
  std::string symbol;     // empty: what each file's name says
  bool any_name = false;  // `symbol`, whatever the names say
};

/// The files of `k2 load binance`. InvalidInput: a name in Binance's form that says another symbol, or no trades; no symbol is known; the
/// symbol's currency is unknown.
[[nodiscard]] Result<std::vector<LoadFile>> binance_files(const std::vector<std::string>& files, const DumpSymbol& whose,
                                                          const InstrumentTable& instruments);

}  // namespace k2
