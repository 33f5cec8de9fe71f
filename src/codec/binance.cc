#include "codec/binance.h"

#define SIMDJSON_EXCEPTIONS 0  // an error that is not looked at then does not compile
#include <simdjson.h>

#include <array>
#include <bit>
#include <functional>
#include <unordered_map>
#include <vector>

#include "codec/fields.h"
#include "market/message_id.h"
#include "net/url.h"

namespace k2 {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr size_t kDepthMax = 64;

std::unexpected<Error> refuse(std::string message) { return make_error(ErrorKind::kInvalidInput, "binance frame: " + std::move(message)); }
std::unexpected<Error> refuse_json(simdjson::error_code code) {
  return refuse(std::string("not readable as JSON: ") + simdjson::error_message(code));
}

// ---- Scanning: an event's fields, which all have names of one letter -----------------------------------------------------------------

struct Token {
  enum class Type : uint8_t { kString, kNumber, kBool, kNull, kContainer };
  Type type = Type::kNull;
  bool boolean = false;
  std::string_view text;  // a string's content, a number's spelling; lives until the next frame
};

constexpr int kLetters = 52;

constexpr int letter_index(char letter) {
  if (letter >= 'a' && letter <= 'z') return letter - 'a';
  if (letter >= 'A' && letter <= 'Z') return letter - 'A' + 26;
  return -1;
}

constexpr uint64_t letters(std::string_view names) {
  uint64_t mask = 0;
  for (const char letter : names) mask |= uint64_t{1} << letter_index(letter);
  return mask;
}

struct Fields {
  uint64_t seen = 0;    // bit per letter
  bool others = false;  // there are fields with longer names
  std::array<Token, kLetters> tokens;

  [[nodiscard]] bool has(std::string_view names) const { return (seen & letters(names)) == letters(names); }
  [[nodiscard]] const Token& at(char letter) const { return tokens[static_cast<size_t>(letter_index(letter))]; }
};

// A whole frame as scanned: the event's fields, taken out of the combined stream's wrapping where there is one.
struct Scanned {
  Fields outer;
  Fields inner;
  bool has_data = false;         // "data" is there
  bool data_is_object = false;
  bool has_stream = false;
  bool has_id = false;           // "id" is there: a reply to a request
  bool has_foreign = false;      // fields beyond those: what they hold has not been looked at
  std::string_view stream;

  void clear() {
    outer.seen = inner.seen = 0;
    outer.others = inner.others = has_data = data_is_object = has_stream = has_id = has_foreign = false;
    stream = {};
  }
  [[nodiscard]] const Fields& event() const { return has_data ? inner : outer; }
};

std::string_view trim_right(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

// `raw` is the token as simdjson's first stage delimits it: strings are closed and UTF-8, nothing else has been checked.
// References, because a copied simdjson value costs a stalled store (measured: a third of all scanning).
bool read_token(ondemand::value& value, Token& token) {
  const std::string_view raw = trim_right(value.raw_json_token());
  switch (raw.front()) {
    case '"':
      token.type = Token::Type::kString;
      token.text = raw.substr(1, raw.size() - 2);
      if (token.text.find('\\') == std::string_view::npos) [[likely]]
        return raw.size() >= 2 && raw.back() == '"';
      return value.get_string().get(token.text) == simdjson::SUCCESS;
    case 't':
    case 'f':
      token.type = Token::Type::kBool;
      token.boolean = raw.front() == 't';
      return raw == (token.boolean ? "true" : "false");
    case 'n': token.type = Token::Type::kNull; return raw == "null";
    case '{':
    case '[': token.type = Token::Type::kContainer; return true;
    default:  // whoever reads the number checks its spelling
      token.type = Token::Type::kNumber;
      token.text = raw;
      return true;
  }
}

bool key_is(const char* raw_key, std::string_view name) {
  // raw_key points into padded memory and ends with a quote, so this cannot run past it.
  return std::memcmp(raw_key, name.data(), name.size()) == 0 && raw_key[name.size()] == '"';
}

enum class Letter : uint8_t { kTaken, kNoLetter, kRepeated, kUnreadable };

// Takes a field whose name is one letter.
Letter scan_letter(const char* raw_key, ondemand::value& value, Fields& fields) {
  const int index = letter_index(raw_key[0]);
  if (index < 0 || raw_key[1] != '"') return Letter::kNoLetter;
  const uint64_t bit = uint64_t{1} << index;
  if (fields.seen & bit) return Letter::kRepeated;
  fields.seen |= bit;
  return read_token(value, fields.tokens[static_cast<size_t>(index)]) ? Letter::kTaken : Letter::kUnreadable;
}

std::unexpected<Error> refuse_letter(const char* raw_key, Letter why) {
  return refuse(std::string("field ") + raw_key[0] + (why == Letter::kRepeated ? " occurs twice" : " is not readable as JSON"));
}

Status scan_event(ondemand::object object, Fields& fields) {
  for (auto field : object) {
    if (field.error()) return refuse_json(field.error());
    const char* const raw_key = field.key().value_unsafe().raw();
    const Letter letter = scan_letter(raw_key, field.value_unsafe().value(), fields);
    if (letter == Letter::kNoLetter) fields.others = true;
    else if (letter != Letter::kTaken) return refuse_letter(raw_key, letter);
  }
  return {};
}

Status scan_data(ondemand::value& value, Scanned& scanned) {
  if (scanned.has_data) return refuse("field data occurs twice");
  scanned.has_data = true;
  ondemand::json_type type;
  if (const auto error = value.type().get(type)) return refuse_json(error);
  scanned.data_is_object = type == ondemand::json_type::object;
  if (!scanned.data_is_object) {
    scanned.has_foreign = true;
    return {};
  }
  ondemand::object object;
  if (const auto error = value.get_object().get(object)) return refuse_json(error);
  return scan_event(object, scanned.inner);
}

Status scan_frame(ondemand::object object, Scanned& scanned) {
  for (auto field : object) {
    if (field.error()) return refuse_json(field.error());
    const char* const raw_key = field.key().value_unsafe().raw();
    if (key_is(raw_key, "stream")) {
      if (scanned.has_stream) return refuse("field stream occurs twice");
      scanned.has_stream = true;
      Token token;
      if (!read_token(field.value_unsafe().value(), token) || token.type != Token::Type::kString)
        return refuse("field stream is not a string");
      scanned.stream = token.text;
    } else if (key_is(raw_key, "data")) {
      K2_RETURN_IF_ERROR(scan_data(field.value_unsafe().value(), scanned));
    } else {
      const Letter letter = scan_letter(raw_key, field.value_unsafe().value(), scanned.outer);
      if (letter == Letter::kTaken) continue;
      if (letter != Letter::kNoLetter) return refuse_letter(raw_key, letter);
      if (key_is(raw_key, "id")) scanned.has_id = true;
      scanned.has_foreign = true;
    }
  }
  return {};
}

// ---- Events ---------------------------------------------------------------------------------------------------------------------------

// Reads typed fields; the first one that is wrong is remembered, and `error` made from it.
class FieldReader {
 public:
  FieldReader(const char* what, const Fields& fields) : what_(what), fields_(fields) {}

  std::string_view text(char letter) {
    const Token* token = find(letter, Token::Type::kString, "a string");
    return token == nullptr ? std::string_view() : token->text;
  }

  bool boolean(char letter) {
    const Token* token = find(letter, Token::Type::kBool, "true or false");
    return token != nullptr && token->boolean;
  }

  // The spelling of an integer, which `value` receives.
  std::string_view integer(char letter, int64_t& value) {
    const Token* token = find(letter, Token::Type::kNumber, "a number");
    if (token == nullptr) return {};
    if (!parse_integer(token->text, value)) fail(letter, shown(token->text) + " is not an integer of 64 bits");
    return token->text;
  }

  int64_t sequence(char letter) {
    int64_t value = 0;
    integer(letter, value);
    check_sequence(letter, value);
    return value;
  }

  std::string_view sequence_text(char letter, int64_t& value) {
    const std::string_view text = integer(letter, value);
    check_sequence(letter, value);
    return text;
  }

  TimestampUs time(char letter) {
    int64_t value = 0;
    TimestampUs ts;
    integer(letter, value);
    if (ok() && !binance_time(value, ts)) fail(letter, std::to_string(value) + " is not a time");
    return ts;
  }

  Decimal18_8 decimal(char letter) {
    Decimal18_8 value;
    const std::string_view digits = text(letter);
    if (ok() && !parse_unsigned_decimal(digits, value)) fail(letter, decimal_refusal(digits));
    return value;
  }

  // An order id of the old trade frames: present or not, but an integer.
  void unused_integer_if_seen(char letter) {
    int64_t value = 0;
    if (fields_.has({&letter, 1})) integer(letter, value);
  }

  [[nodiscard]] bool ok() const { return why_.empty(); }
  [[nodiscard]] std::unexpected<Error> error() const { return refuse_field(what_, {&letter_, 1}, why_); }

 private:
  const Token* find(char letter, Token::Type type, const char* type_name) {
    if (!fields_.has({&letter, 1})) [[unlikely]] {
      fail(letter, "is missing");
      return nullptr;
    }
    const Token& token = fields_.at(letter);
    if (token.type != type) [[unlikely]] {
      fail(letter, std::string("is not ") + type_name);
      return nullptr;
    }
    return &token;
  }

  void check_sequence(char letter, int64_t value) {
    if (ok() && (value < 0 || value > kSequenceMax)) fail(letter, std::to_string(value) + " is not in 0..2^62-1");
  }

  void fail(char letter, std::string why) {
    if (!ok()) return;
    letter_ = letter;
    why_ = std::move(why);
  }

  const char* what_;
  const Fields& fields_;
  char letter_ = '?';
  std::string why_;
};

// What is worked out once per symbol.
struct SymbolEntry {
  std::string currency;
  MessageIdMaker trade_ids;
  MessageIdMaker quote_ids;
};

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

// Fields that each event may have: for others the JSON has to be checked as a whole, since scanning does not look into them.
constexpr uint64_t kTradeLetters = letters("eEstpqbaTmM");
constexpr uint64_t kAggTradeLetters = letters("eEsapqflTmM");
constexpr uint64_t kQuoteLetters = letters("usbBaA");

}  // namespace

struct BinanceParser::Impl {
  std::shared_ptr<const InstrumentTable> instruments;
  std::string exchange;
  std::unordered_map<std::string, SymbolEntry, StringHash, std::equal_to<>> symbols;  // only those in `instruments`
  ondemand::parser parser;
  simdjson::dom::parser checker;
  std::vector<char> buffer;  // the frame, with simdjson's padding behind it
  size_t frame_bytes = 0;
  Scanned scanned;

  void take(std::string_view frame) {
    frame_bytes = frame.size();
    if (buffer.size() < frame.size() + simdjson::SIMDJSON_PADDING) buffer.resize((frame.size() + simdjson::SIMDJSON_PADDING) * 2);
    std::memcpy(buffer.data(), frame.data(), frame.size());
    // What lies behind the frame must not be a former, longer frame's bytes: comparisons of keys may look at them.
    std::memset(buffer.data() + frame.size(), 0, simdjson::SIMDJSON_PADDING);
  }

  // Parses everything, for frames of which something was not looked at.
  Result<simdjson::dom::element> check_whole() {
    if (const auto error = checker.allocate(frame_bytes, kDepthMax)) return refuse_json(error);
    simdjson::dom::element root;
    if (const auto error = checker.parse(buffer.data(), frame_bytes, /*realloc_if_needed=*/false).get(root)) return refuse_json(error);
    return root;
  }

  Status check_foreign(uint64_t known) {
    const Fields& event = scanned.event();
    const bool foreign = scanned.has_foreign || event.others || (event.seen & ~known) != 0 || (scanned.has_data && scanned.outer.seen != 0);
    if (!foreign) [[likely]]
      return {};
    K2_RETURN_IF_ERROR(check_whole());
    return {};
  }

  Result<const SymbolEntry*> symbol_entry(const char* what, std::string_view symbol) {
    if (const auto known = symbols.find(symbol); known != symbols.end()) [[likely]]
      return &known->second;
    const Instrument* instrument = instruments->find(symbol);
    if (instrument == nullptr)
      return make_error(ErrorKind::kInvalidInput, std::string(what) + ": currency of " + std::string(symbol) + " unknown");
    SymbolEntry entry{instrument->quote_currency, MessageIdMaker(exchange, symbol, channel_name(Channel::kTrades)),
                      MessageIdMaker(exchange, symbol, channel_name(Channel::kQuotes))};
    return &symbols.emplace(std::string(symbol), std::move(entry)).first->second;
  }

  Status scan(std::string_view frame) {
    if (frame.size() > kFrameBytesMax)
      return refuse("has " + std::to_string(frame.size()) + " bytes, more than " + std::to_string(kFrameBytesMax));
    take(frame);
    scanned.clear();
    ondemand::document document;
    if (const auto error = parser.iterate(buffer.data(), frame_bytes, buffer.size()).get(document)) return refuse_json(error);
    ondemand::json_type type;
    if (const auto error = document.type().get(type)) return refuse_json(error);
    if (type == ondemand::json_type::array) {
      // Some streams of all symbols send arrays; nothing here reads them.
      scanned.has_foreign = true;
      return {};
    }
    ondemand::object object;
    if (type != ondemand::json_type::object || document.get_object().get(object)) return refuse("is neither a JSON object nor an array");
    K2_RETURN_IF_ERROR(scan_frame(object, scanned));
    // At the end of the document there is no current location.
    if (document.current_location().error() == simdjson::SUCCESS) return refuse("has bytes behind the JSON object");
    return {};
  }

  Status read_trade(TimestampUs received, BinanceFrame& out) {
    constexpr const char* kWhat = "binance trade";
    const Fields& fields = scanned.event();
    FieldReader reader(kWhat, fields);
    Trade& trade = out.trade;
    int64_t id = 0;
    const std::string_view symbol = reader.text('s');
    const std::string_view id_text = reader.sequence_text('t', id);
    trade.price = reader.decimal('p');
    trade.quantity = reader.decimal('q');
    trade.timestamp = reader.time('T');
    const bool is_buyer_maker = reader.boolean('m');
    const bool has_best_match = fields.has("M");
    const bool is_best_match = has_best_match && reader.boolean('M');
    reader.unused_integer_if_seen('b');
    reader.unused_integer_if_seen('a');
    out.event_time = fields.has("E") ? reader.time('E') : TimestampUs{};
    if (!reader.ok()) return reader.error();
    K2_RETURN_IF_ERROR(check_foreign(kTradeLetters));
    K2_TRY(const SymbolEntry* entry, symbol_entry(kWhat, symbol));

    trade.message_id = entry->trade_ids.make(id);
    trade.trade_id.assign(id_text);
    trade.symbol.assign(symbol);
    trade.exchange.assign(exchange);
    trade.asset_class = AssetClass::kCrypto;
    trade.currency.assign(entry->currency);
    trade.side = is_buyer_maker ? Side::kSell : Side::kBuy;  // the maker bought, so the aggressor sold
    trade.trade_conditions.clear();
    trade.source_sequence = id;
    trade.ingestion_timestamp = received;
    set_binance_vendor_data(is_buyer_maker, has_best_match ? &is_best_match : nullptr, trade.vendor_data);
    out.kind = BinanceFrame::Kind::kTrade;
    return {};
  }

  Status read_agg_trade(BinanceFrame& out) {
    const Fields& fields = scanned.event();
    FieldReader reader("binance aggTrade", fields);
    BinanceAggTrade& trade = out.agg_trade;
    trade.symbol.assign(reader.text('s'));
    trade.agg_trade_id = reader.sequence('a');
    trade.first_trade_id = reader.sequence('f');
    trade.last_trade_id = reader.sequence('l');
    trade.timestamp = reader.time('T');
    trade.price = reader.decimal('p');
    trade.quantity = reader.decimal('q');
    trade.side = reader.boolean('m') ? Side::kSell : Side::kBuy;
    if (fields.has("M")) reader.boolean('M');
    out.event_time = fields.has("E") ? reader.time('E') : TimestampUs{};
    if (!reader.ok()) return reader.error();
    if (trade.last_trade_id < trade.first_trade_id)
      return refuse_field(
          "binance aggTrade", "l",
          "last trade id " + std::to_string(trade.last_trade_id) + " is below the first, " + std::to_string(trade.first_trade_id));
    K2_RETURN_IF_ERROR(check_foreign(kAggTradeLetters));
    out.kind = BinanceFrame::Kind::kAggTrade;
    return {};
  }

  Status read_quote(TimestampUs received, BinanceFrame& out) {
    constexpr const char* kWhat = "binance bookTicker";
    FieldReader reader(kWhat, scanned.event());
    Quote& quote = out.quote;
    int64_t id = 0;
    const std::string_view symbol = reader.text('s');
    const std::string_view id_text = reader.sequence_text('u', id);
    quote.bid_price = reader.decimal('b');
    quote.bid_quantity = reader.decimal('B');
    quote.ask_price = reader.decimal('a');
    quote.ask_quantity = reader.decimal('A');
    if (!reader.ok()) return reader.error();
    K2_RETURN_IF_ERROR(check_foreign(kQuoteLetters));
    K2_TRY(const SymbolEntry* entry, symbol_entry(kWhat, symbol));

    quote.message_id = entry->quote_ids.make(id);
    quote.quote_id.assign(id_text);
    quote.symbol.assign(symbol);
    quote.exchange.assign(exchange);
    quote.asset_class = AssetClass::kCrypto;
    quote.timestamp = received;
    quote.currency.assign(entry->currency);
    quote.source_sequence = id;
    quote.ingestion_timestamp = received;
    quote.vendor_data.reset();
    out.event_time = {};
    out.kind = BinanceFrame::Kind::kQuote;
    return {};
  }

  // Rare, so read from the whole document.
  Status read_reply(BinanceFrame& out) {
    K2_TRY(const simdjson::dom::element root, check_whole());
    BinanceReply& reply = out.reply;
    reply = {};
    simdjson::dom::element id;
    if (root["id"].get(id) != simdjson::SUCCESS) return refuse("a reply without an id");
    if (std::string_view text; id.get_string().get(text) == simdjson::SUCCESS) reply.id = text;
    else if (id.is_int64()) reply.id = std::to_string(id.get_int64().value_unsafe());
    else if (!id.is_null()) return refuse("the id of a reply is neither a string, an integer nor null");

    simdjson::dom::element error = root;  // {"code","msg","id"}, or the same two inside "error"
    if (simdjson::dom::element nested; root["error"].get(nested) == simdjson::SUCCESS) error = nested;
    if (error["code"].get_int64().get(reply.error_code) == simdjson::SUCCESS) {
      reply.is_error = true;
      if (std::string_view text; error["msg"].get_string().get(text) == simdjson::SUCCESS) reply.text = text;
    } else if (simdjson::dom::element result; root["result"].get(result) == simdjson::SUCCESS) {
      reply.text = simdjson::minify(result);
    } else {
      return refuse("a reply has neither a result nor an error code");
    }
    out.event_time = {};
    out.kind = BinanceFrame::Kind::kReply;
    return {};
  }

  Status read_other(std::string_view kind, BinanceFrame& out) {
    K2_RETURN_IF_ERROR(check_whole());
    // Counted among the others it would be gone in silence, and it may have been meant as a trade.
    if (scanned.stream.ends_with("@trade")) return refuse("a frame of the stream " + std::string(scanned.stream) + " that is no trade");
    out.event_time = {};
    out.other_kind.assign(kind);
    out.kind = kind == "serverShutdown" ? BinanceFrame::Kind::kServerShutdown : BinanceFrame::Kind::kOther;
    return {};
  }

  Status parse(std::string_view frame, TimestampUs received, BinanceFrame& out) {
    K2_RETURN_IF_ERROR(scan(frame));
    const Fields& event = scanned.event();
    if (event.has("e")) {
      const Token& type = event.at('e');
      if (type.type != Token::Type::kString) return refuse("field e is not a string");
      if (type.text == "trade") return read_trade(received, out);
      if (type.text == "aggTrade") return read_agg_trade(out);
      return read_other(type.text, out);
    }
    // Best bid and ask come without an event type; a partial book ("bids", "asks") has none of these fields.
    if (event.has("usbBaA")) return read_quote(received, out);
    if (!scanned.has_data && scanned.has_id) return read_reply(out);
    return read_other(scanned.stream, out);
  }
};

BinanceParser::BinanceParser(std::shared_ptr<const InstrumentTable> instruments, std::string_view exchange)
    : impl_(std::make_unique<Impl>()) {
  impl_->instruments = std::move(instruments);
  impl_->exchange = exchange;
}
BinanceParser::~BinanceParser() = default;

void BinanceParser::set_instruments(std::shared_ptr<const InstrumentTable> instruments) {
  impl_->symbols.clear();
  impl_->instruments = std::move(instruments);
}

Status BinanceParser::parse(std::string_view frame, TimestampUs received, BinanceFrame& out) { return impl_->parse(frame, received, out); }

std::string_view binance_exchange_of_url(std::string_view url) {
  const auto parsed = parse_url(url);
  return binance_exchange_of_host(parsed ? parsed->host : "");
}

}  // namespace k2
