#include "exchange/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace k2 {
namespace {

using testing::ElementsAre;

TEST(Control, SubscribesUnsubscribesAndLists) {
  StreamSubscriptions subscriptions;
  ControlAnswer answer =
      answer_control(R"({"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@trade","x@y"],"id":1})", subscriptions, 10);
  EXPECT_EQ(answer.text, R"({"result":null,"id":1})");
  EXPECT_THAT(answer.added, ElementsAre("btcusdt@trade", "x@y"));
  answer = answer_control(R"({"method":"UNSUBSCRIBE","params":["x@y","unknown"],"id":"abc"})", subscriptions, 10);
  EXPECT_EQ(answer.text, R"({"result":null,"id":"abc"})");
  EXPECT_THAT(answer.removed, ElementsAre("x@y"));
  EXPECT_EQ(answer_control(R"({"method":"LIST_SUBSCRIPTIONS","id":null})", subscriptions, 10).text,
            R"({"result":["btcusdt@trade"],"id":null})");
}

TEST(Control, PropertiesCanBeSetAndAsked) {
  StreamSubscriptions subscriptions;
  EXPECT_EQ(answer_control(R"({"method":"SET_PROPERTY","params":["combined",true],"id":5})", subscriptions, 1).text,
            R"({"result":null,"id":5})");
  EXPECT_EQ(answer_control(R"({"method":"GET_PROPERTY","params":["combined"],"id":2})", subscriptions, 1).text,
            R"({"result":true,"id":2})");
}

TEST(Control, RefusesAsDocumented) {
  StreamSubscriptions subscriptions;
  const auto text_of = [&](std::string_view message) { return answer_control(message, subscriptions, 1).text; };
  EXPECT_EQ(text_of("nonsense"), R"({"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"})");
  EXPECT_EQ(text_of(R"({"method":"SUBSCRIBE","params":[]})"),
            R"({"code":2,"msg":"Invalid request: request ID must be an unsigned integer"})");
  EXPECT_EQ(text_of(R"({"method":"SUBSCRIBE","params":[],"id":1.5})"),
            R"({"code":2,"msg":"Invalid request: request ID must be an unsigned integer"})");
  EXPECT_EQ(text_of(R"({"params":[],"id":1})"), R"({"code":2,"msg":"Invalid request: missing field `method` at line 1 column 20","id":1})");
  EXPECT_EQ(
      text_of(R"({"method":"SUBSCRIB","params":["a"],"id":1})"),
      R"({"code":2,"msg":"Invalid request: unknown variant `SUBSCRIB`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY` at line 1 column 20","id":1})");
  EXPECT_EQ(text_of(R"({"method":"SUBSCRIBE","params":[1],"id":1})"),
            R"({"code":2,"msg":"Invalid request: property name must be a string","id":1})");
  EXPECT_EQ(text_of(R"({"method":"SUBSCRIBE","params":["a","b"],"id":1})"),
            R"({"code":2,"msg":"Invalid request: too many parameters","id":1})");
  EXPECT_EQ(text_of(R"({"method":"SET_PROPERTY","params":["combined",1],"id":1})"),
            R"({"code":1,"msg":"Invalid value type: expected Boolean","id":1})");
  EXPECT_EQ(text_of(R"({"method":"GET_PROPERTY","params":["other"],"id":1})"), R"({"code":0,"msg":"Unknown property","id":1})");
}

}  // namespace
}  // namespace k2
