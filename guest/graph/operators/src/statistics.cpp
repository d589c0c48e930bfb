#include "guest/graph/numeric/numeric.hpp"
#include "image.hpp"
#include "numbers.hpp"

namespace guest::graph {
namespace {

class Statistics final : public OperatorCode {
 public:
  explicit Statistics(std::uint32_t bins) : bins_(bins) {}

  kernel::Outcome fire(Firing& firing) override {
    const TensorRef& input = firing.input(0);
    if (const auto checked = check_numbers(0, input); !checked) {
      return checked;
    }
    auto made = firing.allocate(DType::F32,
                                {.rank = 1, .dims = {static_cast<std::uint32_t>(numeric::kSummaryNumbers) + bins_}});
    if (!made) {
      return std::unexpected(made.error());
    }
    numeric::statistics(elements(input), made->writable());
    firing.send(0, *std::move(made));
    return {};
  }

 private:
  std::uint32_t bins_;
};

}  // namespace

MadeOperator make_statistics(const Parameters& parameters) {
  return make_code<Statistics>(static_cast<std::uint32_t>(parameters.integer("bins")));
}

}  // namespace guest::graph
