// Commands by their names.
#include "guest/control/command.hpp"

namespace guest::control {

namespace {

/// "graph show", of two words.
bool is_name(std::string_view name, std::string_view first, std::string_view second) {
  return name.size() == first.size() + 1 + second.size() && name.starts_with(first) && name[first.size()] == ' ' &&
         name.ends_with(second);
}

}  // namespace

const Command* find_command(std::string_view name) {
  for (const Command& command : command_table()) {
    if (command.name == name) {
      return &command;
    }
  }
  return nullptr;
}

std::optional<FoundCommand> find_command(std::span<const std::string_view> words) {
  if (words.size() > 1) {
    for (const Command& command : command_table()) {
      if (is_name(command.name, words[0], words[1])) {
        return FoundCommand{.command = &command, .words = 2};
      }
    }
  }
  const Command* const command = find_command(words[0]);
  return command == nullptr ? std::nullopt : std::optional(FoundCommand{.command = command, .words = 1});
}

}  // namespace guest::control
