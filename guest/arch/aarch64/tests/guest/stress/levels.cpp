#include "levels.hpp"

#include "guest/arch/secondary.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/interrupts.hpp"
#include "world.hpp"

namespace guest::stress {
namespace {

/// As many as there are stacks, and some.
constexpr std::uint32_t kMost = 2'000;
constinit threads::ThreadRef crowd[kMost] = {};

std::uint64_t listed_threads() {
  std::uint64_t number = 0;
  for (threads::ThreadRef thread = threads::next_thread(0); thread; thread = threads::next_thread(thread->id())) {
    ++number;
  }
  return number;
}

/// Makes threads until no more can be made, and ends them.
std::uint64_t free_stacks() {
  std::uint32_t number = 0;
  for (bool made = true; made && number < kMost;) {
    auto thread = threads::spawn(
        {.name = "crowd", .cpu = number % arch::cpu_count()},
        [](void*) { (void)threads::sleep_until(threads::kForever); }, nullptr);
    made = thread.has_value();
    if (made) {
      crowd[number++] = *std::move(thread);
    }
  }
  for (std::uint32_t i = 0; i < number; ++i) {
    crowd[i]->request_stop();
  }
  for (std::uint32_t i = 0; i < number; ++i) {
    crowd[i]->join();
    crowd[i] = {};
  }
  return number;
}

/// Threads whose memory goes in the work queue: waits until it is as before.
void await_heap(std::uint64_t live_blocks) {
  const std::uint64_t begun_ns = now_ns();
  while (kernel::kernel_heap().statistics().live_blocks != live_blocks) {
    (void)sleep(1'000'000);
    if (now_ns() - begun_ns > limit_ns()) {
      fail("heap: {} blocks are in use, there were {}", kernel::kernel_heap().statistics().live_blocks, live_blocks);
    }
  }
}

void compare(std::string_view what, std::uint64_t before, std::uint64_t after) {
  if (before != after) {
    fail("{}: {} before, {} after", what, before, after);
  }
}

}  // namespace

Levels read_levels(std::uint64_t heap_blocks) {
  await_heap(heap_blocks);
  Levels levels{.stacks = free_stacks()};
  await_heap(heap_blocks);
  kernel::kernel_heap().trim();
  const kernel::HeapStatistics heap = kernel::kernel_heap().statistics();
  levels.heap_blocks = heap.live_blocks;
  levels.heap_bytes = heap.live_bytes;
  levels.heap_failures = heap.failures;
  levels.used_pages = kernel::kernel_pages().statistics().used_pages;
  levels.threads = listed_threads();
  for (std::uint32_t cpu = 0; cpu < arch::cpu_count(); ++cpu) {
    levels.admitted += threads::find_dispatcher(cpu)->scheduler().admitted();
    levels.servers += threads::find_dispatcher(cpu)->scheduler().servers();
  }
  levels.unhandled = kernel::interrupts().unhandled();
  return levels;
}

void compare(const Levels& before, const Levels& after) {
  compare("blocks of the heap", before.heap_blocks, after.heap_blocks);
  compare("bytes of the heap", before.heap_bytes, after.heap_bytes);
  compare("failures of the heap", before.heap_failures, after.heap_failures);
  compare("pages in use", before.used_pages, after.used_pages);
  compare("threads", before.threads, after.threads);
  compare("free stacks", before.stacks, after.stacks);
  compare("millionths of the CPUs that are promised", before.admitted, after.admitted);
  compare("servers", before.servers, after.servers);
  compare("interrupts without a handler", before.unhandled, after.unhandled);
}

}  // namespace guest::stress
