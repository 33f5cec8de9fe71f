// A lake put together from a store and a catalog of one's own: for other kinds of them, and for tests that make them fail.
//
// Internal to the table folder.
#pragma once

#include <memory>

#include "store/store.h"
#include "table/catalog.h"
#include "table/lake.h"

namespace k2 {

inline constexpr int64_t kRetryPauseUs = 2000;  // before a commit's second try; doubles with each further one, to half a second

[[nodiscard]] std::unique_ptr<Lake> make_lake(const LakeOptions& options, std::unique_ptr<Store> store, std::unique_ptr<Catalog> catalog,
                                              int64_t retry_pause_us = kRetryPauseUs);

}  // namespace k2
