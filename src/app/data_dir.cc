#include "app/data_dir.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/logging.h"
#include "codec/binance_info.h"

namespace k2 {
namespace {

constexpr std::string_view kExchangeInfoFile = "binance-exchange-info.json";
constexpr std::string_view kSqlite = "sqlite:";

std::string log_path(const Config& config) { return config.data_dir + "/log.db"; }

Status make_data_dir(const Config& config) {
  std::error_code error;
  std::filesystem::create_directories(config.data_dir, error);
  if (error) return make_error(ErrorKind::kUnavailable, "data directory " + config.data_dir + ": " + error.message());
  return {};
}

}  // namespace

Result<std::unique_ptr<LocalLog>> open_log(const Config& config) {
  K2_RETURN_IF_ERROR(make_data_dir(config));
  return LocalLog::open(log_path(config));
}

Result<LakeOptions> lake_options(const Config& config) {
  std::string_view catalog = config.lake.catalog;
  if (catalog.starts_with(kSqlite)) catalog.remove_prefix(kSqlite.size());
  else if (catalog.find(':') != std::string_view::npos)
    return make_error(ErrorKind::kInvalidInput, "lake.catalog = \"" + config.lake.catalog + "\": this build has sqlite: catalogs only");
  if (config.lake.warehouse.find("://") != std::string::npos)
    return make_error(ErrorKind::kInvalidInput,
                      "lake.warehouse = \"" + config.lake.warehouse + "\": this build has local directories only");
  return LakeOptions{.data_dir = config.data_dir, .catalog = catalog, .warehouse = config.lake.warehouse};
}

Result<std::unique_ptr<Lake>> open_lake(const Config& config) {
  K2_RETURN_IF_ERROR(make_data_dir(config));
  K2_TRY(const LakeOptions options, lake_options(config));
  K2_RETURN_IF_ERROR(Lake::init(options));
  return Lake::open(options);
}

Status require_data(const Config& config) {
  K2_TRY(const LakeOptions options, lake_options(config));
  std::error_code error;
  if (std::filesystem::exists(log_path(config), error) || std::filesystem::exists(options.data_dir / options.catalog, error)) return {};
  return make_error(ErrorKind::kNotFound,
                    "there is no k2 data in " + config.data_dir + " (k2 load, k2 up and k2 lake init make some; --data-dir says where)");
}

Result<InstrumentTable> known_binance_instruments(const Config& config) {
  InstrumentTable table = InstrumentTable::binance_defaults();
  if (std::ifstream in(below_data_dir(config, kExchangeInfoFile), std::ios::binary); in) {
    std::ostringstream body;
    body << in.rdbuf();
    if (const auto kept = parse_binance_exchange_info(body.view())) table.merge(*kept);
    else log_warning("instruments_unreadable", {{"file", below_data_dir(config, kExchangeInfoFile)}, {"error", kept.error().message}});
  }
  for (const auto& [symbol, currencies] : config.instruments) {
    auto entry = InstrumentTable::parse_entry(symbol + "=" + currencies);
    if (!entry) return std::unexpected(entry.error().with_context("[instruments]"));
    K2_RETURN_IF_ERROR(table.set(*std::move(entry)));
  }
  return table;
}

Status keep_binance_exchange_info(const Config& config, std::string_view body) {
  const std::string path = below_data_dir(config, kExchangeInfoFile);
  const std::string fresh = path + ".new";
  {
    std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
    out << body;
    out.close();
    if (!out) return make_error(ErrorKind::kUnavailable, fresh + ": cannot be written");
  }
  std::error_code error;
  std::filesystem::rename(fresh, path, error);
  if (error) return make_error(ErrorKind::kUnavailable, path + ": " + error.message());
  return {};
}

}  // namespace k2
