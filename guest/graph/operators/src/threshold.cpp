#include "guest/graph/numeric/numeric.hpp"
#include "image.hpp"
#include "numbers.hpp"

namespace guest::graph {
namespace {

class Threshold final : public OperatorCode {
 public:
  explicit Threshold(const Parameters& parameters)
      : level_(parameters.integer("level")), divisor_(parameters.integer("divisor")) {}

  kernel::Outcome fire(Firing& firing) override {
    TensorRef input = std::move(firing.input(0));
    if (const auto checked = check_numbers(0, input); !checked) {
      return checked;
    }
    const numeric::Elements numbers = elements(input);
    const Shape shape = input.info().shape;
    if (input.unique()) {
      numeric::threshold(numbers, level_, divisor_, input.writable());
      kernel::require(input.reshape(DType::U8, shape) == kernel::Status::Ok, "bytes need more room than numbers");
      firing.claim(input);
      firing.send(0, std::move(input));
      return {};
    }
    auto made = firing.allocate(DType::U8, shape);
    if (!made) {
      return std::unexpected(made.error());
    }
    numeric::threshold(numbers, level_, divisor_, made->writable());
    firing.send(0, *std::move(made));
    return {};
  }

 private:
  std::int64_t level_;
  std::int64_t divisor_;
};

}  // namespace

MadeOperator make_threshold(const Parameters& parameters) { return make_code<Threshold>(parameters); }

}  // namespace guest::graph
