// Pages for browsers.
#include "api/answers.h"
#include "api/page.h"

namespace k2 {

HttpReply answer_page(const Call&) {
  HttpResponse page = text_response(std::string(live_page()), "text/html; charset=utf-8");
  page.headers.add("Content-Security-Policy", std::string(kPagePolicy));
  page.headers.add("X-Content-Type-Options", "nosniff");
  page.headers.add("Referrer-Policy", "no-referrer");
  return page;
}

}  // namespace k2
