// Commands of graphs when memory is short: whichever allocation it is that fails, the command says so and has changed
// nothing, and works when there is memory again.
#include <gtest/gtest.h>

#include "graph_fixture.hpp"
#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "guest/tasks/task_set.hpp"

namespace guest::control::testing {
namespace {

using kernel::fail_each_allocation;
using Words = std::vector<std::string_view>;

class GraphMemoryTest : public GraphCommandTest {
 protected:
  /// What the command said each time that an allocation failed.
  Messages messages(std::string_view name, const Words& words) {
    const json before = everything();
    Messages all;
    json answer;
    fail_each_allocation([&] { answer = run(name, words); },
                         [&] {
                           all.add(told(answer));
                           EXPECT_EQ(everything(), before) << told(answer);
                         });
    EXPECT_FALSE(answer.contains("code")) << answer;
    return all;
  }
};

TEST_F(GraphMemoryTest, create) {
  EXPECT_EQ(messages("graph create", {"g"}), (Messages{"graph-no-memory: no 1048576 bytes for the tensors of graph 'g'",
                                                       "graph-no-memory: no memory for graph 'g'"}));
}

TEST_F(GraphMemoryTest, add_channel) {
  done("graph create", {"g"});
  EXPECT_EQ(messages("graph add-channel", {"g", "1", "9", "block", "text"}),
            (Messages{"graph-no-memory: no memory for channel 1 of capacity 9"}));
}

TEST_F(GraphMemoryTest, add_operator) {
  done("graph create", {"g"});
  done("graph add-channel", {"g", "1", "1"});
  EXPECT_EQ(messages("graph add-operator", {"g", "1", "in", "src", "", "1", "--out_schema", "text"}),
            (Messages{"graph-no-memory: no memory for operator 'in'"}));
}

TEST_F(GraphMemoryTest, start_tells_what_there_is_no_memory_for_and_leaves_the_graph_idle) {
  done("graph create", {"g", "--budget_us", "1000", "--period_us", "10000"});
  done("graph add-channel", {"g", "1", "2"});
  done("graph add-operator", {"g", "1", "source", "src", "", "1", "--parameters", "count=1"});
  done("graph add-operator", {"g", "2", "end", "pass", "1", "--cpu", "1"});
  const json structure_before = structure("g");
  Messages all;
  in_thread([&] {
    json answer;
    fail_each_allocation([&] { answer = run("graph start", {"g", "1"}); },
                         [&] {
                           all.add(told(answer));
                           EXPECT_TRUE(threads::sleep_for(1'000'000));  // threads that had begun end
                           EXPECT_EQ(run("graph show", {"g"})["state"], "idle") << told(answer);
                           EXPECT_EQ(structure("g"), structure_before);
                           EXPECT_EQ(run("sched")["servers"], json::array());
                         });
    EXPECT_EQ(answer["state"], "running") << answer;
  });
  // For each CPU a worker and a server; then the threads.
  EXPECT_EQ(all, (Messages{"graph-no-memory: no memory to run graph 'g'",
                           "graph-not-admitted: graph 'g' gets no server on CPU 0: no-memory",
                           "graph-no-memory: no memory to run graph 'g'",
                           "graph-not-admitted: graph 'g' gets no server on CPU 1: no-memory",
                           "graph-no-memory: no memory for the threads of graph 'g'"}));
  for (int turn = 0; turn < 3; ++turn) {
    threads::run_until_idle(1);
    threads::run_until_idle(0);
  }
  EXPECT_EQ(run("graph show", {"g"})["end"], "finished");
}

TEST_F(GraphMemoryTest, wait) {
  make_pipeline("g");
  in_thread([this] {
    done("graph start", {"g"});
    LaterCaller caller;
    Messages all;
    json answer;
    fail_each_allocation([&] { answer = run_for(caller, "graph wait", {"g"}); }, [&] { all.add(told(answer)); });
    EXPECT_EQ(all, (Messages{"busy: no memory to wait for a graph"}));
    done("graph stop", {"g"});
    EXPECT_TRUE(threads::sleep_for(1'000'000));
    EXPECT_EQ(caller.answer["end"], "stopped");
  });
}

}  // namespace
}  // namespace guest::control::testing
