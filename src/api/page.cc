#include "api/page.h"

// The assembler copies the files in; CMakeLists.txt makes this object depend on them.
#define K2_EMBED(name, file)                              \
  asm(".section .rodata\n"                                \
      ".global " name                                     \
      "_begin\n"                                          \
      ".global " name "_end\n" name                       \
      "_begin:\n"                                         \
      ".incbin \"" K2_SOURCE_DIR "/web/" file "\"\n" name \
      "_end:\n"                                           \
      ".byte 0\n"                                         \
      ".previous\n")

K2_EMBED("k2_live_page", "index.html");
K2_EMBED("k2_docs_page", "docs.html");

extern "C" {
extern const char k2_live_page_begin[];
extern const char k2_live_page_end[];
extern const char k2_docs_page_begin[];
extern const char k2_docs_page_end[];
}

namespace k2 {

std::string_view live_page() { return {k2_live_page_begin, static_cast<size_t>(k2_live_page_end - k2_live_page_begin)}; }
std::string_view docs_page() { return {k2_docs_page_begin, static_cast<size_t>(k2_docs_page_end - k2_docs_page_begin)}; }

}  // namespace k2
