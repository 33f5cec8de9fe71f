#include "app/version.h"

// The build gives these for this one file (CMakeLists.txt); a build without them still works.
#ifndef K2_GIT_REVISION
#define K2_GIT_REVISION "unknown"
#endif
#ifndef K2_BUILD_TYPE
#define K2_BUILD_TYPE "unknown build"
#endif
#ifndef K2_LIBRARIES
#define K2_LIBRARIES ""
#endif

namespace k2 {

std::string git_revision() { return K2_GIT_REVISION; }

std::string version_text() {
  std::string text = std::string("k2 ") + kVersion + " (" + git_revision() + ", " + K2_BUILD_TYPE + ", GCC " + __VERSION__ + ")";
  if (const std::string libraries = K2_LIBRARIES; !libraries.empty()) text += "\n" + libraries;
  return text;
}

}  // namespace k2
