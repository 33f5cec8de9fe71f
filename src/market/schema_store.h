// SchemaStore: schema ids for the Confluent wire format, by subject. The local log keeps its own; a registry serves a cluster's.
//
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace k2 {

class SchemaStore {
 public:
  virtual ~SchemaStore() = default;
  /// The id of `schema` (Avro JSON) under `subject` ("<topic>-value"); registers it where it is new. The same text has the same id
  /// under every subject. Ids count from 1. Durable when it returns.
  /// InvalidInput: refused as incompatible. Unavailable: cannot be asked now.
  [[nodiscard]] virtual Result<int32_t> register_schema(std::string_view subject, std::string_view schema) = 0;
  /// The text of schema `id`. NotFound: no such id.
  [[nodiscard]] virtual Result<std::string> schema(int32_t id) const = 0;
};

}  // namespace k2
