// HttpHeaders: header fields of an HTTP message. Names compare without regard to case (RFC 9110, 5.1); order and repetition are kept.
//
// Thread rule: a value type.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace k2 {

/// Whether two field names, or two ASCII tokens such as "gzip", are the same but for case.
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b);

class HttpHeaders {
 public:
  using Field = std::pair<std::string, std::string>;

  HttpHeaders() = default;
  HttpHeaders(std::initializer_list<Field> fields) : fields_(fields) {}

  /// Appends a field.
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  /// Replaces every field of that name by one.
  void set(std::string_view name, std::string value);
  /// The first field's value; nullptr where there is none.
  [[nodiscard]] const std::string* find(std::string_view name) const;
  /// The first field's value; "" where there is none.
  [[nodiscard]] std::string_view get(std::string_view name) const;
  [[nodiscard]] size_t count(std::string_view name) const;

  [[nodiscard]] const std::vector<Field>& fields() const { return fields_; }
  [[nodiscard]] auto begin() const { return fields_.begin(); }
  [[nodiscard]] auto end() const { return fields_.end(); }

 private:
  std::vector<Field> fields_;
};

}  // namespace k2
