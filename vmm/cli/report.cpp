#include <cstdio>

#include "commands.hpp"

namespace vmm::cli {

const char* version() { return SIS_VERSION; }

int report(const Error& error) {
  std::fflush(stdout);
  std::fprintf(stderr, "sisvmm: %s\n", error.message.c_str());
  return static_cast<int>(error.exit_code);
}

}  // namespace vmm::cli
