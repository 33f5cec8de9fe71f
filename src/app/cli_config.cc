// k2 config show, k2 config check.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/command.h"
#include "app/data_dir.h"
#include "app/output.h"

namespace k2 {

void add_config_commands(CommandLine& commands) {
  CLI::App* group =
      commands.add_group(commands.root(), "config", "Show or check the configuration", {"k2 config show --origin", "k2 config check"});
  auto origin = std::make_shared<bool>(false);
  CLI::App* show = commands.add(
      *group, "show", "Print every setting, as a k2.toml",
      {"k2 config show", "k2 config show --origin      # and where each came from", "K2_SERVE_LISTEN=127.0.0.1:9000 k2 config show"},
      [origin](CommandContext& context) -> Result<int> {
        std::fputs(config_toml(context.config, *origin).c_str(), stdout);
        return kExitOk;
      });
  show->add_flag("--origin", *origin, "say where each setting came from");
  commands.add(*group, "check", "Check the configuration without doing anything", {"k2 config check", "k2 config check --config k2.toml"},
               [](CommandContext& context) -> Result<int> {
                 if (const Status files = check_files(context.config); !files) return usage_error(files.error().message);
                 if (const Status exposure = check_exposure(context.config); !exposure) return usage_error(exposure.error().message);
                 if (const auto lake = lake_options(context.config); !lake) return usage_error(lake.error().message);
                 say(context, "the configuration is fine");
                 return kExitOk;
               });
}

}  // namespace k2
