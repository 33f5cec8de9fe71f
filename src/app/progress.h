// Progress: how far a load is, on standard error. A bar with rate and remaining time on a terminal, else a plain line now and then.
//
// Thread rule: one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace k2 {

/// "1,234,567".
[[nodiscard]] std::string with_commas(int64_t number);
/// "1.5 MB".
[[nodiscard]] std::string bytes_text(int64_t bytes);

class Progress {
 public:
  enum class Style { kSilent, kLines, kBar };

  /// kBar where standard error is a terminal that can do it, kLines elsewhere, kSilent with --quiet.
  [[nodiscard]] static Style style_for(bool quiet);

  explicit Progress(Style style) : style_(style) {}
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void start(std::string_view what, int64_t bytes_total);
  /// Cheap to call often: draws at most ten times a second (lines: every 5 s).
  void update(int64_t bytes, int64_t rows);
  /// Wipes the bar; says nothing.
  void finish();
  /// The last line drawn, for tests.
  [[nodiscard]] std::string render(double seconds) const;

 private:
  Style style_;
  std::string what_;
  int64_t bytes_total_ = 0;
  int64_t bytes_ = 0;
  int64_t rows_ = 0;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point last_drawn_;
};

}  // namespace k2
