// A ring of handles between two CPUs, with a check of every element: an image of its own, run by
// tests/guest/test_ring.py and `./sis soak ring`. Boot arguments are runs, "policy:capacity:elements", as
// "block:64:200000 drop-oldest:3:100000"; the policies are block, drop-oldest, drop-newest, and tensors, which sends
// tensors through a channel that blocks. Each run prints "RING ok <run> ..." or "RING FAILED <run> ..."; the image
// exits with the number of those that failed.
//
// The two sides are threads that sleep by the ring's protocol, on semaphores, as operators do. The producer is on
// CPU 1.
#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

#include "abi/console.hpp"
#include "boot_threads.hpp"
#include "guest/arch/clock.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/graph/channel.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/machine_info.hpp"
#include "guest/kernel/threads/semaphore.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "start_all_cpus.hpp"

namespace guest {
namespace {

using graph::Channel;
using graph::SpscRing;
using graph::TensorRef;

constinit kernel::MachineInfo machine;

constexpr std::uint32_t kEnd = 0xFFFF'FFFF;  ///< no element: the producer is through
/// How often each side looks again before it sleeps, so that the two run at a time most of the time.
constexpr std::uint32_t kLooks = 200;

/// Counts looks; true: it is time to sleep.
bool looked_enough(std::uint32_t& looks) {
  if (++looks < kLooks) {
    kernel::spin_pause();
    return false;
  }
  looks = 0;
  return true;
}

struct Run {
  std::string_view text;
  std::string_view policy;
  std::uint32_t capacity = 0;
  std::uint32_t elements = 0;
};

/// What both sides say of a run. The producer's is complete when kEnd has come.
struct Outcome {
  std::uint32_t dropped = 0;
  std::uint32_t received = 0;
  std::uint32_t wrong = 0;
  std::uint32_t consumer_sleeps = 0;
  std::uint32_t producer_sleeps = 0;
};

struct Wait {
  threads::Semaphore element;
  threads::Semaphore room;
};

struct RingRun {
  explicit RingRun(const Run& what, std::span<SpscRing::Slot> slots) : run(what), ring(slots) {}
  const Run& run;
  SpscRing ring;
  Wait wait;
  Outcome outcome;
};

void send_blocking(RingRun& run, std::uint32_t value) {
  std::uint32_t looks = 0;
  while (!run.ring.push(value)) {
    if (looked_enough(looks) && run.ring.await_room()) {
      ++run.outcome.producer_sleeps;
      (void)run.wait.room.wait();
    }
  }
}

void produce(void* argument) {
  RingRun& run = *static_cast<RingRun*>(argument);
  const bool over = run.run.policy == "drop-oldest";
  const bool blocks = run.run.policy == "block";
  for (std::uint32_t i = 0; i <= run.run.elements; ++i) {
    const bool last = i == run.run.elements;
    const std::uint32_t value = last ? kEnd : i;
    if (over) {
      run.outcome.dropped += run.ring.push_over(value) ? 1 : 0;
    } else if (blocks || last) {
      send_blocking(run, value);
    } else {
      run.outcome.dropped += run.ring.push(value) ? 0 : 1;
    }
    if (run.ring.take_waiting_consumer()) {
      run.wait.element.signal();
    }
  }
}

std::uint32_t receive(RingRun& run, bool over) {
  std::uint32_t looks = 0;
  for (;;) {
    std::uint32_t value = 0;
    if (over ? run.ring.pop_contended(value) : run.ring.pop(value)) {
      if (run.ring.take_waiting_producer()) {
        run.wait.room.signal();
      }
      return value;
    }
    if (looked_enough(looks) && run.ring.await_element()) {
      ++run.outcome.consumer_sleeps;
      (void)run.wait.element.wait();
    }
  }
}

/// Where nothing is dropped each element is the next one; where something is, each is a later one.
void consume(RingRun& run) {
  const bool over = run.run.policy == "drop-oldest";
  const bool blocks = run.run.policy == "block";
  std::uint32_t next = 0;
  for (std::uint32_t value = receive(run, over); value != kEnd; value = receive(run, over)) {
    run.outcome.wrong += (blocks ? value == next : value >= next) && value < run.run.elements ? 0 : 1;
    next = value + 1;
    ++run.outcome.received;
  }
}

threads::ThreadRef start_producer(threads::Thread::Function function, void* argument) {
  const auto thread = threads::spawn({.name = "producer", .cpu = 1}, function, argument);
  kernel::require(thread.has_value(), "no producer");
  return *thread;
}

Outcome run_ring(const Run& run) {
  const auto slots = std::make_unique<SpscRing::Slot[]>(run.capacity);
  RingRun state(run, {slots.get(), run.capacity});
  const threads::ThreadRef producer = start_producer(produce, &state);
  consume(state);
  producer->join();
  return state.outcome;
}

// ---- tensors through a channel

struct TensorRun {
  TensorRun(const Run& what, std::span<Channel::Slot> slots, graph::TensorArena& memory)
      : run(what), arena(memory), channel(1, slots, graph::ChannelPolicy::Block, memory) {}
  const Run& run;
  graph::TensorArena& arena;
  Channel channel;
  Wait wait;
  Outcome outcome;
};

void send_tensor(TensorRun& run, TensorRef& tensor) {
  std::uint32_t looks = 0;
  for (;;) {
    const graph::SendResult sent = run.channel.send(tensor);
    if (sent.wake_consumer) {
      run.wait.element.signal();
    }
    if (sent.outcome != graph::SendOutcome::Full) {
      return;
    }
    if (looked_enough(looks) && run.channel.await_room()) {
      ++run.outcome.producer_sleeps;
      (void)run.wait.room.wait();
    }
  }
}

void produce_tensors(void* argument) {
  TensorRun& run = *static_cast<TensorRun*>(argument);
  graph::TensorInfo info{.shape = {.rank = 1, .dims = {sizeof(std::uint64_t)}}, .origin = 7};
  for (std::uint32_t i = 0; i < run.run.elements; ++i) {
    info.sequence = i;
    auto tensor = run.arena.allocate(info);
    kernel::require(tensor.has_value(), "no tensor, though there are more than the channel holds");
    std::ranges::fill(tensor->writable(), static_cast<std::byte>(i));
    send_tensor(run, *tensor);
  }
}

bool is_tensor(const TensorRef& tensor, std::uint32_t sequence) {
  const std::span<const std::byte> data = tensor.data();
  return tensor.info().sequence == sequence && tensor.info().origin == 7 && data.size() == sizeof(std::uint64_t) &&
         std::ranges::count(data, static_cast<std::byte>(sequence)) == sizeof(std::uint64_t);
}

void consume_tensors(TensorRun& run) {
  std::uint32_t looks = 0;
  while (run.outcome.received < run.run.elements) {
    const graph::Received received = run.channel.receive();
    if (received.wake_producer) {
      run.wait.room.signal();
    }
    if (received.tensor) {
      run.outcome.wrong += is_tensor(received.tensor, run.outcome.received) ? 0 : 1;
      ++run.outcome.received;
    } else if (looked_enough(looks) && run.channel.await_element()) {
      ++run.outcome.consumer_sleeps;
      (void)run.wait.element.wait();
    }
  }
}

Outcome run_tensors(const Run& run) {
  // The channel's, and one that each side has in its hands.
  const std::uint32_t tensors = run.capacity + 2;
  const std::uint64_t bytes = graph::TensorArena::memory_for(tensors, tensors * graph::TensorArena::kDataAlignment);
  const auto memory = std::make_unique<std::byte[]>(bytes);
  graph::TensorArena arena;
  kernel::require(arena.start({memory.get(), bytes}, tensors) == kernel::Status::Ok, "no arena");
  const auto slots = std::make_unique<Channel::Slot[]>(run.capacity);
  TensorRun state(run, {slots.get(), run.capacity}, arena);
  const threads::ThreadRef producer = start_producer(produce_tensors, &state);
  consume_tensors(state);
  producer->join();
  const graph::TensorStatistics statistics = arena.statistics();
  state.outcome.wrong +=
      statistics.live + (statistics.bytes_copied == 0 ? 0 : 1) + (statistics.allocated == run.elements ? 0 : 1);
  return state.outcome;
}

// ---- the runs

bool run_one(const Run& run) {
  const std::uint64_t begun_ns = arch::virtual_timer().now_ns();
  const Outcome outcome = run.policy == "tensors" ? run_tensors(run) : run_ring(run);
  const std::uint64_t took_ns = arch::virtual_timer().now_ns() - begun_ns;
  const bool good = outcome.wrong == 0 && outcome.received + outcome.dropped == run.elements;
  kernel::log_error("RING {} {} received={} dropped={} wrong={} consumer_sleeps={} producer_sleeps={} ms={}",
                    good ? "ok" : "FAILED", run.text, outcome.received, outcome.dropped, outcome.wrong,
                    outcome.consumer_sleeps, outcome.producer_sleeps, took_ns / 1'000'000);
  return good;
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const char* const end = text.data() + text.size();
  return std::from_chars(text.data(), end, value).ptr == end && value != 0 ? std::optional(value) : std::nullopt;
}

Run read_run(std::string_view text) {
  const std::size_t first = text.find(':');
  const std::size_t second = text.rfind(':');
  kernel::require(first != std::string_view::npos && first != second, "a run is policy:capacity:elements");
  const auto capacity = number(text.substr(first + 1, second - first - 1));
  const auto elements = number(text.substr(second + 1));
  kernel::require(capacity && elements && *capacity <= SpscRing::kMaxCapacity && *elements < kEnd, "no such run");
  const Run run{.text = text, .policy = text.substr(0, first), .capacity = *capacity, .elements = *elements};
  constexpr std::string_view kPolicies[] = {"block", "drop-oldest", "drop-newest", "tensors"};
  kernel::require(std::ranges::find(kPolicies, run.policy) != std::end(kPolicies), "no such policy");
  return run;
}

void run_all(void*) {
  std::uint8_t failures = 0;
  std::string_view arguments = machine.boot_arguments.view();
  while (!arguments.empty()) {
    const std::string_view word = arguments.substr(0, arguments.find(' '));
    failures = static_cast<std::uint8_t>(failures + (word.empty() || run_one(read_run(word)) ? 0 : 1));
    arguments.remove_prefix(std::min(word.size() + 1, arguments.size()));
  }
  arch::exit_machine(abi::console::kKindShutdown, failures);
}

}  // namespace

extern "C" [[noreturn]] void kernel_main() {
  start_all_cpus(machine);
  const auto consumer = threads::spawn({.name = "consumer", .cpu = 0}, run_all, nullptr);
  kernel::require(consumer.has_value(), "no consumer");
  idle();
}

}  // namespace guest
