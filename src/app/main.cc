// The program k2. Everything is in the commands: command.h.
#include <string_view>

#include "app/command.h"
#include "app/sql_worker.h"

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "sql-worker") return k2::run_sql_worker();  // before anything else is set up
  k2::CommandLine commands;
  return commands.run(argc, argv);
}
