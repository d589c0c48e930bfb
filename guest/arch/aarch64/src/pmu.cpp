#include "guest/arch/pmu.hpp"

#include "guest/arch/cpu.hpp"
#include "guest/arch/model/pmu_events.hpp"
#include "guest/kernel/cpu.hpp"
#include "guest/kernel/critical.hpp"

namespace guest::arch {
namespace {

constexpr std::uint64_t kFirstPmuWithLongCounters = 6;  ///< PMUv3p5
constexpr std::uint64_t kEveryCounter = 0xffff'ffff;

/// What each counter of a CPU counts. Cores of one machine may differ. Written by the CPU when it starts.
constinit PmuEvents chosen_events[kernel::kMaxCpus];

std::uint64_t version() { return id_aa64dfr0_el1::PmuVer::decode(sysreg::IdAa64Dfr0El1::read()); }
bool has_pmu() { return pmu_version_name(version()) != "none"; }

constexpr std::uint64_t counter_bit(std::size_t counter) { return std::uint64_t{1} << counter; }

/// PMXEVTYPER_EL0 and PMXEVCNTR_EL0 are of this counter from here on. Interrupts masked.
void select(std::size_t counter) {
  sysreg::PmselrEl0::write(counter);
  isb();
}

}  // namespace

void start_pmu_here() {
  if (!has_pmu()) {
    return;
  }
  const std::uint64_t long_counters = version() >= kFirstPmuWithLongCounters ? 1 : 0;
  // Everything off and zero first; what is unknown after reset is written.
  sysreg::PmcrEl0::write(pmcr_el0::P::encode(true) | pmcr_el0::C::encode(true) | pmcr_el0::Lc::encode(true) |
                         pmcr_el0::Lp::encode(long_counters != 0));
  sysreg::PmcntenclrEl0::write(kEveryCounter);
  sysreg::PmintenclrEl1::write(kEveryCounter);
  sysreg::PmovsclrEl0::write(kEveryCounter);
  sysreg::PmuserenrEl0::write(0);
  // Bits that are zero filter nothing: EL0 and EL1 are counted.
  sysreg::PmccfiltrEl0::write(0);
  PmuEvents& events = chosen_events[cpu_index()];
  events = choose_pmu_events(static_cast<unsigned>(pmcr_el0::N::decode(sysreg::PmcrEl0::read())),
                             sysreg::Pmceid0El0::read(), sysreg::Pmceid1El0::read());
  std::uint64_t on = pmcnten::Cycles::encode(true);
  for (std::size_t i = 0; i < events.size(); ++i) {
    select(i);
    sysreg::PmxevtyperEl0::write(events[i].number);
    on |= counter_bit(i);
  }
  sysreg::PmcntensetEl0::write(on);
  sysreg::PmcrEl0::write(pmcr_el0::E::replace(sysreg::PmcrEl0::read(), true));
  isb();
}

kernel::PmuReading read_pmu_here() {
  kernel::PmuReading reading;
  reading.version = pmu_version_name(version());
  if (!has_pmu()) {
    return reading;
  }
  const kernel::CriticalSection section;  // an interrupt's reading would select another counter
  const std::uint64_t control = sysreg::PmcrEl0::read();
  reading.counters = static_cast<std::uint32_t>(pmcr_el0::N::decode(control));
  reading.counter_bits = pmcr_el0::Lp::decode(control) ? 64 : 32;
  isb();  // what is to be counted has happened
  reading.cycles = sysreg::PmccntrEl0::read();
  const PmuEvents& events = chosen_events[cpu_index()];
  for (std::size_t i = 0; i < events.size(); ++i) {
    select(i);
    const kernel::PmuCount count{.event = events[i].number,
                                 .name = events[i].name,
                                 .count = sysreg::PmxevcntrEl0::read(),
                                 .wrapped = (sysreg::PmovsclrEl0::read() & counter_bit(i)) != 0};
    kernel::require(reading.events.push_back(count), "more events than a reading has room for");
  }
  return reading;
}

}  // namespace guest::arch
