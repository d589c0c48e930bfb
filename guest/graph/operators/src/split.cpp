#include "routing.hpp"

namespace guest::graph {
namespace {

class Split final : public OperatorCode {
 public:
  explicit Split(const Parameters& parameters) : shares_(parameters.text("mode") == "share") {}

  void begin(std::uint64_t /*now_ns*/) override { next_ = 0; }

  kernel::Outcome fire(Firing& firing) override {
    TensorRef tensor = std::move(firing.input(0));
    if (!shares_) {
      firing.send(next_, std::move(tensor));
      next_ = next_ + 1 == firing.outputs() ? 0 : next_ + 1;
      return {};
    }
    for (std::size_t i = 1; i < firing.outputs(); ++i) {
      firing.send(i, tensor.share());
    }
    firing.send(0, std::move(tensor));
    return {};
  }

 private:
  bool shares_;
  std::size_t next_ = 0;
};

}  // namespace

MadeOperator make_split(const Parameters& parameters) { return make_code<Split>(parameters); }

}  // namespace guest::graph
