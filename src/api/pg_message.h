// Messages of the PostgreSQL wire protocol, version 3.0 (PostgreSQL documentation, "Frontend/Backend Protocol"): docs/formats/pgwire.md.
//
// Thread rule: values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "query/pg_bytes.h"

namespace k2 {

inline constexpr int32_t kPgVersion3 = 196'608;
inline constexpr int32_t kPgCancelRequest = 80'877'102;
inline constexpr int32_t kPgSslRequest = 80'877'103;
inline constexpr int32_t kPgGssRequest = 80'877'104;

/// Builds messages one after another in a buffer.
class PgWriter {
 public:
  /// Begins a message of that type; end() sets its length.
  PgWriter& begin(char type) {
    out_ += type;
    start_ = out_.size();
    return integer(int32_t{0});
  }
  template <class Integer>
  PgWriter& integer(Integer value) {
    append_network(out_, value);
    return *this;
  }
  /// With a zero byte after it; it holds none.
  PgWriter& text(std::string_view value) {
    out_ += value.substr(0, value.find('\0'));
    out_ += '\0';
    return *this;
  }
  PgWriter& byte(char value) {
    out_ += value;
    return *this;
  }
  void end() { store_network(out_.data() + start_, static_cast<int32_t>(out_.size() - start_)); }

  [[nodiscard]] std::string& bytes() { return out_; }

 private:
  std::string out_;
  size_t start_ = 0;
};

/// Reads a message's body. After a read past its end every value is empty or 0, and ok() is false.
class PgReader {
 public:
  explicit PgReader(std::string_view body) : rest_(body) {}
  template <class Integer>
  Integer integer() {
    const std::string_view bytes = take(sizeof(Integer));
    return bytes.empty() ? Integer{} : load_network<Integer>(bytes.data());
  }
  std::string_view text() {
    const size_t end = rest_.find('\0');
    if (end == std::string_view::npos) {
      ok_ = false;
      return {};
    }
    const std::string_view value = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return value;
  }
  char byte() {
    const std::string_view one = take(1);
    return one.empty() ? '\0' : one[0];
  }
  /// A length of 4 bytes and so many bytes; nullopt for length -1.
  std::optional<std::string_view> value() {
    const auto length = integer<int32_t>();
    if (length == -1) return std::nullopt;
    if (length < 0) ok_ = false;
    return take(static_cast<size_t>(length));
  }
  /// A count of things that take at least a byte or two each.
  size_t count() {
    const auto value = integer<int16_t>();
    if (value < 0) ok_ = false;
    return ok_ ? static_cast<size_t>(value) : 0;
  }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::string_view take(size_t size) {
    if (size > rest_.size()) ok_ = false;
    if (!ok_) return {};
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace k2
