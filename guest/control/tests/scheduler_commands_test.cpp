// det, sched, ps and top. What they show of a machine at work is seen in tests/integration.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "command_fixture.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/tasks/task_set.hpp"

namespace guest::control::testing {
namespace {

class SchedulerCommandTest : public CommandTest {
 protected:
  SchedulerCommandTest() { threads::start_cpus(); }
  /// A command that is refused changes nothing.
  json run(std::string_view name, const std::vector<std::string_view>& words = {}) {
    const json before = promises();
    json answer = CommandTest::run(name, words);
    if (answer.contains("code")) {
      EXPECT_EQ(promises(), before) << name << ": " << answer;
    }
    return answer;
  }

 private:
  json promises() {
    json all = CommandTest::run("det");
    for (json& cpu : all["cpus"]) {
      cpu.erase("switches");  // time goes on while a thread asks
    }
    return {all, CommandTest::run("sched")};
  }
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
  EXPECT_EQ(told(run("sched", {"nobody"})), "not-found: there is no server 'nobody'");

  EXPECT_EQ(run("det", {"admit", "big", "7000", "10000", "--cpu", "0"})["message"],
            "'big' does not fit on CPU 0: it needs 700000 ppm, 250000 are promised of at most 850000");
  EXPECT_EQ(run("det", {"admit", "big", "7000", "10000", "--reservation", "soft"})["cpu"], 1);
  EXPECT_EQ(told(run("det", {"admit", "big", "1", "10"})), "bad-argument: there is a server 'big' already");

  EXPECT_EQ(run("det", {"remove", "big"})["cpus"][1]["admitted_ppm"], 0);
  EXPECT_EQ(run("det", {"off"})["state"], "off");
  EXPECT_EQ(run("det", {"off"})["message"], "it is off already");
  EXPECT_EQ(run("det", {"remove", "camera"})["state"], "off");
  EXPECT_EQ(told(run("det", {"remove", "camera"})), "not-found: there is no server 'camera'; 'sched' lists them");
  EXPECT_EQ(run("det", {"reset"})["state"], "off");
}

TEST_F(SchedulerCommandTest, the_status_says_which_rules_run) {
  EXPECT_EQ(run("det", {"admit", "greedy", "1000", "10000", "--reclaim", "true", "--cpu", "1"})["reclaim"], true);
  run("det", {"admit", "soft", "1000", "10000", "--reservation", "soft", "--cpu", "1"});
  run("det", {"admit", "both", "1000", "10000", "8000", "1", "soft", "yes"});
  run("det", {"admit", "also soft", "1000", "10000", "--reservation", "soft", "--cpu", "1"});
  run("det", {"admit", "neither", "1000", "10000", "--reclaim", "no", "--cpu", "1"});
  EXPECT_EQ(run("det")["cpus"][1]["reclaiming"], 0);  // nothing is promised yet
  const json on = run("det", {"on"});
  EXPECT_EQ(on["cpus"][0]["reclaiming"], 0);
  EXPECT_EQ(on["cpus"][1]["servers"], 5);
  EXPECT_EQ(on["cpus"][1]["soft"], 3);
  EXPECT_EQ(on["cpus"][1]["reclaiming"], 2);
  EXPECT_EQ(run("sched", {"greedy"})["servers"][0]["reclaimed_ns"], 0);
  run("det", {"off"});
  for (const char* const name : {"greedy", "soft", "both", "also soft", "neither"}) run("det", {"remove", name});
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

TEST_F(SchedulerCommandTest, impossible_servers_are_refused_with_what_was_given_and_what_is_allowed) {
  const auto refused = [this](std::vector<std::string_view> words) {
    words.insert(words.begin(), "admit");
    const json answer = run("det", words);
    return answer.value("code", "") + ": " + answer.value("message", "");
  };
  const auto needs = [](std::string_view name) {
    return "missing-argument: " + std::string(name) +
           " is missing: det admit needs a name, a budget_us and a period_us";
  };
  const auto in_range = [](std::string_view name, std::string_view found) {
    return "bad-argument: " + std::string(name) + ": found " + std::string(found) +
           ", allowed: an integer from 1 to 1000000000";
  };
  EXPECT_EQ(refused({}), needs("name"));
  EXPECT_EQ(refused({"a"}), needs("budget_us"));
  EXPECT_EQ(refused({"a", "1"}), needs("period_us"));
  EXPECT_EQ(refused({"a", "--period_us", "10"}), needs("budget_us"));
  EXPECT_EQ(refused({"a", "0", "10"}), in_range("budget_us", "0"));
  EXPECT_EQ(refused({"a", "1", "0"}), in_range("period_us", "0"));
  EXPECT_EQ(refused({"a", "1", "10", "0"}), in_range("deadline_us", "0"));
  EXPECT_EQ(refused({"a", "-1", "10"}), in_range("budget_us", "'-1'"));
  EXPECT_EQ(refused({"a", "1", "10", "-3"}), in_range("deadline_us", "'-3'"));
  EXPECT_EQ(refused({"a", "one", "10"}), in_range("budget_us", "'one'"));
  EXPECT_EQ(refused({"a", "1", "10ms"}), in_range("period_us", "'10ms'"));
  EXPECT_EQ(refused({"a", "1", "1000000001"}), in_range("period_us", "1000000001"));
  // As nanoseconds it would not fit into 64 bits; then not even as it stands.
  EXPECT_EQ(refused({"a", "1", "18446744073709551615"}), in_range("period_us", "18446744073709551615"));
  EXPECT_EQ(refused({"a", "18446744073709551616", "10"}), in_range("budget_us", "'18446744073709551616'"));
  EXPECT_EQ(refused({"a", "11", "10"}), "bad-argument: budget_us: found 11, allowed: at most the deadline, 10");
  EXPECT_EQ(refused({"a", "5", "10", "4"}), "bad-argument: budget_us: found 5, allowed: at most the deadline, 4");
  EXPECT_EQ(refused({"a", "5", "10", "11"}), "bad-argument: deadline_us: found 11, allowed: at most the period, 10");
  EXPECT_EQ(refused({"a", "1", "10", "--cpu", "7"}),
            "bad-argument: cpu: found 7, allowed: one that is online ('cpus' lists them)");
  EXPECT_EQ(refused({"", "1", "10"}), "bad-argument: name: found 0 bytes, allowed: 1 to 32");
  EXPECT_EQ(refused({std::string_view("abcdefghijklmnopqrstuvwxyzabcdefg"), "1", "10"}),
            "bad-argument: name: found 33 bytes, allowed: 1 to 32");
  EXPECT_EQ(run("sched")["servers"], json::array());
}

TEST_F(SchedulerCommandTest, a_server_above_the_bound_is_refused_once_promises_are_made) {
  EXPECT_EQ(run("det", {"admit", "whole", "10", "10"})["density_ppm"], 1'000'000);
  EXPECT_EQ(run("det", {"on"})["message"],
            "'whole' does not fit on CPU 0: it needs 1000000 ppm, 0 are promised of at most 850000");
  run("det", {"remove", "whole"});
  run("det", {"on"});
  EXPECT_EQ(run("det", {"admit", "whole", "10", "10", "--cpu", "1"})["message"],
            "'whole' does not fit on CPU 1: it needs 1000000 ppm, 0 are promised of at most 850000");
  EXPECT_EQ(run("sched")["servers"], json::array());
  run("det", {"off"});
}

TEST_F(SchedulerCommandTest, there_are_64_servers_at_most) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < tasks::kMaxItems; ++i) {
    names.push_back("server" + std::to_string(i));
    EXPECT_EQ(CommandTest::run("det", {"admit", names.back(), "1", "1000"})["name"], names.back());
  }
  EXPECT_EQ(told(run("det", {"admit", "one more", "1", "1000"})), "busy: no memory, or 64 servers are there already");
  for (const std::string& name : names) {
    CommandTest::run("det", {"remove", name});
  }
}

TEST_F(SchedulerCommandTest, arguments_that_do_not_fit_together_are_refused) {
  EXPECT_EQ(run("det", {"on", "--budget_us", "1"})["message"], "budget_us: only for 'det admit', found with 'det on'");
  EXPECT_EQ(run("det", {"on", "--reclaim", "yes"})["message"], "reclaim: only for 'det admit', found with 'det on'");
  EXPECT_EQ(run("det", {"admit", "a", "1", "10", "--reclaim", "soft"})["code"], "bad-argument");
  EXPECT_EQ(told(run("det", {"off", "camera"})),
            "bad-argument: name: only for 'det admit' and 'det remove', found with 'det off'");
  EXPECT_EQ(told(run("det", {"remove"})), "missing-argument: det remove needs the name of a server");
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
