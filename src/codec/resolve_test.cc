#include "codec/resolve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "codec/avro.h"
#include "codec/avro_writer.h"
#include "codec/test_data.h"

namespace k2 {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

// Bytes of a writer with another schema, field by field.
class Body {
 public:
  explicit Body(int32_t schema_id) : bytes_(1, '\0') {
    bytes_.resize(5);
    store_big_endian(bytes_.data() + 1, schema_id);
  }
  Body& number(int64_t value) {
    char room[kLongBytesMax];
    AvroWriter writer(room);
    writer.write_long(value);
    bytes_.append(room, writer.end());
    return *this;
  }
  Body& text(std::string_view value) {
    number(static_cast<int64_t>(value.size()));
    return raw(value);
  }
  Body& raw(std::string_view value) {
    bytes_.append(value);
    return *this;
  }
  [[nodiscard]] const std::string& message() const { return bytes_; }

 private:
  std::string bytes_;
};

Json& field_of(Json& schema, std::string_view name) {
  for (Json& field : schema["fields"])
    if (field["name"] == name) return field;
  throw std::runtime_error("no such field");
}

Json without(Json schema, std::string_view name) {
  Json fields = Json::array();
  for (const Json& field : schema["fields"])
    if (field["name"] != name) fields.push_back(field);
  schema["fields"] = fields;
  return schema;
}

struct Resolve : testing::Test {
  test::MemorySchemaStore store;
  SchemaResolver resolver{store};

  int32_t id_of(const Json& schema) { return store.register_schema("s", schema.dump()).value(); }

  Result<Trade> trade(std::string_view message) {
    K2_TRY(const std::string_view body, resolver.own_body(RecordKind::kTrade, message));
    Trade trade;
    K2_RETURN_IF_ERROR(decode_trade(body, trade));
    return trade;
  }
  std::string refusal(const Json& schema) {
    const auto result = trade(Body(id_of(schema)).message());
    EXPECT_FALSE(result);
    if (result) return "";
    EXPECT_EQ(result.error().kind, ErrorKind::kInvalidInput);
    return result.error().message;
  }
};

constexpr std::string_view kId = "01234567-89ab-8def-8123-456789abcdef";

TEST_F(Resolve, OurOwnSchemaIsReadAsItIsUnderAnyId) {
  store.register_schema("s", "\"string\"").value();
  const int32_t id = store.register_schema("s", trade_schema()).value();
  std::string message;
  encode_trade(test::full_trade(), id, message);
  const std::string_view body = resolver.own_body(RecordKind::kTrade, message).value();
  EXPECT_EQ(body.data(), message.data() + kFrameHeaderBytes);
  EXPECT_EQ(trade(message).value(), test::full_trade());
  EXPECT_EQ(store.look_ups, 1);
}

TEST_F(Resolve, SpellingAndDocumentationMakeNoOtherSchema) {
  Json schema = Json::parse(trade_schema());
  schema["doc"] = "other words";
  field_of(schema, "price").erase("doc");
  std::string message;
  encode_trade(test::full_trade(), id_of(schema), message);
  EXPECT_EQ(resolver.own_body(RecordKind::kTrade, message)->data(), message.data() + kFrameHeaderBytes);
}

TEST_F(Resolve, MissingFieldsGetTheirDefaults) {
  Json schema = without(without(without(Json::parse(trade_schema()), "trade_conditions"), "source_sequence"), "vendor_data");
  Body body(id_of(schema));
  body.text(kId)
      .text("1")
      .text("BTCUSDT")
      .text("binance")
      .number(1)
      .number(1610064000278000)
      .text("\x05")
      .text("\x06")
      .text("USDT")
      .number(0)
      .number(5);
  const auto read = trade(body.message());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->side, Side::kBuy);
  EXPECT_EQ(read->price.units(), 5);
  EXPECT_EQ(read->ingestion_timestamp.us, 5);
  EXPECT_TRUE(read->trade_conditions.empty());
  EXPECT_EQ(read->source_sequence, std::nullopt);
  EXPECT_EQ(read->vendor_data, std::nullopt);
}

// Everything at once: another order, fields that are not ours (of every type), promoted types, reordered and fewer enum symbols, a
// fixed decimal of a smaller scale, milliseconds, nullable fields written without null, and nullable ones of ours that are required.
TEST_F(Resolve, AVeryDifferentWriterIsReadByName) {
  const int32_t id = id_of(Json::parse(R"({
    "type": "record", "name": "TradeV2", "namespace": "org.other", "fields": [
      {"name": "x_record", "type": {"type": "record", "name": "X", "fields": [{"name": "a", "type": "null"}, {"name": "b", "type": "boolean"}, {"name": "next", "type": ["null", "X"]}]}},
      {"name": "side", "type": {"type": "enum", "name": "S", "symbols": ["UNKNOWN", "SELL", "BUY"]}},
      {"name": "asset_class", "type": {"type": "enum", "name": "A", "symbols": ["crypto"]}},
      {"name": "x_array", "type": {"type": "array", "items": "double"}},
      {"name": "vendor_data", "type": {"type": "map", "values": "bytes"}},
      {"name": "x_map", "type": {"type": "map", "values": {"type": "array", "items": "int"}}},
      {"name": "price", "type": {"type": "fixed", "name": "D", "size": 12, "logicalType": "decimal", "precision": 20, "scale": 2}},
      {"name": "quantity", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 8}]},
      {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
      {"name": "x_fixed", "type": "D"},
      {"name": "ingestion_timestamp", "type": "int"},
      {"name": "source_sequence", "type": "int"},
      {"name": "trade_conditions", "type": ["null", {"type": "array", "items": "string"}]},
      {"name": "currency", "type": "bytes"},
      {"name": "exchange", "type": ["string", "null"]},
      {"name": "symbol", "type": "string"},
      {"name": "x_float", "type": "float"},
      {"name": "x_enum", "type": "S"},
      {"name": "trade_id", "type": "string"},
      {"name": "message_id", "type": "string"}
    ]})"));
  Body body(id);
  body.raw("\x01").number(1).raw(std::string_view("\0", 1)).number(0);               // x_record, with one X inside
  body.number(2);                                                                     // side: BUY
  body.number(0);                                                                     // asset_class: crypto
  body.number(-2).number(16).raw(std::string(16, 'd')).number(0);                     // x_array, sized block
  body.number(1).text("k").text("v").number(0);                                       // vendor_data
  body.number(1).text("k").number(2).number(7).number(8).number(0).number(0);         // x_map
  body.raw(std::string(10, '\0') + "\x04\xd2");                                       // price: 12.34
  body.number(1).text("\x07");                                                        // quantity: 7e-8
  body.number(1610064000278).raw(std::string(12, 'f')).number(9).number(-5);          // timestamp, x_fixed, ingestion, sequence
  body.number(1).number(2).text("A").text("B").number(0);                             // trade_conditions
  body.text("USDT").number(0).text("binance").text("BTCUSDT").raw("ffff").number(1).text("77").text(kId);
  const auto read = trade(body.message());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, (Trade{.message_id = MessageId::parse(kId).value(),
                          .trade_id = "77",
                          .symbol = "BTCUSDT",
                          .exchange = "binance",
                          .asset_class = AssetClass::kCrypto,
                          .timestamp = {1610064000278000},
                          .price = Decimal18_8::parse("12.34").value(),
                          .quantity = Decimal18_8::parse("0.00000007").value(),
                          .currency = "USDT",
                          .side = Side::kBuy,
                          .trade_conditions = {"A", "B"},
                          .source_sequence = -5,
                          .ingestion_timestamp = {9},
                          .vendor_data = VendorData{{"k", "v"}}}));
  for (size_t length = kFrameHeaderBytes; length < body.message().size(); ++length)
    EXPECT_EQ(trade(std::string_view(body.message()).substr(0, length)).error().kind, ErrorKind::kCorrupt) << length;
  EXPECT_EQ(trade(body.message() + "x").error().kind, ErrorKind::kCorrupt);
}

TEST_F(Resolve, ARequiredFieldThatIsNullIsCorrupt) {
  Json schema = Json::parse(trade_schema());
  schema["fields"] = Json::array({schema["fields"][0]});
  Json nullable = Json::parse(trade_schema());
  field_of(nullable, "message_id")["type"] = Json::array({"null", "string"});
  const auto read = trade(Body(id_of(nullable)).number(0).message());
  EXPECT_EQ(read.error().kind, ErrorKind::kCorrupt);
  EXPECT_THAT(read.error().message, HasSubstr("message_id"));
}

TEST_F(Resolve, IncompatibleWritersAreRefusedByFieldAndId) {
  const Json own = Json::parse(trade_schema());
  EXPECT_THAT(refusal(without(own, "price")), HasSubstr("lacks the field price"));
  EXPECT_THAT(refusal(without(own, "price")), HasSubstr("schema id "));
  const auto changed = [&](std::string_view name, const Json& type) {
    Json schema = own;
    field_of(schema, name)["type"] = type;
    return schema;
  };
  EXPECT_THAT(refusal(changed("price", "double")), HasSubstr("price"));
  EXPECT_THAT(refusal(changed("price", "bytes")), HasSubstr("price"));
  EXPECT_THAT(refusal(changed("price", {{"type", "bytes"}, {"logicalType", "decimal"}, {"precision", 18}, {"scale", 9}})),
              HasSubstr("price"));
  EXPECT_THAT(refusal(changed("timestamp", {{"type", "long"}, {"logicalType", "timestamp-nanos"}})), HasSubstr("timestamp"));
  EXPECT_THAT(refusal(changed("symbol", "long")), HasSubstr("symbol"));
  EXPECT_THAT(refusal(changed("side", "string")), HasSubstr("side"));
  EXPECT_THAT(refusal(changed("vendor_data", {{"type", "map"}, {"values", "long"}})), HasSubstr("vendor_data"));
  Json renamed = own;
  renamed["name"] = "TradeV3";
  EXPECT_THAT(refusal(renamed), HasSubstr("record"));
  EXPECT_THAT(refusal("string"), HasSubstr("record"));
  EXPECT_THAT(refusal(Json::parse(quote_schema())), HasSubstr("record"));
}

TEST_F(Resolve, SymbolsAndDecimalsOutsideOursAreCorrupt) {
  Json schema = Json::parse(R"({"type":"record","name":"DeadLetter","fields":[]})");
  Json own = Json::parse(trade_schema());
  field_of(own, "asset_class")["type"]["symbols"] = Json::array({"bonds", "crypto"});
  const int32_t id = id_of(own);
  EXPECT_THAT(trade(Body(id).text(kId).text("1").text("S").text("E").number(0).message()).error().message, HasSubstr("asset_class"));
}

TEST_F(Resolve, CoverageOfAnotherWriterIsReadAsOurs) {
  // Another order of statuses, milliseconds, no reason.
  Json schema = without(Json::parse(coverage_schema()), "reason");
  field_of(schema, "status")["type"]["symbols"] = Json::array({"open", "lost"});
  field_of(schema, "timestamp")["type"]["logicalType"] = "timestamp-millis";
  Body body(id_of(schema));
  body.text("binance").text("BTCUSDT").text("trades").number(5).number(9).number(1610064000278).number(7).number(1).number(8);
  const auto own = resolver.own_body(RecordKind::kCoverage, body.message());
  ASSERT_TRUE(own) << own.error().message;
  Coverage coverage;
  ASSERT_TRUE(decode_coverage(*own, coverage));
  EXPECT_EQ(coverage.first_sequence, 5);
  EXPECT_EQ(coverage.last_sequence, 9);
  EXPECT_EQ(coverage.timestamp.us, 1610064000278000);
  EXPECT_EQ(coverage.status, CoverageStatus::kLost);
  EXPECT_EQ(coverage.reason, "");

  std::string message;
  encode_coverage(test::full_coverage(), store.register_schema("c", coverage_schema()).value(), message);
  EXPECT_EQ(resolver.own_body(RecordKind::kCoverage, message)->data(), message.data() + kFrameHeaderBytes);
}

TEST_F(Resolve, CoverageKeepsItsReasonThroughResolution) {
  Json schema = Json::parse(coverage_schema());
  schema["fields"].push_back({{"name", "later"}, {"type", "long"}});
  std::string message;
  encode_coverage(test::full_coverage(), id_of(schema), message);
  message += '\x02';
  const auto own = resolver.own_body(RecordKind::kCoverage, message);
  ASSERT_TRUE(own) << own.error().message;
  Coverage coverage;
  ASSERT_TRUE(decode_coverage(*own, coverage));
  EXPECT_EQ(coverage, test::full_coverage());
}

TEST_F(Resolve, UnknownIdsAndUnreadableSchemasAreErrors) {
  EXPECT_EQ(trade(Body(99).message()).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(trade("").error().kind, ErrorKind::kCorrupt);
  for (const char* text : {"", "{", "{\"type\":\"record\"}", "{\"type\":\"nonsense\"}", "[]", "5"}) {
    const int32_t id = store.register_schema("s", text).value();
    EXPECT_EQ(trade(Body(id).message()).error().kind, ErrorKind::kInvalidInput) << text;
  }
}

TEST_F(Resolve, AnErrorOfTheStoreIsAskedAgain) {
  EXPECT_FALSE(trade(Body(1).message()));
  const int32_t id = store.register_schema("s", trade_schema()).value();
  ASSERT_EQ(id, 1);
  std::string message;
  encode_trade(test::full_trade(), id, message);
  EXPECT_TRUE(trade(message));
}

}  // namespace
}  // namespace k2
