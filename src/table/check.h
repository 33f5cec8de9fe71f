// Check: is a table whole? Everything that a reader will rely on is looked at, and what is wrong is said with its place.
//
// Internal to the table folder. Thread rule: pure but for reading.
#pragma once

#include "store/store.h"
#include "table/catalog.h"
#include "table/lake.h"

namespace k2 {

/// Adds what was looked at and found to `report`. An error only when the catalog cannot be asked.
[[nodiscard]] Status check_table(const TableSpec& spec, Store& store, Catalog& catalog, CheckReport* report);

}  // namespace k2
