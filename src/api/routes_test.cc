#include "api/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace k2 {
namespace {

TEST(RoutesTest, EachMethodOfAPathStandsOnce) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const Route& route : routes()) {
    EXPECT_TRUE(seen.emplace(route.method, route.path).second) << route.method << " " << route.path;
    EXPECT_TRUE(route.answer != nullptr) << route.path;
    EXPECT_FALSE(route.summary.empty()) << route.path;
    EXPECT_TRUE(route.body.empty() || route.method == "POST") << route.path;
  }
}

TEST(RoutesTest, EachNameOfAPathHasAParameter) {
  for (const Route& route : routes()) {
    EXPECT_EQ(std::ranges::count(route.path, '{'), static_cast<int64_t>(route.path_params.size())) << route.path;
    for (const Param& param : route.path_params)
      EXPECT_NE(route.path.find("{" + std::string(param.name) + "}"), std::string_view::npos) << route.path;
  }
}

TEST(RoutesTest, EachRowsRouteSaysWhatARowIs) {
  for (const Route& route : routes()) EXPECT_EQ(route.kind == AnswerKind::kRows, !route.row_name.empty()) << route.path;
}

TEST(RoutesTest, HeadGoesWhereGetGoes) {
  EXPECT_EQ(find_route("HEAD", "/v1/trades").route, find_route("GET", "/v1/trades").route);
  EXPECT_EQ(find_route("GET", "/v1/trades").route->path, "/v1/trades");
}

TEST(RoutesTest, WhatIsNotThereAndWhatIsNotAllowedDiffer) {
  EXPECT_TRUE(find_route("GET", "/v1/nosuch").pattern.empty());
  EXPECT_TRUE(find_route("GET", "/v1/trades/").pattern.empty());
  EXPECT_TRUE(find_route("GET", "").pattern.empty());
  const RouteMatch refused = find_route("DELETE", "/v1/trades");
  EXPECT_EQ(refused.route, nullptr);
  EXPECT_EQ(refused.pattern, "/v1/trades");
  EXPECT_EQ(refused.allow, "GET, HEAD");
}

}  // namespace
}  // namespace k2
