#include "vmm/scenario/load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace vmm::scenario {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::HasSubstr;

Scenario load(const std::string& yaml) {
  auto scenario = load_text("apiVersion: sis/v1\n" + yaml, "dir/t.yaml");
  EXPECT_TRUE(scenario) << scenario.error().message;
  return scenario ? *scenario : Scenario{};
}

std::string error_of(const std::string& yaml) {
  const auto scenario = load_text(yaml, "t.yaml");
  EXPECT_FALSE(scenario) << yaml;
  return scenario ? "" : scenario.error().message;
}

nlohmann::json args_of(const std::string& args) {
  return load("steps: [{op: x, args: " + args + "}]").steps.at(0).requests.at(0).args;
}

TEST(LoadTest, empty_scenario_has_the_defaults) {
  Scenario wanted;
  wanted.name = "t";
  EXPECT_EQ(load(""), wanted);
}

TEST(LoadTest, machine_options_are_read) {
  const Machine machine = load(
                              "machine: {cpus: 4, memory: 1GiB, backend: qemu, accel: tcg, cpu: 'max,sve=off', "
                              "huge_pages: true, gic_version: 2, "
                              "icount_shift: 0}")
                              .machine;
  EXPECT_EQ(machine, (Machine{.cpus = 4,
                              .memory_bytes = 1ull << 30,
                              .backend = Backend::Qemu,
                              .accel = Accel::Tcg,
                              .cpu = "max,sve=off",
                              .huge_pages = true,
                              .gic_version = 2,
                              .icount_shift = 0}));
}

TEST(LoadTest, other_sections_are_read) {
  const Scenario scenario = load(
      "description: d\nboot: {verbosity: debug}\ncontrol: {test_services: true}\n"
      "timeouts: {boot: 500ms, run: 2m, stop: 1h}\n"
      "expect: {guest_exit_code: 3, metrics: {a_b: {min: 1}, c: 5}, console: [{contains: x}, {absent: y}]}\n");
  EXPECT_EQ(scenario.description, "d");
  EXPECT_EQ(scenario.verbosity, Verbosity::Debug);
  EXPECT_TRUE(scenario.test_services);
  EXPECT_EQ(scenario.timeouts, (Timeouts{.boot = 500ms, .run = 120s, .stop = 3600s}));
  EXPECT_EQ(scenario.expect.guest_exit_code, 3);
  ASSERT_EQ(scenario.expect.metrics.size(), 2u);
  EXPECT_EQ(scenario.expect.metrics[0], (MetricExpectation{"a_b", {.min = 1}}));
  EXPECT_EQ(scenario.expect.metrics[1], (MetricExpectation{"c", {.equals = 5}}));
  ASSERT_EQ(scenario.expect.console.size(), 2u);
  EXPECT_EQ(scenario.expect.console[0], (ConsoleExpectation{"x", true}));
  EXPECT_EQ(scenario.expect.console[1], (ConsoleExpectation{"y", false}));
}

TEST(LoadTest, expectations_of_order_and_audit_log_are_read) {
  const Scenario scenario = load(
      "control: {audit: true}\n"
      "expect: {console_order: [a, b], audit: [{op: ping, count: {max: 0}}, {event: {matches: ^token-}}]}\n");
  EXPECT_EQ(scenario.expect.console_order, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(scenario.expect.audit,
            (std::vector<AuditExpectation>{{.op = Condition{.equals = "ping"}, .count = Condition{.max = 0}},
                                           {.event = Condition{.matches = "^token-"}}}));
}

TEST(LoadTest, expectations_of_the_trace_are_read) {
  const Scenario scenario =
      load("observe: {}\nexpect: {trace: {npu-end: {min: 1}, throttle: 0}, trace_order: [wake, switch]}\n");
  EXPECT_EQ(scenario.expect.trace,
            (std::vector<TraceExpectation>{{"npu-end", Condition{.min = 1}}, {"throttle", Condition{.equals = 0}}}));
  EXPECT_EQ(scenario.expect.trace_order, (std::vector<std::string>{"wake", "switch"}));
}

TEST(LoadTest, legacy_socket_is_a_path_or_a_port_of_this_host) {
  EXPECT_EQ(load("control: {}\n").legacy_socket, std::nullopt);
  // Relative to the run directory, which is not known yet.
  EXPECT_EQ(load("control: {legacy_socket: {unix: old/v0.sock}}\n").legacy_socket,
            (LegacySocket{.unix_path = "old/v0.sock"}));
  for (const std::string address :
       {"127.0.0.1:0", "127.0.0.1:9", "127.0.0.1:4000", "127.0.0.1:59999", "127.0.0.1:65535"}) {
    EXPECT_EQ(load("control: {legacy_socket: {tcp: '" + address + "'}}\n").legacy_socket,
              (LegacySocket{.tcp = address}));
  }
}

TEST(LoadTest, request_is_read) {
  const Scenario scenario = load(
      "steps:\n"
      "  - name: n\n"
      "    op: ping\n"
      "    args: {payload: hi}\n"
      "    timeout: 10ms\n"
      "    repeat: 7\n"
      "    expect: {status: error, code: bad-argument, reply: {message: {contains: x, matches: 'a+'}}}\n");
  ASSERT_EQ(scenario.steps.size(), 1u);
  ASSERT_EQ(scenario.steps[0].requests.size(), 1u);
  EXPECT_EQ(scenario.steps[0].requests[0], (Request{.name = "n",
                                                    .op = "ping",
                                                    .args = {{"payload", "hi"}},
                                                    .timeout = 10ms,
                                                    .repeat = 7,
                                                    .expect_error = true,
                                                    .error_code = "bad-argument",
                                                    .expect = {{"message", {.contains = "x", .matches = "a+"}}},
                                                    .line = 3}));
}

TEST(LoadTest, parallel_requests_are_one_step) {
  const Scenario scenario = load("steps: [{op: a}, {parallel: [{op: b}, {op: c}]}]");
  ASSERT_EQ(scenario.steps.size(), 2u);
  ASSERT_EQ(scenario.steps[1].requests.size(), 2u);
  EXPECT_EQ(scenario.steps[1].requests[1].op, "c");
}

TEST(LoadTest, requests_without_name_get_one_of_their_own) {
  const Scenario scenario = load("steps: [{op: a}, {op: a}, {name: 'a#3', op: b}, {op: a}, {op: b}]");
  std::vector<std::string> names;
  for (const Step& step : scenario.steps) names.push_back(step.requests[0].name);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "a#2", "a#3", "a#4", "b"}));
}

TEST(LoadTest, command_of_two_words_is_one) {
  const Scenario scenario = load("steps: [{op: graph show}, {op: graph show}]");
  EXPECT_EQ(scenario.steps.at(0).requests.at(0).op, "graph show");
  EXPECT_EQ(scenario.steps.at(1).requests.at(0).name, "graph show#2");
}

TEST(LoadTest, scenario_without_name_is_called_like_its_file) {
  EXPECT_EQ(load_text("apiVersion: sis/v1", "/a b/My scenario!.v2.yaml")->name, "My-scenario-.v2");
  EXPECT_EQ(load_text("apiVersion: sis/v1", "-x.yaml")->name, "scenario-x");
  EXPECT_EQ(load_text("apiVersion: sis/v1", "")->name, "scenario");
}

TEST(LoadTest, kernel_is_relative_to_the_file) {
  EXPECT_EQ(load_text("apiVersion: sis/v1\nboot: {kernel: ../k}", "/a/b/s.yaml")->kernel, "/a/k");
  EXPECT_EQ(load_text("apiVersion: sis/v1\nboot: {kernel: /k}", "/a/b/s.yaml")->kernel, "/k");
  EXPECT_EQ(load("boot: {kernel: k}").kernel, (std::filesystem::current_path() / "dir/k").string());
}

TEST(LoadTest, programs_are_relative_to_the_file_and_know_their_place) {
  const auto scenario = load_text(
      "apiVersion: sis/v1\ntasks:\n- {name: a, server: s, program: {file: ../p.elf, arguments: [x, '5'], memory: "
      "256KiB}}\n- name: b\n  program: {file: /q/./p.elf/../r}\nscheduler: {servers: [{name: s, budget: 1ms, period: "
      "2ms}]}",
      "/a/b/s.yaml");
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(scenario->tasks[0].program, (UserProgram{.file = "/a/p.elf",
                                                     .arguments = {"x", "5"},
                                                     .memory_bytes = 256 << 10,
                                                     .place = "/a/b/s.yaml:3:40: tasks[0].program.file"}));
  EXPECT_EQ(scenario->tasks[1].program,
            (UserProgram{.file = "/q/r", .place = "/a/b/s.yaml:5:19: tasks[1].program.file"}));
  EXPECT_EQ(load("tasks: [{name: a, program: {file: p}}]").tasks[0].program->file,
            (std::filesystem::current_path() / "dir/p").string());
}

TEST(LoadTest, one_file_under_two_paths_is_one) {
  const Scenario scenario = load("tasks: [{name: a, program: {file: x/../p}}, {name: b, program: {file: ./p}}]");
  EXPECT_EQ(scenario.tasks[0].program->file, scenario.tasks[1].program->file);
}

// The resolved scenario could not be read again.
TEST(LoadTest, paths_that_are_too_long_from_the_root_are_refused) {
  const std::string yaml = "apiVersion: sis/v1\nboot: {kernel: " + std::string(4090, 'x') + "}";
  const auto scenario = load_text(yaml, "/folder/s.yaml");
  ASSERT_FALSE(scenario);
  EXPECT_EQ(scenario.error().message,
            "/folder/s.yaml:2:16: boot.kernel: found a path of 4098 bytes from the root, allowed: at most 4096");
  EXPECT_TRUE(load_text(yaml, "/fold/s.yaml"));
}

TEST(LoadTest, arguments_keep_their_types) {
  const nlohmann::json args = args_of(
      "{i: 5, n: -5, u: 18446744073709551615, f: 1.5, e: 1e3, t: true, k: no, z: null, s: '5', b: 'true', w: a b, "
      "l: [1, x], m: {a: {b: 1}}}");
  EXPECT_EQ(args, nlohmann::json::parse(R"({"i":5,"n":-5,"u":18446744073709551615,"f":1.5,"e":1000.0,"t":true,"k":"no",
    "z":null,"s":"5","b":"true","w":"a b","l":[1,"x"],"m":{"a":{"b":1}}})"));
  EXPECT_TRUE(args["e"].is_number_float());
}

TEST(LoadTest, block_texts_are_texts) {
  EXPECT_EQ(load("steps:\n  - op: x\n    args:\n      t: |\n        12\n").steps[0].requests[0].args["t"], "12\n");
}

TEST(LoadTest, crlf_and_byte_order_mark_are_read) {
  const auto scenario = load_text(
      "\xEF\xBB\xBF"
      "apiVersion: sis/v1\r\nname: a\r\nmachine:\r\n  cpus: 2\r\n",
      "t.yaml");
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(scenario->machine.cpus, 2u);
}

TEST(LoadTest, aliases_stand_for_their_values) {
  const Scenario scenario = load(
      "steps: [{op: a, args: &args {x: 1}, expect: &e {reply: {result.x: &one 1}}}, {op: b, args: *args, expect: *e}]");
  EXPECT_EQ(scenario.steps[1].requests[0].args, (nlohmann::json{{"x", 1}}));
  EXPECT_EQ(scenario.steps[1].requests[0].expect, scenario.steps[0].requests[0].expect);
}

TEST(LoadTest, errors_carry_usage) {
  EXPECT_EQ(load_text("x", "t.yaml").error().exit_code, abi::ExitCode::Usage);
  EXPECT_EQ(load_file("/no/such.yaml").error().exit_code, abi::ExitCode::Usage);
  EXPECT_THAT(load_file("/no/such.yaml").error().message, HasSubstr("/no/such.yaml"));
}

TEST(LoadTest, file_beyond_the_limit_is_refused) {
  EXPECT_EQ(error_of("#" + std::string(1 << 20, 'x')),
            "t.yaml:1:1: found a file of 1048577 bytes, allowed: at most 1048576 bytes");
}

TEST(LoadTest, nesting_beyond_the_limit_is_refused_in_every_form) {
  EXPECT_EQ(error_of("a: " + std::string(500, '[') + std::string(500, ']')),
            "t.yaml:1:35: found values nested more than 32 deep, allowed: at most that depth");
  EXPECT_FALSE(load_text("a: " + std::string(500000, '['), "t.yaml"));
  std::string block;
  for (std::size_t i = 0; i < 600; ++i) block += std::string(i, ' ') + "a:\n";
  EXPECT_THAT(error_of(block), HasSubstr("nested more than 32 deep"));
  std::string dashes;
  for (std::size_t i = 0; i < 5000; ++i) dashes += "- ";
  EXPECT_THAT(error_of(dashes), HasSubstr("nested more than 32 deep"));
}

TEST(LoadTest, nesting_through_aliases_counts) {
  std::string yaml = "a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n";
  for (int i = 1; i < 4; ++i) {
    const std::string n = std::to_string(i);
    yaml += "a" + n + ": &a" + n + " [[[[[[[[[[*a" + std::to_string(i - 1) + "]]]]]]]]]]\n";
  }
  EXPECT_THAT(error_of(yaml), HasSubstr("nested more than 32 deep"));
}

TEST(LoadTest, values_beyond_the_limit_are_refused) {
  std::string list = "a: [";
  for (int i = 0; i < 100001; ++i) list += "x,";
  EXPECT_THAT(error_of(list + "]"), HasSubstr("found more than 100000 values"));
}

// "Billion laughs": each line stands for ten times the one before.
TEST(LoadTest, alias_bomb_is_refused) {
  std::string yaml = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string alias = "*a" + std::to_string(i - 1);
    yaml += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) yaml += alias + ",";
    yaml += "]\n";
  }
  EXPECT_THAT(error_of(yaml), HasSubstr("more than 100000 values, counting each use of an alias"));
}

TEST(LoadTest, bytes_through_aliases_are_bounded) {
  std::string yaml = "a: &a " + std::string(100000, 'x') + "\nb: [";
  for (int i = 0; i < 100; ++i) yaml += "*a,";
  EXPECT_THAT(error_of(yaml + "]"), HasSubstr("bytes of text, counting each use of an alias"));
}

TEST(LoadTest, at_most_50_problems_are_listed_and_the_rest_counted) {
  std::string yaml = "apiVersion: sis/v1\n";
  for (int i = 0; i < 60; ++i) yaml += "zz" + std::to_string(i) + ": 1\n";
  const std::string message = error_of(yaml);
  EXPECT_EQ(std::ranges::count(message, '\n'), 50);
  EXPECT_THAT(message, testing::EndsWith("\nt.yaml: 10 more problems"));
}

TEST(LoadTest, hostile_text_in_a_message_is_escaped_and_short) {
  const std::string message = error_of("apiVersion: \"\\e[2J\\n" + std::string(1000, 'x') + "\"");
  EXPECT_EQ(message, "t.yaml:1:13: apiVersion: found the text \"\\x1b[2J\\n" + std::string(59, 'x') +
                         "\"... (1005 bytes), allowed: sis/v1");
}

TEST(LoadTest, request_larger_than_a_frame_is_refused) {
  const std::string big(65600, 'x');
  EXPECT_EQ(error_of("apiVersion: sis/v1\nsteps: [{op: x, args: {p: " + big + "}}]"),
            "t.yaml:2:17: steps[0].args: found a request of 65623 bytes, allowed: at most 65536 bytes as CBOR");
}

TEST(SetOptionTest, value_is_set_by_the_rules_of_the_file) {
  Scenario scenario;
  EXPECT_TRUE(set_option(scenario, "machine.cpus", "4", "--cpus"));
  EXPECT_TRUE(set_option(scenario, "machine.memory", "1GiB", "--memory"));
  EXPECT_TRUE(set_option(scenario, "machine.backend", "qemu", "--backend"));
  EXPECT_TRUE(set_option(scenario, "machine.icount_shift", "3", "--icount"));
  EXPECT_EQ(scenario.machine.cpus, 4u);
  EXPECT_EQ(scenario.machine.memory_bytes, 1ull << 30);
  EXPECT_EQ(scenario.machine.backend, Backend::Qemu);
  EXPECT_EQ(scenario.machine.icount_shift, 3u);
}

TEST(SetOptionTest, bad_value_is_named_like_in_the_file) {
  Scenario scenario;
  const auto result = set_option(scenario, "machine.cpus", "99", "--cpus");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "--cpus: found 99, allowed: an integer from 1 to 8");
  EXPECT_EQ(result.error().exit_code, abi::ExitCode::Usage);
}

TEST(SetOptionTest, options_are_checked_together) {
  Scenario scenario = load("machine: {icount_shift: 0}");
  EXPECT_THAT(
      set_option(scenario, "machine.accel", "kvm", "--accel").error().message,
      "--accel: machine.icount_shift: found 0 with a hypervisor that runs on the real CPU, allowed: icount_shift only "
      "with accel tcg or auto, and backend qemu or auto");
}

TEST(SetOptionTest, unknown_option_is_an_internal_error) {
  Scenario scenario;
  for (const char* key : {"", "machine", "machine.", "machine.x", "machine.cpus.x", "x", "timeouts.run"}) {
    EXPECT_FALSE(set_option(scenario, key, "1", "--x")) << key;
  }
}

/// Every bad/NAME.yaml is refused with exactly the text of bad/NAME.expected.
class BadScenarioTest : public testing::TestWithParam<std::string> {};

std::vector<std::string> bad_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(SIS_SCENARIO_TESTS "/bad")) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_P(BadScenarioTest, message_is_as_expected) {
  const std::string base = SIS_SCENARIO_TESTS "/bad/" + GetParam();
  const auto scenario = load_text(contents(base + ".yaml"), GetParam() + ".yaml");
  ASSERT_FALSE(scenario) << "it was accepted";
  if (std::getenv("SIS_UPDATE") != nullptr) {
    std::ofstream(base + ".expected") << scenario.error().message << '\n';
  }
  EXPECT_EQ(scenario.error().message + '\n', contents(base + ".expected"));
}

INSTANTIATE_TEST_SUITE_P(Files, BadScenarioTest, testing::ValuesIn(bad_names()), [](const auto& parameter) {
  std::string name = parameter.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST(BadScenariosTest, there_are_at_least_30) { EXPECT_GE(bad_names().size(), 30u); }

}  // namespace
}  // namespace vmm::scenario
