#include "query/sql_gate.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

class SqlGate : public ::testing::Test {
 protected:
  SqlGate() {
    database_ =
        *DuckDatabase::open({.memory_limit = "256MB", .threads = 1, .spill_dir = "", .spill_bytes_max = "0KB", .readable_dirs = {}});
    connection_ = *database_->connect();
  }
  SqlResult<GatedSql> gate(std::string_view sql, const std::vector<SqlParameter>& parameters = {}, ParameterUse use = ParameterUse::kFill) {
    return gate_sql(*connection_, sql, parameters, use);
  }
  std::string refusal(std::string_view sql) {
    const auto gated = gate(sql);
    return gated ? "let through" : gated.error().sqlstate;
  }

  std::unique_ptr<DuckDatabase> database_;
  std::unique_ptr<DuckConnection> connection_;
};

TEST_F(SqlGate, LetsHonestQuestionsThrough) {
  for (const char* sql :
       {"SELECT 1", "SELECT count(*), sum(price * quantity) FROM trades WHERE symbol = 'BTCUSDT'", "FROM quotes",
        "SELECT * FROM trades t JOIN quotes q USING (symbol) ORDER BY t.timestamp LIMIT 5", "VALUES (1, 'a'), (2, 'b')",
        "WITH x AS (SELECT * FROM trades), y AS (SELECT * FROM x) SELECT * FROM y", "SELECT 1 UNION ALL SELECT 2",
        "SELECT time_bucket(INTERVAL '1 minute', timestamp) AS minute, first(price ORDER BY timestamp) FROM trades GROUP BY 1",
        "SELECT *, lag(price) OVER (PARTITION BY symbol ORDER BY timestamp) FROM trades QUALIFY row_number() OVER () < 3",
        "SELECT * FROM trades ASOF JOIN quotes USING (symbol, timestamp)", "SELECT lpad(symbol, 12, ' ') FROM coverage",
        "SELECT unnest([1, 2]), [x * 2 FOR x IN [1, 2]], {'a': 1}.a, CASE WHEN true THEN 1 END, 'a' LIKE 'b%', 1 BETWEEN 0 AND 2",
        "SELECT * FROM generate_series(1, 10) t(i)", "SELECT EXTRACT(year FROM timestamp), timestamp AT TIME ZONE 'UTC' FROM public.trades",
        "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 5) SELECT * FROM r",
        "SELECT * FROM (SELECT symbol, price FROM trades) PIVOT (sum(price) FOR symbol IN ('A', 'B'))",
        "SELECT * FROM trades WHERE price > (SELECT avg(price) FROM trades) AND symbol IN (SELECT symbol FROM quotes)"}) {
    const auto gated = gate(sql);
    EXPECT_TRUE(gated) << sql << ": " << gated.error().error.message;
  }
}

TEST_F(SqlGate, SaysWhichViewsAreRead) {
  const auto gated = gate("SELECT * FROM Trades, (SELECT * FROM public.coverage) c");
  ASSERT_TRUE(gated);
  EXPECT_EQ(gated->tables, (std::set<std::string>{"coverage", "trades"}));
}

TEST_F(SqlGate, RefusesWhatIsNoSelect) {
  for (const char* sql : {"COPY (SELECT 1) TO '/tmp/x.parquet'",
                          "ATTACH '/tmp/x.db'",
                          "EXPORT DATABASE '/tmp/x'",
                          "CREATE TABLE x (i INT)",
                          "DROP VIEW trades",
                          "INSERT INTO trades SELECT * FROM trades",
                          "UPDATE trades SET price = 1",
                          "DELETE FROM trades",
                          "SET threads = 9",
                          "RESET memory_limit",
                          "PRAGMA database_size",
                          "INSTALL httpfs",
                          "LOAD httpfs",
                          "CALL pragma_version()",
                          "BEGIN",
                          "CHECKPOINT",
                          "SET VARIABLE x = 1",
                          "EXPLAIN ANALYZE SELECT 1",
                          "PREPARE x AS SELECT 1",
                          "EXECUTE x",
                          "USE main",
                          "DETACH main",
                          "VACUUM",
                          "CREATE SECRET s (TYPE s3)",
                          "IMPORT DATABASE '/tmp/x'",
                          "COMMENT ON TABLE x IS 'y'",
                          "FORCE CHECKPOINT"})
    EXPECT_TRUE(refusal(sql) == "42501" || refusal(sql) == "42601") << sql << ": " << refusal(sql);
}

TEST_F(SqlGate, RefusesSeveralStatementsAndNone) {
  EXPECT_EQ(refusal("SELECT 1; SELECT 2"), "42601");
  EXPECT_EQ(refusal(""), "42601");
  EXPECT_EQ(refusal("  -- nothing"), "42601");
  EXPECT_EQ(refusal(std::string_view("SELECT 1\0", 9)), "42601");
  EXPECT_EQ(refusal("SELECT 1;"), "let through");
}

TEST_F(SqlGate, RefusesTablesThatAreNotOurs) {
  for (const char* sql :
       {"SELECT * FROM '/etc/passwd'", "SELECT * FROM 'trades.parquet'", "SELECT * FROM duckdb_settings",
        "SELECT * FROM information_schema.tables", "SELECT * FROM sqlite_master", "SELECT * FROM \"http://x/y.csv\"",
        "SELECT * FROM temp.trades", "SELECT * FROM system.main.duckdb_views", "SELECT (SELECT count(*) FROM pg_catalog.pg_views)",
        "SELECT * FROM trades AT (VERSION => 1)", "SELECT * FROM main.trades"}) {
    const std::string state = refusal(sql);
    EXPECT_TRUE(state == "42P01" || state == "3F000" || state == "42501") << sql << ": " << state;
  }
  for (const char* sql : {"DESCRIBE trades", "SHOW TABLES", "SUMMARIZE trades", "SELECT * FROM (DESCRIBE trades)"})
    EXPECT_EQ(refusal(sql), "42501") << sql;
}

TEST_F(SqlGate, RefusesWithUnderANameOfDuckDb) {
  EXPECT_EQ(refusal("WITH duckdb_settings AS (SELECT 1) SELECT * FROM duckdb_settings"), "42501");
  EXPECT_EQ(refusal("WITH \"/etc/passwd\" AS (SELECT 1) SELECT * FROM \"/etc/passwd\""), "42501");
}

TEST_F(SqlGate, RefusesFunctionsOffTheList) {
  for (const char* sql : {"SELECT * FROM read_csv('/etc/passwd')",
                          "SELECT * FROM read_text('/etc/passwd')",
                          "SELECT * FROM read_blob('x')",
                          "SELECT * FROM read_parquet('x')",
                          "SELECT * FROM glob('/*')",
                          "SELECT * FROM parquet_metadata('x')",
                          "SELECT * FROM sniff_csv('x')",
                          "SELECT * FROM query('SELECT 1')",
                          "SELECT * FROM query_table('trades')",
                          "SELECT * FROM duckdb_settings()",
                          "SELECT * FROM duckdb_secrets()",
                          "SELECT * FROM duckdb_logs()",
                          "SELECT * FROM pragma_version()",
                          "SELECT getenv('HOME')",
                          "SELECT current_setting('memory_limit')",
                          "SELECT getvariable('x')",
                          "SELECT * FROM k2_tail(1)",
                          "SELECT pg_sleep(5)",
                          "SELECT sleep_ms(5)",
                          "SELECT nextval('s')",
                          "SELECT * FROM json_execute_serialized_sql('{}')",
                          "SELECT write_log('x')",
                          "SELECT main.read_text('x')",
                          "SELECT [getenv(x) FOR x IN ['HOME']]",
                          "SELECT sum(price) FILTER (WHERE getenv('HOME') = '') FROM trades",
                          "SELECT 1 ORDER BY getenv('HOME')",
                          "SELECT 1 LIMIT getenv('HOME')",
                          "SELECT 1 WHERE EXISTS (SELECT getenv('HOME'))",
                          "SELECT printf('%999999999d', 1)",
                          "SELECT * FROM repeat(1, 2)",
                          "SELECT * FROM test_all_types()",
                          "SELECT \"GETENV\"('HOME')",
                          "SELECT system.main.getenv('HOME')",
                          "SELECT x.getenv('HOME')",
                          "SELECT * FROM seq_scan('trades')"})
    EXPECT_EQ(refusal(sql), "42501") << sql;
}

TEST_F(SqlGate, BoundsWhatCanBeOfAnySize) {
  for (const char* sql :
       {"SELECT length(repeat('x', 2000000000))", "SELECT repeat('x', price::INT) FROM trades", "SELECT lpad('x', 1000000000, 'y')",
        "SELECT range(1000000000)", "SELECT repeat('x', 100 * 100)", "SELECT rpad('x', $1, 'y')", "SELECT list_resize([1], 100000000)"})
    EXPECT_EQ(refusal(sql), "42501") << sql;
  EXPECT_EQ(refusal("SELECT repeat('x', 100)"), "let through");
}

TEST_F(SqlGate, RefusesWhatIsNestedTooDeeply) {
  std::string sql = "SELECT ";
  for (int i = 0; i < 3000; ++i) sql += "(1+";
  sql += "1" + std::string(3000, ')');
  EXPECT_NE(refusal(sql), "let through");
}

TEST_F(SqlGate, FillsParametersAsLiterals) {
  const std::vector<SqlParameter> values{{"", "O'Hara $2"}, {"BIGINT", "7"}, {"DECIMAL(18,8)", "1.50000000"}, {"", std::nullopt}};
  const auto gated = gate("SELECT $1 AS a, $2, $3, $4 FROM trades WHERE symbol = $1 LIMIT $2", values);
  ASSERT_TRUE(gated) << gated.error().error.message;
  EXPECT_EQ(gated->parameter_count, 4);
  EXPECT_EQ(
      gated->text,
      "SELECT 'O''Hara $2' AS a, CAST('7' AS BIGINT), CAST('1.50000000' AS DECIMAL(18,8)), NULL FROM trades WHERE (symbol = 'O''Hara $2') "
      "LIMIT CAST('7' AS BIGINT)");
  EXPECT_EQ(gate("SELECT $2", {{"", "x"}}).error().sqlstate, "42P02");
}

TEST_F(SqlGate, DeclaresParameters) {
  const auto gated = gate("SELECT $1, $2", {{"BIGINT", std::nullopt}}, ParameterUse::kDeclare);
  ASSERT_TRUE(gated) << gated.error().error.message;
  EXPECT_EQ(gated->text, "SELECT CAST($1 AS BIGINT), $2");
  EXPECT_EQ(gated->parameter_count, 2);
}

TEST_F(SqlGate, SaysWhere) {
  const auto gated = gate("SELECT 1, getenv('HOME')");
  ASSERT_FALSE(gated);
  EXPECT_EQ(gated.error().position, 11);
  EXPECT_EQ(gate("SELECT 1 FORM x").error().position, 15);
}

}  // namespace
}  // namespace k2
