// Micro-benchmarks: how they are described, and how they are run.
//
// A benchmark takes samples: times in ticks of kernel::tick_count(). What costs less than a tick is done many times in
// a sample; whoever shows the figures divides. Reading the clock is part of every sample: a benchmark of its own,
// "clock-read", tells what that costs, and nothing is subtracted. Nothing is printed or allocated while samples are
// taken. Interrupts stay on, so that the kernel goes on working: those that are not the benchmark's own are counted.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/interrupts.hpp"

namespace guest::bench {

struct Benchmark;

/// The ticks that one sample took, or why this machine cannot do it (static storage).
using Sample = std::expected<std::uint64_t, std::string_view>;

/// Nothing, or why this machine cannot do it (static storage).
using Ready = std::expected<void, std::string_view>;

struct Benchmark {
  std::string_view name;      ///< "heap-64"
  std::string_view measures;  ///< from what to what, in words
  /// How often it is done in a sample.
  std::uint32_t operations = 1;
  /// Interrupts that a sample causes on the CPU that takes it.
  std::uint32_t own_interrupts = 0;
  /// Takes a sample. In a thread that stays on its CPU, interrupts on.
  Sample (*take)(const Benchmark& self) = nullptr;
  /// For benchmarks that share a function.
  std::uint64_t parameter = 0;
  /// Makes what the samples need, and takes it down again; null: nothing. In the thread that takes them.
  Ready (*prepare)() = nullptr;
  void (*finish)() = nullptr;
};

/// A sample of `operations` calls; the three instructions of the loop are part of it.
template <typename Operation>
std::uint64_t time_of(std::uint32_t operations, Operation&& operation) {
  const std::uint64_t begin = kernel::tick_count();
  for (std::uint32_t i = 0; i < operations; ++i) {
    operation();
  }
  return kernel::tick_count() - begin;
}

/// Ticks, of samples in the order of their size; percentiles by nearest rank.
struct Result {
  std::string_view why_not;  ///< empty: it was measured
  std::uint64_t min = 0;
  std::uint64_t median = 0;
  std::optional<std::uint64_t> p95 = std::nullopt;  ///< nothing: fewer samples than it needs
  std::optional<std::uint64_t> p99 = std::nullopt;
  std::uint64_t max = 0;
  /// Interrupts that this CPU took meanwhile, besides the benchmark's own.
  std::uint64_t other_interrupts = 0;
};

/// Takes `warm_up` samples that do not count, then as many as `samples` has room for, at least one. `samples` holds
/// them afterwards, sorted. In a thread that stays on its CPU, interrupts on.
Result run(const Benchmark& benchmark, std::uint32_t warm_up, std::span<std::uint64_t> samples,
           const kernel::Interrupts& interrupts);

/// Clock, locks, heap, deferred work.
std::span<const Benchmark> kernel_benchmarks();
/// The scheduler by itself.
std::span<const Benchmark> scheduler_benchmarks();
/// Threads: switching between them, waking them.
std::span<const Benchmark> thread_benchmarks();
/// Rings, channels, tensors.
std::span<const Benchmark> graph_benchmarks();
/// The audit log.
std::span<const Benchmark> security_benchmarks();

}  // namespace guest::bench
