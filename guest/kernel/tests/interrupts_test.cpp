#include "guest/kernel/interrupts.hpp"

#include <gtest/gtest.h>

#include <vector>

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
  EXPECT_EQ(table.entry(0).count, 2U);
  EXPECT_EQ(controller.enabled, (std::vector<std::uint32_t>{33}));
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
