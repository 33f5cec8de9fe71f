#include "app/load.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/dump_name.h"
#include "codec/asx_csv.h"
#include "codec/binance_csv.h"
#include "feed/line_file.h"

namespace k2 {
namespace {

constexpr int64_t kUpdateRows = 512;  // how often progress and the stop token are looked at
constexpr size_t kReferenceBytesMax = 64 << 20;
constexpr int64_t kExaminedRows = 100;  // a file none of whose first rows can be read is another file, not one with bad rows

std::string base_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

/// Any of our parsers, with the event it fills.
template <class Parser, class Event>
class ParserReader final : public RowReader {
 public:
  explicit ParserReader(Parser parser) : parser_(std::move(parser)) {}
  [[nodiscard]] bool is_header(std::string_view line) const override {
    if constexpr (requires { Parser::is_header(line); }) return Parser::is_header(line);
    return false;
  }
  [[nodiscard]] Status parse(std::string_view line, TimestampUs received) override { return parser_.parse(line, received, event_); }
  [[nodiscard]] Status put(Ingest& ingest) override { return ingest.put(event_); }

 private:
  Parser parser_;
  Event event_;
};

Result<std::string> read_text(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return make_error(ErrorKind::kNotFound, path + ": no such file");
  if (std::filesystem::file_size(path, error) > kReferenceBytesMax)
    return make_error(ErrorKind::kInvalidInput, path + ": too large for a reference file");
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return make_error(ErrorKind::kUnavailable, path + ": cannot be read");
  return std::move(text).str();
}

template <class Parser, class Event>
bool can_read(const AsxCompany& company, std::string_view line) {
  Event event;
  return Parser(company).parse(line, {}, event).has_value();
}

template <class Parser, class Event>
LoadFile asx_file(const std::string& path, const char* channel, const AsxCompany& company) {
  LoadFile file;
  file.path = path;
  file.kind = std::string("asx/") + channel;
  file.looks = std::string("an ASX ") + channel + " file";
  file.open_reader = [company]() -> Result<std::unique_ptr<RowReader>> {
    return std::make_unique<ParserReader<Parser, Event>>(Parser(company));
  };
  file.guess = [company](std::string_view line) -> std::string {
    if (can_read<AsxTradeParser, Trade>(company, line)) return "an ASX trades file: --trades loads it";
    if (can_read<AsxQuoteParser, Quote>(company, line)) return "an ASX quotes file: --quotes loads it";
    return "";
  };
  return file;
}

/// Dumps of other kinds, told by their number of columns. Source: binance-public-data README, 2025-01-09.
std::string guess_dump(std::string_view line) {
  const auto commas = std::ranges::count(line, ',');
  return commas == 7 ? "an aggTrades dump" : commas == 11 ? "a klines dump" : "";
}

/// `name` is that of a file, or of the member in a zip called `path`.
Status check_dump_name(const std::string& path, const std::string& name, const std::string& symbol) {
  const auto said = dump_name(name);
  if (!said) return {};
  const std::string who = path + (name == path ? ": its name" : ": its member's name, " + name + ",");
  if (said->kind != "trades")
    return make_error(ErrorKind::kInvalidInput, who + " says " + said->kind + ": only the trades themselves are loaded, " + said->symbol +
                                                    "-trades-... (--any-name reads it as trades all the same)");
  if (said->symbol != symbol)
    return make_error(ErrorKind::kInvalidInput, who + " says " + said->symbol + ", to be loaded as " + symbol + " (--any-name does so)");
  return {};
}

/// Which symbol a file's rows are of.
Result<std::string> symbol_of(const std::string& path, const DumpSymbol& whose) {
  std::string symbol = whose.symbol;
  if (const auto said = dump_name(path); symbol.empty() && said && !whose.any_name) symbol = said->symbol;
  if (symbol.empty())
    return make_error(ErrorKind::kInvalidInput,
                      path + ": whose trades are these? " +
                          (whose.any_name ? "--any-name needs --symbol"
                                          : "Its name does not say it, as BTCUSDT-trades-2021-01-08.zip does: --symbol tells"));
  if (!whose.any_name) K2_RETURN_IF_ERROR(check_dump_name(path, path, symbol));
  return symbol;
}

}  // namespace

Status examine(const LoadFile& file) {
  K2_TRY(LineFile lines, LineFile::open(file.path));
  if (file.check_member && !lines.member_name().empty()) K2_RETURN_IF_ERROR(file.check_member(lines.member_name()));
  K2_TRY(const std::unique_ptr<RowReader> reader, file.open_reader());
  int64_t rows = 0;
  std::string first_bad;
  std::string guess;
  while (rows < kExaminedRows) {
    K2_TRY(const auto line, lines.next());
    if (!line) break;
    if (line->text.empty() || (line->number == 1 && reader->is_header(line->text))) continue;
    const Status parsed = reader->parse(line->text, {});
    if (parsed) return {};
    if (parsed.error().kind != ErrorKind::kInvalidInput) return std::unexpected(parsed.error().with_context(file.path));
    if (rows++ > 0) continue;
    first_bad = "line " + std::to_string(line->number) + ": " + parsed.error().message;
    if (file.guess) guess = file.guess(line->text);
  }
  if (rows == 0) return {};
  return make_error(ErrorKind::kInvalidInput, file.path + ": this does not look like " + file.looks + ": of its first " +
                                                  with_commas(rows) + (rows == 1 ? " row" : " rows") + " none can be read, " + first_bad +
                                                  (guess.empty() ? "" : "; it looks like " + guess));
}

Status Loader::load(const LoadFile& file) {
  const Ingest::Counts before = ingest_.counts();
  bad_in_file_ = 0;
  const Status read = read_rows(file);
  const Status flushed = ingest_.flush();
  progress_.finish();
  settle(before);
  if (!read) return read;  // the nearer cause
  return flushed;
}

void Loader::settle(const Ingest::Counts& before) {
  const Ingest::Counts after = ingest_.counts();
  ++report_.files;
  report_.added += after.events_appended - before.events_appended;
  report_.there += after.events_duplicate - before.events_duplicate;
  report_.bad_there += after.dead_letters_duplicate - before.dead_letters_duplicate;
}

Status Loader::read_rows(const LoadFile& file) {
  K2_TRY(LineFile lines, LineFile::open(file.path));
  K2_TRY(const std::unique_ptr<RowReader> reader, file.open_reader());
  progress_.start(base_name(file.path), lines.bytes_total());
  int64_t rows = 0;
  while (true) {
    auto next = lines.next();
    if (!next) return std::unexpected(next.error().with_context(file.path));
    if (!*next) break;
    const LineFile::Line& line = **next;
    if (line.text.empty() || (line.number == 1 && reader->is_header(line.text))) continue;
    if (++rows % kUpdateRows == 0) {
      progress_.update(lines.bytes_read(), rows);
      if (stop_.stop_requested()) return make_error(ErrorKind::kCancelled, file.path + ": stopped at line " + std::to_string(line.number));
    }
    ++report_.rows;
    Status parsed = reader->parse(line.text, system_clock().now());
    if (parsed && line.too_long)
      parsed = make_error(ErrorKind::kInvalidInput, "line is longer than " + std::to_string(LineFile::kLineBytesMax) + " bytes");
    if (parsed) {
      K2_RETURN_IF_ERROR(reader->put(ingest_));
    } else if (parsed.error().kind == ErrorKind::kInvalidInput) {
      K2_RETURN_IF_ERROR(take_bad_row(file, line.number, line.text, parsed.error().message));
    } else {
      return std::unexpected(parsed.error().with_context(file.path + ":" + std::to_string(line.number)));
    }
  }
  if (rows == 0) report_.notes.push_back(file.path + ": has no rows");
  return {};
}

Status Loader::take_bad_row(const LoadFile& file, int64_t line_number, std::string_view line, const std::string& reason) {
  const std::string place = file.kind + "/" + base_name(file.path) + ":" + std::to_string(line_number);
  const std::string shown = file.path + ":" + std::to_string(line_number) + ": " + reason;
  ++report_.bad_rows;
  if (report_.first_bad.size() < LoadReport::kFirstBadMax) report_.first_bad.push_back(shown);
  const DeadLetter letter{place, reason, std::string(line), system_clock().now()};
  const DeadLetterIdentity identity{"dead_letter/" + file.kind + "/" + base_name(file.path), dead_letter_hash(line_number, line), true};
  K2_RETURN_IF_ERROR(ingest_.put(letter, identity));
  if (++bad_in_file_ < options_.bad_rows_max) return {};
  return make_error(ErrorKind::kInvalidInput, file.path + ": this does not look like " + file.looks + ": " + with_commas(bad_in_file_) +
                                                  " rows could not be read, the last: line " + std::to_string(line_number) + ": " + reason +
                                                  " (--max-bad-rows sets the limit)");
}

Result<std::vector<LoadFile>> asx_files(const std::string& reference, const std::vector<std::string>& trades,
                                        const std::vector<std::string>& quotes) {
  K2_TRY(const std::string text, read_text(reference));
  auto companies = AsxReference::parse(text);
  if (!companies) return std::unexpected(companies.error().with_context(reference));
  std::vector<LoadFile> files;
  const auto add = [&](const std::string& path, Channel channel) -> Status {
    const std::string_view id = asx_company_id(path);
    const AsxCompany* company = companies->find(id);
    if (std::error_code error; company == nullptr && !std::filesystem::exists(path, error))
      return make_error(ErrorKind::kNotFound, path + ": no such file");
    if (company == nullptr)
      return make_error(ErrorKind::kInvalidInput, path + ": the file's name says company id \"" + std::string(id) + "\", which " +
                                                      reference + " does not have (it has " +
                                                      with_commas(static_cast<int64_t>(companies->size())) + " companies)");
    files.push_back(channel == Channel::kTrades ? asx_file<AsxTradeParser, Trade>(path, "trades", *company)
                                                : asx_file<AsxQuoteParser, Quote>(path, "quotes", *company));
    return {};
  };
  for (const std::string& path : trades) K2_RETURN_IF_ERROR(add(path, Channel::kTrades));
  for (const std::string& path : quotes) K2_RETURN_IF_ERROR(add(path, Channel::kQuotes));
  return files;
}

Result<std::vector<LoadFile>> binance_files(const std::vector<std::string>& paths, const DumpSymbol& whose,
                                            const InstrumentTable& instruments) {
  std::vector<LoadFile> files;
  for (const std::string& path : paths) {
    K2_TRY(const std::string symbol, symbol_of(path, whose));
    const auto parser = BinanceCsvParser::make(symbol, instruments);
    if (!parser)
      return make_error(ErrorKind::kInvalidInput, parser.error().message + ": add it to k2.toml as [instruments] " + symbol +
                                                      " = \"BASE/QUOTE\", or run k2 feed binance once with the venue in reach");
    LoadFile file;
    file.path = path;
    file.kind = "binance/trades";
    file.looks = "a Binance trades dump";
    file.open_reader = [parser = *parser]() -> Result<std::unique_ptr<RowReader>> {
      return std::make_unique<ParserReader<BinanceCsvParser, Trade>>(parser);
    };
    if (!whose.any_name) file.check_member = [path, symbol](const std::string& name) { return check_dump_name(path, name, symbol); };
    file.guess = guess_dump;
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace k2
