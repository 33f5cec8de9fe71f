#include "app/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace k2 {
namespace {

constexpr int kBarWidth = 28;
constexpr auto kBarInterval = std::chrono::milliseconds(100);
constexpr auto kLineInterval = std::chrono::seconds(5);

std::string remaining_text(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  char text[32];
  if (whole >= 3600) std::snprintf(text, sizeof text, "%ldh%02ldm", whole / 3600, whole / 60 % 60);
  else if (whole >= 60) std::snprintf(text, sizeof text, "%ldm%02lds", whole / 60, whole % 60);
  else std::snprintf(text, sizeof text, "%lds", whole);
  return text;
}

}  // namespace

std::string with_commas(int64_t number) {
  std::string text = std::to_string(number);
  const int64_t first = number < 0 ? 1 : 0;
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > first; at -= 3) text.insert(static_cast<size_t>(at), ",");
  return text;
}

std::string bytes_text(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < std::size(kUnits); ++unit) value /= 1000;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

Progress::Style Progress::style_for(bool quiet) {
  if (quiet) return Style::kSilent;
  const char* term = std::getenv("TERM");
  const bool dumb = term == nullptr || std::string_view(term) == "dumb";
  return isatty(STDERR_FILENO) != 0 && !dumb ? Style::kBar : Style::kLines;
}

void Progress::start(std::string_view what, int64_t bytes_total) {
  finish();
  what_ = what;
  bytes_total_ = bytes_total;
  bytes_ = rows_ = 0;
  started_ = last_drawn_ = std::chrono::steady_clock::now();
}

void Progress::update(int64_t bytes, int64_t rows) {
  bytes_ = bytes;
  rows_ = rows;
  if (style_ == Style::kSilent) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_drawn_ < (style_ == Style::kBar ? std::chrono::steady_clock::duration(kBarInterval) : kLineInterval)) return;
  last_drawn_ = now;
  const std::string text = render(std::chrono::duration<double>(now - started_).count());
  if (style_ == Style::kLines) {
    std::fprintf(stderr, "%s\n", text.c_str());
    return;
  }
  std::fprintf(stderr, "\r\033[K%s", text.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

std::string Progress::render(double seconds) const {
  const double share = bytes_total_ <= 0 ? 0 : std::clamp(static_cast<double>(bytes_) / static_cast<double>(bytes_total_), 0.0, 1.0);
  const double rate = seconds > 0 ? static_cast<double>(rows_) / seconds : 0;
  std::string text = what_ + "  ";
  if (style_ == Style::kBar) {
    const int full = static_cast<int>(share * kBarWidth);
    text += "[" + std::string(static_cast<size_t>(full), '=') + std::string(static_cast<size_t>(kBarWidth - full), ' ') + "] ";
  }
  char percent[16];
  std::snprintf(percent, sizeof percent, "%3.0f%%", share * 100);
  text += std::string(percent) + "  " + with_commas(rows_) + " rows  " + with_commas(static_cast<int64_t>(rate)) + "/s";
  if (share > 0 && share < 1) text += "  " + remaining_text(seconds * (1 - share) / share) + " left";
  return text;
}

void Progress::finish() {
  if (!drawn_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace k2
