// A client of version 0, with the kinds of operators that a kernel has.
#pragma once

#include <gmock/gmock.h>

#include <string>

#include "guest/graph/operators/builtin.hpp"
#include "guest/graph/run/graph_set.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "test_client.hpp"

namespace guest::control::testing {

using Legacy = abi::control::LegacyCommand;

inline constexpr std::uint64_t kDevelopment = security::kDevelopmentToken;

/// Little-endian, one behind the other.
template <typename... Fields>
std::vector<std::uint8_t> packed(Fields... fields) {
  std::vector<std::uint8_t> bytes;
  const auto add = [&](auto field) {
    const auto* const raw = reinterpret_cast<const std::uint8_t*>(&field);
    bytes.insert(bytes.end(), raw, raw + sizeof(field));
  };
  (add(fields), ...);
  return bytes;
}

template <typename... Fields>
Bytes legacy_with(std::uint64_t token, Legacy command, Fields... fields) {
  return RawFrame{.version = 0, .command = static_cast<std::uint8_t>(command), .payload = packed(token, fields...)}
      .bytes();
}

template <typename... Fields>
Bytes legacy(Legacy command, Fields... fields) {
  return legacy_with(kDevelopment, command, fields...);
}

inline std::string text_of(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// The graphs are the process's: each test leaves none. Schemas stay.
class Version0Test : public ::testing::Test {
 protected:
  Version0Test() {
    threads::start_cpus();
    static const bool added = [] {
      graph::graph_set().kinds().add(graph::builtin_kinds());
      return true;
    }();
    EXPECT_TRUE(added);
    EXPECT_TRUE(client.connect(server.legacy_listener()));
  }
  ~Version0Test() override {
    client.stream.disconnect();
    threads::run_until_idle();
    while (graph::graph_set().size() != 0) {
      const std::string name(graph::graph_set().at(0).graph->name());
      const auto destroyed = graph::graph_set().destroy(name);
      EXPECT_TRUE(destroyed.has_value()) << destroyed.error().detail.view();
      if (!destroyed) {
        break;
      }
    }
    EXPECT_EQ(machine.counter("control_connections_open"), 0U);
    EXPECT_EQ(machine.counter("control_requests"), machine.counter("control_replies_ok") +
                                                       machine.counter("control_replies_error") +
                                                       machine.counter("control_unanswered"));
  }

  /// Sends in a thread of the control loop's CPU, as the guest does; then everything runs as far as it can.
  static void send(TestClient& to, const Bytes& bytes) {
    threads::start("test", [&] { to.send(bytes); });
    threads::run_until_idle();
  }
  std::string ask(const Bytes& bytes) {
    send(client, bytes);
    return text_of(client.stream.take_sent());
  }
  template <typename... Fields>
  std::string ask(Legacy command, Fields... fields) {
    return ask(legacy(command, fields...));
  }
  /// Source, pass-through, sink.
  void build() {
    EXPECT_EQ(ask(Legacy::CreateGraph), "OK GRAPH name=v0\n");
    EXPECT_EQ(ask(Legacy::AddChannel, std::uint16_t{4}), "OK CHANNEL id=0\n");
    EXPECT_EQ(ask(Legacy::AddChannel, std::uint16_t{2}), "OK CHANNEL id=1\n");
    EXPECT_EQ(ask(add(1, kNone, 0)), "OK OPERATOR id=1 kind=synthetic-source\n");
    EXPECT_EQ(ask(add(2, 0, 1)), "OK OPERATOR id=2 kind=split\n");
    EXPECT_EQ(ask(add(3, 1, kNone)), "OK OPERATOR id=3 kind=sink\n");
  }
  static Bytes add(std::uint32_t id, std::uint16_t in, std::uint16_t out, std::uint8_t priority = 0,
                   std::uint8_t stage = 0) {
    return legacy(Legacy::AddOperator, id, in, out, priority, stage);
  }
  static Bytes add_typed(std::uint32_t id, std::uint16_t in, std::uint16_t out, std::uint32_t in_schema,
                         std::uint32_t out_schema) {
    return legacy(Legacy::AddOperatorTyped, id, in, out, std::uint8_t{0}, std::uint8_t{0}, in_schema, out_schema);
  }
  static graph::GraphEntry& graph_v0() { return *graph::graph_set().find("v0"); }

  static constexpr std::uint16_t kNone = 0xffff;

  FakeMachine machine;
  Server server{machine.services, machine.work};
  TestClient client;
};

}  // namespace guest::control::testing
