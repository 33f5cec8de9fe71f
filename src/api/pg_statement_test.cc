#include "api/pg_statement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/pg_message.h"

namespace k2 {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PgStatementTest, CutsAtSemicolonsThatCount) {
  EXPECT_THAT(split_statements("SELECT 1; SELECT 2;"), ElementsAre("SELECT 1", "SELECT 2"));
  EXPECT_THAT(split_statements("SELECT ';', \";\", $$;$$, $a$;$$;$a$ -- ;\n, 'it''s;' /* ; /* ; */ ; */"),
              ElementsAre("SELECT ';', \";\", $$;$$, $a$;$$;$a$ -- ;\n, 'it''s;' /* ; /* ; */ ; */"));
  EXPECT_THAT(split_statements("SELECT $1;SELECT $2"), ElementsAre("SELECT $1", "SELECT $2"));
  EXPECT_THAT(split_statements(" ; -- nothing\n; /* */"), IsEmpty());
}

TEST(PgStatementTest, EndsWhereTextIsNotClosed) {
  EXPECT_THAT(split_statements("SELECT '"), ElementsAre("SELECT '"));
  EXPECT_THAT(split_statements("SELECT $a$;"), ElementsAre("SELECT $a$;"));
  EXPECT_THAT(split_statements("SELECT 1 /* ;"), ElementsAre("SELECT 1 /* ;"));
}

TEST(PgStatementTest, KnowsWhatIsNoQuery) {
  EXPECT_EQ(read_statement("/* x */ begin isolation level repeatable read").verb, PgVerb::kBegin);
  EXPECT_EQ(read_statement("START TRANSACTION").verb, PgVerb::kBegin);
  EXPECT_EQ(read_statement("END").verb, PgVerb::kCommit);
  EXPECT_EQ(read_statement("ROLLBACK TO SAVEPOINT a").verb, PgVerb::kSavepoint);
  EXPECT_EQ(read_statement("ROLLBACK").verb, PgVerb::kRollback);
  EXPECT_EQ(read_statement("SELECT 1").verb, PgVerb::kQuery);
  EXPECT_EQ(read_statement("beginning").verb, PgVerb::kQuery);
  EXPECT_EQ(read_statement("DEALLOCATE ALL").name, "");
  EXPECT_EQ(read_statement("DEALLOCATE \"_pg3_1\"").name, "_pg3_1");
}

TEST(PgStatementTest, ReadsSettings) {
  const PgStatement set = read_statement("SET SESSION Application_Name TO 'my app'");
  EXPECT_EQ(set.name, "application_name");
  EXPECT_EQ(set.value, "my app");
  EXPECT_EQ(read_statement("SET x=1").value, "1");
  EXPECT_EQ(read_statement("SHOW TRANSACTION ISOLATION LEVEL").name, "transaction_isolation");
}

TEST(PgMessageTest, ReadsWhatItWrote) {
  PgWriter writer;
  writer.begin('X').integer(int16_t{-2}).integer(int32_t{7}).text("abc").integer(int32_t{-1}).integer(int32_t{2}).byte('h').byte('i').end();
  const std::string& bytes = writer.bytes();
  EXPECT_EQ(bytes[0], 'X');
  EXPECT_EQ(load_network<int32_t>(bytes.data() + 1), static_cast<int32_t>(bytes.size() - 1));
  PgReader reader(std::string_view(bytes).substr(5));
  EXPECT_EQ(reader.integer<int16_t>(), -2);
  EXPECT_EQ(reader.integer<int32_t>(), 7);
  EXPECT_EQ(reader.text(), "abc");
  EXPECT_EQ(reader.value(), std::nullopt);
  EXPECT_EQ(reader.value(), "hi");
  EXPECT_TRUE(reader.ok());
}

TEST(PgMessageTest, NeverReadsPastTheEnd) {
  for (const std::string_view body :
       {std::string_view("\0\0\0\5ab", 6), std::string_view("\xff\xff\xff\xfe", 4), std::string_view("", 0)}) {
    PgReader reader(body);
    static_cast<void>(reader.value());
    EXPECT_FALSE(reader.ok());
    EXPECT_EQ(reader.text(), "");
    EXPECT_EQ(reader.count(), 0u);
  }
}

}  // namespace
}  // namespace k2
