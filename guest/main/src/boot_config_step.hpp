// Boot options and the boot archive.
#pragma once

#include <string_view>

#include "guest/kernel/boot_config.hpp"
#include "guest/kernel/machine_info.hpp"

namespace guest {

/// Reads the command line and, where there is an initrd, the boot configuration in it; sets the log's verbosity: the
/// scenario's, else the command line's, else quiet. Refuses the boot where anything of it is wrong.
const kernel::BootConfig& read_configuration(const kernel::MachineInfo& info);

/// Line of the command line that the shell runs when it starts; empty: none.
std::string_view boot_shell_line();

/// The files of the boot archive; none without an initrd.
const kernel::Archive& boot_archive();

}  // namespace guest
