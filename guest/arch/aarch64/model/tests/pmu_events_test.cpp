#include "guest/arch/model/pmu_events.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace guest::arch {
namespace {

constexpr std::uint64_t kEverything = ~std::uint64_t{0};

std::vector<std::string> names(unsigned counters, std::uint64_t pmceid0, std::uint64_t pmceid1) {
  std::vector<std::string> found;
  for (const PmuEvent& event : choose_pmu_events(counters, pmceid0, pmceid1)) {
    found.emplace_back(event.name);
  }
  return found;
}

TEST(PmuEvents, instructions_come_first_and_no_more_than_there_are_counters) {
  EXPECT_EQ(names(1, kEverything, kEverything), (std::vector<std::string>{"inst_retired"}));
  EXPECT_EQ(names(2, kEverything, kEverything), (std::vector<std::string>{"inst_retired", "br_mis_pred"}));
  EXPECT_TRUE(names(0, kEverything, kEverything).empty());
  EXPECT_EQ(names(31, kEverything, kEverything).size(), kernel::kMaxPmuEvents);
}

TEST(PmuEvents, only_events_of_the_cpu_are_chosen) {
  EXPECT_TRUE(names(6, 0, 0).empty());
  // QEMU's without -icount: SW_INCR, CPU_CYCLES; STALL_FRONTEND, STALL_BACKEND.
  EXPECT_EQ(names(6, 1U << 0x00 | 1U << 0x11, 1U << 0x03 | 1U << 0x04),
            (std::vector<std::string>{"stall_backend", "stall_frontend"}));
  // The upper halves tell of events from 0x4000 on.
  EXPECT_TRUE(names(6, 0xffff'ffff'0000'0000, 0xffff'ffff'0000'0000).empty());
}

TEST(PmuEvents, versions_have_the_names_of_the_manual) {
  EXPECT_EQ(pmu_version_name(0), "none");
  EXPECT_EQ(pmu_version_name(0xf), "none");
  EXPECT_EQ(pmu_version_name(1), "PMUv3");
  EXPECT_EQ(pmu_version_name(6), "PMUv3p5");
  EXPECT_EQ(pmu_version_name(0xa), "PMUv3 of a later version");
}

}  // namespace
}  // namespace guest::arch
