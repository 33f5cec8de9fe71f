// LineFile: a text file's lines, one by one, from a plain file or from a zip archive with exactly one member.
//
// Memory is bounded whatever the file holds: one fixed buffer. A zip is recognised by its first bytes, not by its name.
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace k2 {

class LineFile {
 public:
  /// A line is at most this long, its end not counted.
  static constexpr size_t kLineBytesMax = 64 << 10;
  /// A zip member may be at most this many times its compressed size (trade files reach about 20); beyond lies a zip bomb.
  static constexpr int64_t kZipRatioMax = 250;

  struct Line {
    std::string_view text;  // without LF or CR LF; lives until the next call
    int64_t number = 0;     // from 1
    bool too_long = false;  // text is only the line's first kLineBytesMax bytes; the next line is read whole
  };

  /// NotFound: no such file. InvalidInput: a directory, a device, a zip with no member, several, an encrypted or overlarge one.
  /// Corrupt: it begins as a zip but is not one (truncated). Unavailable: cannot be read (permissions, I/O).
  [[nodiscard]] static Result<LineFile> open(const std::string& path);
  ~LineFile();
  LineFile(LineFile&&) noexcept;
  LineFile& operator=(LineFile&&) noexcept;

  /// The next line; nullopt after the last one. The last line may lack its line end. A byte order mark at the start is left out.
  /// Corrupt: the zip member is truncated, longer than announced or fails its CRC-32. Unavailable: an I/O error.
  [[nodiscard]] Result<std::optional<Line>> next();

  /// The name of the zip archive's member, as it stands there; empty for a plain file.
  [[nodiscard]] const std::string& member_name() const;

  /// Bytes of text read so far and in all, for progress. A plain file that grows may pass its total.
  [[nodiscard]] int64_t bytes_read() const;
  [[nodiscard]] int64_t bytes_total() const;

 private:
  struct Impl;
  explicit LineFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
