#include "guest/process/program.hpp"

namespace guest::process {

std::string_view to_string(ProgramState state) {
  switch (state) {
    case ProgramState::Loaded:
      return "loaded";
    case ProgramState::Running:
      return "running";
    case ProgramState::Exited:
      return "exited";
    case ProgramState::Killed:
      return "killed";
    case ProgramState::Stopped:
      return "stopped";
  }
  return "unknown";
}

}  // namespace guest::process
