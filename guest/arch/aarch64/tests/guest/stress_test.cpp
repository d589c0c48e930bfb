// Two hundred threads on all CPUs that lock, wait, sleep, interrupt, allocate, make threads and kill each other at
// random: an image of its own, run by tests/guest/test_stress.py and `./sis soak stress`. Boot arguments are those of
// stress::Options, as "seed=7 seconds=600". It prints one line that begins with "STRESS" and exits with 0 or 1. With
// "passing=5000" it runs something else, which passing.hpp describes, and prints "PASSING ok" when nothing was wrong.
#include <algorithm>
#include <charconv>

#include "boot_threads.hpp"
#include "boot_watchdog.hpp"
#include "guest/kernel/machine_info.hpp"
#include "guest/kernel/panic.hpp"
#include "start_all_cpus.hpp"
#include "stress/passing.hpp"
#include "stress/supervisor.hpp"
#include "stress/world.hpp"

namespace guest {
namespace {

constinit kernel::MachineInfo machine;

constexpr struct {
  std::string_view name;
  std::uint64_t stress::Options::* value;
} kOptions[] = {
    {"seed=", &stress::Options::seed},         {"seconds=", &stress::Options::seconds},
    {"pause_us=", &stress::Options::pause_us}, {"limit_s=", &stress::Options::limit_s},
    {"lose=", &stress::Options::lose},         {"passing=", &stress::Options::passing},
};

bool read_option(std::string_view word) {
  for (const auto& [name, value] : kOptions) {
    if (word.starts_with(name)) {
      const char* const end = word.data() + word.size();
      return std::from_chars(word.data() + name.size(), end, stress::options.*value).ptr == end;
    }
  }
  return false;
}

void read_options(std::string_view arguments) {
  while (!arguments.empty()) {
    const std::string_view word = arguments.substr(0, arguments.find(' '));
    kernel::require(word.empty() || read_option(word), "a boot argument is not an option");
    arguments.remove_prefix(std::min(word.size() + 1, arguments.size()));
  }
}

}  // namespace

extern "C" [[noreturn]] void kernel_main() {
  start_all_cpus(machine);
  read_options(machine.boot_arguments.view());
  start_watchdog();
  const auto supervisor =
      threads::spawn({.name = "supervisor", .cpu = 0, .server = &stress::admit_supervisor()},
                     stress::options.passing != 0 ? stress::run_passing : stress::supervise, nullptr);
  kernel::require(supervisor.has_value(), "no memory for the supervisor");
  idle();
}

}  // namespace guest
