#include "query/format.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

#include "query/cell_text.h"
#include "query/query_testing.h"

namespace k2 {
namespace {

using namespace k2::testing;  // NOLINT: the words of this folder's tests
using ::testing::HasSubstr;

template <class Builder, class Value>
std::shared_ptr<arrow::Array> array(Builder builder, const std::vector<std::optional<Value>>& values) {
  for (const auto& value : values) EXPECT_TRUE((value ? builder.Append(*value) : builder.AppendNull()).ok());
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::RecordBatch> batch_of(const std::vector<std::pair<std::string, std::shared_ptr<arrow::Array>>>& columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const auto& [name, values] : columns) {
    fields.push_back(arrow::field(name, values->type()));
    arrays.push_back(values);
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), arrays[0]->length(), arrays);
}

std::string text_of(const std::shared_ptr<arrow::RecordBatch>& batch, Format format, FormatOptions options = {}) {
  std::string bytes;
  const auto result = make_result(batch->schema(), {batch});
  EXPECT_EQ(must(write(*result, format, options,
                       [&](std::string_view part) -> Status {
                         bytes += part;
                         return {};
                       })),
            batch->num_rows());
  return bytes;
}

auto* const kPool = arrow::default_memory_pool();

std::shared_ptr<arrow::RecordBatch> sample() {
  arrow::ListBuilder lists(kPool, std::make_shared<arrow::StringBuilder>(kPool));
  auto& elements = static_cast<arrow::StringBuilder&>(*lists.value_builder());
  EXPECT_TRUE(lists.Append().ok() && elements.Append("a,\"b").ok() && elements.Append("c").ok() && lists.Append().ok());
  return batch_of({
      {"symbol", array<arrow::StringBuilder, std::string>(arrow::StringBuilder(kPool), {"O'H\"A,RA\n", std::nullopt})},
      {"timestamp", array<arrow::TimestampBuilder, int64_t>(arrow::TimestampBuilder(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), kPool),
                                                            {1'394'398'634'754'000, -1})},
      {"price", array<arrow::Decimal128Builder, arrow::Decimal128>(arrow::Decimal128Builder(arrow::decimal128(18, 8), kPool),
                                                                   {arrow::Decimal128(3'943'248'000'000), arrow::Decimal128(-1)})},
      {"big",
       array<arrow::Decimal128Builder, arrow::Decimal128>(arrow::Decimal128Builder(arrow::decimal128(38, 16), kPool),
                                                          {arrow::Decimal128("4999999999999999990000.0000000000000050"), std::nullopt})},
      {"n", array<arrow::Int64Builder, int64_t>(arrow::Int64Builder(kPool), {std::numeric_limits<int64_t>::min(), std::nullopt})},
      {"x", array<arrow::DoubleBuilder, double>(arrow::DoubleBuilder(kPool), {0.1, std::nan("")})},
      {"ok", array<arrow::BooleanBuilder, bool>(arrow::BooleanBuilder(kPool), {true, false})},
      {"conditions", lists.Finish().ValueOrDie()},
      {"vendor_data",
       array<arrow::StringBuilder, std::string>(arrow::StringBuilder(kPool), {R"({"company_id":"7078","venue":"X"})", std::nullopt})},
  });
}

TEST(Format, NdjsonIsAnObjectALine) {
  EXPECT_EQ(
      text_of(sample(), Format::kNdjson),
      R"({"symbol":"O'H\"A,RA\n","timestamp":"2014-03-09T20:57:14.754000Z","price":"39432.48000000","big":"4999999999999999990000.0000000000000050",)"
      R"("n":-9223372036854775808,"x":0.1,"ok":true,"conditions":["a,\"b","c"],"vendor_data":{"company_id":"7078","venue":"X"}})"
      "\n"
      R"({"symbol":null,"timestamp":"1969-12-31T23:59:59.999999Z","price":"-0.00000001","big":null,"n":null,"x":null,"ok":false,"conditions":[],"vendor_data":null})"
      "\n");
}

TEST(Format, JsonIsOneArrayThatAnyParserReads) {
  const std::string text = text_of(sample(), Format::kJson);
  const auto json = nlohmann::json::parse(text);
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[0]["vendor_data"]["venue"], "X");
  EXPECT_EQ(json[0]["price"], "39432.48000000");
  EXPECT_EQ(text_of(sample()->Slice(0, 0), Format::kJson), "[]\n");
}

TEST(Format, TimesMayBeIntegers) {
  EXPECT_THAT(text_of(sample(), Format::kNdjson, {.integer_times = true}), HasSubstr(R"("timestamp":1394398634754000,)"));
  EXPECT_THAT(text_of(sample(), Format::kCsv, {.integer_times = true}), HasSubstr(",1394398634754000,"));
}

TEST(Format, CsvQuotesWhatItMustAndTellsNullFromEmpty) {
  EXPECT_EQ(
      text_of(sample(), Format::kCsv),
      "symbol,timestamp,price,big,n,x,ok,conditions,vendor_data\n"
      "\"O'H\"\"A,RA\n\",2014-03-09T20:57:14.754000Z,39432.48000000,4999999999999999990000.0000000000000050,-9223372036854775808,0.1,true,"
      "\"[\"\"a,\\\"\"b\"\",\"\"c\"\"]\",\"{\"\"company_id\"\":\"\"7078\"\",\"\"venue\"\":\"\"X\"\"}\"\n"
      ",1969-12-31T23:59:59.999999Z,-0.00000001,,,nan,false,[],\n");
  const auto empties = batch_of({{"a", array<arrow::StringBuilder, std::string>(arrow::StringBuilder(kPool), {"", std::nullopt})}});
  EXPECT_EQ(text_of(empties, Format::kCsv), "a\n\"\"\n\n");
}

TEST(Format, TableAlignsAndDoesNotMoveTheCursor) {
  const auto batch = batch_of({
      {"symbol", array<arrow::StringBuilder, std::string>(arrow::StringBuilder(kPool), {"BHP", "na\x1b[2Jïve"})},
      {"n", array<arrow::Int64Builder, int64_t>(arrow::Int64Builder(kPool), {5, 1234})},
      {"note", array<arrow::StringBuilder, std::string>(arrow::StringBuilder(kPool), {std::nullopt, "x"})},
  });
  EXPECT_EQ(text_of(batch, Format::kTable),
            "symbol        n  note\n"
            "BHP           5  -\n"
            "na [2Jïve  1234  x\n");
  EXPECT_EQ(text_of(batch, Format::kTable, {.header = false, .table_width_rows = 1}), "BHP  5  -\nna [2Jïve  1234  x\n");
}

TEST(Format, ArrowAndParquetComeBackTheSame) {
  const auto batch = sample();
  const std::string stream = text_of(batch, Format::kArrow);
  const auto reader =
      arrow::ipc::RecordBatchStreamReader::Open(std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(stream))).ValueOrDie();
  EXPECT_TRUE(reader->Next().ValueOrDie()->Equals(*batch, arrow::EqualOptions::Defaults().nans_equal(true)));

  const std::string file = text_of(batch, Format::kParquet);
  const auto parquet =
      parquet::arrow::OpenFile(std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(file)), kPool).ValueOrDie();
  const auto table = parquet->ReadTable().ValueOrDie();
  EXPECT_EQ(table->num_rows(), 2);
  EXPECT_EQ(table->column(2)->chunk(0)->ToString(), batch->column(2)->ToString());
}

TEST(Format, AnErrorOfTheSinkIsPassedOn) {
  for (const Format format : {Format::kJson, Format::kNdjson, Format::kCsv, Format::kTable, Format::kArrow, Format::kParquet}) {
    const auto result = make_result(sample()->schema(), {sample()});
    const auto written =
        write(*result, format, {}, [](std::string_view) -> Status { return make_error(ErrorKind::kCancelled, "the client has gone"); });
    ASSERT_FALSE(written) << format_name(format);
    EXPECT_EQ(written.error().kind, ErrorKind::kCancelled);
  }
}

class FailingResult final : public QueryResult {
 public:
  [[nodiscard]] const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  Result<std::shared_ptr<arrow::RecordBatch>> next() override {
    if (given_++ == 0) return sample();
    return make_error(ErrorKind::kUnavailable, "half way");
  }

 private:
  std::shared_ptr<arrow::Schema> schema_ = sample()->schema();
  int given_ = 0;
};

TEST(Format, AnErrorHalfWayDoesNotLookLikeAnEnd) {
  std::string bytes;
  FailingResult result;
  EXPECT_FALSE(write(result, Format::kJson, {}, [&](std::string_view part) -> Status {
    bytes += part;
    return {};
  }));
  EXPECT_FALSE(nlohmann::json::accept(bytes));
}

TEST(Format, NamesAreReadBack) {
  for (const Format format : {Format::kJson, Format::kNdjson, Format::kCsv, Format::kTable, Format::kArrow, Format::kParquet})
    EXPECT_EQ(must(parse_format(format_name(format))), format);
  EXPECT_FALSE(parse_format("xml"));
}

TEST(VendorData, ThatIsNoJsonObjectStaysAString) {
  const auto batch = batch_of(
      {{"vendor_data", array<arrow::StringBuilder, std::string>(arrow::StringBuilder(kPool), {"{broken", "[1]", R"({"a":{"b":1}})"})}});
  EXPECT_EQ(text_of(batch, Format::kNdjson),
            "{\"vendor_data\":\"{broken\"}\n{\"vendor_data\":\"[1]\"}\n{\"vendor_data\":{\"a\":{\"b\":1}}}\n");
  EXPECT_TRUE(is_json_object(R"({"a":"b\"c","d":""})"));
  EXPECT_TRUE(is_json_object("{}"));
  EXPECT_FALSE(is_json_object(R"({"a":"b",})"));
  EXPECT_FALSE(is_json_object(R"({"a":"b"}})"));
  EXPECT_FALSE(is_json_object(R"({"a":"b"}{)"));
}

}  // namespace
}  // namespace k2
