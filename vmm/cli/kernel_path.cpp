#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <system_error>

#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

#include "commands.hpp"

namespace vmm::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kImage[] = "sis.Image";

/// Why the file cannot be booted; empty if it can be read.
std::string problem_with(const fs::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::strerror(errno);
  if (!S_ISREG(status.st_mode)) return "not a regular file";
  if (status.st_size == 0) return "the file is empty";
  if (::access(path.c_str(), R_OK) != 0) return std::strerror(errno);
  return {};
}

Result<fs::path> named(const std::string& path, const char* source) {
  if (const auto problem = problem_with(path); !problem.empty()) {
    return fail("cannot boot the guest image " + path + " (" + source + "): " + problem, abi::ExitCode::Usage);
  }
  return fs::absolute(path);
}

}  // namespace

fs::path executable_path() {
#ifdef __APPLE__
  char path[PATH_MAX];  // has not been run on a Mac
  std::uint32_t size = sizeof path;
  return ::_NSGetExecutablePath(path, &size) == 0 ? fs::path(path) : fs::path();
#else
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error);
#endif
}

Result<fs::path> find_kernel(const std::optional<std::string>& given, const scenario::Scenario& scenario) {
  if (given) return named(*given, "--kernel");
  if (!scenario.kernel.empty()) return named(scenario.kernel, "boot.kernel");
  if (const char* variable = std::getenv("SIS_KERNEL"); variable != nullptr && variable[0] != '\0') {
    return named(variable, "SIS_KERNEL");
  }
  // build/<preset>/vmm/cli/sisvmm -> build/guest/; bin/sisvmm -> share/sis/.
  const fs::path folder = executable_path().parent_path();
  const fs::path built = (folder / "../../../guest" / kImage).lexically_normal();
  const fs::path installed = (folder / "../share/sis" / kImage).lexically_normal();
  for (const auto& path : {built, installed}) {
    if (problem_with(path).empty()) return path;
  }
  return fail("there is no guest image: neither " + built.string() + " nor " + installed.string() +
                  "; make it with `./sis build guest`, or name one with --kernel",
              abi::ExitCode::HostLacks);
}

}  // namespace vmm::cli
