// det where there are tasks: they are there for good, and have threads while the set is on.
#include <gtest/gtest.h>

#include "command_fixture.hpp"
#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/tasks/task_set.hpp"

namespace guest::control::testing {
namespace {

/// A server with two tasks, one for each test of this file; the set is off before and after each.
class TaskCommandTest : public CommandTest {
 protected:
  TaskCommandTest() {
    threads::start_cpus();
    tasks::TaskSet& set = tasks::task_set();
    if (set.find_server("camera") == nullptr) {
      run("det", {"admit", "camera", "1000", "10000", "--cpu", "0"});
      for (const std::string_view name : {"sees", "thinks"}) {
        const auto added =
            set.add_task({.name = name, .server = set.find_server("camera"), .load = tasks::GreedyLoad{}});
        EXPECT_TRUE(added.has_value());
      }
    }
  }
  ~TaskCommandTest() override {
    if (tasks::task_set().state() == tasks::SetState::On) {
      threads::start("test", [this] { run("det", {"off"}); });
    }
    threads::run_until_idle();
    EXPECT_EQ(tasks::task_set().state(), tasks::SetState::Off);
  }
};

TEST_F(TaskCommandTest, a_server_with_tasks_stays) {
  const json before = run("sched");
  EXPECT_EQ(told(run("det", {"remove", "camera"})), "busy: 'camera' has tasks, which stay as long as the machine runs");
  EXPECT_EQ(run("sched"), before);
}

TEST_F(TaskCommandTest, nothing_is_admitted_while_tasks_end) {
  threads::start("test", [this] {
    run("det", {"on"});
    EXPECT_TRUE(threads::sleep_for(5'000'000));
    EXPECT_EQ(run("det", {"off"})["state"], "stopping");
    const json before = run("sched");
    EXPECT_EQ(told(run("det", {"admit", "late", "1", "10"})),
              "busy: tasks are still ending: try again when 'det status' says off");
    EXPECT_EQ(told(run("det", {"on"})), "busy: it is stopping already");
    EXPECT_EQ(told(run("det", {"off"})), "busy: it is stopping already");
    EXPECT_EQ(run("sched"), before);
  });
  threads::run_until_idle();
  EXPECT_EQ(run("det")["state"], "off");
}

TEST_F(TaskCommandTest, the_set_is_on_with_all_its_threads_or_not_at_all) {
  Messages all;
  json answer;
  threads::start("test", [&] {
    const json before = run("sched");
    kernel::fail_each_allocation([&] { answer = run("det", {"on"}); },
                                 [&] {
                                   all.add(told(answer));
                                   EXPECT_TRUE(threads::sleep_for(20'000'000));  // those that began end
                                   EXPECT_EQ(run("sched"), before);
                                 });
    run("det", {"off"});
  });
  threads::run_until_idle();
  EXPECT_EQ(all, (Messages{"busy: no memory for the threads of all tasks"}));
  EXPECT_EQ(answer["state"], "on");
}

}  // namespace
}  // namespace guest::control::testing
