// What is wrong with the names of programs' files.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

/// Of tasks[task].program.file.
struct ProgramProblem {
  std::size_t task = 0;
  std::string found;
  std::string allowed;
};

/// Files of which the name is not allowed in the boot archive, or is that of another file. None of them is looked at;
/// their paths are absolute.
std::vector<ProgramProblem> name_problems(const std::vector<Task>& tasks);

/// "tasks[3].program.file"
std::string program_key(std::size_t task);

}  // namespace vmm::scenario
