#include "guest/arch/model/pmu_events.hpp"

#include <algorithm>
#include <iterator>

namespace guest::arch {
namespace {

constexpr unsigned kEventsPerRegister =
    32;  ///< of the architectural ones; the upper halves are of events from 0x4000 on

/// Most wanted first: cores have from none to six counters, as a rule.
constexpr PmuEvent kWanted[] = {
    {0x08, "inst_retired"},     {0x10, "br_mis_pred"},    {0x03, "l1d_cache_refill"}, {0x17, "l2d_cache_refill"},
    {0x01, "l1i_cache_refill"}, {0x05, "l1d_tlb_refill"}, {0x24, "stall_backend"},    {0x23, "stall_frontend"},
    {0x09, "exc_taken"},        {0x13, "mem_access"},     {0x02, "l1i_tlb_refill"},   {0x04, "l1d_cache"},
    {0x12, "br_pred"},          {0x1b, "inst_spec"},      {0x19, "bus_access"},       {0x16, "l2d_cache"},
};
static_assert(std::size(kWanted) == kernel::kMaxPmuEvents);

bool is_there(unsigned number, std::uint64_t pmceid0, std::uint64_t pmceid1) {
  const std::uint64_t common = number < kEventsPerRegister ? pmceid0 : pmceid1;
  return (common >> (number % kEventsPerRegister) & 1) != 0;
}

}  // namespace

PmuEvents choose_pmu_events(unsigned counters, std::uint64_t pmceid0, std::uint64_t pmceid1) {
  PmuEvents chosen;
  for (const PmuEvent& event : kWanted) {
    if (chosen.size() < counters && is_there(event.number, pmceid0, pmceid1) && !chosen.push_back(event)) {
      break;
    }
  }
  return chosen;
}

std::string_view pmu_version_name(std::uint64_t pmu_ver) {
  switch (pmu_ver) {
    case 0:
    case 0xf:  // something else than PMUv3
      return "none";
    case 1:
      return "PMUv3";
    case 4:
      return "PMUv3p1";
    case 5:
      return "PMUv3p4";
    case 6:
      return "PMUv3p5";
    case 7:
      return "PMUv3p7";
    case 8:
      return "PMUv3p8";
    case 9:
      return "PMUv3p9";
    default:
      return "PMUv3 of a later version";
  }
}

}  // namespace guest::arch
