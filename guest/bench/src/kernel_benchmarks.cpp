#include <atomic>

#include "guest/bench/benchmark.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/spin_lock.hpp"
#include "guest/kernel/threads/mutex.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "guest/kernel/work.hpp"

namespace guest::bench {
namespace {

constexpr std::uint32_t kMany = 128;  ///< operations in a sample, where one costs less than a tick of a slow counter
constexpr kernel::LockRank kProbeRank{100};

Sample take_clock_read(const Benchmark& self) {
  return time_of(self.operations, [] { (void)kernel::tick_count(); });
}

Sample take_spin_lock(const Benchmark& self) {
  static constinit kernel::SpinLock lock("benchmark", kProbeRank);
  return time_of(self.operations, [] { lock.release(lock.acquire()); });
}

Sample take_mutex(const Benchmark& self) {
  static constinit threads::Mutex mutex;
  return time_of(self.operations, [] {
    mutex.lock();
    mutex.unlock();
  });
}

Sample take_heap(const Benchmark& self) {
  kernel::Heap& heap = kernel::kernel_heap();
  void* const probe = heap.allocate(self.parameter);
  if (probe == nullptr) {
    return std::unexpected(std::string_view("no memory"));
  }
  heap.free(probe);
  return time_of(self.operations, [&] { heap.free(heap.allocate(self.parameter)); });
}

Sample take_work(const Benchmark&) {
  static constinit std::atomic<std::uint64_t> ran_tick{0};
  static constinit kernel::WorkItem item([](void*) { ran_tick.store(kernel::tick_count()); }, nullptr);
  ran_tick.store(0);
  const std::uint64_t begin = kernel::tick_count();
  kernel::work_queue().raise(item);
  while (ran_tick.load() == 0) {
    threads::yield();
  }
  return ran_tick.load() - begin;
}

constexpr Benchmark kBenchmarks[] = {
    {.name = "clock-read",
     .measures = "reading the clock, which each sample of every benchmark does twice",
     .operations = kMany,
     .take = take_clock_read},
    {.name = "spin-lock",
     .measures = "acquiring and releasing a spin lock that nobody else wants",
     .operations = kMany,
     .take = take_spin_lock},
    {.name = "mutex",
     .measures = "locking and unlocking a mutex that nobody else wants",
     .operations = kMany,
     .take = take_mutex},
    {.name = "heap-16",
     .measures = "allocating 16 bytes and freeing them",
     .operations = kMany,
     .take = take_heap,
     .parameter = 16},
    {.name = "heap-64",
     .measures = "allocating 64 bytes and freeing them",
     .operations = kMany,
     .take = take_heap,
     .parameter = 64},
    {.name = "heap-256",
     .measures = "allocating 256 bytes and freeing them",
     .operations = kMany,
     .take = take_heap,
     .parameter = 256},
    {.name = "heap-1024",
     .measures = "allocating 1024 bytes and freeing them",
     .operations = kMany,
     .take = take_heap,
     .parameter = 1024},
    {.name = "heap-4096",
     .measures = "allocating 4096 bytes and freeing them",
     .operations = kMany,
     .take = take_heap,
     .parameter = 4096},
    {.name = "heap-16384",
     .measures = "allocating 16384 bytes, which are pages, and freeing them",
     .operations = kMany,
     .take = take_heap,
     .parameter = 16384},
    {.name = "work",
     .measures = "raising a work item on the CPU of the work thread to its function, with the switch of threads",
     .take = take_work},
};

}  // namespace

std::span<const Benchmark> kernel_benchmarks() { return kBenchmarks; }

}  // namespace guest::bench
