// Random UUIDs (RFC 9562, version 4), for commit ids and the like. Thread rule: any thread.
#pragma once

#include <string>

namespace k2 {

/// 36 lowercase characters, from the system's random source.
[[nodiscard]] std::string random_uuid();

}  // namespace k2
