#include "api/page.h"

// The assembler copies the file in; CMakeLists.txt makes this object depend on it.
asm(".section .rodata\n"
    ".global k2_live_page_begin\n"
    ".global k2_live_page_end\n"
    "k2_live_page_begin:\n"
    ".incbin \"" K2_SOURCE_DIR
    "/web/index.html\"\n"
    "k2_live_page_end:\n"
    ".byte 0\n"
    ".previous\n");

extern "C" {
extern const char k2_live_page_begin[];
extern const char k2_live_page_end[];
}

namespace k2 {

std::string_view live_page() { return {k2_live_page_begin, static_cast<size_t>(k2_live_page_end - k2_live_page_begin)}; }

}  // namespace k2
