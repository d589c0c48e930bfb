#include <algorithm>

#include "sinks.hpp"

namespace guest::graph {
namespace {

enum class Check : std::uint8_t { None, Sequence, Equal };

class Sink final : public OperatorCode {
 public:
  explicit Sink(Check check) : check_(check) {}

  void begin(std::uint64_t /*now_ns*/) override {
    for (Last& last : last_) {
      last = {};
    }
  }

  kernel::Outcome fire(Firing& firing) override {
    if (check_ == Check::Equal) {
      return check_equal(firing);
    }
    if (check_ == Check::Sequence) {
      for (std::size_t i = 0; i < firing.inputs(); ++i) {
        if (const auto checked = check_sequence(i, firing.input(i).info()); !checked) {
          return checked;
        }
      }
    }
    return {};
  }

 private:
  struct Last {
    bool is_known = false;
    std::uint32_t origin = 0;
    std::uint64_t sequence = 0;
  };

  /// The first tensor of a run may have any number.
  kernel::Outcome check_sequence(std::size_t port, const TensorInfo& info) {
    Last& last = last_[port];
    if (last.is_known && (info.origin != last.origin || info.sequence != last.sequence + 1)) {
      return kernel::fail("graph-sequence-gap", "input {}: expected tensor {} of operator {}, given {} of {}", port,
                          last.sequence + 1, last.origin, info.sequence, info.origin);
    }
    last = {.is_known = true, .origin = info.origin, .sequence = info.sequence};
    return {};
  }

  static kernel::Outcome check_equal(Firing& firing) {
    const TensorRef& first = firing.input(0);
    for (std::size_t i = 1; i < firing.inputs(); ++i) {
      const TensorRef& other = firing.input(i);
      if (other.info().dtype != first.info().dtype || other.info().shape != first.info().shape) {
        return bad_input(i, describe(first.info()).view(), other.info());
      }
      const auto [one, two] = std::ranges::mismatch(first.data(), other.data());
      if (one != first.data().end()) {
        return kernel::fail("graph-not-equal", "inputs 0 and {}, tensors {} and {}: byte {} is {} and {}", i,
                            first.info().sequence, other.info().sequence, one - first.data().begin(),
                            std::to_integer<unsigned>(*one), std::to_integer<unsigned>(*two));
      }
    }
    return {};
  }

  Check check_;
  Last last_[kMaxPorts];
};

}  // namespace

MadeOperator make_sink(const Parameters& parameters) {
  const std::string_view check = parameters.text("check");
  return make_code<Sink>(check == "equal" ? Check::Equal : check == "sequence" ? Check::Sequence : Check::None);
}

}  // namespace guest::graph
