#include "boot_config_step.hpp"

#include <algorithm>

#include "boot_error.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/control/utf8.hpp"
#include "guest/kernel/boot_options.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/log.hpp"

namespace guest {
namespace {

constinit kernel::Archive archive;
constinit kernel::BootConfig config;
constinit std::string_view first_line;

void read_initrd(const kernel::MachineInfo& info) {
  const bool in_memory = std::any_of(info.memory.begin(), info.memory.end(),
                                     [&info](const kernel::PhysRange& range) { return range.contains(info.initrd); });
  if (!in_memory) {
    refuse_boot(kernel::fail("machine-bad-initrd", "the initrd at {:#x}, {:#x} bytes, is not in memory",
                             info.initrd.begin(), info.initrd.size)
                    .error());
  }
  const std::span<const std::byte> bytes{arch::direct(info.initrd.begin()), info.initrd.size};
  if (const kernel::Outcome outcome = kernel::read_boot_config(bytes, kernel::kernel_heap(), archive, config);
      !outcome) {
    refuse_boot(outcome.error());
  }
}

}  // namespace

const kernel::BootConfig& read_configuration(const kernel::MachineInfo& info) {
  const auto options = kernel::parse_boot_options(info.boot_arguments.view());
  if (!options) {
    refuse_boot(options.error());
  }
  if (info.initrd.size != 0) {
    read_initrd(info);
  }
  kernel::log().set_verbosity(config.verbosity.value_or(options->verbosity.value_or(kernel::Verbosity::Quiet)));
  if (!control::is_utf8(options->shell_line)) {
    refuse_boot(
        kernel::fail("bootargs-bad-value", "shell={}: not UTF-8", kernel::escaped(options->shell_line)).error());
  }
  if (!control::is_utf8(config.autorun.view())) {
    refuse_boot(kernel::fail("tree-bad-value", "'{}' of /{}: not UTF-8", std::string_view(abi::boot_config::kLines),
                             std::string_view(abi::boot_config::kAutorunNode))
                    .error());
  }
  first_line = options->shell_line;
  kernel::log_debug("boot arguments: {}", kernel::escaped(info.boot_arguments.view()));
  return config;
}

const kernel::Archive& boot_archive() { return archive; }
std::string_view boot_shell_line() { return first_line; }

}  // namespace guest
