// A batch's column by name, as its type. Private to query/. Thread rule: a pure function.
#pragma once

#include <arrow/api.h>

#include <string>
#include <string_view>

#include "base/assert.h"

namespace k2 {

/// Asserts that the column is there; that it is an Array is the caller's knowledge of the batch.
template <class Array>
[[nodiscard]] const Array& column_of(const arrow::RecordBatch& batch, std::string_view name) {
  const auto column = batch.GetColumnByName(std::string(name));
  K2_ASSERT(column != nullptr);
  return static_cast<const Array&>(*column);
}

}  // namespace k2
