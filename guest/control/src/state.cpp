#include <algorithm>

#include "handlers.hpp"

namespace guest::control {

HandlerResult handle_version(Services& services, const Arguments&, Caller&, ResultMap& result) {
  result.add("version", services.version);
  result.add("build_id", services.build_id);
  return Handled::Now;
}

HandlerResult handle_uptime(Services& services, const Arguments&, Caller&, ResultMap& result) {
  result.add("uptime_ns", services.clock.now_ns());
  return Handled::Now;
}

namespace {

std::string_view console_name(kernel::ConsoleKind kind) {
  switch (kind) {
    case kernel::ConsoleKind::Pl011:
      return "pl011";
    case kernel::ConsoleKind::Ns16550:
      return "ns16550a";
    case kernel::ConsoleKind::None:
      break;
  }
  return "none";
}

std::uint32_t cpus_online(const Cpus& cpus) {
  std::uint32_t online = 0;
  for (std::uint32_t i = 0; i < cpus.count(); ++i) {
    online += cpus.report(i).online ? 1 : 0;
  }
  return online;
}

}  // namespace

HandlerResult handle_info(Services& services, const Arguments&, Caller&, ResultMap& result) {
  result.add("version", services.version);
  result.add("build_id", services.build_id);
  if (!services.scenario.empty()) {
    result.add("scenario", services.scenario);
  }
  // Present, as the device tree lists them.
  result.add("cpus", services.machine.cpus.size());
  result.add("cpus_in_use", cpus_online(services.cpus));
  result.add("memory_bytes", services.machine.memory_bytes());
  const kernel::InterruptController* controller = services.interrupts.controller();
  result.add("interrupt_controller", controller != nullptr ? controller->name() : "none");
  result.add("gic_version", services.machine.gic.version);
  result.add("console", console_name(services.machine.console.kind));
  result.add("timer_frequency_hz", services.timer_frequency_hz);
  result.add("clock_resolution_ns", services.clock.resolution_ns());
  result.add("boot_to_control_ready_ns", services.boot_to_control_ready_ns);
  result.add("uptime_ns", services.clock.now_ns());
  return Handled::Now;
}

HandlerResult handle_mem(Services& services, const Arguments&, Caller&, ResultMap& result) {
  const kernel::PageStatistics pages = services.pages.statistics();
  const kernel::HeapStatistics heap = services.heap.statistics();
  const std::uint64_t page = std::uint64_t{1} << kernel::kPageShift;
  result.add("pages_total_bytes", pages.total_pages * page);
  result.add("pages_free_bytes", pages.free_pages * page);
  result.add("pages_used_bytes", pages.used_pages * page);
  result.add("pages_peak_used_bytes", pages.peak_used_pages * page);
  result.add("pages_largest_free_bytes", pages.largest_free_pages * page);
  result.add("pages_metadata_bytes", pages.metadata_pages * page);
  result.add("pages_failures", pages.failures);
  result.add("heap_live_blocks", heap.live_blocks);
  result.add("heap_live_bytes", heap.live_bytes);
  result.add("heap_peak_live_bytes", heap.peak_live_bytes);
  result.add("heap_allocations", heap.allocations);
  result.add("heap_frees", heap.frees);
  result.add("heap_failures", heap.failures);
  result.add("heap_slab_bytes", heap.slabs * kernel::Heap::kSlabBytes);
  result.add("heap_large_bytes", heap.large_bytes);
  return Handled::Now;
}

HandlerResult handle_irq(Services& services, const Arguments&, Caller&, ResultMap& result) {
  const kernel::Interrupts& interrupts = services.interrupts;
  CborWriter& writer = result.key_for("handlers");
  writer.array(interrupts.size());
  for (std::uint32_t i = 0; i < interrupts.size(); ++i) {
    const kernel::Interrupts::Entry& entry = interrupts.entry(i);
    ResultMap item(writer);
    item.add("intid", static_cast<std::uint32_t>(entry.id));
    item.add("name", entry.name);
    item.add("count", interrupts.count(i));
    item.finish();
  }
  result.add("unhandled", interrupts.unhandled());
  result.add("spurious", interrupts.spurious());
  return Handled::Now;
}

HandlerResult handle_cpus(Services& services, const Arguments&, Caller&, ResultMap& result) {
  CborWriter& writer = result.key_for("cpus");
  writer.array(services.cpus.count());
  for (std::uint32_t i = 0; i < services.cpus.count(); ++i) {
    const CpuReport cpu = services.cpus.report(i);
    ResultMap item(writer);
    item.add("cpu", i);
    item.add("mpidr", cpu.mpidr);
    item.add("state", cpu.online ? "online" : "off");
    if (!cpu.online) {
      item.add("why", cpu.why_off);
    }
    item.add("interrupts", services.interrupts.taken(i));
    item.add("ipis_sent", cpu.ipis_sent);
    item.add("ipis_received", services.interrupts.software_taken(i));
    item.add("heartbeats", cpu.heartbeat.beats);
    item.add("last_heartbeat_ns", cpu.heartbeat.last_ns);
    if (cpu.stolen_ns) {
      item.add("stolen_ns", *cpu.stolen_ns);
    }
    item.finish();
  }
  result.add("left_off",
             services.machine.cpus.size() - std::min<std::size_t>(services.machine.cpus.size(), services.cpus.count()));
  return Handled::Now;
}

namespace {

void add_pmu(CborWriter& writer, std::uint32_t cpu, const std::optional<kernel::PmuReading>& reading) {
  ResultMap item(writer);
  item.add("cpu", cpu);
  item.add("pmu", reading ? reading->version : "none: the CPU is off");
  if (reading && reading->version != "none") {
    item.add("counters", reading->counters);
    item.add("counter_bits", reading->counter_bits);
    item.add("cycles", reading->cycles);
  }
  item.finish();
}

}  // namespace

HandlerResult handle_pmu(Services& services, const Arguments&, Caller&, ResultMap& result) {
  std::optional<kernel::PmuReading> readings[kernel::kMaxCpus];
  const std::uint32_t count = services.cpus.count();
  std::size_t events = 0;
  CborWriter& writer = result.key_for("cpus");
  writer.array(count);
  for (std::uint32_t cpu = 0; cpu < count; ++cpu) {
    readings[cpu] = services.pmu.read(cpu);
    events += readings[cpu] ? readings[cpu]->events.size() : 0;
    add_pmu(writer, cpu, readings[cpu]);
  }
  result.key_for("events").array(events);
  for (std::uint32_t cpu = 0; cpu < count; ++cpu) {
    if (!readings[cpu]) {
      continue;
    }
    for (const kernel::PmuCount& event : readings[cpu]->events) {
      ResultMap item(writer);
      item.add("cpu", cpu);
      item.add("event", event.name);
      item.add("number", event.event);
      item.add("count", event.count);
      item.add_bool("wrapped", event.wrapped);
      item.finish();
    }
  }
  return Handled::Now;
}

namespace {

std::uint64_t ticks_to_ns(std::uint64_t ticks) {
  constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(ticks) * kNsPerSecond / kernel::tick_frequency_hz());
}

}  // namespace

HandlerResult handle_locks(Services&, const Arguments&, Caller&, ResultMap& result) {
  if (!kernel::kLockStatistics) {
    return refuse(abi::control::error::kFailed, "",
                  "this kernel does not measure its locks: './sis build guest-debug' makes one that does");
  }
  std::size_t count = 0;
  while (kernel::find_lock_class(count) != nullptr) {
    ++count;
  }
  CborWriter& writer = result.key_for("locks");
  writer.array(count);
  for (std::size_t i = 0; i < count; ++i) {
    const kernel::LockClass& locks = *kernel::find_lock_class(i);
    const kernel::LockStatistics statistics = locks.read();
    ResultMap item(writer);
    item.add("name", locks.name());
    item.add("acquisitions", statistics.acquisitions);
    item.add("contended", statistics.contended);
    item.add("held_ns", ticks_to_ns(statistics.total_held_ticks));
    item.add("max_held_ns", ticks_to_ns(statistics.max_held_ticks));
    item.finish();
  }
  return Handled::Now;
}

HandlerResult handle_counters(Services& services, const Arguments&, Caller&, ResultMap& result) {
  services.counters.for_each([&](const kernel::Counter& counter) { result.add(counter.name(), counter.value()); });
  return Handled::Now;
}

HandlerResult handle_selftest(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  const auto rounds = static_cast<unsigned>(arguments.number("rounds", 1));
  const kernel::HeapSelfTest test = kernel::heap_self_test(services.heap, rounds);
  if (!test.passed) {
    return refuse(abi::control::error::kFailed, "", "heap self-test: {}", test.failure);
  }
  result.add("blocks", test.blocks);
  result.add("heap_live_bytes", test.after.live_bytes);
  return Handled::Now;
}

}  // namespace guest::control
