// What is wrong with the names of files for the boot archive.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "vmm/scenario/files.hpp"

namespace vmm::scenario {

/// Of one of the named files.
struct FileProblem {
  std::size_t file = 0;
  std::string found;
  std::string allowed;
};

/// Files of which the name is not allowed in the boot archive, or is that of another file. None of them is looked at;
/// their paths are absolute.
std::vector<FileProblem> name_problems(const std::vector<NamedFile>& files);

}  // namespace vmm::scenario
