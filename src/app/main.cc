// The program k2. Everything is in the commands: command.h.
#include "app/command.h"

int main(int argc, char** argv) {
  k2::CommandLine commands;
  return commands.run(argc, argv);
}
