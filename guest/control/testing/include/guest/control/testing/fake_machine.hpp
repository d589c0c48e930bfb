// The kernel's services as tests and fuzzers see them: real counters, timers, work queue and heap over memory of the
// host; a clock that stands still until it is moved; a power switch that is only looked at.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "guest/control/services.hpp"
#include "guest/kernel/timer.hpp"
#include "guest/kernel/work.hpp"

namespace guest::control::testing {

class FakeTimer final : public kernel::HardwareTimer {
 public:
  [[nodiscard]] std::uint64_t now_ns() const override { return now; }
  [[nodiscard]] std::uint64_t resolution_ns() const override { return 16; }
  void set_deadline(std::uint64_t deadline_ns) override { deadline = deadline_ns; }
  std::uint64_t now = 1'000'000'000;
  std::uint64_t deadline = kernel::kNoDeadline;
};

class FakePower final : public Power {
 public:
  void off(std::uint8_t code) override { events.push_back("off " + std::to_string(code)); }
  void reset() override { events.emplace_back("reset"); }
  std::vector<std::string> events;
};

class FakeFaults final : public Faults {
 public:
  [[nodiscard]] std::string_view kinds() const override { return "null|assert"; }
  void provoke(std::string_view kind) override { provoked.emplace_back(kind); }
  std::vector<std::string> provoked;
};

class FakeCpus final : public Cpus {
 public:
  [[nodiscard]] std::uint32_t count() const override { return static_cast<std::uint32_t>(cpus.size()); }
  [[nodiscard]] CpuReport report(std::uint32_t cpu) const override { return cpus[cpu]; }
  std::vector<CpuReport> cpus = {{.mpidr = 0, .online = true, .why_off = {}, .ipis_sent = 0}};
};

class FakePmu final : public Pmu {
 public:
  [[nodiscard]] std::optional<kernel::PmuReading> read(std::uint32_t cpu) const override { return readings.at(cpu); }
  std::vector<std::optional<kernel::PmuReading>> readings = {kernel::PmuReading{}};
};

/// Takes 6 ticks for two operations; on a machine with one CPU "lonely" cannot be measured.
inline constexpr bench::Benchmark kFakeBenchmarks[] = {
    {.name = "quick",
     .measures = "nothing, quickly",
     .operations = 2,
     .take = [](const bench::Benchmark&) -> bench::Sample { return 6; }},
    {.name = "lonely",
     .measures = "nothing, alone",
     .take = [](const bench::Benchmark&) -> bench::Sample { return std::unexpected("there is only one CPU"); }},
};

class FakeMachine {
 public:
  static constexpr std::size_t kMemoryBytes = 8 * 1024 * 1024;
  static constexpr std::uint64_t kUnixTimeAtBoot = 1'800'000'000'000'000'000;

  /// The key 00 01 02 ... 1f.
  static security::Key key() {
    security::Key key{};
    for (std::size_t i = 0; i < key.size(); ++i) {
      key[i] = static_cast<std::uint8_t>(i);
    }
    return key;
  }

  explicit FakeMachine(const std::optional<security::Key>& with_key = key()) : authority(with_key, security::Seed{}) {
    const kernel::PhysRange range = {.base = kernel::PhysAddr{kPhysicalBase}, .size = kMemoryBytes};
    if (!info.memory.push_back(range) || !info.cpus.push_back({})) {
      std::abort();
    }
    log.keep_lines(log_lines);
    if (pages.add_memory({&range, 1}, {}) != kernel::Status::Ok) {
      std::abort();
    }
  }

  /// Runs all work that is raised.
  void run() {
    while (work.run_one()) {
    }
  }
  /// Moves the clock to each deadline on the way, and runs what is due.
  void advance_ns(std::uint64_t by) {
    const std::uint64_t end = timer.now + by;
    run();
    while (timer.deadline <= end) {
      timer.now = std::max(timer.now, timer.deadline);
      timers.on_interrupt();
      run();
    }
    timer.now = end;
  }
  [[nodiscard]] std::uint64_t counter(std::string_view name) const {
    const kernel::Counter* found = counters.find(name);
    return found == nullptr ? ~std::uint64_t{0} : found->value();
  }

 private:
  static constexpr std::uint64_t kPhysicalBase = 0x4000'0000;
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> memory_{static_cast<std::byte*>(std::aligned_alloc(kMemoryBytes, kMemoryBytes))};

 public:
  FakeTimer timer;
  kernel::WorkQueue work;
  kernel::TimerQueue timers{timer, work};
  kernel::MachineInfo info;
  kernel::PageAllocator pages{kernel::DirectMap(reinterpret_cast<std::uintptr_t>(memory_.get()) - kPhysicalBase)};
  kernel::Heap heap{pages};
  kernel::Interrupts interrupts;
  kernel::CounterRegistry counters;
  kernel::Log log;
  kernel::LogHistory log_lines;
  kernel::Trace trace;
  FakePower power;
  FakeFaults faults;
  FakeCpus cpus;
  FakePmu pmu;
  security::Authority authority;
  security::AuditLog audit{timer};
  kernel::Archive files;
  llm::package::Trust trust;
  const std::span<const bench::Benchmark> benchmarks[1] = {kFakeBenchmarks};
  Services services{.clock = timer,
                    .timers = timers,
                    .work = work,
                    .machine = info,
                    .pages = pages,
                    .heap = heap,
                    .interrupts = interrupts,
                    .counters = counters,
                    .log = log,
                    .log_lines = log_lines,
                    .trace = trace,
                    .power = power,
                    .faults = faults,
                    .cpus = cpus,
                    .pmu = pmu,
                    .authority = authority,
                    .audit = audit,
                    .files = files,
                    .trust = trust,
                    .benchmarks = benchmarks,
                    .version = "0.1.0",
                    .build_id = "abcd",
                    .scenario = "unit",
                    .timer_frequency_hz = 62'500'000,
                    .boot_to_control_ready_ns = 5'000'000,
                    .unix_time_at_boot_ns = kUnixTimeAtBoot};
};

}  // namespace guest::control::testing
