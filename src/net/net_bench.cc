// What a WebSocket frame costs the client, from a TLS or plain socket to the handler's call.
//
// The time reported is CPU time of the client's thread alone: the server runs on another one.
#include <benchmark/benchmark.h>
#include <time.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "net/http_server.h"
#include "net/self_signed.h"
#include "net/ws_client.h"

namespace k2 {
namespace {

constexpr std::string_view kFrame =
    R"({"stream":"btcusdt@trade","data":{"e":"trade","E":1610064000278,"s":"BTCUSDT","t":553287559,"p":"39432.48000000","q":"0.00026300","T":1610064000278,"m":true,"M":true}})";
constexpr int64_t kFrames = 200'000;

double thread_cpu_seconds() {
  timespec ts{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
  return static_cast<double>(ts.tv_sec) + static_cast<double>(ts.tv_nsec) * 1e-9;
}

// Sends frames to whoever connects, as fast as they are taken; or each alone, so that it has a TLS record and a packet of its own.
class Source : public HttpHandler, public WsSessionHandler {
 public:
  explicit Source(bool one_by_one) : one_by_one_(one_by_one) {}

  HttpReply handle(HttpRequest) override {
    return WsUpgrade{.handler = std::shared_ptr<WsSessionHandler>(this, [](WsSessionHandler*) {}), .send_queue_bytes_max = 8 << 20};
  }
  void on_open(std::shared_ptr<WsSession> session) override {
    sender_ = std::jthread([session = std::move(session), one_by_one = one_by_one_] {
      for (int64_t sent = 0; sent < kFrames && !session->is_closed(); ++sent) {
        while (session->queued_bytes() > (one_by_one ? 0 : 4 << 20)) std::this_thread::yield();
        session->send_text(kFrame);
      }
    });
  }
  void on_message(std::string_view, bool) override {}
  void on_close(uint16_t, std::string_view) override {}

 private:
  bool one_by_one_;
  std::jthread sender_;
};

class Sink : public WsClientHandler {
 public:
  void on_open() override { start_ = thread_cpu_seconds(); }
  void on_message(std::string_view bytes, bool, TimestampUs) override {
    benchmark::DoNotOptimize(bytes.data());
    if (++frames_ == kFrames) done(thread_cpu_seconds() - start_);
  }
  void on_end(const WsEnd&) override { done(0); }
  double wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return cpu_seconds_ >= 0; });
    return cpu_seconds_;
  }

 private:
  void done(double cpu_seconds) {
    const std::lock_guard lock(mutex_);
    if (cpu_seconds_ < 0) cpu_seconds_ = cpu_seconds;
    changed_.notify_all();
  }
  double start_ = 0;
  int64_t frames_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  double cpu_seconds_ = -1;
};

void receive_frames(benchmark::State& state, bool tls, bool one_by_one) {
  const TlsIdentity identity = tls ? make_self_signed().value() : TlsIdentity{};
  for (auto _ : state) {
    Source source(one_by_one);
    const auto server = HttpServer::start({.tls = identity}, source).value();
    Sink sink;
    WsClient client({.url = (tls ? "wss" : "ws") + server->url().substr(tls ? 5 : 4), .trust = {.ca_pem = identity.certificate_pem}}, sink);
    state.SetIterationTime(sink.wait());
  }
  state.SetItemsProcessed(state.iterations() * kFrames);
  state.SetBytesProcessed(state.iterations() * kFrames * static_cast<int64_t>(kFrame.size()));
}

BENCHMARK_CAPTURE(receive_frames, plain, false, false)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(3);
BENCHMARK_CAPTURE(receive_frames, tls, true, false)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(3);
BENCHMARK_CAPTURE(receive_frames, tls_one_record_each, true, true)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace k2
