#include "app/config.h"

#include <toml++/toml.h>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/time.h"
#include "market/instrument.h"
#include "net/url.h"

extern char** environ;

namespace k2 {
namespace {

using Texts = std::vector<std::string>;

std::unexpected<Error> refuse(std::string message) { return make_error(ErrorKind::kInvalidInput, std::move(message)); }

// --- How each type of setting is read and written. -------------------------------------------------------------------------------

/// Lets a key be written as one line: the member it stands for, found by `at` in a const or mutable Config.
template <class At>
ConfigKey text_key(std::string_view name, std::string_view doc, At at) {
  return {name, doc,
          [at](Config& config, const Texts& texts) -> Status {
            at(config) = texts.front();
            return {};
          },
          [at](const Config& config) { return Texts{at(config)}; }};
}

template <class At>
ConfigKey list_key(std::string_view name, std::string_view doc, At at) {
  ConfigKey key{name, doc,
                [at](Config& config, const Texts& texts) -> Status {
                  at(config) = texts;
                  return {};
                },
                [at](const Config& config) { return at(config); }};
  key.is_list = true;
  return key;
}

std::string duration_text(int64_t us) {
  struct Unit {
    int64_t us;
    const char* name;
  };
  constexpr Unit kUnits[] = {{3'600 * kUsPerSecond, "h"}, {60 * kUsPerSecond, "m"}, {kUsPerSecond, "s"}, {1000, "ms"}, {1, "us"}};
  for (const Unit& unit : kUnits)
    if (us != 0 && us % unit.us == 0) return std::to_string(us / unit.us) + unit.name;
  return "0s";
}

constexpr int64_t kBackoffMinUs = 1'000;
constexpr int64_t kConfirmMinUs = 100'000;  // two answers at once are one

template <class At>
ConfigKey duration_key(std::string_view name, std::string_view doc, At at, int64_t at_least_us = 0) {
  return {name, doc,
          [at, at_least_us](Config& config, const Texts& texts) -> Status {
            K2_TRY(const int64_t us, parse_duration_us(texts.front()));
            if (us < at_least_us)
              return make_error(ErrorKind::kInvalidInput,
                                "\"" + texts.front() + "\" is too short: " + duration_text(at_least_us) + " at least");
            at(config) = us;
            return {};
          },
          [at](const Config& config) { return Texts{duration_text(at(config))}; }};
}

template <class At>
ConfigKey count_key(std::string_view name, std::string_view doc, int64_t at_least, int64_t at_most, At at) {
  ConfigKey key{name, doc,
                [at, at_least, at_most](Config& config, const Texts& texts) -> Status {
                  const std::string& text = texts.front();
                  int64_t count = 0;
                  const auto read = std::from_chars(text.data(), text.data() + text.size(), count);
                  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || count < at_least || count > at_most)
                    return refuse("cannot read \"" + text + "\": want a whole number from " + std::to_string(at_least) + " to " +
                                  std::to_string(at_most));
                  at(config) = count;
                  return {};
                },
                [at](const Config& config) { return Texts{std::to_string(at(config))}; }};
  key.is_number = true;
  return key;
}

Status require_choice(const std::string& text, const std::vector<std::string>& choices) {
  if (std::ranges::find(choices, text) != choices.end()) return {};
  std::string allowed;
  for (const std::string& choice : choices) allowed += (allowed.empty() ? "\"" : ", \"") + choice + '"';
  return refuse("\"" + text + "\" is not known here; allowed: " + allowed);
}

template <class At>
ConfigKey flag_key(std::string_view name, std::string_view doc, At at) {
  ConfigKey key{name, doc,
                [at](Config& config, const Texts& texts) -> Status {
                  if (texts.front() != "true" && texts.front() != "false")
                    return refuse("cannot read \"" + texts.front() + "\": want true or false");
                  at(config) = texts.front() == "true";
                  return {};
                },
                [at](const Config& config) { return Texts{at(config) ? "true" : "false"}; }};
  key.is_number = true;  // written without quotes
  return key;
}

ConfigKey choice_key(std::string_view name, std::string_view doc, std::vector<std::string> choices, std::string& (*at)(Config&)) {
  return {name, doc,
          [choices, at](Config& config, const Texts& texts) -> Status {
            K2_RETURN_IF_ERROR(require_choice(texts.front(), choices));
            at(config) = texts.front();
            return {};
          },
          [at](const Config& config) { return Texts{at(const_cast<Config&>(config))}; }};
}

template <class At>
ConfigKey choices_key(std::string_view name, std::string_view doc, std::vector<std::string> choices, At at) {
  ConfigKey key = list_key(name, doc, at);
  key.set = [choices, at](Config& config, const Texts& texts) -> Status {
    for (const std::string& text : texts) K2_RETURN_IF_ERROR(require_choice(text, choices));
    at(config) = texts;
    return {};
  };
  return key;
}

/// "host:port" to listen on.
Status check_address(const std::string& text) {
  if (parse_host_port(text)) return {};
  return refuse("cannot read \"" + text + "\": want HOST:PORT with a port from 0 to 65535, as 127.0.0.1:8080");
}

template <class At>
ConfigKey address_key(std::string_view name, std::string_view doc, At at) {
  ConfigKey key = text_key(name, doc, at);
  key.set = [at](Config& config, const Texts& texts) -> Status {
    K2_RETURN_IF_ERROR(check_address(texts.front()));
    at(config) = texts.front();
    return {};
  };
  return key;
}

/// Lists whose elements are checked one by one; at least one is wanted.
template <class At>
ConfigKey checked_list_key(std::string_view name, std::string_view doc, Status (*check)(const std::string& text), At at) {
  ConfigKey key = list_key(name, doc, at);
  key.set = [check, at](Config& config, const Texts& texts) -> Status {
    if (texts.empty()) return refuse("want at least one");
    for (const std::string& text : texts) K2_RETURN_IF_ERROR(check(text));
    at(config) = texts;
    return {};
  };
  return key;
}

Status check_url(const std::string& text, const char* plain, const char* tls) {
  const auto url = parse_url(text);
  if (!url) return std::unexpected(url.error());
  if (url->scheme == plain || url->scheme == tls) return {};
  return refuse("\"" + text + "\": want " + tls + ":// or " + plain + "://");
}
Status check_ws_url(const std::string& text) { return check_url(text, "ws", "wss"); }
Status check_http_url(const std::string& text) { return check_url(text, "http", "https"); }

/// Binance's symbols are of capitals, digits and "-_.", and of letters of other scripts (REST API, exchangeInfo, 2026-07-21).
Status check_symbol(const std::string& text) {
  const auto is_part = [](unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c >= 0x80;
  };
  if (!text.empty() && std::ranges::all_of(text, is_part)) return {};
  std::string near;
  for (const unsigned char c : text)
    if (const auto capital = static_cast<unsigned char>(std::toupper(c)); is_part(capital)) near += static_cast<char>(capital);
  return refuse("\"" + text + "\" is no symbol of Binance's" + (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
}

ConfigKey instruments_key() {
  ConfigKey key{"instruments", "currencies by symbol, \"BASE/QUOTE\", where the venue can't be asked",
                [](Config& config, const Texts& texts) -> Status {
                  config.instruments.clear();
                  for (const std::string& text : texts) {
                    if (!InstrumentTable::parse_entry(text))
                      return refuse("cannot read \"" + text + "\": want SYMBOL=BASE/QUOTE, as SOLUSDT=SOL/USDT");
                    const size_t equals = text.find('=');
                    config.instruments[text.substr(0, equals)] = text.substr(equals + 1);
                  }
                  return {};
                },
                [](const Config& config) {
                  Texts texts;
                  for (const auto& [symbol, currency] : config.instruments) texts.push_back(symbol + "=" + currency);
                  return texts;
                }};
  key.is_map = true;
  return key;
}

#define K2_AT(member) [](auto& config) -> auto& { return config.member; }

std::vector<ConfigKey> make_keys() {
  return {
      choice_key("schema_version", "layout of new data", {"v2"}, [](Config& c) -> std::string& { return c.schema_version; }),
      text_key("data_dir", "holds log.db, catalog.db and warehouse/", K2_AT(data_dir)),
      choice_key("log.kind", "where the durable log lives", {"local"}, [](Config& c) -> std::string& { return c.log.kind; }),
      text_key("log.brokers", "Kafka brokers, host:port,... (kind = \"kafka\", not in this build)", K2_AT(log.brokers)),
      text_key("log.registry", "schema registry URL (kind = \"kafka\", not in this build)", K2_AT(log.registry)),
      duration_key("log.retention", "how long records stay in the log once every table has them", K2_AT(log.retention_us)),
      text_key("lake.catalog", "Iceberg catalog; a relative path is below data_dir", K2_AT(lake.catalog)),
      text_key("lake.warehouse", "where tables' files go; a relative path is below data_dir", K2_AT(lake.warehouse)),
      duration_key("lake.commit_interval", "at most this long from the log into a table", K2_AT(lake.commit_interval_us)),
      count_key("lake.commit_rows", "rows in one commit at most; bounds memory", 1, 10'000'000, K2_AT(lake.commit_rows_max)),
      checked_list_key("binance.symbols", "what to record", check_symbol, K2_AT(binance.symbols)),
      checked_list_key("binance.endpoints", "WebSocket endpoints, tried in order", check_ws_url, K2_AT(binance.endpoints)),
      checked_list_key("binance.rest_endpoints", "REST endpoints, tried in order", check_http_url, K2_AT(binance.rest_endpoints)),
      text_key("binance.ca_file", "further certificate authorities to trust (PEM)", K2_AT(binance.ca_file)),
      choices_key("binance.channels", "streams of each symbol", {"trade", "bookTicker"}, K2_AT(binance.channels)),
      count_key("binance.lines", "connections that carry each stream: 2 for permanent A and B lines", 1, 2, K2_AT(binance.lines)),
      count_key("binance.streams_per_connection", "more streams than these are spread over several connections", 2, 1024,
                K2_AT(binance.streams_per_connection)),
      duration_key("binance.heartbeat", "a venue that is silent for so long is asked whether it is there", K2_AT(binance.heartbeat_us)),
      duration_key("binance.replace_after", "age at which a connection is replaced, before the venue cuts it at 24h; 0s: never",
                   K2_AT(binance.replace_after_us)),
      duration_key("binance.failback_after", "time on another endpoint before the first is tried again; 0s: never",
                   K2_AT(binance.failback_after_us)),
      duration_key("binance.backoff_first", "wait after a failure to connect; doubles with each in a row", K2_AT(binance.backoff_first_us),
                   kBackoffMinUs),
      duration_key("binance.backoff_max", "the longest such wait", K2_AT(binance.backoff_max_us), kBackoffMinUs),
      count_key("binance.attempts_max", "failures in a row before the next endpoint", 1, 1000, K2_AT(binance.attempts_max)),
      count_key("binance.rounds_max", "times through all endpoints in vain before on_exhausted = \"exit\" does so", 1, 1000,
                K2_AT(binance.rounds_max)),
      choice_key("binance.on_exhausted", "after all endpoints were tried in vain", {"keep_trying", "exit"},
                 [](Config& c) -> std::string& { return c.binance.on_exhausted; }),
      flag_key("binance.backfill", "ask the venue for trades that the feed missed", K2_AT(binance.backfill)),
      count_key("binance.backfill_trades_max", "a gap of more trades is stated and not fetched", 1, 1'000'000'000,
                K2_AT(binance.backfill_trades_max)),
      count_key("binance.backfill_weight_per_minute", "request weight spent on it; the venue allows 6000 an address", 25, 6000,
                K2_AT(binance.backfill_weight_per_minute)),
      duration_key("binance.backfill_confirm_after", "time between two answers of the venue that have to agree on what was not issued",
                   K2_AT(binance.backfill_confirm_after_us), kConfirmMinUs),
      address_key("serve.listen", "HTTP: API, page, metrics", K2_AT(serve.listen)),
      flag_key("serve.allow_anonymous", "serve.listen may be an address that other machines reach, though nobody is asked who they are",
               K2_AT(serve.allow_anonymous)),
      address_key("serve.pg_listen", "PostgreSQL wire protocol; served where it is set", K2_AT(serve.pg_listen)),
      list_key("serve.cors_origins", "origins whose pages may read the API; \"*\": any", K2_AT(serve.cors_origins)),
      text_key("query.memory_limit", "DuckDB's memory limit", K2_AT(query.memory_limit)),
      count_key("query.threads", "DuckDB's threads", 1, 256, K2_AT(query.threads)),
      count_key("sql.workers", "locked processes that run SQL from outside, at once", 1, 64, K2_AT(sql.workers)),
      count_key("sql.memory_mib", "MiB that each of them may take", 512, 1 << 20, K2_AT(sql.memory_mib)),
      duration_key("sql.timeout", "after which a question of SQL from outside is killed", K2_AT(sql.timeout_us), kUsPerSecond),
      instruments_key(),
  };
}

#undef K2_AT

const ConfigKey* find_key(std::string_view name) {
  for (const ConfigKey& key : config_keys())
    if (key.name == name) return &key;
  return nullptr;
}

std::string unknown_key(std::string_view name, const std::vector<std::string>& known) {
  const std::string near = nearest_name(name, known);
  return "unknown key \"" + std::string(name) + "\"" + (near.empty() ? "" : "; did you mean \"" + near + "\"?");
}

// --- From the three places. ------------------------------------------------------------------------------------------------------

Status assign(Config& config, const ConfigKey& key, const Texts& texts, const std::string& origin) {
  if (!key.is_list && !key.is_map && texts.size() != 1)
    return refuse(origin + ": " + std::string(key.name) + ": want one value, not a list");
  if (const Status set = key.set(config, texts); !set)
    return std::unexpected(set.error().with_context(origin + ": " + std::string(key.name)));
  config.origins[std::string(key.name)] = origin;
  return {};
}

std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto number = node.value_exact<int64_t>()) return std::to_string(*number);
  if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  return std::nullopt;
}

Result<Texts> node_texts(const toml::node& node, std::string_view name) {
  Texts texts;
  const auto wrong_shape = [&] { return refuse(std::string(name) + ": want a string, a whole number or a list of strings"); };
  if (const toml::array* array = node.as_array()) {
    for (const toml::node& element : *array) {
      const auto text = scalar_text(element);
      if (!text) return wrong_shape();
      texts.push_back(*text);
    }
    return texts;
  }
  if (const toml::table* table = node.as_table()) {
    for (const auto& [key, element] : *table) {
      const auto text = scalar_text(element);
      if (!text) return wrong_shape();
      texts.push_back(std::string(key.str()) + "=" + *text);
    }
    return texts;
  }
  const auto text = scalar_text(node);
  if (!text) return wrong_shape();
  texts.push_back(*text);
  return texts;
}

std::vector<std::string> known_names() {
  std::vector<std::string> names;
  for (const ConfigKey& key : config_keys()) names.emplace_back(key.name);
  return names;
}

Status assign_node(Config& config, const std::string& name, const toml::node& node, const std::string& file) {
  const std::string origin = file + ":" + std::to_string(node.source().begin.line);
  const ConfigKey* key = find_key(name);
  const toml::table* table = node.as_table();
  if (key == nullptr && table != nullptr && name.find('.') == std::string::npos) {
    for (const auto& [inner, element] : *table)
      K2_RETURN_IF_ERROR(assign_node(config, name + "." + std::string(inner.str()), element, file));
    return {};
  }
  if (key == nullptr || (table != nullptr && !key->is_map)) return refuse(origin + ": " + unknown_key(name, known_names()));
  K2_TRY(const Texts texts, node_texts(node, origin + ": " + name));
  return assign(config, *key, texts, origin);
}

Status assign_file(Config& config, const std::string& path) {
  toml::table table;
  try {
    table = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    return refuse(path + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " + std::string(error.description()));
  } catch (const std::exception& error) {
    return make_error(ErrorKind::kUnavailable, path + ": " + error.what());
  }
  for (const auto& [name, node] : table) K2_RETURN_IF_ERROR(assign_node(config, std::string(name.str()), node, path));
  return {};
}

Status assign_files(Config& config, const ConfigPlaces& places) {
  if (places.named_file) {
    if (!std::filesystem::exists(*places.named_file))
      return make_error(ErrorKind::kNotFound, "configuration file " + *places.named_file + ": no such file");
    return assign_file(config, *places.named_file);
  }
  for (auto file = places.files.rbegin(); file != places.files.rend(); ++file)
    if (std::filesystem::exists(*file)) K2_RETURN_IF_ERROR(assign_file(config, *file));
  return {};
}

Texts split_commas(std::string_view text) {
  Texts parts;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    if (comma > 0) parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

Status assign_environment(Config& config, const ConfigPlaces& places) {
  for (const ConfigKey& key : config_keys()) {
    const std::string name = key.environment_name();
    const auto value = places.environment(name);
    if (!value) continue;
    const Texts texts = key.is_list || key.is_map ? split_commas(*value) : Texts{*value};
    K2_RETURN_IF_ERROR(assign(config, key, texts, "environment " + name));
  }
  return {};
}

/// A variable that names one of our sections but none of its keys is a slip, and would be obeyed by nobody.
Status refuse_unknown_environment(const ConfigPlaces& places) {
  std::vector<std::string> known;
  std::vector<std::string> sections;
  for (const ConfigKey& key : config_keys()) {
    known.push_back(key.environment_name());
    if (const size_t dot = key.name.find('.'); dot != std::string_view::npos)
      sections.push_back(known.back().substr(0, std::string_view("K2_").size() + dot + 1));
  }
  for (const std::string& name : places.environment_names) {
    const bool ours = std::ranges::any_of(sections, [&](const std::string& section) { return name.starts_with(section); });
    if (ours && std::ranges::find(known, name) == known.end()) return refuse("environment: " + unknown_key(name, known));
  }
  return {};
}

Status assign_flags(Config& config, const ConfigFlags& flags) {
  for (const auto& [name, given] : flags) {
    const ConfigKey* key = find_key(name);
    if (key == nullptr) return refuse("flag: " + unknown_key(name, known_names()));
    Texts texts;
    for (const std::string& text : given) {
      if (!key->is_list && !key->is_map) texts.push_back(text);
      else std::ranges::copy(split_commas(text), std::back_inserter(texts));
    }
    K2_RETURN_IF_ERROR(assign(config, *key, texts, "flag"));
  }
  return {};
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string toml_value(const ConfigKey& key, const Config& config) {
  const Texts texts = key.get(config);
  if (key.is_number) return texts.front();
  if (!key.is_list) return toml_string(texts.front());
  std::string out = "[";
  for (const std::string& text : texts) out += (out.size() > 1 ? ", " : "") + toml_string(text);
  return out + "]";
}

std::string map_toml(const ConfigKey& key, const Config& config, const std::string& comment) {
  std::string out = "\n[" + std::string(key.name) + "]" + comment + "\n";
  for (const std::string& text : key.get(config)) {
    const size_t equals = text.find('=');
    out += toml_string(text.substr(0, equals)) + " = " + toml_string(text.substr(equals + 1)) + "\n";
  }
  return out;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::optional<std::string> process_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::vector<std::string> process_variable_names() {
  std::vector<std::string> names;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    if (text.starts_with("K2_")) names.emplace_back(text.substr(0, text.find('=')));
  }
  return names;
}

std::string user_config_file() {
  if (const auto xdg = process_variable("XDG_CONFIG_HOME"); xdg && !xdg->empty()) return *xdg + "/k2/k2.toml";
  return process_variable("HOME").value_or("") + "/.config/k2/k2.toml";
}

}  // namespace

std::string ConfigKey::environment_name() const {
  std::string out = "K2_";
  for (const char c : name) out += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

std::span<const ConfigKey> config_keys() {
  static const std::vector<ConfigKey> keys = make_keys();
  return keys;
}

ConfigPlaces ConfigPlaces::of_process(std::optional<std::string> config_flag) {
  ConfigPlaces places;
  places.environment = process_variable;
  places.environment_names = process_variable_names();
  places.files = {"./k2.toml", user_config_file(), "/etc/k2/k2.toml"};
  places.named_file = config_flag ? std::move(config_flag) : process_variable("K2_CONFIG");
  return places;
}

Result<Config> load_config(const ConfigPlaces& places, const ConfigFlags& flags) {
  Config config;
  for (const ConfigKey& key : config_keys()) config.origins[std::string(key.name)] = "default";
  K2_RETURN_IF_ERROR(assign_files(config, places));
  K2_RETURN_IF_ERROR(refuse_unknown_environment(places));
  K2_RETURN_IF_ERROR(assign_environment(config, places));
  K2_RETURN_IF_ERROR(assign_flags(config, flags));
  return config;
}

Status check_files(const Config& config) {
  const std::string& path = config.binance.ca_file;
  if (path.empty()) return {};
  const auto refused = [&](const std::string& why) {
    return make_error(ErrorKind::kInvalidInput, config.origins.find("binance.ca_file")->second + ": binance.ca_file: " + path + ": " + why);
  };
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return refused("no such file");
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.bad() || !in.is_open()) return refused("cannot be read");
  if (text.find("-----BEGIN ") == std::string::npos) return refused("has no certificate in it (PEM)");
  return {};
}

Status check_exposure(const Config& config) {
  K2_TRY(const auto address, parse_host_port(config.serve.listen));
  if (config.serve.allow_anonymous || is_loopback(address.first)) return {};
  return make_error(ErrorKind::kInvalidInput,
                    config.origins.find("serve.listen")->second + ": serve.listen: " + config.serve.listen +
                        " is reached from other machines, and nobody is asked who they are: put a proxy that asks before "
                        "127.0.0.1, or say serve.allow_anonymous = true (--allow-anonymous)");
}

std::string below_data_dir(const Config& config, std::string_view path) {
  if (path.starts_with('/') || path.find("://") != std::string_view::npos) return std::string(path);
  return config.data_dir + "/" + std::string(path);
}

std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = word.size() / 3 + 2;  // further than that is another word
  for (const std::string& candidate : candidates) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string config_toml(const Config& config, bool origins) {
  std::string out;
  std::string section;
  for (const ConfigKey& key : config_keys()) {
    const std::string comment = origins ? "  # " + config.origins.find(key.name)->second : "";
    if (key.is_map) {
      out += map_toml(key, config, comment);
      continue;
    }
    const size_t dot = key.name.find('.');
    const std::string key_section(dot == std::string_view::npos ? "" : key.name.substr(0, dot));
    if (key_section != section) out += "\n[" + key_section + "]\n";
    section = key_section;
    out +=
        std::string(dot == std::string_view::npos ? key.name : key.name.substr(dot + 1)) + " = " + toml_value(key, config) + comment + "\n";
  }
  return out;
}

}  // namespace k2
