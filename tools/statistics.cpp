#include "tools/statistics.hpp"

#include <time.h>

namespace sisctl {

std::int64_t clock_resolution_ns() {
  // std::chrono::steady_clock is CLOCK_MONOTONIC in the libraries in use.
  timespec step{};
  if (::clock_getres(CLOCK_MONOTONIC, &step) != 0) return 0;
  return std::int64_t{step.tv_sec} * 1'000'000'000 + step.tv_nsec;
}

}  // namespace sisctl
