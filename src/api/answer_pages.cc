// Pages for browsers, and the document of the API.
#include "api/answers.h"
#include "api/openapi.h"
#include "api/page.h"
#include "api/server.h"

namespace k2 {
namespace {

HttpResponse page_response(std::string_view html) {
  HttpResponse page = text_response(std::string(html), "text/html; charset=utf-8");
  page.headers.add("Content-Security-Policy", std::string(kPagePolicy));
  page.headers.add("X-Content-Type-Options", "nosniff");
  page.headers.add("Referrer-Policy", "no-referrer");
  return page;
}

}  // namespace

HttpReply answer_page(const Call&) { return page_response(live_page()); }
HttpReply answer_docs(const Call&) { return page_response(docs_page()); }

HttpReply answer_openapi(const Call& call) { return text_response(openapi_json(routes(), call.api.options.version), "application/json"); }

}  // namespace k2
