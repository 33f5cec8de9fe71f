// Log messages as Arrow columns: the only mapping from record to columns, for data files and for the log's half of a hybrid read.
//
// Arrow schemas are made from the tables in market/columns.h. Types: uuid is fixed_size_binary(16), timestamptz is timestamp(us, UTC),
// decimals are decimal128(18, 8), list<string> has the element name "element"; every field carries PARQUET:field_id metadata.
// Thread rule: arrow_schema() any thread; a ColumnsBuilder one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "codec/resolve.h"
#include "market/columns.h"
#include "market/event.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace k2 {

/// The Arrow schema of a table. The same object every time for the tables of kTables.
[[nodiscard]] std::shared_ptr<arrow::Schema> arrow_schema(const TableSpec& table);

/// trades_v2, quotes_v2 or coverage.
[[nodiscard]] constexpr const TableSpec& table_of(Channel channel) {
  constexpr const TableSpec* kChannelTables[] = {&kTradesV2, &kQuotesV2, &kCoverage};
  return *kChannelTables[static_cast<size_t>(channel)];
}

/// Gathers messages of one channel into a record batch with the columns of table_of(channel).
class ColumnsBuilder {
 public:
  /// `resolver` outlives the builder; reads messages of other writer schemas.
  ColumnsBuilder(Channel channel, SchemaResolver& resolver);
  ~ColumnsBuilder();
  ColumnsBuilder(ColumnsBuilder&&) noexcept;
  ColumnsBuilder& operator=(ColumnsBuilder&&) noexcept;

  /// Makes room for `rows` more rows, to save growing step by step. Only a hint.
  void reserve(int64_t rows);

  /// Appends the message at (topic, partition, offset) as one row. After an error the builder is as it was before the call: nothing of
  /// the message is in, and the caller decides; nothing is skipped here. Errors name topic, partition and offset.
  /// Corrupt: it cannot be decoded. Others as SchemaResolver::own_body(). A batch is full at 2 GiB of text in one column: InvalidInput.
  [[nodiscard]] Status append(std::string_view message, std::string_view topic, int32_t partition, int64_t offset);

  [[nodiscard]] int64_t rows() const;
  /// About how much memory the rows take, in bytes.
  [[nodiscard]] int64_t size_bytes() const;

  /// The rows since the last finish() as one batch (which may have none); the builder starts over, empty.
  /// Unavailable: out of memory.
  [[nodiscard]] Result<std::shared_ptr<arrow::RecordBatch>> finish();

  struct Impl;  // per kind of record, in columns.cc

 private:
  static std::unique_ptr<Impl> make_impl(Channel channel, SchemaResolver& resolver);

  Channel channel_;
  SchemaResolver* resolver_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
