// Any bytes as manifest, manifest list or metadata file: an error or values, never a crash; metadata that is read can be written and read again.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "table/manifest.h"
#include "table/metadata.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace k2;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  static_cast<void>(read_manifest(bytes, "m").has_value());
  static_cast<void>(read_manifest_list(bytes, "l").has_value());
  if (const auto metadata = TableMetadata::parse(bytes)) K2_ASSERT(TableMetadata::parse(metadata->to_json()).has_value());
  return 0;
}
