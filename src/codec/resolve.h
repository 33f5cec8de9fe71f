// SchemaResolver: reads what other schema versions wrote. Brings a body of any compatible writer schema to the bytes of ours, by
// Avro's schema resolution (specification 1.11, "Schema Resolution"): fields by name, defaults for missing ones, promoted types, enums
// by symbol. Beyond it, decimals of a smaller scale are widened and timestamp-millis becomes timestamp-micros, both exactly.
//
// avro-c 1.11.1 parses the schemas; the resolution is ours, because avro-c's refuses a reader field that the writer lacks, default or
// not, copies enum indexes without looking at the symbols, and knows no logical types (it would take a scale of 4 for one of 8).
// Writer schemas are fetched from the SchemaStore once per id and kept. Our own schema, under whatever id, costs one look-up.
// Thread rule: one thread at a time; each reader has its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "market/event.h"
#include "market/schema_store.h"

namespace k2 {

/// The records that travel in the log.
enum class RecordKind : uint8_t { kTrade, kQuote, kCoverage, kDeadLetter };
inline constexpr size_t kRecordKindCount = 4;

/// What a channel's topics carry.
[[nodiscard]] constexpr RecordKind record_kind(Channel channel) {
  constexpr RecordKind kKinds[] = {RecordKind::kTrade, RecordKind::kQuote, RecordKind::kCoverage};
  return kKinds[static_cast<size_t>(channel)];
}

class SchemaResolver {
 public:
  /// `store` outlives the resolver.
  explicit SchemaResolver(const SchemaStore& store);
  ~SchemaResolver();
  SchemaResolver(const SchemaResolver&) = delete;
  SchemaResolver& operator=(const SchemaResolver&) = delete;

  /// The body of `message` as our own schema of `kind` has it, for decode_trade() and its siblings. A view into `message` where the
  /// writer used our schema, else into memory of the resolver that lives until the next call.
  /// Corrupt: not a frame; the body does not match its writer schema, or has a value that ours cannot hold (null for a required field,
  /// an enum symbol or a decimal outside ours). InvalidInput: the writer schema cannot be read as ours.
  /// The store's own errors: NotFound, Unavailable.
  [[nodiscard]] Result<std::string_view> own_body(RecordKind kind, std::string_view message);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
