// Config: every setting of k2 with its value and where the value came from.
//
// Precedence, strongest first: command-line flag, environment (K2_<SECTION>_<KEY>, top level K2_<KEY>), the first file found of
// --config, ./k2.toml, $XDG_CONFIG_HOME/k2/k2.toml (~/.config where unset) and /etc/k2/k2.toml, then the default. Every setting comes from the
// strongest place that names it; files are all read, so a site's /etc file can be overridden key by key. --config replaces the three
// files. The keys are one table, config_keys(): the reader, `k2 config show` and the error messages are made from it.
// Thread rule: values.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace k2 {

struct LogConfig {
  std::string kind = "local";
  std::string brokers;
  std::string registry;
  int64_t retention_us = 24 * 3'600'000'000LL;  // how long records stay in the log after all tables have them
};

struct LakeConfig {
  std::string catalog = "sqlite:catalog.db";  // relative paths are below data_dir
  std::string warehouse = "warehouse";
  int64_t commit_interval_us = 5'000'000;
  int64_t commit_rows_max = 500'000;
};

struct BinanceConfig {
  std::vector<std::string> symbols = {"BTCUSDT", "ETHUSDT"};
  std::vector<std::string> endpoints = {"wss://stream.binance.com:9443", "wss://stream.binance.us:9443"};
  std::vector<std::string> rest_endpoints = {"https://api.binance.com", "https://api.binance.us"};
  std::string ca_file;  // further certificate authorities to trust (PEM), beside the system's
  std::vector<std::string> channels = {"trade"};  // "trade", "bookTicker"
  int64_t lines = 1;  // connections that carry each stream; 2: A and B, for good
  int64_t streams_per_connection = 1024;
  int64_t heartbeat_us = 30'000'000;
  int64_t replace_after_us = 23 * 3'600'000'000LL;  // 0: only when the venue cuts
  int64_t failback_after_us = 600'000'000;  // 0: never
  int64_t attempts_max = 10;  // in a row on one endpoint
  int64_t rounds_max = 1;  // times through all endpoints in vain, for on_exhausted = "exit"
  std::string on_exhausted = "keep_trying";
  bool backfill = true;  // ask the venue for trades that the feed missed
  int64_t backfill_trades_max = 250'000;  // in one gap
  int64_t backfill_weight_per_minute = 3000;
  int64_t backfill_confirm_after_us = 30'000'000;
  int64_t backoff_first_us = 5'000'000;
  int64_t backoff_max_us = 60'000'000;
};

struct ServeConfig {
  std::string listen = "127.0.0.1:8080";
  bool allow_anonymous = false;  // listen may be reached from other machines, though nobody is asked who they are
  std::string pg_listen = "127.0.0.1:8812";
  std::vector<std::string> cors_origins;  // whose pages may read the API; none: nobody's but our own
};

struct QueryConfig {
  std::string memory_limit = "1GB";
  int64_t threads = 2;
};

/// Of the locked workers that run SQL from outside.
struct SqlConfig {
  int64_t workers = 2;  // at once; more questions wait
  int64_t memory_mib = 2048;  // of each
  int64_t timeout_us = 30'000'000;
};

struct Config {
  std::string schema_version = "v2";
  std::string data_dir = "./k2-data";
  LogConfig log;
  LakeConfig lake;
  BinanceConfig binance;
  ServeConfig serve;
  QueryConfig query;
  SqlConfig sql;
  std::map<std::string, std::string> instruments;  // symbol -> "BASE/QUOTE", where the venue can't be asked

  /// Where each setting came from, by key name: "default", "environment K2_DATA_DIR", "./k2.toml:3", "flag".
  std::map<std::string, std::string, std::less<>> origins;
};

/// One setting: its name, what it is for, and how its text is read and written.
struct ConfigKey {
  std::string_view name;  // "lake.commit_interval"; without a point at top level
  std::string_view doc;
  /// Lists have one text per element, maps "key=value", everything else exactly one text. InvalidInput with what is allowed.
  std::function<Status(Config&, const std::vector<std::string>&)> set;
  std::function<std::vector<std::string>(const Config&)> get;
  bool is_list = false;
  bool is_map = false;
  bool is_number = false;  // written without quotes

  /// "K2_LAKE_COMMIT_INTERVAL".
  [[nodiscard]] std::string environment_name() const;
};

[[nodiscard]] std::span<const ConfigKey> config_keys();

/// What load_config looks at beyond the command line; tests own it.
struct ConfigPlaces {
  std::function<std::optional<std::string>(const std::string&)> environment;  // value of a variable
  std::vector<std::string> environment_names;  // those that begin with K2_
  std::vector<std::string> files;  // strongest first; absent ones are skipped
  std::optional<std::string> named_file;  // --config or K2_CONFIG: alone, and it must exist

  /// The process's own environment and the usual files.
  [[nodiscard]] static ConfigPlaces of_process(std::optional<std::string> config_flag);
};

/// (key name, texts as given) of the flags that were on the command line.
using ConfigFlags = std::vector<std::pair<std::string, std::vector<std::string>>>;

/// Reads and checks everything. InvalidInput: an unknown key (the message names the nearest one), a value of the wrong shape, a file
/// that is not TOML (with line and column), schema_version other than "v2". NotFound: --config's file. Unavailable: a file that cannot be read.
[[nodiscard]] Result<Config> load_config(const ConfigPlaces& places, const ConfigFlags& flags);

/// Whether the files that the configuration names are there and can be what they are said to be. InvalidInput otherwise.
[[nodiscard]] Status check_files(const Config& config);

/// Whether what is served can be reached from this machine alone, or it is said that anybody may ask. InvalidInput otherwise.
[[nodiscard]] Status check_exposure(const Config& config);

/// `path` as it stands where absolute or a URL, else below data_dir.
[[nodiscard]] std::string below_data_dir(const Config& config, std::string_view path);

/// The candidate nearest to `word` by edit distance, if near enough to be a slip; empty otherwise.
[[nodiscard]] std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates);

/// k2.toml text of the whole configuration, sections in order; with `origins`, each line ends in a comment saying whence.
[[nodiscard]] std::string config_toml(const Config& config, bool origins);

}  // namespace k2
