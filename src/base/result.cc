#include "base/result.h"

namespace k2 {

std::string_view error_kind_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidInput: return "invalid_input";
    case ErrorKind::kNotFound: return "not_found";
    case ErrorKind::kConflict: return "conflict";
    case ErrorKind::kUnknownOutcome: return "unknown_outcome";
    case ErrorKind::kUnavailable: return "unavailable";
    case ErrorKind::kCorrupt: return "corrupt";
    case ErrorKind::kCancelled: return "cancelled";
  }
  return "unknown";
}

Error Error::with_context(std::string_view context) const { return Error{kind, std::string(context) + ": " + message}; }

}  // namespace k2
