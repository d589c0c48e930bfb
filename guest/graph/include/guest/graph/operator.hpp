// Operators: what makes, changes and uses tensors. A kind is the code; an operator is a place in a graph that runs it.
//
//   channel --> | input 0                output 0 | --> channel
//   channel --> | input 1   fire(Firing)          |
//
// An operator fires when there is a tensor in each of its input channels and room in each of its output channels that
// blocks: it takes one of each input, computes, and sends at most one to each output. So it never waits in the middle,
// and what it does depends on its inputs only. One that has more to send goes on: it fires again when there is room in
// its outputs, before it takes other inputs. Sources have no inputs; they say themselves when they are ready.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "guest/graph/tensor.hpp"
#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::graph {

/// What an operator is for, in the order of a pipeline.
enum class Stage : std::uint8_t { Acquire, Clean, Explore, Model, Explain };
inline constexpr std::uint8_t kStages = 5;
/// "acquire", "clean", "explore", "model", "explain".
std::string_view to_string(Stage stage);
std::optional<Stage> find_stage(std::string_view name);

inline constexpr std::size_t kMaxPorts = 8;  ///< inputs of an operator, and outputs

/// A parameter that a kind has.
struct ParameterSpec {
  static constexpr std::size_t kMaxText = 64;
  enum class Type : std::uint8_t { Integer, Choice, Text };

  std::string_view name;  ///< [a-z0-9_]
  Type type = Type::Integer;
  bool required = false;
  std::int64_t min = 0;  ///< Integer: smallest and largest value. Text: length in bytes
  std::int64_t max = 0;
  std::int64_t fallback = 0;      ///< Integer that was not given
  std::string_view choices = {};  ///< Choice: "box|gauss|sobel"; the first is meant if none was given
  std::string_view help = {};
};

/// As it was given: a name and a text.
struct GivenParameter {
  std::string_view name;
  std::string_view value;
};

/// The checked parameters of one operator.
class Parameters {
 public:
  static constexpr std::size_t kMaxParameters = 8;

  /// Every given one must be of `specs`, given once, and of the right form; every required one given. Errors:
  /// graph-bad-parameter.
  static std::expected<Parameters, kernel::NamedError> check(std::span<const ParameterSpec> specs,
                                                             std::span<const GivenParameter> given);

  // `name` must be one of the specs.
  [[nodiscard]] std::int64_t integer(std::string_view name) const;
  [[nodiscard]] std::string_view text(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const;

  /// Calls `visit(spec, integer, text)` for each that was given, in the order of the specs.
  template <typename Visit>
  void for_each_given(Visit&& visit) const {
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      if (values_[i].given) {
        visit(specs_[i], values_[i].integer, values_[i].text.view());
      }
    }
  }

 private:
  struct Value {
    bool given = false;
    std::int64_t integer = 0;
    kernel::FixedText<ParameterSpec::kMaxText> text;
  };
  [[nodiscard]] std::size_t index_of(std::string_view name) const;
  std::expected<void, kernel::NamedError> set(std::size_t index, std::string_view value);

  std::span<const ParameterSpec> specs_;
  Value values_[kMaxParameters];
};

class Firing;

/// The state of one operator. fire() and is_ready() are called by one thread at a time.
class OperatorCode {
 public:
  virtual ~OperatorCode() = default;

  /// Computes. An error fails the graph, with the operator's name before the reason.
  virtual kernel::Outcome fire(Firing& firing) = 0;

  /// Of sources, which fire when this says so: now, at that time of the clock, or (kAsleep) when wake() is called.
  static constexpr std::uint64_t kNow = 0;
  static constexpr std::uint64_t kAsleep = ~std::uint64_t{0};
  [[nodiscard]] virtual std::uint64_t ready_at(std::uint64_t /*now_ns*/) { return kNow; }
  /// A run begins: forgets what the last one left, but for what was configured.
  virtual void begin(std::uint64_t /*now_ns*/) {}
  /// The run is about to end: a fire() that waits for somebody outside of the graph returns soon, and what it sends
  /// does not matter. In the control loop's thread, while fire() may be under way in its own; once or more.
  virtual void stop() {}
};

/// What an operator has and gives while it fires. One for all executions of an operator: there is much to make and to
/// destroy.
class Firing {
 public:
  /// `origin` and `schema`: what the tensors that the operator makes are marked with. At most kMaxPorts each.
  struct Spec {
    std::uint32_t origin = 0;
    std::uint32_t schema = 0;
    std::size_t inputs = 0;
    std::size_t outputs = 0;
  };
  Firing(TensorArena& arena, const Spec& spec)
      : arena_(arena), origin_(spec.origin), schema_(spec.schema), inputs_(spec.inputs), outputs_(spec.outputs) {}
  Firing(const Firing&) = delete;
  Firing& operator=(const Firing&) = delete;

  [[nodiscard]] std::uint64_t now_ns() const { return now_ns_; }
  [[nodiscard]] std::size_t inputs() const { return inputs_.size; }
  [[nodiscard]] std::size_t outputs() const { return outputs_.size; }
  /// Below inputs(); what was taken is none.
  TensorRef& input(std::size_t port) { return inputs_.at(port); }
  /// A new tensor, of this operator: with its output schema, and as old as the oldest of the inputs. Errors:
  /// graph-no-memory, graph-bad-tensor.
  std::expected<TensorRef, kernel::NamedError> allocate(DType dtype, const Shape& shape);
  /// Marks a tensor that came in and that the operator has changed in place as one that it has made, as allocate()
  /// does. It must be unique.
  void claim(TensorRef& tensor) const { tensor.stamp(schema_, origin_, sequence_, data_from_ns_); }
  /// Goes out when fire() has returned. Below outputs(), and once for each. A tensor that this operator has made, or
  /// one that came in.
  void send(std::size_t port, TensorRef tensor);
  /// What was sent, or none; for who takes it from here. Below outputs().
  TensorRef& output(std::size_t port) { return outputs_.at(port); }
  /// Of a source: this was the last time.
  void finish() { finished_ = true; }
  /// Of an operator with inputs: there is more to send. It fires again when there is room, and without inputs then;
  /// its tensors are as old as those that it had. It keeps none of them: a run may end at any time.
  void go_on() { goes_on_ = true; }

 private:
  friend class Operator;
  struct Ports {
    explicit Ports(std::size_t count) : size(count) {
      kernel::require(count <= kMaxPorts, "an operator has more ports than there are");
    }
    TensorRef tensors[kMaxPorts];
    std::size_t size;
    TensorRef& at(std::size_t port) {
      kernel::require(port < size, "an operator uses a port that it does not have");
      return tensors[port];
    }
  };

  TensorArena& arena_;
  std::uint32_t origin_;
  std::uint32_t schema_;
  std::uint64_t sequence_ = 0;
  std::uint64_t now_ns_ = 0;
  std::uint64_t data_from_ns_ = 0;  ///< when the oldest data that it uses came into the graph
  Ports inputs_;
  Ports outputs_;
  bool finished_ = false;
  bool goes_on_ = false;  ///< from one execution to the next
};

inline void Firing::send(std::size_t port, TensorRef tensor) {
  TensorRef& place = outputs_.at(port);
  kernel::require(tensor && !place, "an operator sends nothing, or a second tensor to one output");
  place = std::move(tensor);
}

/// Static storage.
struct OperatorKind {
  std::string_view name;  ///< "threshold"
  std::string_view help;  ///< one line
  std::uint8_t min_inputs = 0;
  std::uint8_t max_inputs = 0;
  std::uint8_t min_outputs = 0;
  std::uint8_t max_outputs = 0;
  std::span<const ParameterSpec> parameters = {};
  /// The code of a new operator. Errors: graph-bad-parameter, graph-no-memory, and the kind's own.
  std::expected<std::unique_ptr<OperatorCode>, kernel::NamedError> (*make)(const Parameters& parameters) = nullptr;
};

/// Where graphs find kinds by their names.
class KindTable {
 public:
  static constexpr std::size_t kMaxLists = 8;

  constexpr KindTable() = default;
  /// Adds kinds, of static storage; their names are not there yet. Before the first graph.
  void add(std::span<const OperatorKind> kinds);
  /// Null: there is none.
  [[nodiscard]] const OperatorKind* find(std::string_view name) const;
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const std::span<const OperatorKind> list : lists_) {
      for (const OperatorKind& kind : list) {
        visit(kind);
      }
    }
  }

 private:
  kernel::BoundedArray<std::span<const OperatorKind>, kMaxLists> lists_;
};

}  // namespace guest::graph
