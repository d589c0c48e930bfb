#include "guest/graph/numeric/numeric.hpp"
#include "image.hpp"
#include "numbers.hpp"

namespace guest::graph {
namespace {

using Normalise = void (*)(const numeric::Elements& from, std::span<std::byte> to);

/// In place where the input is f32 and nobody else has it.
class Normaliser final : public OperatorCode {
 public:
  explicit Normaliser(Normalise method) : method_(method) {}

  kernel::Outcome fire(Firing& firing) override {
    TensorRef input = std::move(firing.input(0));
    if (const auto checked = check_numbers(0, input); !checked) {
      return checked;
    }
    if (input.info().dtype == DType::F32 && input.unique()) {
      method_(elements(input), input.writable());
      firing.claim(input);
      firing.send(0, std::move(input));
      return {};
    }
    auto made = firing.allocate(DType::F32, input.info().shape);
    if (!made) {
      return std::unexpected(made.error());
    }
    method_(elements(input), made->writable());
    firing.send(0, *std::move(made));
    return {};
  }

 private:
  Normalise method_;
};

}  // namespace

MadeOperator make_normalise(const Parameters& parameters) {
  return make_code<Normaliser>(parameters.text("method") == "range" ? numeric::normalise_range
                                                                    : numeric::normalise_mean_std);
}

}  // namespace guest::graph
