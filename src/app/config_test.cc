#include "app/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace k2 {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ConfigTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "k2-config-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(dir_);
    places_.environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables_.find(name);
      return found == variables_.end() ? std::nullopt : std::optional(found->second);
    };
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void file(const std::string& name, const std::string& text) {
    std::ofstream(dir_ + "/" + name) << text;
    places_.files.push_back(dir_ + "/" + name);
  }
  void variable(const std::string& name, const std::string& value) {
    variables_[name] = value;
    places_.environment_names.push_back(name);
  }
  Result<Config> load(const ConfigFlags& flags = {}) { return load_config(places_, flags); }
  std::string refusal() {
    const auto config = load();
    return config ? "accepted" : config.error().message;
  }

  std::string dir_;
  ConfigPlaces places_;
  std::map<std::string, std::string> variables_;
};

TEST_F(ConfigTest, DefaultsAreThoseOfTheDesign) {
  const auto config = load();
  ASSERT_TRUE(config);
  EXPECT_EQ(config->schema_version, "v2");
  EXPECT_EQ(config->data_dir, "./k2-data");
  EXPECT_THAT(config->binance.symbols, ElementsAre("BTCUSDT", "ETHUSDT"));
  EXPECT_EQ(config->lake.commit_interval_us, 5'000'000);
  EXPECT_EQ(config->origins.at("data_dir"), "default");
}

TEST_F(ConfigTest, FlagBeatsEnvironmentBeatsNearerFileBeatsFartherFile) {
  file("near.toml", "data_dir = \"near\"\n[serve]\nlisten = \"near:1\"\n");
  file("far.toml", "data_dir = \"far\"\n[serve]\nlisten = \"far:1\"\n[log]\nretention = \"1h\"\n[binance]\nsymbols = [\"A\", \"B\"]\n");
  variable("K2_SERVE_LISTEN", "env:1");
  variable("K2_BINANCE_SYMBOLS", "C,D");
  const auto config = load({{"binance.symbols", {"E,F", "G"}}});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->data_dir, "near");
  EXPECT_EQ(config->serve.listen, "env:1");
  EXPECT_EQ(config->log.retention_us, 3'600'000'000);
  EXPECT_THAT(config->binance.symbols, ElementsAre("E", "F", "G"));
  EXPECT_EQ(config->origins.at("binance.symbols"), "flag");
  EXPECT_EQ(config->origins.at("serve.listen"), "environment K2_SERVE_LISTEN");
  EXPECT_EQ(config->origins.at("data_dir"), dir_ + "/near.toml:1");
}

TEST_F(ConfigTest, UnknownKeyNamesTheNearest) {
  file("k2.toml", "[lake]\ncomit_interval = \"5s\"\n");
  EXPECT_THAT(refusal(), HasSubstr("k2.toml:2: unknown key \"lake.comit_interval\"; did you mean \"lake.commit_interval\"?"));
}

TEST_F(ConfigTest, UnknownVariableOfAKnownSectionIsRefused) {
  variable("K2_SERVE_LISTN", "x");
  EXPECT_THAT(refusal(), HasSubstr("did you mean \"K2_SERVE_LISTEN\""));
}

TEST_F(ConfigTest, VariablesOfOthersAreLeftAlone) {
  variable("K2_TEST_DATA", "/data");
  EXPECT_EQ(refusal(), "accepted");
}

TEST_F(ConfigTest, OnlySchemaV2IsAccepted) {
  file("k2.toml", "schema_version = \"v1\"\n");
  EXPECT_THAT(refusal(), HasSubstr("allowed: \"v2\""));
}

TEST_F(ConfigTest, OnlyKnownChannelsAreAccepted) {
  file("k2.toml", "[binance]\nchannels = [\"bookTicker\", \"kline_1m\"]\n");
  EXPECT_THAT(refusal(), HasSubstr("\"kline_1m\" is not known here; allowed: \"trade\", \"bookTicker\""));
}

TEST_F(ConfigTest, AddressesUrlsAndSymbolsAreChecked) {
  const auto refused = [&](const std::string& key, const std::string& text) {
    const auto config = load({{key, {text}}});
    return config ? "accepted" : config.error().message;
  };
  EXPECT_THAT(refused("serve.listen", "8080"), HasSubstr("flag: serve.listen: cannot read \"8080\": want HOST:PORT"));
  EXPECT_THAT(refused("serve.listen", "127.0.0.1:99999"), HasSubstr("a port from 0 to 65535"));
  EXPECT_THAT(refused("binance.endpoints", "http://foo"), HasSubstr("want wss:// or ws://"));
  EXPECT_THAT(refused("binance.rest_endpoints", "foo"), HasSubstr("binance.rest_endpoints"));
  EXPECT_THAT(refused("binance.symbols", "BTC/USDT"), HasSubstr("did you mean \"BTCUSDT\"?"));
  EXPECT_THAT(refused("binance.symbols", "btcusdt"), HasSubstr("did you mean \"BTCUSDT\"?"));
  EXPECT_THAT(refused("binance.symbols", ","), HasSubstr("want at least one"));
  EXPECT_THAT(refused("instruments", "SOLUSDT=SOL"), HasSubstr("want SYMBOL=BASE/QUOTE"));
  EXPECT_EQ(refused("serve.listen", "[::1]:0"), "accepted");
  EXPECT_EQ(refused("binance.endpoints", "ws://127.0.0.1:9000"), "accepted");
}

TEST_F(ConfigTest, TheAuthoritiesFileMustBeThereAndHaveCertificates) {
  const auto checked = [&](const std::string& path) {
    const Status fits = check_files(*load({{"binance.ca_file", {path}}}));
    return fits ? "fits" : fits.error().message;
  };
  EXPECT_THAT(checked(dir_ + "/absent.pem"), HasSubstr("binance.ca_file: " + dir_ + "/absent.pem: no such file"));
  std::ofstream(dir_ + "/empty.pem") << "nothing";
  EXPECT_THAT(checked(dir_ + "/empty.pem"), HasSubstr("no certificate"));
  std::ofstream(dir_ + "/good.pem") << "-----BEGIN CERTIFICATE-----\n";
  EXPECT_EQ(checked(dir_ + "/good.pem"), "fits");
  EXPECT_TRUE(check_files(*load()));
}

TEST_F(ConfigTest, OtherMachinesReachItOnlyWhereThatIsSaid) {
  const auto is_fine = [&](const std::string& listen, const std::string& allowed) {
    return check_exposure(*load({{"serve.listen", {listen}}, {"serve.allow_anonymous", {allowed}}})).has_value();
  };
  for (const char* local : {"127.0.0.1:8080", "127.8.0.1:0", "localhost:80", "[::1]:80"}) EXPECT_TRUE(is_fine(local, "false")) << local;
  for (const char* open : {"0.0.0.0:8080", "[::]:80", "192.168.1.2:80", "127.example.com:80", "db.internal:80"}) {
    EXPECT_FALSE(is_fine(open, "false")) << open;
    EXPECT_TRUE(is_fine(open, "true")) << open;
  }
}

TEST_F(ConfigTest, BrokenTomlIsRefusedWithItsPlace) {
  file("k2.toml", "data_dir = \"a\"\ndata_dir = = 3\n");
  EXPECT_THAT(refusal(), HasSubstr("k2.toml:2:"));
}

TEST_F(ConfigTest, ValuesOfTheWrongShapeAreRefused) {
  file("k2.toml", "data_dir = [\"a\", \"b\"]\n");
  EXPECT_THAT(refusal(), HasSubstr("want one value"));
}

TEST_F(ConfigTest, DurationsAreChecked) {
  file("k2.toml", "[lake]\ncommit_interval = \"soon\"\n");
  EXPECT_THAT(refusal(), HasSubstr("lake.commit_interval"));
}

TEST_F(ConfigTest, ANamedFileMustExist) {
  places_.named_file = dir_ + "/absent.toml";
  EXPECT_EQ(load().error().kind, ErrorKind::kNotFound);
}

TEST_F(ConfigTest, InstrumentsAreATable) {
  file("k2.toml", "[instruments]\nSOLUSDT = \"SOL/USDT\"\n");
  const auto config = load();
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->instruments.at("SOLUSDT"), "SOL/USDT");
}

TEST_F(ConfigTest, TheExampleFileSaysTheDefaults) {
  const auto defaults = load();
  places_.named_file = std::string(K2_SOURCE_DIR) + "/k2.toml.example";
  const auto example = load();
  ASSERT_TRUE(example) << example.error().message;
  EXPECT_EQ(config_toml(*example, false), config_toml(*defaults, false));
  for (const ConfigKey& key : config_keys())
    EXPECT_NE(example->origins.at(std::string(key.name)), "default") << key.name << " is missing in k2.toml.example";
}

TEST_F(ConfigTest, ShownConfigurationReadsBackTheSame) {
  file("k2.toml", "[instruments]\nSOLUSDT = \"SOL/USDT\"\n[log]\nretention = \"90m\"\n");
  const auto config = load();
  ASSERT_TRUE(config);
  places_.files.clear();
  file("shown.toml", config_toml(*config, true));
  const auto again = load();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(config_toml(*again, false), config_toml(*config, false));
}

}  // namespace
}  // namespace k2
