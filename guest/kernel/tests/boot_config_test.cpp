#include "guest/kernel/boot_config.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "archive_builder.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/testing/arena.hpp"
#include "tree_builder.hpp"

namespace guest::kernel {
namespace {

using testing::bytes_of;
using testing::ByteVector;
using testing::describe;
using testing::entry;
using testing::text;
using testing::trailer;
using testing::TreeBlob;
using testing::TreeNode;
using testing::u64;

// ---- the scenario tree --------------------------------------------------------------------------------------------

TreeNode scenario() {
  TreeNode root("");
  root.set("compatible", text("sis,scenario-v1"))
      .set("sis,name", text("hello"))
      .set("sis,unix-time-ns", u64(1'700'000'000'000'000'000));
  root.add("boot").set("verbosity", text("debug"));
  root.add("control")
      .set("key", ByteVector(32, 0xAB))
      .set("seed", ByteVector(32, 0xCD))
      .set("test-services", {})
      .set("legacy-socket", {});
  return root;
}

std::string tree_error(const TreeNode& root) {
  const TreeBlob blob(root);
  BootConfig config;
  const Outcome outcome = read_scenario_tree(blob.bytes(), config);
  EXPECT_TRUE(outcome || (config.name.view().empty() && !config.control_key));
  return describe(outcome);
}

TEST(ScenarioTree, whole_tree_is_read) {
  const TreeBlob blob(scenario());
  BootConfig config;
  const Outcome outcome = read_scenario_tree(blob.bytes(), config);
  ASSERT_TRUE(outcome) << describe(outcome);
  EXPECT_EQ(config.name.view(), "hello");
  EXPECT_EQ(config.unix_time_ns, 1'700'000'000'000'000'000U);
  EXPECT_EQ(config.verbosity, Verbosity::Debug);
  ASSERT_TRUE(config.control_key);
  EXPECT_EQ((*config.control_key)[31], 0xAB);
  ASSERT_TRUE(config.control_seed);
  EXPECT_EQ((*config.control_seed)[31], 0xCD);
  EXPECT_TRUE(config.test_services);
  EXPECT_TRUE(config.legacy_socket);
}

TreeNode observed() {
  TreeNode root = scenario();
  root.add("observe")
      .set("metrics-ns", u64(20'000'000))
      .set("trace-events", testing::cells({8192}))
      .set("trace-groups", testing::cells({5}));
  root.add("autorun").set("lines", testing::texts({"echo a", "b"}));
  return root;
}

TEST(ScenarioTree, what_is_recorded_and_run_is_read) {
  const TreeBlob blob(observed());
  BootConfig config;
  const Outcome outcome = read_scenario_tree(blob.bytes(), config);
  ASSERT_TRUE(outcome) << describe(outcome);
  EXPECT_TRUE(config.observe.wanted);
  EXPECT_EQ(config.observe.metrics_ns, 20'000'000U);
  EXPECT_EQ(config.observe.trace_events, 8192U);
  EXPECT_EQ(config.observe.trace_groups, 5U);
  EXPECT_EQ(config.autorun.view(), std::string_view("echo a\0b\0", 9));
}

TEST(ScenarioTree, what_is_recorded_and_run_has_its_limits) {
  const auto with = [](std::string_view node, const std::string& property, testing::ByteVector value) {
    TreeNode root = observed();
    for (TreeNode& child : root.children) {
      if (child.name == node) {
        child.set(property, std::move(value));
      }
    }
    return tree_error(root);
  };
  EXPECT_EQ(with("observe", "metrics-ns", u64(9'999'999)),
            "tree-bad-value: 'metrics-ns' of /observe is 9999999: expected 10000000 to 3600000000000");
  EXPECT_EQ(with("observe", "trace-events", testing::cells({8191})),
            "tree-bad-value: 'trace-events' of /observe (4 bytes): expected a power of two");
  EXPECT_NE(with("observe", "trace-events", testing::cells({2048})), "");
  EXPECT_NE(with("observe", "trace-events", testing::cells({1 << 21})), "");
  EXPECT_NE(with("observe", "trace-groups", testing::cells({0x100})), "");
  EXPECT_NE(with("observe", "trace-groups", testing::cells({0})), "");
  EXPECT_EQ(with("observe", "other", {}), "tree-unknown-property: 'other' of /observe");
  const auto lines = [&](testing::ByteVector value) {
    const std::string error = with("autorun", "lines", std::move(value));
    return error.substr(error.find("expected "));
  };
  const std::string all = "expected 1 to 64 lines, each ended by a NUL, of at most 8192 bytes in all";
  EXPECT_EQ(lines({}), all);
  EXPECT_EQ(lines({'a'}), all);
  EXPECT_EQ(lines(testing::ByteVector(65 * 2, 0)), all);
  const std::string one = "expected lines of 1 to 1024 bytes without control characters";
  EXPECT_EQ(lines(testing::texts({"a", "", "b"})), one);
  EXPECT_EQ(lines(testing::texts({"a\x1b"})), one);
  EXPECT_EQ(lines(testing::texts({std::string(1025, 'x')})), one);
  TreeNode half = observed();
  half.children.back().remove("lines");
  EXPECT_EQ(tree_error(half), "tree-missing-property: 'lines' of /autorun");
}

/// Two servers, and a task of each kind.
TreeNode scheduled() {
  TreeNode root = scenario();
  TreeNode& scheduler = root.add("scheduler");
  scheduler.set("bound-ppm", testing::cells({700'000})).set("manual", {});
  scheduler.add("server@0")
      .set("name", text("camera"))
      .set("budget-ns", u64(2'000'000))
      .set("period-ns", u64(10'000'000))
      .set("deadline-ns", u64(8'000'000))
      .set("cpu", testing::cells({1}));
  scheduler.add("server@1")
      .set("name", text("other"))
      .set("budget-ns", u64(1))
      .set("period-ns", u64(1))
      .set("deadline-ns", u64(1))
      .set("soft", {})
      .set("reclaim", {});
  TreeNode& tasks = root.add("tasks");
  tasks.add("task@0")
      .set("name", text("filter"))
      .set("server", testing::cells({1}))
      .set("period-ns", u64(10))
      .set("work-ns", u64(5))
      .set("offset-ns", u64(0))
      .set("deadline-ns", u64(9))
      .set("jobs", testing::cells({3}));
  tasks.add("task@1")
      .set("name", text("hog"))
      .set("cpu", testing::cells({7}))
      .set("greedy", {})
      .set("start-ns", u64(4))
      .set("length-ns", u64(1'000'000'000'000));
  tasks.add("task@2")
      .set("name", text("hello"))
      .set("server", testing::cells({0}))
      .set("program", text("programs/hello"))
      .set("arguments", testing::texts({"one", "two words"}))
      .set("memory-bytes", u64(1 << 20))
      .set("llm-model", text("stories"))
      .set("llm-max-tokens", testing::cells({40}))
      .set("llm-rights", testing::cells({3}));
  return root;
}

TEST(ScenarioTree, servers_and_tasks_are_read) {
  const TreeBlob blob(scheduled());
  BootConfig config;
  const Outcome outcome = read_scenario_tree(blob.bytes(), config);
  ASSERT_TRUE(outcome) << describe(outcome);
  EXPECT_EQ(config.bound_ppm, 700'000U);
  EXPECT_TRUE(config.manual_start);
  ASSERT_EQ(config.servers.size(), 2U);
  EXPECT_EQ(config.servers[0].name.view(), "camera");
  EXPECT_EQ(config.servers[0].budget_ns, 2'000'000U);
  EXPECT_EQ(config.servers[0].period_ns, 10'000'000U);
  EXPECT_EQ(config.servers[0].deadline_ns, 8'000'000U);
  EXPECT_EQ(config.servers[0].cpu, 1U);
  EXPECT_FALSE(config.servers[0].soft || config.servers[0].reclaim);
  EXPECT_TRUE(config.servers[1].soft && config.servers[1].reclaim && !config.servers[1].cpu);
  ASSERT_EQ(config.tasks.size(), 3U);
  EXPECT_EQ(config.tasks[2].kind, TaskConfig::Kind::Program);
  EXPECT_EQ(config.tasks[2].program.view(), "programs/hello");
  EXPECT_EQ(config.tasks[2].arguments.view(), std::string_view("one\0two words\0", 14));
  EXPECT_EQ(config.tasks[2].memory_bytes, 1U << 20);
  EXPECT_EQ(config.tasks[2].llm_model.view(), "stories");
  EXPECT_EQ(std::pair(config.tasks[2].llm_max_tokens, config.tasks[2].llm_rights), std::pair(40U, 3U));
  EXPECT_TRUE(config.tasks[0].kind == TaskConfig::Kind::Periodic && config.tasks[0].server == 1U);
  EXPECT_EQ(std::pair(config.tasks[0].work_ns, config.tasks[0].deadline_ns), std::pair(5UL, 9UL));
  EXPECT_EQ(config.tasks[0].jobs, 3U);
  EXPECT_EQ(config.tasks[1].kind, TaskConfig::Kind::Greedy);
  EXPECT_EQ(config.tasks[1].cpu, 7U);
  EXPECT_EQ(std::pair(config.tasks[1].start_ns, config.tasks[1].length_ns), std::pair(4UL, 1'000'000'000'000UL));
}

TEST(ScenarioTree, everything_but_compatible_may_be_absent) {
  TreeNode root("");
  root.set("compatible", text("sis,scenario-v1"));
  const TreeBlob blob(root);
  BootConfig config;
  ASSERT_TRUE(read_scenario_tree(TreeBlob(scheduled()).bytes(), config));  // of which nothing is left
  ASSERT_TRUE(read_scenario_tree(blob.bytes(), config));
  EXPECT_TRUE(config.name.view().empty());
  EXPECT_FALSE(config.verbosity);
  EXPECT_FALSE(config.control_key);
  EXPECT_FALSE(config.control_seed);
  EXPECT_FALSE(config.test_services);
  EXPECT_FALSE(config.legacy_socket);
  EXPECT_TRUE(config.servers.empty() && config.tasks.empty() && !config.manual_start);
}

/// Two models, signed.
TreeNode with_models() {
  TreeNode root = scenario();
  TreeNode& llm = root.add("llm");
  llm.set("public-key", ByteVector(32, 0xEE)).set("allow-unsigned", {});
  llm.add("model@0").set("name", text("tiny"));
  llm.add("model@1").set("name", text("other-1.2")).set("min-revision", testing::cells({7})).set("load", {});
  return root;
}

TEST(ScenarioTree, models_are_read) {
  const TreeBlob blob(with_models());
  BootConfig config;
  const Outcome outcome = read_scenario_tree(blob.bytes(), config);
  ASSERT_TRUE(outcome) << describe(outcome);
  ASSERT_TRUE(config.llm.public_key);
  EXPECT_EQ((*config.llm.public_key)[31], 0xEE);
  EXPECT_TRUE(config.llm.allow_unsigned);
  ASSERT_EQ(config.llm.models.size(), 2U);
  EXPECT_EQ(config.llm.models[0].name.view(), "tiny");
  EXPECT_EQ(config.llm.models[0].min_revision, 0U);
  EXPECT_EQ(config.llm.models[1].name.view(), "other-1.2");
  EXPECT_EQ(config.llm.models[1].min_revision, 7U);
  EXPECT_TRUE(!config.llm.models[0].load && config.llm.models[1].load);
  EXPECT_TRUE(config.llm.wanted && !config.llm.server && !config.llm.limits.queue);
  ASSERT_TRUE(read_scenario_tree(TreeBlob(scenario()).bytes(), config));
  EXPECT_TRUE(config.llm.models.empty() && !config.llm.public_key && !config.llm.allow_unsigned && !config.llm.wanted);
}

/// A service with limits, in the second server, and two classes.
TreeNode with_limits() {
  TreeNode root = scheduled();
  TreeNode& llm = root.add("llm");
  llm.set("server", testing::cells({1})).set("in-flight", testing::cells({2})).set("queue", testing::cells({3}));
  llm.set("period-ns", testing::cells({0, 5'000'000})).set("tokens-per-period", testing::cells({1, 0}));
  llm.add("class@0").set("name", text("rest"));
  llm.add("class@1")
      .set("name", text("ours"))
      .set("tokens-per-period", testing::cells({0, 9}))
      .set("in-flight", testing::cells({1}))
      .set("members", text(std::string("shell\0token:ac", 14)));
  return root;
}

TEST(ScenarioTree, limits_of_the_llm_service_are_read) {
  BootConfig config;
  const Outcome outcome = read_scenario_tree(TreeBlob(with_limits()).bytes(), config);
  ASSERT_TRUE(outcome) << describe(outcome);
  EXPECT_EQ(config.llm.server, 1U);
  EXPECT_EQ(config.llm.limits.in_flight, 2U);
  EXPECT_EQ(config.llm.limits.queue, 3U);
  EXPECT_EQ(config.llm.limits.period_ns, 5'000'000U);
  EXPECT_EQ(config.llm.limits.tokens_per_period, std::uint64_t{1} << 32);
  EXPECT_FALSE(config.llm.limits.cycles_per_period);
  ASSERT_EQ(config.llm.classes.size(), 2U);
  EXPECT_TRUE(config.llm.classes[0].members.empty());
  EXPECT_EQ(config.llm.classes[1].tokens_per_period, 9U);
  ASSERT_EQ(config.llm.classes[1].members.size(), 2U);
  EXPECT_EQ(config.llm.classes[1].members[0].view(), "shell");
  EXPECT_EQ(config.llm.classes[1].members[1].view(), "token:ac");
}

struct TreeBreakage {
  const char* label;
  void (*change)(TreeNode&);
  const char* error;
};
class ScenarioTreeBreakage : public ::testing::TestWithParam<TreeBreakage> {};

TEST_P(ScenarioTreeBreakage, is_refused_by_name) {
  TreeNode root = scenario();
  GetParam().change(root);
  EXPECT_EQ(tree_error(root), GetParam().error);
}

const TreeBreakage kTreeBreakages[] = {
    {"no_compatible", [](TreeNode& r) { r.remove("compatible"); }, "tree-missing-property: 'compatible' of /"},
    {"other_version", [](TreeNode& r) { r.set("compatible", text("sis,scenario-v2")); },
     "tree-bad-compatible: 'sis,scenario-v2', expected 'sis,scenario-v1'"},
    {"unknown_node", [](TreeNode& r) { r.add("models"); },
     "tree-unknown-node: 'models' in /; known are 'boot', 'control', 'scheduler', 'tasks', 'schemas', 'graphs' and "
     "'llm' in "
     "/"},
    {"nested_node", [](TreeNode& r) { r.at("boot").add("control"); },
     "tree-unknown-node: 'control' in /boot; known are 'boot', 'control', 'scheduler', 'tasks', 'schemas', 'graphs' "
     "and 'llm' "
     "in /"},
    {"unknown_property", [](TreeNode& r) { r.at("control").set("verbosity", text("info")); },
     "tree-unknown-property: 'verbosity' of /control"},
    {"unknown_root_property", [](TreeNode& r) { r.set("colour\n", {}); }, "tree-unknown-property: 'colour\\n' of /"},
    {"second_node", [](TreeNode& r) { r.add("boot"); }, "tree-duplicate: node /boot is there twice"},
    {"second_llm",
     [](TreeNode& r) {
       r.add("llm");
       r.add("llm");
     },
     "tree-duplicate: node /llm is there twice"},
    {"no_key", [](TreeNode& r) { r.at("control").remove("key"); }, "tree-missing-property: 'key' of /control"},
    {"short_key", [](TreeNode& r) { r.at("control").set("key", ByteVector(31, 1)); },
     "tree-bad-value: 'key' of /control (31 bytes): expected 32 bytes"},
    {"long_seed", [](TreeNode& r) { r.at("control").set("seed", ByteVector(33, 1)); },
     "tree-bad-value: 'seed' of /control (33 bytes): expected 32 bytes"},
    {"verbosity_value", [](TreeNode& r) { r.at("boot").set("verbosity", text("loud")); },
     "tree-bad-value: 'verbosity' of /boot (5 bytes): expected 'quiet', 'info' or 'debug'"},
    {"verbosity_not_terminated", [](TreeNode& r) { r.at("boot").set("verbosity", {'i', 'n', 'f', 'o'}); },
     "tree-bad-value: 'verbosity' of /boot (4 bytes): expected 'quiet', 'info' or 'debug'"},
    {"time_size", [](TreeNode& r) { r.set("sis,unix-time-ns", testing::cells({1})); },
     "tree-bad-value: 'sis,unix-time-ns' of / (4 bytes): expected 8 bytes"},
    {"long_name", [](TreeNode& r) { r.set("sis,name", text(std::string(129, 'n'))); },
     "tree-bad-value: 'sis,name' of / (130 bytes): expected 1 to 128 characters"},
    {"services_value", [](TreeNode& r) { r.at("control").set("test-services", text("yes")); },
     "tree-bad-value: 'test-services' of /control (4 bytes): expected no value"},
    {"legacy_socket_value", [](TreeNode& r) { r.at("control").set("legacy-socket", text("yes")); },
     "tree-bad-value: 'legacy-socket' of /control (4 bytes): expected no value"},
};
class ModelTreeBreakage : public ::testing::TestWithParam<TreeBreakage> {};

TEST_P(ModelTreeBreakage, is_refused_by_name) {
  TreeNode root = with_models();
  GetParam().change(root.at("llm"));
  EXPECT_EQ(tree_error(root), GetParam().error);
}

void add_models(TreeNode& llm) {
  for (int i = 2; i <= 16; ++i) {
    llm.add("model@" + std::to_string(i)).set("name", text("m" + std::to_string(i)));
  }
}

const TreeBreakage kModelTreeBreakages[] = {
    {"short_key", [](TreeNode& r) { r.set("public-key", ByteVector(31, 1)); },
     "tree-bad-value: 'public-key' of /llm (31 bytes): expected 32 bytes"},
    {"nobody_is_trusted",
     [](TreeNode& r) {
       r.remove("public-key");
       r.remove("allow-unsigned");
     },
     "tree-missing-property: 'public-key' of /llm, or 'allow-unsigned'"},
    {"allow_unsigned_value", [](TreeNode& r) { r.set("allow-unsigned", text("yes")); },
     "tree-bad-value: 'allow-unsigned' of /llm (4 bytes): expected no value"},
    {"unknown_property", [](TreeNode& r) { r.set("budget", {}); }, "tree-unknown-property: 'budget' of /llm"},
    {"unknown_node", [](TreeNode& r) { r.add("queue"); }, "tree-unknown-node: 'queue' in /llm, expected 'model@2'"},
    {"node_in_a_model", [](TreeNode& r) { r.at("model@0").add("queue"); },
     "tree-unknown-node: 'queue' in a model; known are 'boot', 'control', 'scheduler', 'tasks', 'schemas', 'graphs' "
     "and "
     "'llm' in /"},
    {"no_name", [](TreeNode& r) { r.at("model@1").remove("name"); }, "tree-missing-property: 'name' of model 1"},
    {"name_with_a_folder", [](TreeNode& r) { r.at("model@0").set("name", text("../a")); },
     "tree-bad-value: 'name' of a model (5 bytes): expected 1 to 32 of A-Z a-z 0-9 . _ -"},
    {"a_name_twice", [](TreeNode& r) { r.at("model@1").set("name", text("tiny")); },
     "tree-duplicate: two models are 'tiny'"},
    {"revision_0", [](TreeNode& r) { r.at("model@1").set("min-revision", testing::cells({0})); },
     "tree-bad-value: 'min-revision' of a model is 0: expected 1 to 4294967295"},
    {"too_many", add_models, "tree-bad-value: more than 16 nodes in /llm"},
};
class LimitsTreeBreakage : public ::testing::TestWithParam<TreeBreakage> {};

TEST_P(LimitsTreeBreakage, is_refused_by_name) {
  TreeNode root = with_limits();
  GetParam().change(root.at("llm"));
  EXPECT_EQ(tree_error(root), GetParam().error);
}

void set_members(TreeNode& llm, const std::string& members) {
  llm.at("class@0").set("members", ByteVector(members.begin(), members.end()));
}

const TreeBreakage kLimitsTreeBreakages[] = {
    {"no_such_server", [](TreeNode& r) { r.set("server", testing::cells({2})); },
     "tree-bad-value: /llm: there is no server 2"},
    {"none_in_flight", [](TreeNode& r) { r.set("in-flight", testing::cells({0})); },
     "tree-bad-value: 'in-flight' of /llm is 0: expected 1 to 256"},
    {"period_too_short", [](TreeNode& r) { r.set("period-ns", testing::cells({0, 999'999})); },
     "tree-bad-value: 'period-ns' of /llm is 999999: expected 1000000 to 1000000000000"},
    {"tokens_in_four_bytes", [](TreeNode& r) { r.set("tokens-per-period", testing::cells({1})); },
     "tree-bad-value: 'tokens-per-period' of /llm (4 bytes): expected 8 bytes"},
    {"class_without_name", [](TreeNode& r) { r.at("class@1").remove("name"); },
     "tree-missing-property: 'name' of class 1"},
    {"class_twice", [](TreeNode& r) { r.at("class@1").set("name", text("rest")); },
     "tree-duplicate: two classes are 'rest'"},
    {"class_out_of_order", [](TreeNode& r) { r.add("class@3"); },
     "tree-unknown-node: 'class@3' in /llm, expected 'class@2'"},
    {"member_in_two_classes", [](TreeNode& r) { set_members(r, std::string("tasks\0shell", 12)); },
     "tree-duplicate: 'shell' is in two classes, or twice in one"},
    {"member_of_no_kind", [](TreeNode& r) { set_members(r, std::string("guests", 7)); },
     "tree-bad-value: 'members' of a class (7 bytes): expected 'shell', 'control', 'graphs', 'tasks' or 'token:' and 1 "
     "to 32 visible characters"},
    {"member_without_end", [](TreeNode& r) { set_members(r, "tasks"); },
     "tree-bad-value: 'members' of a class (5 bytes): expected texts, each ended by a NUL"},
};
INSTANTIATE_TEST_SUITE_P(Limits, LimitsTreeBreakage, ::testing::ValuesIn(kLimitsTreeBreakages),
                         [](const auto& test) { return std::string(test.param.label); });

INSTANTIATE_TEST_SUITE_P(Models, ModelTreeBreakage, ::testing::ValuesIn(kModelTreeBreakages),
                         [](const auto& test) { return std::string(test.param.label); });

class ScheduledTreeBreakage : public ::testing::TestWithParam<TreeBreakage> {};

TEST_P(ScheduledTreeBreakage, is_refused_by_name) {
  TreeNode root = scheduled();
  GetParam().change(root);
  EXPECT_EQ(tree_error(root), GetParam().error);
}

TreeNode& server(TreeNode& root) { return root.at("scheduler").at("server@0"); }
TreeNode& task(TreeNode& root, std::string_view name) { return root.at("tasks").at(name); }

const TreeBreakage kScheduledTreeBreakages[] = {
    {"bound", [](TreeNode& r) { r.at("scheduler").set("bound-ppm", testing::cells({1'000'001})); },
     "tree-bad-value: 'bound-ppm' of /scheduler is 1000001: expected 1 to 1000000"},
    {"gap", [](TreeNode& r) { r.at("scheduler").drop("server@0"); },
     "tree-unknown-node: 'server@1' in /scheduler, expected 'server@0'"},
    {"no_name", [](TreeNode& r) { server(r).remove("name"); }, "tree-missing-property: 'name' of server 0"},
    {"long_name", [](TreeNode& r) { server(r).set("name", text(std::string(33, 'n'))); },
     "tree-bad-value: 'name' of a server (34 bytes): expected 1 to 32 of A-Z a-z 0-9 . _ -"},
    {"name_of_control_bytes", [](TreeNode& r) { task(r, "task@1").set("name", text("a\xff")); },
     "tree-bad-value: 'name' of a task (3 bytes): expected 1 to 32 of A-Z a-z 0-9 . _ -"},
    {"no_budget", [](TreeNode& r) { server(r).remove("budget-ns"); }, "tree-missing-property: 'budget-ns' of server 0"},
    {"budget_of_nothing", [](TreeNode& r) { server(r).set("budget-ns", u64(0)); },
     "tree-bad-value: 'budget-ns' of a server is 0: expected 1 to 1000000000000"},
    {"budget_above_deadline", [](TreeNode& r) { server(r).set("budget-ns", u64(8'000'001)); },
     "tree-bad-value: server 0: budget 8000001, deadline 8000000, period 10000000: each at most the next"},
    {"period_too_long", [](TreeNode& r) { server(r).set("period-ns", u64(1'000'000'000'001)); },
     "tree-bad-value: 'period-ns' of a server is 1000000000001: expected 1 to 1000000000000"},
    {"no_such_cpu", [](TreeNode& r) { server(r).set("cpu", testing::cells({8})); },
     "tree-bad-value: 'cpu' of a server is 8: expected 0 to 7"},
    {"reclaim_value", [](TreeNode& r) { server(r).set("reclaim", text("no")); },
     "tree-bad-value: 'reclaim' of a server (3 bytes): expected no value"},
    {"node_in_server", [](TreeNode& r) { server(r).add("server@0"); },
     "tree-unknown-node: 'server@0' in a server; known are 'boot', 'control', 'scheduler', 'tasks', 'schemas', "
     "'graphs' and 'llm' in /"},
    {"no_such_server", [](TreeNode& r) { task(r, "task@0").set("server", testing::cells({2})); },
     "tree-bad-value: task 0: there is no server 2"},
    {"server_and_cpu", [](TreeNode& r) { task(r, "task@0").set("cpu", testing::cells({0})); },
     "tree-bad-value: task 0: a CPU beside a server"},
    {"two_kinds", [](TreeNode& r) { task(r, "task@0").set("greedy", {}); },
     "tree-bad-value: task 0: expected one of 'period-ns', 'greedy' and 'program'"},
    {"no_kind", [](TreeNode& r) { task(r, "task@1").remove("greedy"); },
     "tree-bad-value: task 1: expected one of 'period-ns', 'greedy' and 'program'"},
    {"no_work", [](TreeNode& r) { task(r, "task@0").remove("work-ns"); }, "tree-missing-property: 'work-ns' of task 0"},
    {"length_of_jobs", [](TreeNode& r) { task(r, "task@0").set("length-ns", u64(5)); },
     "tree-bad-value: task 0: 'start-ns' or 'length-ns' of a task that is not 'greedy'"},
    {"program_and_jobs", [](TreeNode& r) { task(r, "task@2").set("period-ns", u64(9)); },
     "tree-bad-value: task 2: expected one of 'period-ns', 'greedy' and 'program'"},
    {"program_without_memory", [](TreeNode& r) { task(r, "task@2").remove("memory-bytes"); },
     "tree-missing-property: 'memory-bytes' of task 2"},
    {"memory_without_program", [](TreeNode& r) { task(r, "task@2").remove("program"); },
     "tree-missing-property: 'program' of task 2"},
    {"empty_program", [](TreeNode& r) { task(r, "task@2").set("program", text("")); },
     "tree-bad-value: 'program' of a task (1 bytes): expected 1 to 64 characters"},
    {"long_program", [](TreeNode& r) { task(r, "task@2").set("program", text(std::string(65, 'p'))); },
     "tree-bad-value: 'program' of a task (66 bytes): expected 1 to 64 characters"},
    {"handle_without_model", [](TreeNode& r) { task(r, "task@2").remove("llm-model"); },
     "tree-missing-property: 'llm-model' of task 2"},
    {"handle_without_limit", [](TreeNode& r) { task(r, "task@2").remove("llm-max-tokens"); },
     "tree-missing-property: 'llm-max-tokens' of task 2"},
    {"handle_without_rights", [](TreeNode& r) { task(r, "task@2").remove("llm-rights"); },
     "tree-missing-property: 'llm-rights' of task 2"},
    {"handle_with_admin", [](TreeNode& r) { task(r, "task@2").set("llm-rights", testing::cells({7})); },
     "tree-bad-value: 'llm-rights' of a task is 7: expected 1 to 3"},
    {"little_memory", [](TreeNode& r) { task(r, "task@2").set("memory-bytes", u64(4096)); },
     "tree-bad-value: 'memory-bytes' of a task is 4096: expected 262144 to 1073741824"},
    {"half_a_page", [](TreeNode& r) { task(r, "task@2").set("memory-bytes", u64((1 << 20) + 2048)); },
     "tree-bad-value: 'memory-bytes' of a task (8 bytes): expected whole pages of 4096 bytes"},
    {"arguments_without_end", [](TreeNode& r) { task(r, "task@2").set("arguments", {'a'}); },
     "tree-bad-value: 'arguments' of a task (1 bytes): expected 1 to 15 texts, each ended by a NUL, of at most 512 "
     "bytes in all"},
    {"many_arguments", [](TreeNode& r) { task(r, "task@2").set("arguments", ByteVector(16, 0)); },
     "tree-bad-value: 'arguments' of a task (16 bytes): expected 1 to 15 texts, each ended by a NUL, of at most 512 "
     "bytes in all"},
    {"long_arguments", [](TreeNode& r) { task(r, "task@2").set("arguments", text(std::string(512, 'a'))); },
     "tree-bad-value: 'arguments' of a task (513 bytes): expected 1 to 15 texts, each ended by a NUL, of at most 512 "
     "bytes in all"},
    {"second_tasks", [](TreeNode& r) { r.add("tasks"); }, "tree-duplicate: node /tasks is there twice"},
};
INSTANTIATE_TEST_SUITE_P(All, ScheduledTreeBreakage, ::testing::ValuesIn(kScheduledTreeBreakages),
                         [](const auto& test) { return std::string(test.param.label); });

TEST(ScenarioTree, there_is_room_for_64_servers) {
  TreeNode root = scenario();
  TreeNode& scheduler = root.add("scheduler");
  for (int i = 0; i < 65; ++i) {
    scheduler.add("server@" + std::to_string(i))
        .set("name", text("s" + std::to_string(i)))
        .set("budget-ns", u64(1))
        .set("period-ns", u64(9))
        .set("deadline-ns", u64(9));
  }
  EXPECT_EQ(tree_error(root), "tree-bad-value: more than 64 nodes in /scheduler");
  scheduler.drop("server@64");
  EXPECT_EQ(tree_error(root), "no error");
}

INSTANTIATE_TEST_SUITE_P(All, ScenarioTreeBreakage, ::testing::ValuesIn(kTreeBreakages),
                         [](const auto& test) { return std::string(test.param.label); });

TEST(ScenarioTree, second_property_of_one_name_is_refused) {
  std::vector<std::uint64_t> words(512);
  void* const tree = words.data();
  ASSERT_EQ(fdt_create(tree, 4096), 0);
  ASSERT_EQ(fdt_finish_reservemap(tree), 0);
  ASSERT_EQ(fdt_begin_node(tree, ""), 0);
  ASSERT_EQ(fdt_property_string(tree, "compatible", "sis,scenario-v1"), 0);
  ASSERT_EQ(fdt_property_string(tree, "compatible", "sis,scenario-v1"), 0);
  ASSERT_EQ(fdt_end_node(tree), 0);
  ASSERT_EQ(fdt_finish(tree), 0);
  BootConfig config;
  EXPECT_EQ(describe(read_scenario_tree(std::as_bytes(std::span(words)), config)),
            "tree-duplicate: property 'compatible' of / is there twice");
}

TEST(ScenarioTree, too_large_is_refused) {
  std::vector<std::uint64_t> words(abi::boot_config::kMaxTreeBytes / 8 + 1);
  BootConfig config;
  EXPECT_EQ(describe(read_scenario_tree(std::as_bytes(std::span(words)), config)),
            "tree-too-large: 1048584 bytes, at most 1048576");
}

TEST(ScenarioTree, changed_bytes_are_survived) {
  TreeBlob blob(scenario());
  BootConfig config;
  for (std::size_t i = 0; i < blob.size(); ++i) {
    const std::uint8_t saved = blob.data()[i];
    for (unsigned value = 0; value < 256; ++value) {
      blob.data()[i] = static_cast<std::uint8_t>(value);
      static_cast<void>(read_scenario_tree(blob.bytes(), config).has_value());
    }
    blob.data()[i] = saved;
  }
  EXPECT_TRUE(read_scenario_tree(blob.bytes(), config));
}

// ---- both ---------------------------------------------------------------------------------------------------------

class BootConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const PhysRange memory[] = {arena.range()};
    ASSERT_EQ(pages.add_memory(memory, {}), Status::Ok);
  }
  std::string error(const std::string& bytes) {
    return describe(read_boot_config(bytes_of(bytes), heap, archive, config));
  }
  static std::string tree() {
    const TreeBlob blob(scenario());
    return {reinterpret_cast<const char*>(blob.bytes().data()), blob.size()};
  }
  testing::Arena arena{0x4000'0000, 1024 * 1024};
  PageAllocator pages{arena.map()};
  Heap heap{pages};
  Archive archive;
  BootConfig config;
};

TEST_F(BootConfigTest, tree_is_read_from_any_alignment_and_nothing_stays_allocated) {
  for (const std::string name : {"a", "ab", "abcde", "abcdefghi"}) {
    const std::string bytes = entry(name, "") + entry("scenario.dtb", tree()) + trailer();
    EXPECT_EQ(error(bytes), "no error");
    EXPECT_EQ(config.name.view(), "hello");
  }
  EXPECT_EQ(heap.statistics().live_blocks, 0U);
}

TEST_F(BootConfigTest, model_that_is_named_is_there) {
  const TreeBlob blob(with_models());
  const std::string tree(reinterpret_cast<const char*>(blob.bytes().data()), blob.size());
  const std::string before = entry("scenario.dtb", tree) + entry("models/tiny.gguf", "x");
  EXPECT_EQ(error(before + trailer()), "model-missing: there is no 'models/other-1.2.gguf' in the archive");
  EXPECT_TRUE(config.llm.models.empty() && config.name.view().empty());
  EXPECT_EQ(error(before + entry("models/other-1.2.gguf", "y") + trailer()), "no error");
  EXPECT_EQ(config.llm.models.size(), 2U);
}

TEST_F(BootConfigTest, errors) {
  EXPECT_EQ(error(entry("other", "x") + trailer()), "config-missing: the archive has no 'scenario.dtb'");
  EXPECT_EQ(error(entry("scenario.dtb", "") + trailer()), "tree-truncated: 0 bytes, a header alone has 40");
  EXPECT_EQ(error(entry("scenario.dtb", std::string(100, 'x')) + trailer()),
            "tree-bad-magic: found 0x78787878, expected 0xd00dfeed");
  EXPECT_EQ(error(entry("scenario.dtb", std::string(abi::boot_config::kMaxTreeBytes + 1, 'x')) + trailer()),
            "tree-too-large: 1048577 bytes, at most 1048576");
  EXPECT_EQ(error(entry("scenario.dtb", std::string(abi::boot_config::kMaxTreeBytes, 'x')) + trailer()),
            "config-no-memory: 1048576 bytes for 'scenario.dtb'");
  EXPECT_EQ(heap.statistics().live_blocks, 0U);
}

}  // namespace
}  // namespace guest::kernel
