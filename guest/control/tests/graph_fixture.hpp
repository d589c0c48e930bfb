// Commands of graphs, with kinds of operators that do what a test says.
#pragma once

#include <gmock/gmock.h>

#include <functional>
#include <string>
#include <vector>

#include "command_fixture.hpp"
#include "guest/graph/run/graph_set.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"

namespace guest::control::testing {

/// A source makes a tensor when it fires, all others pass on their first input.
struct PassCode final : graph::OperatorCode {
  kernel::Outcome fire(graph::Firing& firing) override {
    threads::work(1000);
    if (++fired == fails_at) {
      return kernel::fail("test-failed", "as it was told");
    }
    for (std::size_t i = 0; i < firing.outputs(); ++i) {
      if (firing.inputs() != 0) {
        firing.send(i, firing.input(0).share());
        continue;
      }
      auto made = firing.allocate(graph::DType::U8, graph::Shape{});
      if (!made) {
        return std::unexpected(made.error());
      }
      firing.send(i, *std::move(made));
    }
    if (fired == count) {
      firing.finish();
    }
    return {};
  }
  std::uint64_t ready_at(std::uint64_t now_ns) override {
    if (sleeps) {
      return kAsleep;
    }
    if (now_ns < next_ns) {
      return next_ns;
    }
    next_ns = now_ns + period_ns;
    return kNow;
  }
  void begin(std::uint64_t) override { fired = 0; }
  std::uint64_t fired = 0;
  std::uint64_t count = 0;  ///< of a source: how often, 0: for ever
  std::uint64_t fails_at = 0;
  std::uint64_t period_ns = 0;
  std::uint64_t next_ns = 0;
  bool sleeps = false;
};

inline constexpr graph::ParameterSpec kPassParameters[] = {
    {.name = "count", .max = 1'000'000, .help = "how often"},
    {.name = "fails", .max = 1'000'000, .help = "at which execution"},
    {.name = "period_us", .max = 1'000'000, .help = "from one to the next"},
    {.name = "asleep", .max = 1, .help = "for ever"},
    {.name = "offset", .min = -1000, .max = 1000, .help = "no matter what"},
    {.name = "mode", .type = graph::ParameterSpec::Type::Choice, .choices = "fast|slow", .help = "no matter which"},
    {.name = "label", .type = graph::ParameterSpec::Type::Text, .min = 1, .max = 40, .help = "any text"}};

inline std::expected<std::unique_ptr<graph::OperatorCode>, kernel::NamedError> make_pass(
    const graph::Parameters& parameters) {
  auto code = std::make_unique<PassCode>();
  code->count = static_cast<std::uint64_t>(parameters.integer("count"));
  code->fails_at = static_cast<std::uint64_t>(parameters.integer("fails"));
  code->period_ns = static_cast<std::uint64_t>(parameters.integer("period_us")) * 1000;
  code->sleeps = parameters.integer("asleep") != 0;
  return code;
}

inline std::expected<std::unique_ptr<graph::OperatorCode>, kernel::NamedError> make_nothing(const graph::Parameters&) {
  return kernel::fail("graph-unavailable", "this kernel has none of these");
}

inline constexpr graph::ParameterSpec kNeedyParameters[] = {
    {.name = "level", .required = true, .min = 1, .max = 9, .help = "how much"}};

inline constexpr graph::OperatorKind kTestKinds[] = {
    {.name = "src", .help = "makes tensors", .max_outputs = 8, .parameters = kPassParameters, .make = make_pass},
    {.name = "pass",
     .help = "passes tensors on",
     .min_inputs = 1,
     .max_inputs = 8,
     .max_outputs = 8,
     .parameters = kPassParameters,
     .make = make_pass},
    {.name = "needy", .help = "wants a level", .parameters = kNeedyParameters, .make = make_pass},
    {.name = "absent", .help = "is never there", .make = make_nothing},
};

/// The graphs are the process's: each test leaves none. Schemas stay.
class GraphCommandTest : public CommandTest {
 protected:
  GraphCommandTest() {
    threads::start_cpus();
    static const bool added = [] {
      graph::graph_set().kinds().add(kTestKinds);
      return true;
    }();
    EXPECT_TRUE(added);
  }
  ~GraphCommandTest() override {
    threads::run_until_idle();
    while (graph::graph_set().size() != 0) {
      const std::string name(graph::graph_set().at(0).graph->name());
      const auto destroyed = graph::graph_set().destroy(name);
      EXPECT_TRUE(destroyed.has_value()) << destroyed.error().detail.view();
      if (!destroyed) {
        break;
      }
    }
  }

  /// "code [field]: message" of a command that must be refused, and must have changed nothing.
  std::string refusal(std::string_view name, const std::vector<std::string_view>& words) {
    const json before = everything();
    field.clear();
    const json answer = run(name, words);
    EXPECT_TRUE(answer.contains("code")) << answer;
    std::string told =
        answer.value("code", "") + (field.empty() ? "" : " [" + field + "]") + ": " + answer.value("message", "");
    EXPECT_EQ(everything(), before) << told;
    return told;
  }
  /// All that commands of graphs can change: what each graph consists of and is doing, the schemas, the servers.
  json everything() {
    json all = run("graph list");
    for (json& graph : all["graphs"]) {
      graph["structure"] = structure(graph["graph"].get<std::string>());
    }
    all["servers"] = run("sched")["servers"];
    return all;
  }
  /// A command that must be carried out.
  json done(std::string_view name, const std::vector<std::string_view>& words) {
    const json answer = run(name, words);
    EXPECT_FALSE(answer.is_null() || answer.contains("code")) << name << ": " << answer;
    return answer;
  }
  /// In a thread of the control loop's CPU, as the guest does; then everything runs as far as it can.
  static void in_thread(const std::function<void()>& body) {
    threads::start("test", body);
    threads::run_until_idle();
  }
  /// source -> 1 -> sink
  void make_pipeline(std::string_view graph, std::string_view parameters = "", std::string_view end_parameters = "") {
    done("graph create", {graph});
    done("graph add-channel", {graph, "1", "2"});
    done("graph add-operator", {graph, "1", "source", "src", "", "1", "--parameters", parameters});
    done("graph add-operator", {graph, "2", "end", "pass", "1", "--parameters", end_parameters});
  }
  /// What a graph consists of, for comparison with what it was.
  json structure(std::string_view graph) { return done("graph export", {graph})["structure"]; }
};

}  // namespace guest::control::testing
