#include "guest/kernel/interrupts.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "guest/kernel/host_cpu.hpp"

namespace guest::kernel {
namespace {

class FakeController final : public InterruptController {
 public:
  [[nodiscard]] std::uint32_t count() const override { return 64; }
  void enable(IntId id, Trigger) override { enabled.push_back(static_cast<std::uint32_t>(id)); }
  void disable(IntId id) override { disabled.push_back(static_cast<std::uint32_t>(id)); }
  [[nodiscard]] std::string_view name() const override { return "fake"; }
  std::vector<std::uint32_t> enabled;
  std::vector<std::uint32_t> disabled;
};

void increment(void* context) { ++*static_cast<int*>(context); }

class InterruptsTest : public ::testing::Test {
 protected:
  InterruptsTest() { table.set_controller(controller); }
  bool attach(std::uint32_t id) { return table.attach(IntId{id}, Trigger::Level, "test", increment, &calls); }
  FakeController controller;
  Interrupts table;
  int calls = 0;
};

TEST_F(InterruptsTest, attached_interrupt_is_enabled_counted_and_handled) {
  ASSERT_TRUE(attach(33));
  table.dispatch(IntId{33});
  table.dispatch(IntId{33});
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(table.count(0), 2U);
  EXPECT_EQ(controller.enabled, (std::vector<std::uint32_t>{33}));
}

TEST_F(InterruptsTest, cpus_that_take_interrupts_at_once_lose_no_count) {
  constexpr std::uint32_t kCpus = 4;
  constexpr std::uint64_t kTimes = 20'000;
  ASSERT_TRUE(table.attach(IntId{33}, Trigger::Level, "test", [](void*) {}, nullptr));
  ASSERT_TRUE(table.attach(IntId{2}, Trigger::Edge, "software", [](void*) {}, nullptr));
  std::vector<std::thread> threads;
  for (std::uint32_t cpu = 0; cpu < kCpus; ++cpu) {
    threads.emplace_back([&, cpu] {
      const HostCpu identity(cpu);
      for (std::uint64_t i = 0; i < kTimes; ++i) {
        table.dispatch(IntId{33});
        table.dispatch(IntId{2});
        table.dispatch(IntId{5000});
        table.count_spurious();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(table.count(0), kCpus * kTimes);
  EXPECT_EQ(table.count(0, 3), kTimes);
  EXPECT_EQ(table.taken(3), 3 * kTimes);
  EXPECT_EQ(table.software_taken(3), kTimes);
  EXPECT_EQ(table.software_taken(4), 0U);
  EXPECT_EQ(table.unhandled(), kCpus * kTimes);
  EXPECT_EQ(table.spurious(), kCpus * kTimes);
}

TEST_F(InterruptsTest, private_interrupts_are_enabled_on_each_cpu_that_asks) {
  ASSERT_TRUE(attach(27));
  ASSERT_TRUE(attach(33));
  ASSERT_TRUE(attach(2));
  controller.enabled.clear();
  EXPECT_TRUE(table.enable_here(IntId{27}));
  EXPECT_FALSE(table.enable_here(IntId{33}));
  EXPECT_FALSE(table.enable_here(IntId{28}));
  table.enable_software_here();
  EXPECT_EQ(controller.enabled, (std::vector<std::uint32_t>{27, 2}));
}

TEST_F(InterruptsTest, unhandled_interrupt_is_counted_and_masked) {
  table.dispatch(IntId{40});
  EXPECT_EQ(table.unhandled(), 1U);
  EXPECT_EQ(controller.disabled, (std::vector<std::uint32_t>{40}));
}

TEST_F(InterruptsTest, id_outside_of_the_table_is_counted_only) {
  table.dispatch(IntId{5000});
  EXPECT_EQ(table.unhandled(), 1U);
  EXPECT_TRUE(controller.disabled.empty());
}

TEST_F(InterruptsTest, second_handler_for_an_id_is_refused) {
  ASSERT_TRUE(attach(33));
  EXPECT_FALSE(attach(33));
}

TEST_F(InterruptsTest, id_beyond_the_controller_is_refused) { EXPECT_FALSE(attach(64)); }

TEST_F(InterruptsTest, without_a_controller_attach_is_refused) {
  Interrupts bare;
  EXPECT_FALSE(bare.attach(IntId{33}, Trigger::Level, "test", increment, &calls));
}

}  // namespace
}  // namespace guest::kernel
