// det, sched, ps and top. What they show of a machine at work is seen in tests/integration.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "command_fixture.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/tasks/task_set.hpp"

namespace guest::control::testing {
namespace {

using ::testing::HasSubstr;

class SchedulerCommandTest : public CommandTest {
 protected:
  SchedulerCommandTest() { threads::start_cpus(); }
};

TEST_F(SchedulerCommandTest, a_server_is_declared_promised_and_taken_back) {
  json server = run("det", {"admit", "camera", "2000", "10000", "8000"});
  EXPECT_EQ(server["budget_ns"], 2'000'000);
  EXPECT_EQ(server["deadline_ns"], 8'000'000);
  EXPECT_EQ(server["density_ppm"], 250'000);
  EXPECT_EQ(server["reservation"], "hard");
  EXPECT_EQ(server["reclaim"], false);
  EXPECT_FALSE(server.contains("cpu"));
  EXPECT_EQ(run("det")["state"], "off");
  const json on = run("det", {"on"});
  EXPECT_EQ(on["state"], "on");
  EXPECT_EQ(on["cpus"][0]["bound_ppm"], 850'000);
  EXPECT_EQ(on["cpus"][0]["admitted_ppm"], 250'000);
  EXPECT_EQ(run("det", {"on"})["message"], "it is on already");

  const json sched = run("sched", {"camera"});
  EXPECT_EQ(sched["servers"][0]["cpu"], 0);
  EXPECT_EQ(sched["servers"][0]["state"], "idle");
  EXPECT_EQ(sched["servers"][0]["response"], (json{{"count", 0}, {"min_ns", 0}, {"max_ns", 0}}));
  EXPECT_EQ(run("sched", {"nobody"})["code"], "bad-argument");

  EXPECT_EQ(run("det", {"admit", "big", "7000", "10000", "--cpu", "0"})["message"],
            "'big' does not fit on CPU 0: it needs 700000 ppm, 250000 are promised of at most 850000");
  EXPECT_EQ(run("det", {"admit", "big", "7000", "10000", "--reservation", "soft"})["cpu"], 1);
  EXPECT_THAT(run("det", {"admit", "big", "1", "10"})["message"], HasSubstr("already"));

  EXPECT_EQ(run("det", {"remove", "big"})["cpus"][1]["admitted_ppm"], 0);
  EXPECT_EQ(run("det", {"off"})["state"], "off");
  EXPECT_EQ(run("det", {"off"})["message"], "it is off already");
  EXPECT_EQ(run("det", {"remove", "camera"})["state"], "off");
  EXPECT_EQ(run("det", {"remove", "camera"})["code"], "bad-argument");
  EXPECT_EQ(run("det", {"reset"})["state"], "off");
}

TEST_F(SchedulerCommandTest, the_status_says_which_rules_run) {
  EXPECT_EQ(run("det", {"admit", "greedy", "1000", "10000", "--reclaim", "true", "--cpu", "1"})["reclaim"], true);
  run("det", {"admit", "soft", "1000", "10000", "--reservation", "soft", "--cpu", "1"});
  run("det", {"admit", "both", "1000", "10000", "8000", "1", "soft", "yes"});
  run("det", {"admit", "neither", "1000", "10000", "--reclaim", "no", "--cpu", "1"});
  EXPECT_EQ(run("det")["cpus"][1]["reclaiming"], 0);  // nothing is promised yet
  const json on = run("det", {"on"});
  EXPECT_EQ(on["cpus"][0]["reclaiming"], 0);
  EXPECT_EQ(on["cpus"][1]["servers"], 4);
  EXPECT_EQ(on["cpus"][1]["soft"], 2);
  EXPECT_EQ(on["cpus"][1]["reclaiming"], 2);
  EXPECT_EQ(run("sched", {"greedy"})["servers"][0]["reclaimed_ns"], 0);
  run("det", {"off"});
  for (const char* const name : {"greedy", "soft", "both", "neither"}) run("det", {"remove", name});
}

TEST_F(SchedulerCommandTest, a_task_set_that_does_not_fit_is_refused_with_the_arithmetic) {
  run("det", {"admit", "first", "6000", "10000", "--cpu", "0"});
  run("det", {"admit", "second", "3000", "10000", "--cpu", "0"});
  EXPECT_EQ(run("det", {"on"})["message"],
            "'second' does not fit on CPU 0: it needs 300000 ppm, 600000 are promised of at most 850000");
  EXPECT_EQ(run("det")["cpus"][0]["admitted_ppm"], 0);
  run("det", {"remove", "first"});
  run("det", {"remove", "second"});
}

TEST_F(SchedulerCommandTest, arguments_that_do_not_fit_together_are_refused) {
  EXPECT_EQ(run("det", {"admit"})["code"], "missing-argument");
  EXPECT_EQ(run("det", {"admit", "a", "1"})["code"], "missing-argument");
  EXPECT_THAT(run("det", {"admit", "a", "11", "10"})["message"], HasSubstr("0 < budget <= deadline <= period"));
  EXPECT_EQ(run("det", {"admit", "a", "1", "10", "--cpu", "7"})["message"], "cpu: no such CPU, or it is off");
  EXPECT_EQ(run("det", {"on", "--budget_us", "1"})["message"], "budget_us: only for 'det admit', found with 'det on'");
  EXPECT_EQ(run("det", {"on", "--reclaim", "yes"})["message"], "reclaim: only for 'det admit', found with 'det on'");
  EXPECT_EQ(run("det", {"admit", "a", "1", "10", "--reclaim", "soft"})["code"], "bad-argument");
  EXPECT_EQ(run("det", {"off", "camera"})["code"], "bad-argument");
  EXPECT_EQ(run("det", {"remove"})["code"], "missing-argument");
  EXPECT_EQ(run("det", {"sideways"})["code"], "bad-argument");
  EXPECT_EQ(run("top", {"5"})["code"], "bad-argument");
}

TEST_F(SchedulerCommandTest, threads_are_listed_with_what_they_have_had) {
  EXPECT_EQ(run("ps"), (json{{"threads", json::array()}, {"left_off", 0}}));
  const threads::ThreadRef thread = threads::start("worker", [] {
    threads::work(500);
    EXPECT_TRUE(threads::sleep_for(1'000));
  });
  json listed;
  threads::start("looks", [&] {
    EXPECT_TRUE(threads::sleep_for(600));
    listed = run("ps");
  });
  threads::run_until_idle();
  EXPECT_EQ(listed["threads"][0],
            (json{{"id", thread->id()}, {"name", "worker"}, {"cpu", 0}, {"state", "blocked"}, {"ran_ns", 500}}));
  EXPECT_EQ(listed["threads"][1]["state"], "running");
}

}  // namespace
}  // namespace guest::control::testing
