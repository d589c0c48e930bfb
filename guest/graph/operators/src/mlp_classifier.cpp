#include "mlp_classifier.hpp"

#include "bytes.hpp"
#include "files.hpp"
#include "mlp_model.hpp"
#include "patterns_model.hpp"

namespace guest::graph {
namespace {

constexpr std::size_t kFloatBytes = sizeof(std::uint32_t);

class MlpClassifier final : public OperatorCode {
 public:
  /// `memory`: room for the inputs as f32, and for the outputs of two layers.
  MlpClassifier(const MlpModel& model, std::unique_ptr<std::byte[]> memory)
      : model_(model), memory_(std::move(memory)) {}

  static std::size_t memory_for(const MlpModel& model) {
    return kFloatBytes * (model.inputs() + 2 * std::size_t{MlpModel::kMaxOutputs});
  }

  kernel::Outcome fire(Firing& firing) override {
    const TensorRef& input = firing.input(0);
    const TensorInfo& info = input.info();
    if ((info.dtype != DType::U8 && info.dtype != DType::F32) || elements_of(info) != model_.inputs()) {
      kernel::FixedText<64> expected;
      kernel::format_to(expected, "{} elements of u8 or f32", model_.inputs());
      return bad_input(0, expected.view(), info);
    }
    if (const auto checked = check_finite(0, input); !checked) {
      return checked;
    }
    auto label = firing.allocate(DType::U32, {.rank = 1, .dims = {1}});
    if (!label) {
      return std::unexpected(label.error());
    }
    const std::span<const std::byte> scores = run(input);
    store(label->writable(), 0, numeric::largest(scores));
    if (firing.outputs() > 1) {
      auto made = firing.allocate(DType::F32, {.rank = 1, .dims = {model_.classes()}});
      if (!made) {
        return std::unexpected(made.error());
      }
      kernel::require(made->arena()->write(*made, 0, scores) == kernel::Status::Ok, "scores do not fit");
      firing.send(1, *std::move(made));
    }
    firing.send(0, *std::move(label));
    return {};
  }

 private:
  std::span<const std::byte> run(const TensorRef& input) {
    const std::span<std::byte> first(memory_.get(), kFloatBytes * std::size_t{model_.inputs()});
    std::span<const std::byte> from = input.data();
    if (input.info().dtype == DType::U8) {
      numeric::scale_bytes(from, first);
      from = first;
    }
    std::byte* const rest = memory_.get() + first.size();
    for (std::size_t i = 0; i < model_.layers.size(); ++i) {
      // Each layer writes where the one before it did not.
      const std::span<std::byte> to(rest + (i % 2) * kFloatBytes * MlpModel::kMaxOutputs,
                                    kFloatBytes * std::size_t{model_.layers[i].outputs});
      numeric::run_layer(model_.layers[i], i + 1 < model_.layers.size(), from, to);
      from = to;
    }
    return from;
  }

  MlpModel model_;
  std::unique_ptr<std::byte[]> memory_;
};

std::expected<std::span<const std::byte>, kernel::NamedError> find_model(const Parameters& parameters) {
  if (!parameters.has("file")) {
    return std::as_bytes(std::span(kPatternsModel));
  }
  if (parameters.has("model")) {
    return kernel::fail("graph-bad-parameter", "parameters 'file' and 'model' exclude each other");
  }
  return find_file(parameters.text("file"));
}

}  // namespace

MadeOperator make_mlp_classifier(const Parameters& parameters) {
  const auto file = find_model(parameters);
  if (!file) {
    return std::unexpected(file.error());
  }
  const auto model = read_mlp(*file);
  if (!model) {
    return kernel::fail(model.error().name, "file '{}': {}", kernel::escaped(parameters.text("file")),
                        model.error().detail.view());
  }
  const std::size_t bytes = MlpClassifier::memory_for(*model);
  std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[bytes]);
  if (memory == nullptr) {
    return kernel::fail("graph-no-memory", "no {} bytes for what the layers compute", bytes);
  }
  return make_code<MlpClassifier>(*model, std::move(memory));
}

}  // namespace guest::graph
