#include "query/cut.h"

#include <array>
#include <map>
#include <utility>

#include "base/base64url.h"
#include "base/bytes.h"
#include "base/crc32c.h"

namespace k2 {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kChecksumBytes = 4;

class Writer {
 public:
  void byte(uint8_t value) { bytes_ += static_cast<char>(value); }
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) byte(static_cast<uint8_t>(value | 0x80));
    byte(static_cast<uint8_t>(value));
  }
  void text(std::string_view value) {
    varint(value.size());
    bytes_ += value;
  }
  template <class Integer>
  void fixed(Integer value) {
    char buffer[sizeof value];
    store_big_endian(buffer, value);
    bytes_.append(buffer, sizeof buffer);
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Reads what Writer wrote; after a read past the end every value is empty and ok() is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  uint8_t byte() { return static_cast<uint8_t>(take(1).empty() ? 0 : taken_[0]); }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 63; shift += 7) {
      const uint8_t next = byte();
      value |= static_cast<uint64_t>(next & 0x7f) << shift;
      if (next < 0x80) return value;
    }
    ok_ = false;
    return 0;
  }
  std::string text() { return std::string(take(varint())); }
  int64_t fixed64() { return take(8).empty() ? 0 : load_big_endian<int64_t>(taken_.data()); }
  /// A count of things that take at least a byte each.
  uint64_t count() {
    const uint64_t value = varint();
    if (value > rest_.size()) ok_ = false;
    return ok_ ? value : 0;
  }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::string_view take(uint64_t size) {
    taken_ = {};
    if (size > rest_.size()) ok_ = false;
    if (!ok_) return taken_;
    taken_ = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken_;
  }

  std::string_view rest_;
  std::string_view taken_;
  bool ok_ = true;
};

void write_offsets(Writer& writer, const Offsets& offsets) {
  std::map<std::string_view, std::vector<std::pair<int32_t, Offset>>> topics;
  for (const auto& [partition, offset] : offsets) topics[partition.topic].emplace_back(partition.partition, offset);
  writer.varint(topics.size());
  for (const auto& [topic, partitions] : topics) {
    writer.text(topic);
    writer.varint(partitions.size());
    for (const auto& [partition, offset] : partitions) {
      writer.varint(static_cast<uint64_t>(partition));
      writer.varint(static_cast<uint64_t>(offset.value));
    }
  }
}

Offsets read_offsets(Reader& reader) {
  Offsets offsets;
  for (uint64_t topics = reader.count(); topics > 0; --topics) {
    const std::string topic = reader.text();
    for (uint64_t partitions = reader.count(); partitions > 0; --partitions) {
      const auto partition = static_cast<int32_t>(reader.varint());
      offsets[{topic, partition}] = Offset{static_cast<int64_t>(reader.varint())};
    }
  }
  return offsets;
}

}  // namespace

const TableCut* Cut::find(std::string_view table) const {
  for (const TableCut& cut : tables)
    if (cut.table == table) return &cut;
  return nullptr;
}

std::string read_token(const Cut& cut) {
  Writer writer;
  writer.byte(kVersion);
  writer.text(cut.log_id.value);
  writer.varint(cut.tables.size());
  for (const TableCut& table : cut.tables) {
    writer.text(table.table);
    writer.byte(table.snapshot ? 1 : 0);
    if (table.snapshot) writer.fixed(table.snapshot->value);
  }
  write_offsets(writer, cut.end);
  writer.fixed(crc32c(writer.bytes()));
  return to_base64url(writer.bytes());
}

Result<Cut> parse_read_token(std::string_view token) {
  const auto refuse = [&](std::string_view why) {
    return make_error(ErrorKind::kInvalidInput, "read_token \"" + std::string(token.substr(0, 24)) + "...\": " + std::string(why));
  };
  if (token.size() > kReadTokenBytesMax) return refuse("longer than any token of ours");
  const auto bytes = from_base64url(token);
  if (!bytes || bytes->size() <= kChecksumBytes) return refuse("is not a read token");
  const std::string_view body = std::string_view(*bytes).substr(0, bytes->size() - kChecksumBytes);
  if (load_big_endian<uint32_t>(bytes->data() + body.size()) != crc32c(body)) return refuse("was cut short or altered");

  Reader reader(body);
  if (const uint8_t version = reader.byte(); version != kVersion)
    return refuse("is of version " + std::to_string(version) + ", which this k2 does not read");
  Cut cut;
  cut.log_id.value = reader.text();
  for (uint64_t tables = reader.count(); tables > 0; --tables) {
    TableCut table{reader.text(), std::nullopt};
    if (reader.byte() != 0) table.snapshot = SnapshotId{reader.fixed64()};
    cut.tables.push_back(std::move(table));
  }
  cut.end = read_offsets(reader);
  // One text per cut: bytes left over, numbers written longer than needed, entries out of order or twice are all caught here.
  if (!reader.ok() || read_token(cut) != token) return refuse("is not a read token");
  return cut;
}

Offsets offsets_of_channel(const Offsets& offsets, Channel channel) {
  Offsets kept;
  for (const auto& [partition, offset] : offsets) {
    if (topic_channel(partition.topic) == channel) kept.emplace(partition, offset);
  }
  return kept;
}

}  // namespace k2
