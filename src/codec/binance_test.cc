#include "codec/binance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "codec/binance_csv.h"
#include "codec/binance_info.h"
#include "codec/test_data.h"

namespace k2 {
namespace {

using testing::HasSubstr;
using Kind = BinanceFrame::Kind;

constexpr TimestampUs kReceived{1'700'000'000'000'000};

Result<BinanceFrame> parsed(std::string_view text) {
  BinanceParser parser(test::default_instruments());
  BinanceFrame frame;
  K2_RETURN_IF_ERROR(parser.parse(text, kReceived, frame));
  return frame;
}
std::string refusal(std::string_view text) {
  const auto frame = parsed(text);
  EXPECT_FALSE(frame) << text;
  if (frame) return "";
  EXPECT_EQ(frame.error().kind, ErrorKind::kInvalidInput);
  return frame.error().message;
}

constexpr std::string_view kTradeFrame =
    R"({"e":"trade","E":1610064000280,"s":"BTCUSDT","t":553287559,"p":"39432.48000000","q":"0.00026300","T":1610064000278,"m":true,"M":true})";
constexpr std::string_view kOldTradeFrame =
    R"({"stream":"btcusdt@trade","data":{"e":"trade","E":1610064000280,"s":"BTCUSDT","t":553287559,"p":"39432.48000000","q":"0.00026300","b":4459852311,"a":4459852337,"T":1610064000278,"m":true,"M":true}})";

std::string with(std::string_view from, std::string_view to) {
  std::string frame(kTradeFrame);
  const size_t at = frame.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return frame.replace(at, from.size(), to);
}

TEST(Binance, TheSameIdOfBinanceUsIsAnotherTrade) {
  BinanceParser parser(test::default_instruments(), binance_exchange_of_host("stream.binance.us"));
  BinanceFrame frame;
  ASSERT_TRUE(parser.parse(kTradeFrame, kReceived, frame));
  EXPECT_EQ(frame.trade.exchange, "binance_us");
  EXPECT_EQ(frame.trade.message_id, MessageIdMaker("binance_us", "BTCUSDT", "trades").make(553287559));
  EXPECT_NE(frame.trade.message_id, parsed(kTradeFrame)->trade.message_id);
}

TEST(Binance, OnlyHostsOfBinanceUsAreBinanceUs) {
  EXPECT_EQ(binance_exchange_of_host("stream.binance.com"), "binance");
  EXPECT_EQ(binance_exchange_of_host("data-stream.binance.vision"), "binance");
  EXPECT_EQ(binance_exchange_of_host("127.0.0.1"), "binance");
  EXPECT_EQ(binance_exchange_of_host("notbinance.us"), "binance");
  EXPECT_EQ(binance_exchange_of_host("api.binance.us"), "binance_us");
  EXPECT_EQ(binance_exchange_of_url("wss://stream.binance.us:9443/stream?streams=a"), "binance_us");
  EXPECT_EQ(binance_exchange_of_url("stream.binance.us"), "binance");  // no URL
}

TEST(Binance, ATradeFrameIsATrade) {
  const BinanceFrame frame = parsed(kTradeFrame).value();
  ASSERT_EQ(frame.kind, Kind::kTrade);
  EXPECT_EQ(frame.event_time, TimestampUs{1610064000280000});
  const Trade want{.message_id = MessageIdMaker("binance", "BTCUSDT", "trades").make(553287559),
                   .trade_id = "553287559",
                   .symbol = "BTCUSDT",
                   .exchange = "binance",
                   .asset_class = AssetClass::kCrypto,
                   .timestamp = {1610064000278000},
                   .price = Decimal18_8::parse("39432.48").value(),
                   .quantity = Decimal18_8::parse("0.000263").value(),
                   .currency = "USDT",
                   .side = Side::kSell,
                   .trade_conditions = {},
                   .source_sequence = 553287559,
                   .ingestion_timestamp = kReceived,
                   .vendor_data = VendorData{{"is_best_match", "true"}, {"is_buyer_maker", "true"}}};
  EXPECT_EQ(frame.trade, want);
}

TEST(Binance, OldAndNewRawAndCombinedFramesAndDumpRowsGiveTheSameTrade) {
  const Trade trade = parsed(kTradeFrame)->trade;
  EXPECT_EQ(parsed(kOldTradeFrame)->trade, trade);
  EXPECT_EQ(parsed(R"({"data":)" + std::string(kTradeFrame) + R"(,"stream":"btcusdt@trade"})")->trade, trade);
  EXPECT_EQ(parsed(" \n" + std::string(kTradeFrame) + " \n")->trade, trade);
  const auto dump = BinanceCsvParser::make("BTCUSDT", *test::default_instruments());
  Trade row;
  ASSERT_TRUE(dump->parse("553287559,39432.48000000,0.00026300,10.37074224,1610064000278,True,True", kReceived, row));
  EXPECT_EQ(row, trade);
}

TEST(Binance, MicrosecondsAreToldByMagnitude) {
  EXPECT_EQ(parsed(with(R"("T":1610064000278)", R"("T":1610064000278123)"))->trade.timestamp, TimestampUs{1610064000278123});
  EXPECT_EQ(parsed(with(R"("T":1610064000278)", R"("T":99999999999999)"))->trade.timestamp, TimestampUs{99'999'999'999'999'000});
  EXPECT_EQ(parsed(with(R"("T":1610064000278)", R"("T":100000000000000)"))->trade.timestamp, TimestampUs{100'000'000'000'000});
}

TEST(Binance, TheBuyerTookWhereTheSellerWasMaker) {
  const Trade trade = parsed(with(R"("m":true)", R"("m":false)"))->trade;
  EXPECT_EQ(trade.side, Side::kBuy);
  EXPECT_EQ(trade.vendor_data, (VendorData{{"is_best_match", "true"}, {"is_buyer_maker", "false"}}));
  EXPECT_EQ(parsed(with(R"(,"M":true)", ""))->trade.vendor_data, (VendorData{{"is_buyer_maker", "true"}}));
}

TEST(Binance, AFrameThatIsUsedAgainKeepsNothing) {
  BinanceParser parser(test::default_instruments());
  BinanceFrame frame;
  ASSERT_TRUE(parser.parse(kOldTradeFrame, kReceived, frame));
  ASSERT_TRUE(parser.parse(with(R"(,"M":true)", ""), kReceived, frame));
  EXPECT_EQ(frame.trade, parsed(with(R"(,"M":true)", ""))->trade);
}

TEST(Binance, UnknownFieldsAreIgnoredIfTheyAreJson) {
  const Trade trade = parsed(kTradeFrame)->trade;
  for (const char* more : {R"(,"x":1})", R"(,"zzz":{"a":[1,2,{"b":null}]}})", R"(,"X":"MARKET"})", R"(,"\u0065":1})"})
    EXPECT_EQ(parsed(std::string(kTradeFrame.substr(0, kTradeFrame.size() - 1)) + more)->trade, trade) << more;
  for (const char* more : {R"(,"x":blah})", R"(,"zzz":{"a":[1,2}})", R"(,"x":01})", R"(,"zzz":1.2.3})"})
    refusal(std::string(kTradeFrame.substr(0, kTradeFrame.size() - 1)) + more);
}

TEST(Binance, AnUnknownSymbolsCurrencyIsNeverGuessed) {
  EXPECT_THAT(refusal(with("BTCUSDT", "BTCUSDC")), HasSubstr("currency of BTCUSDC unknown"));
  BinanceParser parser(test::default_instruments());
  BinanceFrame frame;
  EXPECT_FALSE(parser.parse(with("BTCUSDT", "BTCEUR"), kReceived, frame));
  InstrumentTable table;
  ASSERT_TRUE(table.set({"BTCEUR", "BTC", "EUR", ""}));
  parser.set_instruments(std::make_shared<const InstrumentTable>(table));
  ASSERT_TRUE(parser.parse(with("BTCUSDT", "BTCEUR"), kReceived, frame));
  EXPECT_EQ(frame.trade.currency, "EUR");
  EXPECT_FALSE(parser.parse(kTradeFrame, kReceived, frame));
}

TEST(Binance, SymbolsMayBeAnyUtf8) {
  InstrumentTable table;
  ASSERT_TRUE(table.set({"１２３４５６", "X", "USDT", ""}));
  BinanceParser parser(std::make_shared<const InstrumentTable>(table));
  BinanceFrame frame;
  ASSERT_TRUE(parser.parse(with("BTCUSDT", "１２３４５６"), kReceived, frame));
  EXPECT_EQ(frame.trade.symbol, "１２３４５６");
  ASSERT_TRUE(parser.parse(with("BTCUSDT", R"(\uff11\uff12\uff13\uff14\uff15\uff16)"), kReceived, frame));
  EXPECT_EQ(frame.trade.symbol, "１２３４５６");
}

TEST(Binance, MissingFieldsAreNamed) {
  for (const auto& [field, text] : std::initializer_list<std::pair<const char*, const char*>>{{"s", R"("s":"BTCUSDT",)"},
                                                                                              {"t", R"("t":553287559,)"},
                                                                                              {"p", R"("p":"39432.48000000",)"},
                                                                                              {"q", R"("q":"0.00026300",)"},
                                                                                              {"T", R"("T":1610064000278,)"},
                                                                                              {"m", R"("m":true,)"}})
    EXPECT_THAT(refusal(with(text, "")), HasSubstr(std::string("field ") + field + ": is missing"));
}

TEST(Binance, RepeatedFieldsAreRefused) {
  EXPECT_THAT(refusal(with(R"("m":true)", R"("m":true,"m":false)")), HasSubstr("field m occurs twice"));
  EXPECT_THAT(refusal(with(R"("e":"trade")", R"("e":"trade","e":"trade")")), HasSubstr("field e occurs twice"));
  EXPECT_THAT(refusal(R"({"stream":"a","stream":"b","data":{}})"), HasSubstr("occurs twice"));
  EXPECT_THAT(refusal(R"({"data":{},"data":{}})"), HasSubstr("occurs twice"));
}

TEST(Binance, MistypedFieldsAreRefused) {
  EXPECT_THAT(refusal(with(R"("BTCUSDT")", "5")), HasSubstr("field s: is not a string"));
  EXPECT_THAT(refusal(with("553287559", R"("553287559")")), HasSubstr("field t: is not a number"));
  EXPECT_THAT(refusal(with("553287559", "5.5")), HasSubstr("field t"));
  EXPECT_THAT(refusal(with("553287559", "5e3")), HasSubstr("field t"));
  EXPECT_THAT(refusal(with("553287559", "-1")), HasSubstr("field t"));
  EXPECT_THAT(refusal(with("553287559", "007")), HasSubstr("field t"));
  EXPECT_THAT(refusal(with("553287559", "4611686018427387904")), HasSubstr("field t"));
  EXPECT_TRUE(parsed(with("553287559", "4611686018427387903")));
  EXPECT_THAT(refusal(with("553287559", "99999999999999999999")), HasSubstr("field t"));
  EXPECT_THAT(refusal(with(R"("39432.48000000")", "39432.48")), HasSubstr("field p: is not a string"));
  EXPECT_THAT(refusal(with(R"("m":true)", R"("m":1)")), HasSubstr("field m"));
  EXPECT_THAT(refusal(with(R"("m":true)", R"("m":null)")), HasSubstr("field m"));
  EXPECT_THAT(refusal(with(R"("M":true)", R"("M":"true")")), HasSubstr("field M"));
  EXPECT_THAT(refusal(with(R"("T":1610064000278)", R"("T":-5)")), HasSubstr("field T"));
  EXPECT_THAT(refusal(with(R"("T":1610064000278)", R"("T":999999999999999999)")), HasSubstr("field T"));
  EXPECT_THAT(refusal(with(R"("T":1610064000278)", R"("T":[1])")), HasSubstr("field T"));
  EXPECT_THAT(refusal(with(R"("e":"trade")", R"("e":5)")), HasSubstr("field e"));
}

TEST(Binance, PricesAreExactDecimalsOrRefused) {
  const auto price = [](const char* text) { return with("39432.48000000", text); };
  EXPECT_EQ(parsed(price("9999999999.99999999"))->trade.price.units(), Decimal18_8::kUnitsMax);
  EXPECT_EQ(parsed(price("0.000000010000000"))->trade.price.units(), 1);
  EXPECT_EQ(parsed(price("0000000000039432.48"))->trade.price.to_string(), "39432.48000000");
  for (const char* text : {"", "NaN", "nan", "Infinity", "1e5", "1E-8", "-1", "+1", " 1", "1 ", "1,5", "0x10", ".", "1.2.3", "10000000000",
                           "0.000000001", "\\u0000"})
    EXPECT_THAT(refusal(price(text)), HasSubstr("field p")) << text;
}

TEST(Binance, BytesThatAreNoFrameAreRefused) {
  for (const std::string_view text :
       {std::string_view(""), std::string_view(" "), std::string_view("null"), std::string_view("5"), std::string_view("\"x\""),
        std::string_view("{"), std::string_view("}"), std::string_view("[1,2"), std::string_view("{}{}"), std::string_view("{} x"),
        std::string_view("\0\1\2\3", 4), std::string_view("{\"e\":\"tra\xff\"}"), std::string_view("{\"e\" \"trade\"}"),
        std::string_view("{\"e\":\"trade\",}"), std::string_view("{e:1}"), std::string_view("{\"data\":{]}"),
        std::string_view("{\"data\":{\"e\":\"x\"}"), std::string_view("{\"data\":{\"e\":\"depthUpdate\",\"b\":[}}")})
    refusal(text);
  for (size_t length = 0; length < kOldTradeFrame.size(); ++length) refusal(kOldTradeFrame.substr(0, length));
  EXPECT_THAT(refusal(std::string(BinanceParser::kFrameBytesMax + 1, ' ')), HasSubstr("bytes"));
}

TEST(Binance, DeepNestingIsRefused) {
  for (const int depth : {100, 5'000, 400'000}) {
    const std::string nested = std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
    refusal(nested);
    refusal(R"({"e":"depthUpdate","b":)" + nested + "}");
    refusal(with(R"("m":true)", R"("m":true,"x":)" + nested));
  }
}

TEST(Binance, ABookTickerIsAQuoteAtTheTimeOfReceipt) {
  InstrumentTable table;
  ASSERT_TRUE(table.set({"OMGBUSD", "OMG", "BUSD", ""}));
  BinanceParser parser(std::make_shared<const InstrumentTable>(table));
  BinanceFrame frame;
  ASSERT_TRUE(parser.parse(
      R"({"stream":"omgbusd@bookTicker","data":{"u":77819472,"s":"OMGBUSD","b":"13.76640000","B":"30.28000000","a":"13.79520000","A":"31.57000000"}})",
      kReceived, frame));
  ASSERT_EQ(frame.kind, Kind::kQuote);
  const Quote want{.message_id = MessageIdMaker("binance", "OMGBUSD", "quotes").make(77819472),
                   .quote_id = "77819472",
                   .symbol = "OMGBUSD",
                   .exchange = "binance",
                   .asset_class = AssetClass::kCrypto,
                   .timestamp = kReceived,
                   .bid_price = Decimal18_8::parse("13.7664").value(),
                   .bid_quantity = Decimal18_8::parse("30.28").value(),
                   .ask_price = Decimal18_8::parse("13.7952").value(),
                   .ask_quantity = Decimal18_8::parse("31.57").value(),
                   .currency = "BUSD",
                   .source_sequence = 77819472,
                   .ingestion_timestamp = kReceived,
                   .vendor_data = std::nullopt};
  EXPECT_EQ(frame.quote, want);
}

TEST(Binance, AnAggregateTradeNamesItsTradeIds) {
  const BinanceFrame frame =
      parsed(
          R"({"e":"aggTrade","E":123456789,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","f":100,"l":105,"T":1610064000278,"m":true,"M":true})")
          .value();
  ASSERT_EQ(frame.kind, Kind::kAggTrade);
  EXPECT_EQ(frame.agg_trade, (BinanceAggTrade{"BNBBTC",
                                              12345,
                                              100,
                                              105,
                                              {1610064000278000},
                                              Decimal18_8::parse("0.001").value(),
                                              Decimal18_8::parse("100").value(),
                                              Side::kSell}));
  EXPECT_THAT(refusal(R"({"e":"aggTrade","E":1,"s":"X","a":1,"p":"1","q":"1","f":106,"l":105,"T":1,"m":true,"M":true})"),
              HasSubstr("below the first"));
}

TEST(Binance, RepliesCarryTheirId) {
  const auto reply = [](std::string_view text) {
    const BinanceFrame frame = parsed(text).value();
    EXPECT_EQ(frame.kind, Kind::kReply);
    return frame.reply;
  };
  EXPECT_EQ(reply(R"({"result":null,"id":1})"), (BinanceReply{"1", false, 0, "null"}));
  EXPECT_EQ(reply(R"({"result":["btcusdt@trade"],"id":"abc"})"), (BinanceReply{"abc", false, 0, R"(["btcusdt@trade"])"}));
  EXPECT_EQ(reply(R"({"code":2,"msg":"Invalid request","id":null})"), (BinanceReply{"", true, 2, "Invalid request"}));
  EXPECT_EQ(reply(R"({"error":{"code":-1003,"msg":"Too many"},"id":7})"), (BinanceReply{"7", true, -1003, "Too many"}));
  refusal(R"({"id":1})");
  refusal(R"({"result":null,"id":[1]})");
}

TEST(Binance, OtherFramesAreIgnoredWithTheirKind) {
  EXPECT_EQ(parsed(R"({"e":"serverShutdown","E":1})")->kind, Kind::kServerShutdown);
  EXPECT_EQ(parsed(R"({"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}})")->kind, Kind::kServerShutdown);
  const auto other = [](std::string_view text) {
    const BinanceFrame frame = parsed(text).value();
    EXPECT_EQ(frame.kind, Kind::kOther);
    return frame.other_kind;
  };
  EXPECT_EQ(other(R"({"stream":"x@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"X","U":1,"u":1,"b":[],"a":[["297.3","19.0"]]}})"),
            "depthUpdate");
  EXPECT_EQ(other(R"({"stream":"x@depth5","data":{"lastUpdateId":1,"bids":[],"asks":[]}})"), "x@depth5");
  EXPECT_EQ(other(R"({"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker"}]})"), "!miniTicker@arr");
  EXPECT_EQ(other("[]"), "");
  EXPECT_EQ(other("{}"), "");
}

TEST(Binance, AFrameOfATradeStreamWithoutATradeIsRefused) {
  for (const char* text :
       {R"({"stream":"btcusdt@trade"})", R"({"stream":"btcusdt@trade","data":null})", R"({"stream":"btcusdt@trade","data":{}})"})
    refusal(text);
}

TEST(Binance, TheRecordedFramesAreAllUnderstood) {
  const auto path = test::data_dir() / "binance" / "binance_us_ws_frames_2021-10-12.txt";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "recorded data is not at " << path;
  InstrumentTable table;
  for (const char* entry : {"CRVUSDT=CRV/USDT", "COMPUSDT=COMP/USDT", "OMGBUSD=OMG/BUSD", "ZRXUSDT=ZRX/USDT"})
    ASSERT_TRUE(table.set(InstrumentTable::parse_entry(entry).value()));
  BinanceParser parser(std::make_shared<const InstrumentTable>(table));
  BinanceFrame frame;
  std::map<Kind, int> kinds;
  const auto lines = test::read_lines(path);
  for (size_t i = 1; i < lines.size(); ++i) {
    const Status status = parser.parse(std::string_view(lines[i]).substr(lines[i].find(": ") + 2), kReceived, frame);
    ASSERT_TRUE(status) << i << " " << status.error().message;
    ++kinds[frame.kind];
  }
  EXPECT_EQ(kinds, (std::map<Kind, int>{{Kind::kQuote, 128}, {Kind::kAggTrade, 11}, {Kind::kOther, 341}}));
}

TEST(Binance, DamagedFramesNeverCrash) {
  std::mt19937_64 random(3);
  BinanceParser parser(test::default_instruments());
  BinanceFrame frame;
  for (int i = 0; i < 100'000; ++i) {
    std::string damaged(kOldTradeFrame);
    for (int n = 1 + static_cast<int>(random() % 4); n > 0; --n)
      damaged[random() % damaged.size()] = static_cast<char>(random() % 2 == 0 ? random() : "{}[]\",:0\\"[random() % 9]);
    if (random() % 8 == 0) damaged.resize(random() % damaged.size());
    static_cast<void>(parser.parse(damaged, kReceived, frame).has_value());
  }
}

TEST(BinanceCsv, TheHeaderIsRecognised) {
  EXPECT_TRUE(BinanceCsvParser::is_header("id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch"));
  EXPECT_TRUE(BinanceCsvParser::is_header("trade_id,price,qty"));
  EXPECT_FALSE(BinanceCsvParser::is_header("553287559,39432.48,1,1,1,True,True"));
  EXPECT_FALSE(BinanceCsvParser::is_header(""));
}

TEST(BinanceCsv, RowsAreReadInMillisecondsAndMicroseconds) {
  const auto parser = BinanceCsvParser::make("BTCUSDT", *test::default_instruments());
  Trade trade;
  ASSERT_TRUE(parser->parse("1,1.5,2,3.0,1735689600000123,false,TRUE", kReceived, trade));
  EXPECT_EQ(trade.timestamp, TimestampUs{1735689600000123});
  EXPECT_EQ(trade.side, Side::kBuy);
  EXPECT_EQ(trade.vendor_data, (VendorData{{"is_best_match", "true"}, {"is_buyer_maker", "false"}}));
  EXPECT_FALSE(BinanceCsvParser::make("BTCUSDC", *test::default_instruments()));
}

TEST(BinanceCsv, AnUnreadableRowIsRefusedWithItsReason) {
  const auto parser = BinanceCsvParser::make("BTCUSDT", *test::default_instruments());
  Trade trade;
  for (const auto& [row, why] : std::initializer_list<std::pair<const char*, const char*>>{{"", "1 fields, not 7"},
                                                                                           {"1,1,1,1,1,True", "6 fields, not 7"},
                                                                                           {"1,1,1,1,1,True,True,1", "8 fields, not 7"},
                                                                                           {"x,1,1,1,1,True,True", "field id"},
                                                                                           {"-1,1,1,1,1,True,True", "field id"},
                                                                                           {"1,nan,1,1,1,True,True", "field price"},
                                                                                           {"1,1,,1,1,True,True", "field qty"},
                                                                                           {"1,1,1,,1,True,True", "field quoteQty"},
                                                                                           {"1,1,1,1,x,True,True", "field time"},
                                                                                           {"1,1,1,1,1,1,True", "field isBuyerMaker"},
                                                                                           {"1,1,1,1,1,True,", "field isBestMatch"}}) {
    const Status status = parser->parse(row, kReceived, trade);
    ASSERT_FALSE(status) << row;
    EXPECT_THAT(status.error().message, HasSubstr(why));
  }
}

TEST(BinanceCsv, AllRecordedTradesParse) {
  const auto path = test::data_dir() / "binance" / "BTCUSDT-trades-2021-01-08.csv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "recorded data is not at " << path;
  const auto parser = BinanceCsvParser::make("BTCUSDT", *test::default_instruments());
  Trade trade;
  int64_t next = 553287559;
  for (const std::string& line : test::read_lines(path)) {
    const Status status = parser->parse(line, kReceived, trade);
    ASSERT_TRUE(status) << status.error().message;
    ASSERT_EQ(trade.source_sequence, next++);
  }
  EXPECT_EQ(next, 553289560);
}

TEST(BinanceInfo, CurrenciesComeFromExchangeInfo) {
  const auto table = parse_binance_exchange_info(
      R"({"timezone":"UTC","symbols":[{"symbol":"ETHBTC","status":"TRADING","baseAsset":"ETH","quoteAsset":"BTC","filters":[]},{"symbol":"１２","status":"CANCEL_ONLY","baseAsset":"X","quoteAsset":"USDT"}]})");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(*table->find("ETHBTC"), (Instrument{"ETHBTC", "ETH", "BTC", "TRADING"}));
  EXPECT_EQ(table->find("１２")->status, "CANCEL_ONLY");
  for (const char* text : {"", "[]", "{}", R"({"symbols":{}})", R"({"symbols":[5]})", R"({"symbols":[{"symbol":"X"}]})",
                           R"({"symbols":[{"symbol":5,"quoteAsset":"Y"}]})", "{\"symbols\":["})
    EXPECT_EQ(parse_binance_exchange_info(text).error().kind, ErrorKind::kInvalidInput) << text;
}

TEST(BinanceInfo, TicksComeFromTheFiltersAndAreUnknownOtherwise) {
  const auto read = [](const std::string& filters) {
    const auto table =
        parse_binance_exchange_info(R"({"symbols":[{"symbol":"A","baseAsset":"B","quoteAsset":"C","filters":)" + filters + "}]}");
    return *table.value().find("A");
  };
  const Instrument known =
      read(R"([{"filterType":"PRICE_FILTER","tickSize":"0.01000000"},{"filterType":"LOT_SIZE","stepSize":"0.00001000"}])");
  EXPECT_EQ(known.price_tick.to_string(), "0.01000000");
  EXPECT_EQ(known.quantity_step.to_string(), "0.00001000");
  for (const char* filters : {"[]", "5", "[5]", R"([{"filterType":"PRICE_FILTER"}])", R"([{"filterType":"PRICE_FILTER","tickSize":0.01}])",
                              R"([{"filterType":"PRICE_FILTER","tickSize":"0.00000000"}])",
                              R"([{"filterType":"PRICE_FILTER","tickSize":"-1"}])", R"([{"filterType":"LOT_SIZE","stepSize":"x"}])"}) {
    EXPECT_EQ(read(filters).price_tick, Decimal18_8()) << filters;
    EXPECT_EQ(read(filters).quantity_step, Decimal18_8()) << filters;
  }
}

}  // namespace
}  // namespace k2
