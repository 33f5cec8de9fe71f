// ApiServer: k2's HTTP side: /v1/trades, /v1/quotes, /v1/coverage, /v1/symbols, /v1/stream, health, metrics and the live page.
//
// Routes are one table (api/routes.h). Each answer over rows carries its cut as a read token: in JSON as "read_token", in the other
// formats as the header K2-Read-Token. A source that fails is an error, or, once the answer has begun, a torn connection: never an
// answer that looks whole. Errors are problems (api/problem.h).
//
//   {"data":[{...},...],"count":2,"truncated":false,"read_token":"..."}      truncated: there are more than `limit`
//
// Answers of /v1/trades also say whether they have all there is: api/complete.h.
//
// Thread rule: all members from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/live_stream.h"
#include "base/result.h"
#include "query/engine.h"

namespace k2 {

class OutsideSql;

struct ApiOptions {
  std::string listen = "127.0.0.1:8080";
  int64_t query_timeout_us = 30'000'000;
  std::vector<std::string> cors_origins;     // whose pages may read answers: "https://example.org"; "*": any
  std::string version = "0.0.0";             // of the program, for /openapi.json
  OutsideSql* sql = nullptr;  // runs POST /v1/sql; outlives the server; nullptr: refused
  std::function<std::string()> health_json;  // the body of /health: an object
  std::function<bool()> is_ready;            // /readyz
};

class ApiServer {
 public:
  /// Binds and serves. `engine` and `stream` outlive it. Errors of HttpServer::start().
  [[nodiscard]] static Result<std::unique_ptr<ApiServer>> start(Engine& engine, LiveStream& stream, ApiOptions options);
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  /// "http://127.0.0.1:8080".
  [[nodiscard]] std::string url() const;

 private:
  struct Impl;
  explicit ApiServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
