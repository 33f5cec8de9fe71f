#include "codec/schemas.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "codec/test_data.h"
#include "market/columns.h"

namespace k2 {
namespace {

using Json = nlohmann::json;

TEST(Schemas, TheProgramsTextsAreTheFilesBytes) {
  const auto dir = std::filesystem::path(K2_SOURCE_DIR) / "schemas" / "v2";
  EXPECT_EQ(trade_schema(), test::read_file(dir / "trade.avsc"));
  EXPECT_EQ(quote_schema(), test::read_file(dir / "quote.avsc"));
  EXPECT_EQ(coverage_schema(), test::read_file(dir / "coverage.avsc"));
  EXPECT_EQ(reference_data_schema(), test::read_file(dir / "reference_data.avsc"));
  EXPECT_EQ(dead_letter_schema(), test::read_file(dir / "dead_letter.avsc"));
}

std::vector<std::string> field_names(std::string_view schema) {
  std::vector<std::string> names;
  const Json json = Json::parse(schema);
  for (const Json& field : json.at("fields")) names.push_back(field.at("name"));
  return names;
}

std::vector<std::string> column_names(const TableSpec& table) {
  std::vector<std::string> names;
  for (const Column& column : table.columns)
    if (!column.name.starts_with("log_")) names.emplace_back(column.name);
  return names;
}

TEST(Schemas, FieldsAreTheTablesColumnsInTheirOrder) {
  EXPECT_EQ(field_names(trade_schema()), column_names(kTradesV2));
  EXPECT_EQ(field_names(quote_schema()), column_names(kQuotesV2));
  EXPECT_EQ(field_names(coverage_schema()), column_names(kCoverage));
  const auto v1 = std::filesystem::path(K2_SOURCE_DIR) / "schemas" / "v1";
  EXPECT_EQ(field_names(test::read_file(v1 / "trade.avsc")), column_names(kTradesV1));
  EXPECT_EQ(field_names(test::read_file(v1 / "quote.avsc")), column_names(kQuotesV1));
}

TEST(Schemas, EnumSymbolsAreTheEnumeratorsInTheirOrder) {
  const Json json = Json::parse(trade_schema());
  for (const Json& field : json.at("fields")) {
    const std::string name = field.at("name");
    if (name != "asset_class" && name != "side") continue;
    const Json& symbols = field.at("type").at("symbols");
    ASSERT_EQ(symbols.size(), 4u);
    for (uint8_t i = 0; i < 4; ++i)
      EXPECT_EQ(symbols[i], name == "side" ? side_name(static_cast<Side>(i)) : asset_class_name(static_cast<AssetClass>(i)));
  }
}

}  // namespace
}  // namespace k2
