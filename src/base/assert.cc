#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace k2 {

void assert_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "k2: bug: assertion failed: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace k2
