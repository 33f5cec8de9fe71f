// Jitter: chance from a seed, the same everywhere for a seed, so that a simulation can be run again.
//
// Source: splitmix64 (Steele, Lea, Flood 2014); good enough to spread things in time, and for nothing else.
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>

namespace k2 {

class Jitter {
 public:
  explicit Jitter(uint64_t seed) : state_(seed) {}

  [[nodiscard]] uint64_t bits() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  /// From 0 up to, not including, `part` of `whole`.
  [[nodiscard]] int64_t part_of(int64_t whole, double part) {
    const double chance = static_cast<double>(bits() >> 11) * 0x1p-53;
    return static_cast<int64_t>(static_cast<double>(whole) * part * chance);
  }

 private:
  uint64_t state_;
};

}  // namespace k2
