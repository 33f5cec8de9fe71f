// Avro object container files (Avro 1.11 specification, "Object Container Files"), as far as Iceberg's manifests need them: written with the
// codecs null or deflate, read with a decoder driven by the writer's own schema, so that manifests of any engine can be read.
//
// Thread rule: pure functions and values. Internal to the table folder.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace k2 {

/// Appends values in Avro's binary encoding.
class AvroEncoder {
 public:
  void put_long(int64_t value);  // also int
  void put_bool(bool value) { bytes_.push_back(value ? '\1' : '\0'); }
  void put_bytes(std::string_view value);  // also string

  // A union ["null", T]: branch 1 and the value, or branch 0.
  template <class T, class Put>
  void put_optional(const std::optional<T>& value, Put put) {
    put_long(value ? 1 : 0);
    if (value) put(*value);
  }
  void put_optional_long(const std::optional<int64_t>& value) {
    put_optional(value, [this](int64_t v) { put_long(v); });
  }
  void put_optional_bytes(const std::optional<std::string>& value) {
    put_optional(value, [this](const std::string& v) { put_bytes(v); });
  }

  // A union ["null", array]: one block of all items, then the end marker.
  template <class Items, class Put>
  void put_optional_array(const Items& items, Put put) {
    put_long(1);
    if (!items.empty()) {
      put_long(static_cast<int64_t>(items.size()));
      for (const auto& item : items) put(item);
    }
    put_long(0);
  }

  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// A whole file with one block of `count` records, deflated. `metadata` is the header's map without avro.schema and avro.codec. The same records give
/// the same bytes.
[[nodiscard]] std::string write_avro_file(const std::string& schema, const std::map<std::string, std::string>& metadata, size_t count,
                                          std::string_view records);

/// A decoded value. Unions are resolved to the branch that was written; enums are their index; maps are lists of (key, value) records
/// without field ids; fixed is bytes.
struct AvroValue {
  enum class Kind : uint8_t { kNull, kBoolean, kInteger, kFloating, kBytes, kArray, kRecord };

  Kind kind = Kind::kNull;
  int64_t integer = 0;  // boolean, integer
  double floating = 0;
  std::string bytes;
  std::vector<AvroValue> items;  // array's items, or record's fields in written order
  const std::vector<int32_t>* field_ids = nullptr;  // record: Iceberg's "field-id" of each field; -1 where it has none

  [[nodiscard]] bool is_null() const { return kind == Kind::kNull; }
  /// The record's field with that Iceberg id, or nullptr; nullptr too where it is null.
  [[nodiscard]] const AvroValue* field(int32_t field_id) const;
};

struct AvroSchemaNode;

/// A file read whole. Values stay valid as long as it does.
struct AvroFile {
  std::map<std::string, std::string> metadata;  // the header's map, schema included
  std::vector<AvroValue> records;
  std::vector<std::unique_ptr<AvroSchemaNode>> schema;  // owns what values point to
  AvroFile();
  AvroFile(AvroFile&&) noexcept;
  AvroFile& operator=(AvroFile&&) noexcept;
  ~AvroFile();
};

/// Corrupt: not such a file, with the byte position and what was expected there. InvalidInput: a codec other than null and deflate.
[[nodiscard]] Result<AvroFile> read_avro_file(std::string_view bytes);

}  // namespace k2
