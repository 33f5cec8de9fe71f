"""What a Spark session is asked. Run after the README's snippet, which made `spark`; the last line printed is the answers as JSON.

Exact numbers are text: Spark's decimals go through no float."""

import json

trades, quotes = "k2.market_data.trades_v2", "k2.market_data.quotes_v2"


def rows(statement: str) -> list[list]:
    return [list(row) for row in spark.sql(statement).collect()]  # noqa: F821


def trade_sums(source: str) -> list[list]:
    return rows(f"SELECT symbol, count(*), CAST(sum(quantity) AS STRING), CAST(sum(price * quantity) AS STRING) FROM {source} GROUP BY symbol")


snapshots = rows(f"SELECT snapshot_id, operation, summary['k2.commit-id'] FROM {trades}.snapshots ORDER BY committed_at")
answers = {
    "trade_sums": trade_sums(trades),
    "quote_sums": rows(f"SELECT symbol, count(*), CAST(sum(bid_price * bid_quantity) AS STRING), CAST(sum(ask_price * ask_quantity) AS STRING) "
                       f"FROM {quotes} GROUP BY symbol"),
    "ids": rows(f"SELECT count(DISTINCT message_id) FROM {trades} UNION ALL SELECT count(DISTINCT message_id) FROM {quotes}"),
    "offsets": rows(f"SELECT log_topic, log_partition, count(DISTINCT log_offset), min(log_offset), max(log_offset) FROM {trades} GROUP BY 1, 2"),
    "types": [[field.name, field.dataType.simpleString()] for field in spark.table(trades).schema],  # noqa: F821
    "first_bhp": rows(f"SELECT message_id, unix_micros(timestamp), CAST(price AS STRING), vendor_data, trade_conditions FROM {trades} "
                      f"WHERE symbol = 'BHP' ORDER BY source_sequence LIMIT 1"),
    "snapshots": snapshots,
    "sums_at": [trade_sums(f"{trades} VERSION AS OF {snapshot_id}") for snapshot_id, _, _ in snapshots],
    "files": rows(f"SELECT count(*), sum(record_count) FROM {trades}.files"),
    "empty": [rows(f"SELECT count(*) FROM k2.market_data.{name}")[0][0] for name in ("trades", "quotes", "coverage")],
}
print(json.dumps(answers))
