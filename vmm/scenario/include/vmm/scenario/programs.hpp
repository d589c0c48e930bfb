// The user programs that a scenario names: files of the host that go into the boot archive.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "vmm/base/result.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

/// Largest file of a program.
inline constexpr std::size_t kMaxProgramBytes = std::size_t{64} << 20;

/// Its name in the boot archive: "programs/hello" for .../hello.elf.
std::string archive_name(const UserProgram& program);

/// Contents of the files by their names in the archive, each read once. An error, with exit code Usage, names the task:
/// the file cannot be read, is too large, is no 64-bit little-endian AArch64 executable, or its name is not allowed or
/// that of another one.
Result<std::map<std::string, std::string>> read_programs(const Scenario& scenario);

}  // namespace vmm::scenario
