// What the NPU counts since it was made (docs/npu-device.md, Counters).
#pragma once

#include <array>

#include "abi/npu.hpp"
#include "vmm/base/counter.hpp"

namespace vmm::npu {

/// Totals; a reset of the device does not clear them. Read by any thread; who writes says each group.
struct Counters {
  // The engine, with its lock held.
  Counter busy_cycles;          ///< modelled, of commands that have run
  Counter mac_active_cycles;    ///< of those, in which the model's MAC units work
  Counter memory_stall_cycles;  ///< of those, in which they wait for memory
  Counter idle_ns;              ///< without a job that could run; grows when the next one starts
  Counter bytes_read;
  Counter bytes_written;
  Counter commands;
  Counter jobs_submitted;
  Counter jobs_ok;
  Counter jobs_parse;
  Counter jobs_region;
  Counter jobs_type;
  Counter jobs_budget;
  Counter jobs_deadline;
  Counter jobs_aborted;
  Counter jobs_reset;
  Counter jobs_injected;
  Counter jobs_busy;
  Counter preemptions;
  Counter jobs_in_flight;  ///< now
  Counter jobs_in_flight_peak;

  // The device's thread.
  Counter interrupts;
  Counter interrupts_dropped;  ///< by fault injection
  Counter control_requests;
  Counter regions;  ///< registered now
  Counter queue_errors;
  Counter device_resets;
};

/// One counter with the name it has in summary.json.
struct CounterField {
  const char* name;
  Counter Counters::* member;
};

/// Every counter, in the order of the structure.
inline constexpr std::array kCounterFields = {
    CounterField{"busy_cycles", &Counters::busy_cycles},
    CounterField{"mac_active_cycles", &Counters::mac_active_cycles},
    CounterField{"memory_stall_cycles", &Counters::memory_stall_cycles},
    CounterField{"idle_ns", &Counters::idle_ns},
    CounterField{"bytes_read", &Counters::bytes_read},
    CounterField{"bytes_written", &Counters::bytes_written},
    CounterField{"commands", &Counters::commands},
    CounterField{"jobs_submitted", &Counters::jobs_submitted},
    CounterField{"jobs_ok", &Counters::jobs_ok},
    CounterField{"jobs_parse", &Counters::jobs_parse},
    CounterField{"jobs_region", &Counters::jobs_region},
    CounterField{"jobs_type", &Counters::jobs_type},
    CounterField{"jobs_budget", &Counters::jobs_budget},
    CounterField{"jobs_deadline", &Counters::jobs_deadline},
    CounterField{"jobs_aborted", &Counters::jobs_aborted},
    CounterField{"jobs_reset", &Counters::jobs_reset},
    CounterField{"jobs_injected", &Counters::jobs_injected},
    CounterField{"jobs_busy", &Counters::jobs_busy},
    CounterField{"preemptions", &Counters::preemptions},
    CounterField{"jobs_in_flight", &Counters::jobs_in_flight},
    CounterField{"jobs_in_flight_peak", &Counters::jobs_in_flight_peak},
    CounterField{"interrupts", &Counters::interrupts},
    CounterField{"interrupts_dropped", &Counters::interrupts_dropped},
    CounterField{"control_requests", &Counters::control_requests},
    CounterField{"regions", &Counters::regions},
    CounterField{"queue_errors", &Counters::queue_errors},
    CounterField{"device_resets", &Counters::device_resets},
};
static_assert(sizeof(Counters) == kCounterFields.size() * sizeof(Counter), "every counter is in the list");

/// Jobs that ended so, by abi::npu::Status.
inline constexpr std::array<Counter Counters::*, abi::npu::kStatuses> kJobsByStatus = {
    &Counters::jobs_ok,       &Counters::jobs_parse,    &Counters::jobs_region,  &Counters::jobs_type,
    &Counters::jobs_budget,   &Counters::jobs_deadline, &Counters::jobs_aborted, &Counters::jobs_reset,
    &Counters::jobs_injected, &Counters::jobs_busy,
};

}  // namespace vmm::npu
