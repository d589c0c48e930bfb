#include "guest/kernel/trace.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "guest/kernel/host_cpu.hpp"
#include "guest/kernel/interrupts.hpp"
#include "guest/kernel/testing/arena.hpp"
#include "guest/kernel/work.hpp"

namespace guest::kernel {
namespace {

class FakeClock final : public Clock {
 public:
  [[nodiscard]] std::uint64_t now_ns() const override { return now; }
  [[nodiscard]] std::uint64_t resolution_ns() const override { return 1; }
  std::uint64_t now = 0;
};

class TextCapture final : public TextOutput {
 public:
  void write(std::string_view part) override { text += part; }
  std::string text;
};

constexpr std::uint64_t kGigabyte = std::uint64_t{1} << 30;

class TraceTest : public ::testing::Test {
 protected:
  TraceTest() {
    const PhysRange range = arena.range();
    EXPECT_EQ(pages.add_memory({&range, 1}, {}), Status::Ok);
    EXPECT_TRUE(trace.reserve(pages, clock, 2));
    trace.set_on(true);
  }
  void record(std::uint32_t cpu, std::uint64_t time_ns, std::uint32_t first) {
    const HostCpu identity(cpu);
    clock.now = time_ns;
    trace.record(TraceType::InterruptEnter, first);
  }
  /// The events as "time:cpu:first", newest first.
  static std::vector<std::string> read(const Trace& from) {
    std::vector<std::string> found;
    TraceReader reader(from);
    for (TraceEvent event; reader.next(event);) {
      found.push_back(std::to_string(event.time_ns) + ":" + std::to_string(event.cpu) + ":" +
                      std::to_string(event.arguments[0]));
    }
    return found;
  }

  testing::Arena arena{kGigabyte, 16 * 1024 * 1024};
  PageAllocator pages{arena.map()};
  FakeClock clock;
  Trace trace;
};

TEST_F(TraceTest, events_come_back_newest_first_as_they_were_recorded) {
  clock.now = 5;
  trace.record(TraceType::Throttle, 7, 1'000, ~std::uint64_t{0});
  clock.now = 9;
  trace.record(TraceType::UserFault, 0xffff'ffff, 0xffff'8000'0000'1234);
  TraceReader reader(trace);
  EXPECT_EQ(reader.size(), 2U);
  TraceEvent event{};
  ASSERT_TRUE(reader.next(event));
  EXPECT_EQ(event.time_ns, 9U);
  EXPECT_EQ(event.type, TraceType::UserFault);
  EXPECT_EQ(event.arguments[0], 0xffff'ffffU);
  EXPECT_EQ(event.arguments[1], 0xffff'8000'0000'1234U);
  EXPECT_EQ(event.arguments[2], 0U);
  ASSERT_TRUE(reader.next(event));
  EXPECT_EQ(event.type, TraceType::Throttle);
  EXPECT_EQ(event.arguments[2], ~std::uint64_t{0});
  EXPECT_FALSE(reader.next(event));
}

TEST_F(TraceTest, cpus_are_merged_by_time_then_by_number) {
  record(1, 10, 1);
  record(0, 10, 2);
  record(0, 10, 3);
  record(1, 20, 4);
  record(0, 30, 5);
  EXPECT_EQ(read(trace), (std::vector<std::string>{"30:0:5", "20:1:4", "10:1:1", "10:0:3", "10:0:2"}));
}

/// What comes next, as read() has it.
std::vector<std::string> follow(TraceFollower& follower) {
  std::vector<std::string> found;
  for (TraceEvent event; follower.next(event);) {
    found.push_back(std::to_string(event.time_ns) + ":" + std::to_string(event.cpu) + ":" +
                    std::to_string(event.arguments[0]));
  }
  return found;
}

TEST_F(TraceTest, a_follower_gets_what_comes_after_it_oldest_first) {
  record(0, 5, 0);
  TraceFollower follower(trace);
  EXPECT_TRUE(follow(follower).empty());
  record(1, 10, 1);
  record(0, 10, 2);
  record(0, 20, 3);
  record(1, 30, 4);
  EXPECT_EQ(follow(follower), (std::vector<std::string>{"10:0:2", "10:1:1", "20:0:3", "30:1:4"}));
  EXPECT_TRUE(follow(follower).empty());
  record(0, 40, 5);
  EXPECT_EQ(follow(follower), (std::vector<std::string>{"40:0:5"}));
  EXPECT_EQ(follower.take_lost(), 0U);
}

TEST_F(TraceTest, a_follower_counts_what_was_overwritten_or_cleared_before_it_came) {
  TraceFollower follower(trace);
  for (std::uint32_t i = 0; i < Trace::kEvents + 3; ++i) {
    record(0, i, i);
  }
  TraceEvent event{};
  ASSERT_TRUE(follower.next(event));
  EXPECT_EQ(event.time_ns, 3U);
  EXPECT_EQ(follower.take_lost(), 3U);
  EXPECT_EQ(follower.take_lost(), 0U);
  trace.clear();
  record(0, 9'000, 42);
  EXPECT_EQ(follow(follower), (std::vector<std::string>{"9000:0:42"}));
  EXPECT_EQ(follower.take_lost(), Trace::kEvents - 1);
}

TEST_F(TraceTest, a_follower_from_the_start_gets_what_is_kept_and_counts_what_is_not) {
  record(0, 1, 1);
  trace.clear();
  for (std::uint32_t i = 0; i < Trace::kEvents + 3; ++i) {
    record(0, 10 + i, i);
  }
  record(1, 5, 7);
  TraceFollower follower(trace, TraceFollower::From::Start);
  const std::vector<std::string> found = follow(follower);
  EXPECT_EQ(found.size(), Trace::kEvents + 1);
  EXPECT_EQ(found.front(), "5:1:7");
  EXPECT_EQ(found[1], "13:0:3");
  EXPECT_EQ(follower.take_lost(), 3U);
  EXPECT_EQ(follower.lost(0), 3U);
  EXPECT_EQ(follower.lost(1), 0U);
}

TEST_F(TraceTest, rings_have_the_size_of_the_first_reservation) {
  Trace large;
  ASSERT_TRUE(large.reserve(pages, clock, 1, 8192));
  ASSERT_TRUE(large.reserve(pages, clock, 1));
  EXPECT_EQ(large.events_per_cpu(), 8192U);
  large.set_on(true);
  for (std::uint32_t i = 0; i < 8192 + 5; ++i) {
    large.record(TraceType::InterruptEnter, i);
  }
  EXPECT_EQ(large.fill(0).kept, 8192U);
  EXPECT_EQ(large.fill(0).overwritten, 5U);
  EXPECT_EQ(read(large).back(), "0:0:5");
}

TEST_F(TraceTest, only_the_groups_that_are_wanted_are_recorded) {
  using abi::trace::Group;
  trace.record_groups(bit(Group::Interrupts) | bit(Group::Graphs));
  EXPECT_TRUE(trace.on());
  EXPECT_TRUE(trace.wants(TraceType::OpBegin));
  EXPECT_FALSE(trace.wants(TraceType::ThreadWake));
  trace.record(TraceType::ThreadWake, 1);
  trace.record(TraceType::IpiSend, 2);
  trace.record(TraceType::NpuEnd, 3);
  trace.record(TraceType::ChannelDrop, 4);
  EXPECT_EQ(read(trace), (std::vector<std::string>{"0:0:4", "0:0:2"}));
}

TEST_F(TraceTest, a_frozen_trace_keeps_what_it_has_until_it_goes_on) {
  record(0, 1, 1);
  trace.freeze();
  record(0, 2, 2);
  EXPECT_TRUE(trace.frozen());
  EXPECT_FALSE(trace.on());
  EXPECT_EQ(read(trace), std::vector<std::string>{"1:0:1"});
  trace.set_on(true);
  EXPECT_FALSE(trace.frozen());
  record(0, 3, 3);
  EXPECT_EQ(read(trace).size(), 2U);
}

TEST_F(TraceTest, nothing_is_recorded_while_it_is_off_or_where_there_is_no_ring) {
  trace.set_on(false);
  record(0, 1, 1);
  trace.set_on(true);
  record(2, 2, 2);
  EXPECT_TRUE(read(trace).empty());
  EXPECT_TRUE(trace.has_ring(1));
  EXPECT_FALSE(trace.has_ring(2));
  EXPECT_FALSE(trace.has_ring(kMaxCpus));
}

TEST_F(TraceTest, the_oldest_are_overwritten_and_counted) {
  for (std::uint32_t i = 0; i < Trace::kEvents; ++i) {
    record(0, i, i);
  }
  EXPECT_EQ(trace.fill(0).kept, Trace::kEvents);
  EXPECT_EQ(trace.fill(0).overwritten, 0U);
  EXPECT_EQ(read(trace).back(), "0:0:0");
  for (std::uint32_t i = Trace::kEvents; i < Trace::kEvents + 3; ++i) {
    record(0, i, i);
  }
  EXPECT_EQ(trace.fill(0).kept, Trace::kEvents);
  EXPECT_EQ(trace.fill(0).overwritten, 3U);
  const std::vector<std::string> events = read(trace);
  EXPECT_EQ(events.size(), Trace::kEvents);
  EXPECT_EQ(events.front(), "4098:0:4098");
  EXPECT_EQ(events.back(), "3:0:3");
}

TEST_F(TraceTest, clear_forgets_events_and_what_was_overwritten) {
  for (std::uint32_t i = 0; i < Trace::kEvents + 3; ++i) {
    record(0, i, i);
  }
  trace.clear();
  EXPECT_TRUE(read(trace).empty());
  EXPECT_EQ(trace.fill(0).kept, 0U);
  EXPECT_EQ(trace.fill(0).overwritten, 0U);
  record(0, 9'000, 42);
  EXPECT_EQ(read(trace), (std::vector<std::string>{"9000:0:42"}));
}

TEST_F(TraceTest, events_that_are_overwritten_while_they_are_read_are_dropped) {
  for (std::uint32_t i = 0; i < Trace::kEvents; ++i) {
    record(0, i, i);
  }
  TraceReader reader(trace);  // has copied the newest
  for (std::uint32_t i = 0; i < Trace::kEvents - 10; ++i) {
    record(0, 10'000 + i, i);
  }
  TraceEvent event{};
  std::uint64_t found = 0;
  for (; reader.next(event); ++found) {
    EXPECT_EQ(event.time_ns, Trace::kEvents - 1 - found) << "an event of after the reader was made";
  }
  EXPECT_EQ(found, 10U);
}

TEST_F(TraceTest, memory_is_reserved_once_and_its_lack_is_told) {
  const std::uint64_t used = pages.statistics().used_pages;
  EXPECT_TRUE(trace.reserve(pages, clock, 2));
  EXPECT_EQ(pages.statistics().used_pages, used);
  EXPECT_EQ(used, 2 * Trace::kEvents * 32 / kPageBytes);
  while (pages.allocate(5)) {
  }
  EXPECT_FALSE(trace.reserve(pages, clock, 3));
  EXPECT_FALSE(trace.has_ring(2));
}

/// Each event's words follow from its first argument, so words of two events would not fit together.
TEST_F(TraceTest, readers_beside_writers_on_other_cpus_see_no_torn_event_and_time_never_rises) {
  constexpr std::uint32_t kRounds = 200'000;
  const auto word = [](std::uint64_t first, std::uint64_t salt) { return first * 0x9e37'79b9'7f4a'7c15 + salt; };
  std::atomic<unsigned> running{2};
  std::vector<std::thread> writers;
  writers.reserve(2);
  for (std::uint32_t cpu = 0; cpu < 2; ++cpu) {
    writers.emplace_back([&, cpu] {
      const HostCpu identity(cpu);
      for (std::uint32_t i = 0; i < kRounds; ++i) {
        trace.record(TraceType::Throttle, i, word(i, cpu), word(i, 7));
      }
      running.fetch_sub(1);
    });
  }
  std::uint64_t seen = 0;
  std::uint64_t torn = 0;
  do {
    TraceReader reader(trace);
    std::uint64_t last_first[2] = {~std::uint64_t{0}, ~std::uint64_t{0}};
    for (TraceEvent event; reader.next(event); ++seen) {
      torn += event.arguments[1] != word(event.arguments[0], event.cpu) ||
              event.arguments[2] != word(event.arguments[0], 7);
      torn += event.arguments[0] >= last_first[event.cpu];
      last_first[event.cpu] = event.arguments[0];
    }
  } while (running.load() > 0);
  for (std::thread& writer : writers) {
    writer.join();
  }
  EXPECT_GT(seen, 0U);
  EXPECT_EQ(torn, 0U);
  EXPECT_EQ(trace.fill(0).kept + trace.fill(0).overwritten, kRounds);
}

TEST(TraceDescription, every_type_has_a_name_of_its_own) {
  std::vector<std::string_view> names;
  for (std::uint16_t type = 0; type <= abi::trace::kTypes - 1; ++type) {
    names.push_back(describe(TraceType{type}).name);
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  EXPECT_EQ(describe(TraceType::DeadlineMiss).name, "deadline-miss");
  EXPECT_EQ(describe(TraceType::IpiSend).name, "ipi-send");
  EXPECT_EQ(describe(TraceType{1000}).name, "unknown");
}

TEST(TraceDescription, a_record_has_all_of_an_event) {
  const abi::trace::Record record = to_record(
      {.time_ns = 7, .type = TraceType::Replenish, .cpu = 3, .arguments = {0xffff'ffff, 5'000, ~std::uint64_t{0}}});
  EXPECT_EQ(record.time_ns, 7U);
  EXPECT_EQ(record.type, 4U);
  EXPECT_EQ(record.cpu, 3U);
  EXPECT_EQ(record.argument0, 0xffff'ffffU);
  EXPECT_EQ(record.argument1, 5'000U);
  EXPECT_EQ(record.argument2, ~std::uint64_t{0});
}

TEST(TraceDescription, an_event_is_a_line_with_its_arguments_by_name) {
  TextCapture out;
  write_event(out, {.time_ns = 81'304, .type = TraceType::Replenish, .cpu = 3, .arguments = {4, 5'000, 600}});
  write_event(out, {.time_ns = 9, .type = TraceType::WorkBegin, .cpu = 0, .arguments = {77, 0xffff'8000, 88}});
  EXPECT_EQ(out.text,
            "time_ns=81304  cpu=3  event=replenish  server=4  deadline_ns=5000  budget_ns=600\n"
            "time_ns=9  cpu=0  event=work-begin  function=0xffff8000\n");
}

/// What the kernel records itself goes to the kernel's trace.
class KernelTraceTest : public TraceTest {
 protected:
  KernelTraceTest() {
    // For ever: the kernel's trace keeps its rings until the program ends.
    static testing::Arena* const memory = new testing::Arena(kGigabyte, 16 * 1024 * 1024);
    static PageAllocator* const allocator = [] {
      auto* const made = new PageAllocator(memory->map());
      const PhysRange range = memory->range();
      EXPECT_EQ(made->add_memory({&range, 1}, {}), Status::Ok);
      return made;
    }();
    static FakeClock still;
    EXPECT_TRUE(kernel::trace().reserve(*allocator, still, 1));
    kernel::trace().clear();
    kernel::trace().set_on(true);
  }
  ~KernelTraceTest() override {
    kernel::trace().set_on(false);
    kernel::trace().clear();
  }
  static std::string last(std::size_t count) {
    TextCapture out;
    write_last_events(out, count);
    return out.text;
  }
};

class OneInterrupt final : public InterruptController {
 public:
  [[nodiscard]] std::uint32_t count() const override { return 64; }
  void enable(IntId, Trigger) override {}
  void disable(IntId) override {}
  [[nodiscard]] std::string_view name() const override { return "fake"; }
};

TEST_F(KernelTraceTest, interrupts_are_recorded_around_their_handlers) {
  OneInterrupt controller;
  Interrupts table;
  table.set_controller(controller);
  ASSERT_TRUE(table.attach(
      IntId{33}, Trigger::Level, "test", [](void*) { kernel::trace().record(TraceType::ThreadWake, 5, 1); }, nullptr));
  table.dispatch(IntId{33});
  table.dispatch(IntId{34});  // no handler: counted, not traced
  EXPECT_EQ(last(10),
            "last 3 of 3 trace events:\n"
            "  time_ns=0  cpu=0  event=irq-enter  intid=33\n"
            "  time_ns=0  cpu=0  event=wake  thread=5  on_cpu=1\n"
            "  time_ns=0  cpu=0  event=irq-exit  intid=33\n");
}

TEST_F(KernelTraceTest, work_is_recorded_around_its_function_even_if_the_item_is_gone) {
  WorkQueue queue;
  WorkItem* item = nullptr;
  item = new WorkItem([](void* self) { delete *static_cast<WorkItem**>(self); }, static_cast<void*>(&item));
  queue.raise(*item);
  ASSERT_TRUE(queue.run_one());
  const std::string text = last(10);
  EXPECT_NE(text.find("event=work-begin  function=0x"), std::string::npos) << text;
  EXPECT_NE(text.find("event=work-end  function=0x"), std::string::npos) << text;
}

TEST_F(KernelTraceTest, the_last_events_are_as_many_as_asked_for_and_at_most_32) {
  EXPECT_EQ(last(10), "");
  for (std::uint32_t i = 0; i < 100; ++i) {
    kernel::trace().record(TraceType::ThreadBlock, i);
  }
  EXPECT_EQ(last(2),
            "last 2 of 100 trace events:\n"
            "  time_ns=0  cpu=0  event=block  thread=98\n"
            "  time_ns=0  cpu=0  event=block  thread=99\n");
  const std::string most = last(1'000);
  EXPECT_EQ(std::count(most.begin(), most.end(), '\n'), 33);
  EXPECT_NE(most.find("last 32 of 100"), std::string::npos);
}

}  // namespace
}  // namespace guest::kernel
