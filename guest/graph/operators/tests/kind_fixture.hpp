// One operator of a built-in kind between channels that the test fills and empties.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "guest/graph/graph.hpp"
#include "guest/graph/operators/builtin.hpp"

namespace guest::graph {

using Values = std::vector<std::pair<std::string, std::string>>;

/// Channels 0 to inputs - 1 lead to the operator, 100 and so on away from it; each has room for `room` tensors.
class KindFixture {
 public:
  KindFixture(std::string_view kind, const Values& parameters, std::size_t inputs, std::size_t outputs,
              std::uint32_t room = 4) {
    kinds.add(builtin_kinds());
    auto made = Graph::make({.name = "test", .memory_bytes = std::uint64_t{1} << 22, .tensors = 256}, kinds, schemas);
    EXPECT_TRUE(made.has_value());
    graph = *std::move(made);
    std::vector<std::uint32_t> in, out;
    for (std::uint32_t i = 0; i < inputs; ++i) {
      EXPECT_TRUE(graph->add_channel({.id = i, .capacity = room}));
      in.push_back(i);
    }
    for (std::uint32_t i = 0; i < outputs; ++i) {
      EXPECT_TRUE(graph->add_channel({.id = 100 + i, .capacity = room}));
      out.push_back(100 + i);
    }
    std::vector<GivenParameter> given;
    for (const auto& [name, value] : parameters) {
      given.push_back({.name = name, .value = value});
    }
    const auto added =
        graph->add_operator({.id = kId, .name = "it", .kind = kind, .inputs = in, .outputs = out, .parameters = given});
    if (!added) {
      refusal = std::string(added.error().name) + ": " + std::string(added.error().detail.view());
      return;
    }
    op = graph->find_operator(kId);
    op->begin(now_ns);
  }

  template <typename T>
  TensorRef tensor(DType dtype, std::initializer_list<std::uint32_t> dims, const std::vector<T>& values,
                   std::uint64_t sequence = 0, std::uint64_t timestamp_ns = 1) {
    auto made = graph->arena().allocate({.dtype = dtype,
                                         .shape = shape_of(std::vector<std::uint32_t>(dims)),
                                         .origin = 7,
                                         .sequence = sequence,
                                         .timestamp_ns = timestamp_ns});
    EXPECT_TRUE(made.has_value());
    EXPECT_EQ(made->data().size(), values.size() * sizeof(T));
    if (!values.empty()) {
      std::memcpy(made->writable().data(), values.data(), values.size() * sizeof(T));
    }
    return *std::move(made);
  }
  TensorRef bytes(std::initializer_list<std::uint32_t> dims, const std::vector<std::uint8_t>& values,
                  std::uint64_t sequence = 0) {
    return tensor(DType::U8, dims, values, sequence);
  }

  void put(std::uint32_t port, TensorRef tensor) {
    EXPECT_EQ(graph->find_channel(port)->send(tensor).outcome, SendOutcome::Sent);
  }
  /// "ok", "finished", or the error: "name: detail".
  std::string fire() {
    Operator::Fired fired;
    if (const auto outcome = op->fire(now_ns, fired); !outcome) {
      return std::string(outcome.error().name) + ": " + std::string(outcome.error().detail.view());
    }
    return fired.finished ? "finished" : "ok";
  }
  /// None: nothing came out.
  TensorRef take(std::uint32_t port = 0) { return graph->find_channel(100 + port)->receive().tensor; }

  template <typename T>
  static std::vector<T> values(const TensorRef& tensor) {
    std::vector<T> found(tensor.data().size() / sizeof(T));
    if (!found.empty()) {
      std::memcpy(found.data(), tensor.data().data(), found.size() * sizeof(T));
    }
    return found;
  }
  static std::vector<std::uint32_t> dims(const TensorRef& tensor) {
    const Shape& shape = tensor.info().shape;
    return {shape.dims, shape.dims + shape.rank};
  }

  static constexpr std::uint32_t kId = 42;
  KindTable kinds;
  SchemaRegistry schemas;
  std::unique_ptr<Graph> graph;
  Operator* op = nullptr;
  std::string refusal;
  std::uint64_t now_ns = 1'000'000;
};

}  // namespace guest::graph
