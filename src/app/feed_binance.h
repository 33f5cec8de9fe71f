// BinanceSource: the live feed's whole way from the exchange to ingest: instruments, connection, parser, dead letters, and what it missed.
//
// Frames come on the connection's thread, are parsed there and put into ingest there, which leaves out what it has no room for.
// Thread rule: all members from any thread; stop() once.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/backfill.h"
#include "app/config.h"
#include "app/ingest.h"
#include "app/quote_outages.h"
#include "base/result.h"
#include "feed/binance_feed.h"

namespace k2 {

class BinanceSource {
 public:
  struct Options {
    const Log* log = nullptr;                // ingest's, for the gaps; outlives the source. Without it none are looked for.
    GapPolicy gap_policy;                    // but for what the configuration says
    int64_t gap_poll_us = 1'000'000;
    std::string lock_file;                   // Backfill's
    TlsTrust trust;                          // beside the configured ca_file
    std::function<void()>
        on_failure;  // ingest has failed for good, or all endpoints have; called at most once, from a connection's or the feed's thread
  };

  /// Asks the venue for its instruments (and goes on with what is known where it is away), then connects in the background. InvalidInput: a
  /// symbol whose currency nobody knows; a malformed endpoint. `ingest` outlives it.
  [[nodiscard]] static Result<std::unique_ptr<BinanceSource>> start(const Config& config, Ingest& ingest, Options options);
  ~BinanceSource();
  BinanceSource(const BinanceSource&) = delete;
  BinanceSource& operator=(const BinanceSource&) = delete;

  /// No frame is taken after it returns; what was taken is in ingest.
  void stop();
  [[nodiscard]] BinanceFeedStatus status() const;
  [[nodiscard]] BackfillStatus gaps() const;
  [[nodiscard]] QuoteOutages::Counts quote_outages() const;
  /// The error of ingest that ended the feed.
  [[nodiscard]] Status health() const;

 private:
  struct Impl;
  explicit BinanceSource(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
