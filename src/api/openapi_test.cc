#include "api/openapi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

namespace k2 {
namespace {

using Json = nlohmann::json;

Json document() { return Json::parse(openapi_json(routes(), "1.2.3")); }

TEST(OpenApiTest, EveryRouteIsInTheDocument) {
  const Json paths = document()["paths"];
  for (const Route& route : routes()) {
    const Json& operation = paths[std::string(route.path)][route.method == "GET" ? "get" : "post"];
    EXPECT_EQ(operation["summary"], route.summary) << route.path;
    const size_t parameters = operation.contains("parameters") ? operation["parameters"].size() : 0;
    EXPECT_EQ(parameters, route.params.size() + route.path_params.size()) << route.path;
  }
}

TEST(OpenApiTest, OperationsHaveNamesOfTheirOwn) {
  std::set<std::string> names;
  const Json paths = document()["paths"];
  for (const auto& [path, methods] : paths.items())
    for (const auto& [method, operation] : methods.items()) EXPECT_TRUE(names.insert(operation["operationId"]).second) << path;
}

TEST(OpenApiTest, EveryReferenceLeadsSomewhere) {
  const Json whole = document();
  const auto check = [&](auto&& self, const Json& part) -> void {
    if (part.is_object() && part.contains("$ref")) {
      EXPECT_TRUE(whole.contains(Json::json_pointer(part["$ref"].get<std::string>().substr(1)))) << part;
    }
    if (part.is_structured())
      for (const Json& inner : part) self(self, inner);
  };
  check(check, whole);
}

TEST(OpenApiTest, ParametersSayTheirBoundsAndDefaults) {
  const Json operation = document()["paths"]["/v1/trades"]["get"];
  const auto find = [&](std::string_view name) -> Json {
    for (const Json& parameter : operation["parameters"])
      if (parameter["name"] == name) return parameter["schema"];
    return {};
  };
  EXPECT_EQ(find("limit"), Json::parse(R"({"type":"integer","minimum":1,"maximum":1000000,"default":1000})"));
  EXPECT_EQ(find("order"), Json::parse(R"({"type":"string","enum":["newest","oldest"],"default":"newest"})"));
  EXPECT_EQ(find("symbol")["type"], "array");
  EXPECT_EQ(document()["info"]["version"], "1.2.3");
}

}  // namespace
}  // namespace k2
