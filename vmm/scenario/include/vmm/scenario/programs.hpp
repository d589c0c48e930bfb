// The user programs that a scenario names: files of the host that go into the boot archive.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "vmm/base/result.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

struct ProgramLimits {
  std::size_t file_bytes = std::size_t{64} << 20;    ///< of each file
  std::size_t total_bytes = std::size_t{256} << 20;  ///< of all of them: they are in memory at once, as is the archive
};

/// Its name in the boot archive: "programs/hello" for .../hello.elf.
std::string archive_name(const UserProgram& program);

/// Contents of the files by their names in the archive. Each file is read once, and what was read is what was checked.
/// An error, with exit code Usage, has a line for each task with a file that cannot be read, is too large, is no 64-bit
/// little-endian AArch64 executable, or of which the name is not allowed or that of another one:
/// "hello.yaml:7:20: tasks[0].program.file: found no program (/a/b: it is no ELF file), allowed: an ELF executable
/// ...".
Result<std::map<std::string, std::string>> read_programs(const Scenario& scenario, const ProgramLimits& limits = {});

}  // namespace vmm::scenario
