// Result<T>: what every fallible function of k2 returns, and the error kinds, which are orders to the caller.
//
// Thread rule: values; no shared state.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace k2 {

/// What the caller must do about an error.
enum class ErrorKind {
  kInvalidInput,    // Refuse it: the same input will fail again.
  kNotFound,        // The named thing is not there.
  kConflict,        // Somebody else was first: reload, then try again.
  kUnknownOutcome,  // It may have happened: look first, delete nothing.
  kUnavailable,     // Back off and try again later.
  kCorrupt,         // Stored bytes contradict themselves: stop.
  kCancelled,       // The caller asked to stop.
};

/// The kind's name in snake_case, for logs, metrics labels and JSON.
[[nodiscard]] std::string_view error_kind_name(ErrorKind kind);

struct Error {
  ErrorKind kind;
  std::string message;  // What was tried, on what, with which values.

  /// The same error with `context` put before its message, as "context: message".
  [[nodiscard]] Error with_context(std::string_view context) const;
};

template <class T>
using Result = std::expected<T, Error>;

using Status = Result<void>;

[[nodiscard]] inline std::unexpected<Error> make_error(ErrorKind kind, std::string message) {
  return std::unexpected(Error{kind, std::move(message)});
}

}  // namespace k2

#define K2_CONCAT_INNER(a, b) a##b
#define K2_CONCAT(a, b) K2_CONCAT_INNER(a, b)

/// K2_TRY(auto x, f()): declares x with f's value, or returns f's error from the enclosing function.
#define K2_TRY(declaration, ...) K2_TRY_IMPL(K2_CONCAT(k2_try_, __COUNTER__), declaration, __VA_ARGS__)
#define K2_TRY_IMPL(temporary, declaration, ...)                        \
  auto temporary = (__VA_ARGS__);                                       \
  if (!temporary) return std::unexpected(std::move(temporary).error()); \
  declaration = *std::move(temporary)

/// K2_RETURN_IF_ERROR(f()): returns f's error from the enclosing function, drops its value.
#define K2_RETURN_IF_ERROR(...)                                                                           \
  do {                                                                                                    \
    if (auto k2_status = (__VA_ARGS__); !k2_status) return std::unexpected(std::move(k2_status).error()); \
  } while (false)
