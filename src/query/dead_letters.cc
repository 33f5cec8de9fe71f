#include "query/dead_letters.h"

#include <arrow/api.h>

#include <algorithm>

#include "codec/avro.h"
#include "codec/resolve.h"

namespace k2 {
namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr int64_t kBatchRows = 4'096;

/// How many bytes the UTF-8 sequence at the start of `text` has; 0 where there is none (RFC 3629, section 4).
size_t utf8_length(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  const size_t length = lead < 0x80                   ? 1
                        : lead >= 0xC2 && lead < 0xE0 ? 2
                        : lead >= 0xE0 && lead < 0xF0 ? 3
                        : lead >= 0xF0 && lead < 0xF5 ? 4
                                                      : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((at(i) & 0xC0) != 0x80) return 0;
  const bool overlong = (lead == 0xE0 && at(1) < 0xA0) || (lead == 0xF0 && at(1) < 0x90);
  const bool beyond = (lead == 0xED && at(1) >= 0xA0) || (lead == 0xF4 && at(1) >= 0x90);
  return overlong || beyond ? 0 : length;
}

std::string as_utf8(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const size_t length = utf8_length(bytes);
    if (length == 0) text += "\uFFFD";
    else text.append(bytes.substr(0, length));
    bytes.remove_prefix(std::max<size_t>(1, length));
  }
  return text;
}

std::shared_ptr<arrow::Schema> letters_schema() {
  return arrow::schema({arrow::field("ingestion_timestamp", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), false),
                        arrow::field("source", arrow::utf8(), false), arrow::field("reason", arrow::utf8(), false),
                        arrow::field("raw", arrow::utf8(), false), arrow::field("log_partition", arrow::int32(), false),
                        arrow::field("log_offset", arrow::int64(), false)});
}

class Letters {
 public:
  Letters(const Log& log, const SchemaStore& schemas) : log_(log), resolver_(schemas) {}

  Status read(const TopicPartition& partition, Offset from, Offset end);
  Result<std::unique_ptr<QueryResult>> finish();

 private:
  Status append(const TopicPartition& partition, const LogRecord& record);
  Status end_batch();

  const Log& log_;
  SchemaResolver resolver_;
  const std::shared_ptr<arrow::Schema> schema_ = letters_schema();
  arrow::TimestampBuilder times_{arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), arrow::default_memory_pool()};
  arrow::StringBuilder sources_, reasons_, raws_;
  arrow::Int32Builder partitions_;
  arrow::Int64Builder offsets_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches_;
};

Status checked(const arrow::Status& status) {
  if (status.ok()) return {};
  return make_error(ErrorKind::kUnavailable, "dead letters: " + status.ToString());
}

Status Letters::append(const TopicPartition& partition, const LogRecord& record) {
  DeadLetter letter;
  K2_TRY(const std::string_view body, resolver_.own_body(RecordKind::kDeadLetter, record.value));
  K2_RETURN_IF_ERROR(decode_dead_letter(body, letter));
  arrow::Status status = times_.Append(letter.ingestion_timestamp.us);
  status &= sources_.Append(as_utf8(letter.source));
  status &= reasons_.Append(as_utf8(letter.reason));
  status &= raws_.Append(as_utf8(letter.raw));
  status &= partitions_.Append(partition.partition);
  status &= offsets_.Append(record.offset.value);
  K2_RETURN_IF_ERROR(checked(status));
  return offsets_.length() >= kBatchRows ? end_batch() : Status();
}

Status Letters::end_batch() {
  const int64_t rows = offsets_.length();
  if (rows == 0) return {};
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (arrow::ArrayBuilder* builder :
       std::initializer_list<arrow::ArrayBuilder*>{&times_, &sources_, &reasons_, &raws_, &partitions_, &offsets_}) {
    auto column = builder->Finish();
    K2_RETURN_IF_ERROR(checked(column.status()));
    columns.push_back(*column);
  }
  batches_.push_back(arrow::RecordBatch::Make(schema_, rows, columns));
  return {};
}

Status Letters::read(const TopicPartition& partition, Offset from, Offset end) {
  for (Offset next = from; next < end;) {
    K2_TRY(const LogBatch batch, log_.read(partition, next, end, kReadBytes));
    if (batch.empty()) break;
    for (const LogRecord& record : batch.records()) K2_RETURN_IF_ERROR(append(partition, record));
    next = batch.next_offset();
  }
  return {};
}

Result<std::unique_ptr<QueryResult>> Letters::finish() {
  K2_RETURN_IF_ERROR(end_batch());
  return make_result(schema_, std::move(batches_));
}

}  // namespace

Result<std::unique_ptr<QueryResult>> dead_letters(const Log& log, const SchemaStore& schemas, int64_t limit) {
  K2_TRY(const Offsets end, log.end_offsets());
  K2_TRY(const Offsets begin, log.begin_offsets());
  Letters letters(log, schemas);
  int64_t wanted = limit < 0 ? INT64_MAX : limit;
  for (const auto& [partition, partition_end] : end) {
    if (partition.topic != kDeadLetterTopic) continue;
    const int64_t first = std::max(offset_of(begin, partition).value, partition_end.value - std::min(wanted, partition_end.value));
    K2_RETURN_IF_ERROR(letters.read(partition, {first}, partition_end));
    wanted -= partition_end.value - first;
  }
  return letters.finish();
}

}  // namespace k2
