// A graph with kinds that do as little as possible, and its structure as text.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "guest/graph/graph.hpp"

namespace guest::graph {

/// Sends on what comes in; what comes second ends here. As a source it makes scalars.
class Relay final : public OperatorCode {
 public:
  kernel::Outcome fire(Firing& firing) override {
    if (firing.outputs() == 0) {
      return {};
    }
    if (firing.inputs() > 0) {
      firing.send(0, std::move(firing.input(0)));
      return {};
    }
    auto made = firing.allocate(DType::U8, {});
    if (!made) {
      return std::unexpected(made.error());
    }
    firing.send(0, *std::move(made));
    return {};
  }
};

inline std::expected<std::unique_ptr<OperatorCode>, kernel::NamedError> make_relay(const Parameters& /*parameters*/) {
  return std::make_unique<Relay>();
}
inline std::expected<std::unique_ptr<OperatorCode>, kernel::NamedError> make_nothing(const Parameters& /*parameters*/) {
  return kernel::fail("kind-is-not-well", "never today");
}

inline constexpr ParameterSpec kRelayParameters[] = {
    {.name = "level", .min = -5, .max = 5, .fallback = 2, .help = "a number"},
    {.name = "mode", .type = ParameterSpec::Type::Choice, .choices = "one|two|three", .help = "a choice"},
    {.name = "text", .type = ParameterSpec::Type::Text, .min = 1, .max = 8, .help = "a text"},
};
inline constexpr ParameterSpec kNeedyParameters[] = {
    {.name = "must", .required = true, .min = 0, .max = 9, .help = "there is no way without"},
};
inline constexpr OperatorKind kTestKinds[] = {
    {.name = "source", .help = "", .max_outputs = 8, .parameters = kRelayParameters, .make = make_relay},
    {.name = "relay",
     .help = "",
     .min_inputs = 1,
     .max_inputs = 8,
     .min_outputs = 1,
     .max_outputs = 8,
     .parameters = kRelayParameters,
     .make = make_relay},
    {.name = "sink", .help = "", .min_inputs = 1, .max_inputs = 8, .make = make_relay},
    {.name = "needy", .help = "", .max_outputs = 1, .parameters = kNeedyParameters, .make = make_relay},
    {.name = "broken", .help = "", .max_outputs = 1, .make = make_nothing},
};

class GraphFixture : public ::testing::Test {
 protected:
  GraphFixture() {
    kinds.add(kTestKinds);
    graph = make({.name = "g", .memory_bytes = 1 << 16, .tensors = 16});
  }

  std::unique_ptr<Graph> make(const GraphSpec& spec) {
    auto made = Graph::make(spec, kinds, schemas);
    EXPECT_TRUE(made) << (made ? "" : made.error().detail.view());
    return made ? *std::move(made) : nullptr;
  }

  static std::string text(const kernel::Outcome& outcome) {
    return outcome ? "ok" : std::string(outcome.error().name) + ": " + std::string(outcome.error().detail.view());
  }

  static std::expected<Operator::Fired, kernel::NamedError> fire(Operator& of, std::uint64_t now_ns) {
    Operator::Fired fired;
    const kernel::Outcome outcome = of.fire(now_ns, fired);
    return outcome ? std::expected<Operator::Fired, kernel::NamedError>(fired) : std::unexpected(outcome.error());
  }

  std::string channel(std::uint32_t id, std::uint32_t capacity = 2, std::uint32_t schema = kUntyped) {
    return text(graph->add_channel({.id = id, .capacity = capacity, .schema = schema}));
  }

  /// All that can be seen of the structure.
  [[nodiscard]] std::string dump() const {
    kernel::FixedText<64 * 1024> out;
    kernel::format_to(out, "graph {} {} {}\n", graph->name(), graph->memory_bytes(), graph->max_tensors());
    for (const Channel* const each : graph->channels()) {
      kernel::format_to(out, "channel {} {} {} schema {} depth {}", each->id(), each->capacity(),
                        to_string(each->policy()), each->schema(), each->depth());
      for (const Operator* const user : {graph->producer_of(*each), graph->consumer_of(*each)}) {
        kernel::format_to(out, " {}", user == nullptr ? "-" : user->name());
      }
      out.write("\n");
    }
    for (const Operator* const each : graph->operators()) {
      kernel::format_to(out, "operator {} {} {} priority {} {} wcet {} cpu {} schemas {} {}", each->id(), each->name(),
                        each->kind().name, each->priority(), to_string(each->stage()), each->wcet_ns(), each->cpu(),
                        each->in_schema(), each->out_schema());
      for (const auto ports : {each->inputs(), each->outputs()}) {
        out.write(" |");
        for (const Channel* const port : ports) {
          kernel::format_to(out, " {}", port->id());
        }
      }
      each->parameters().for_each_given([&](const ParameterSpec& spec, std::int64_t integer, std::string_view value) {
        kernel::format_to(out, " {}={}/{}", spec.name, integer, value);
      });
      out.write("\n");
    }
    const TensorStatistics statistics = graph->arena().statistics();
    kernel::format_to(out, "schemas {} live {} used {}\n", schemas.size(), statistics.live, statistics.used_bytes);
    EXPECT_FALSE(out.truncated());
    return std::string(out.view());
  }

  KindTable kinds;
  SchemaRegistry schemas;
  std::unique_ptr<Graph> graph;
};

}  // namespace guest::graph
