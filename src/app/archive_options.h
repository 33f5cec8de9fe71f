// The archive's options as the configuration has them. Thread rule: a pure function.
#pragma once

#include "app/archive.h"
#include "app/config.h"

namespace k2 {

[[nodiscard]] inline ArchiveOptions archive_options(const Config& config) {
  ArchiveOptions options;
  options.commit_interval_us = config.lake.commit_interval_us;
  options.rows_max = config.lake.commit_rows_max;
  options.retention_us = config.log.retention_us;
  return options;
}

}  // namespace k2
