// Store: whole objects by absolute path: put once, get, list, remove. Where the lake's files live.
//
// Objects are immutable: they are put once and never changed, so a reader that knows a name sees the whole object or none.
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace k2 {

class Store {
 public:
  virtual ~Store() = default;

  /// Writes the object whole, unless there is one: after success it is durable, name included.
  /// Conflict: there is one already, with other bytes. (The same bytes are success: the retry of a put whose answer was lost.)
  /// UnknownOutcome: it may be there; putting the same bytes again is safe. Unavailable: not written (disk full, not permitted).
  [[nodiscard]] virtual Status put_if_absent(const std::string& path, std::string_view bytes) = 0;

  /// The object's bytes. NotFound, Unavailable.
  [[nodiscard]] virtual Result<std::string> get(const std::string& path) = 0;

  /// Its size in bytes, without reading it. NotFound, Unavailable.
  [[nodiscard]] virtual Result<int64_t> size(const std::string& path) = 0;

  /// Paths of all objects below a directory, at any depth, in order. An absent directory has none. Unavailable on any read error.
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;

  /// Removes the object; NotFound if there is none.
  [[nodiscard]] virtual Status remove(const std::string& path) = 0;
};

/// Objects as files of this machine. Durable means file and directory were both synced.
[[nodiscard]] std::unique_ptr<Store> make_local_store();

/// "/a/b c" -> "file:///a/b c", as PyIceberg writes it: nothing is percent-encoded.
[[nodiscard]] std::string path_to_uri(std::string_view path);

/// "file:///a", "file:/a" or "/a" -> "/a". InvalidInput for any other scheme or a relative path.
[[nodiscard]] Result<std::string> uri_to_path(std::string_view uri);

}  // namespace k2
