// Any bytes: a model that is accepted can be run, and what it computes are finite numbers.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "../src/bytes.hpp"
#include "../src/mlp_model.hpp"

namespace {

using namespace guest::graph;

std::vector<std::byte> run(const MlpModel& model) {
  std::vector<std::byte> values(model.inputs() * sizeof(float));
  for (std::uint32_t i = 0; i < model.inputs(); ++i) {
    store(std::span(values), i * sizeof(float), static_cast<float>(i % 5) / 4);
  }
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    std::vector<std::byte> next(model.layers[i].outputs * sizeof(float));
    numeric::run_layer(model.layers[i], i + 1 < model.layers.size(), values, next);
    values = next;
  }
  return values;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto model = read_mlp(std::as_bytes(std::span(data, size)));
  if (!model) {
    return model.error().name == "graph-bad-model" && !model.error().detail.view().empty() ? 0 : (std::abort(), 0);
  }
  const std::vector<std::byte> values = run(*model);
  for (std::uint32_t i = 0; i < model->classes(); ++i) {
    if (!is_finite_f32(load<std::uint32_t>(values, i * sizeof(float)))) {
      std::abort();
    }
  }
  if (numeric::largest(values) >= model->classes()) {
    std::abort();
  }
  return 0;
}
