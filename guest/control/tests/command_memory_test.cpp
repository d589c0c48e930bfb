// Commands when memory is short: whichever allocation it is that fails, the command says so and works when there is
// memory again.
#include <gtest/gtest.h>

#include "command_fixture.hpp"
#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/kernel/work.hpp"

namespace guest::control::testing {
namespace {

using kernel::fail_each_allocation;
using kernel::FailingMemory;
using Words = std::vector<std::string_view>;

/// Of commands that answer later, maybe with a refusal.
class RefusedCaller final : public Caller {
 public:
  void complete(std::span<const std::byte> /*result*/) override { ++completed; }
  void fail(const Refusal& refusal) override {
    refusals.add(std::string(refusal.code) + ": " + std::string(refusal.message.view()));
  }
  void defer(Operation& deferred) override { operation = &deferred; }
  bool has_room() override { return true; }
  bool emit(std::span<const std::byte> /*event*/) override { return false; }
  Operation* operation = nullptr;
  Messages refusals;
  int completed = 0;
};

class CommandMemoryTest : public CommandTest {
 protected:
  CommandMemoryTest() { threads::start_cpus(); }

  Messages messages(std::string_view name, const Words& words) {
    Messages all;
    json answer;
    fail_each_allocation([&] { answer = run_for(caller, name, words); }, [&] { all.add(told(answer)); });
    EXPECT_FALSE(answer.contains("code")) << answer;
    return all;
  }
  void run_all() {
    threads::run_until_idle();
    while (kernel::work_queue().run_one()) {
    }
  }

  RefusedCaller caller;
};

TEST_F(CommandMemoryTest, sleep) {
  EXPECT_EQ(messages("sleep", {"1"}), (Messages{"busy: no memory for another sleep"}));
  machine.advance_ns(1'000'000);
  EXPECT_EQ(caller.completed, 1);
}

TEST_F(CommandMemoryTest, top_before_and_after_it_has_looked) {
  EXPECT_EQ(messages("top", {"10"}), (Messages{"busy: no memory to look at the threads"}));
  {
    const FailingMemory memory(0);
    machine.advance_ns(10'000'000);
  }
  EXPECT_EQ(caller.refusals, (Messages{"busy: no memory for the answer"}));
}

TEST_F(CommandMemoryTest, bench_before_and_after_it_has_measured) {
  fail_each_allocation(
      [&] {
        const json now = run_for(caller, "bench", {"lonely"});
        if (!now.is_null()) {
          caller.refusals.add(told(now));
        }
        run_all();
      },
      [] {});
  EXPECT_EQ(caller.refusals, (Messages{"busy: no memory or no thread for 'bench'", "busy: no memory for the answer"}));
  EXPECT_EQ(caller.completed, 1);
}

TEST_F(CommandMemoryTest, trace_dump) {
  EXPECT_EQ(messages("trace", {"dump", "77"}), (Messages{"busy: no memory for 77 events"}));
}

TEST_F(CommandMemoryTest, a_server_is_there_whole_or_not_at_all) {
  const json before = run("det");
  EXPECT_EQ(messages("det", {"admit", "camera", "1", "10"}),
            (Messages{"busy: no memory, or 64 servers are there already"}));
  EXPECT_EQ(run("sched")["servers"].size(), 1U);
  EXPECT_EQ(run("det", {"remove", "camera"}), before);
}

}  // namespace
}  // namespace guest::control::testing
