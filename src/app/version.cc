#include "app/version.h"

#include <CLI/Version.hpp>

#include "version_generated.h"

// The run-time versions of libraries whose headers stay with other folders (their C interfaces are stable).
extern "C" {
const char* sqlite3_libversion(void);
const char* OpenSSL_version(int type);
const char* duckdb_library_version(void);
}

namespace k2 {

std::string version_number() { return K2_VERSION; }

std::string git_revision() { return K2_REVISION; }

std::string build_kind() {
#ifdef __OPTIMIZE__
  std::string kind = "optimized";
#else
  std::string kind = "debug";
#endif
#ifdef __SANITIZE_ADDRESS__
  kind += ", address sanitizer";
#endif
#ifdef __SANITIZE_THREAD__
  kind += ", thread sanitizer";
#endif
  return kind;
}

std::string version_text() {
  return "k2 " + version_number() + " (" + git_revision() + ", " + build_kind() + ", GCC " + __VERSION__ + ")\n" +          //
         "DuckDB " + duckdb_library_version() + ", SQLite " + sqlite3_libversion() + ", " + OpenSSL_version(0) + ", CLI11 " CLI11_VERSION;
}

}  // namespace k2
