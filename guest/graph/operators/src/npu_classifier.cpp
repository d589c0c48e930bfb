#include "npu_classifier.hpp"

#include "files.hpp"
#include "guest/ml/inference.hpp"
#include "guest/ml/model.hpp"
#include "npu_region.hpp"

namespace guest::graph {
namespace {

using abi::npu::Type;

/// A model, ready to run on tensors of one type.
struct Ready {
  ml::Classifier classifier;  ///< without its network
  std::unique_ptr<ml::Inference> inference;
  ml::TensorType input;
};

std::expected<Ready, kernel::NamedError> prepare(std::span<const std::byte> file, Type input) {
  auto classifier = ml::read_classifier(file, {.input = input});
  if (!classifier) {
    return std::unexpected(classifier.error());
  }
  auto inference = ml::Inference::make(npu::npu(), *classifier->network);
  if (!inference) {
    return std::unexpected(inference.error());
  }
  (*inference)->job().options.deadline_ns = kNoDeadline;
  Ready ready = {
      .classifier = {}, .inference = *std::move(inference), .input = classifier->network->type_of(classifier->input)};
  ready.classifier = *std::move(classifier);
  ready.classifier.network.reset();
  return ready;
}

class NpuClassifier final : public OperatorCode {
 public:
  /// `file` outlives it; `bytes`: its model for u8. `as_image`: a tensor's shape matters.
  NpuClassifier(std::span<const std::byte> file, Ready bytes, bool as_image)
      : file_(file), as_image_(as_image), of_bytes_(std::move(bytes)) {}

  kernel::Outcome fire(Firing& firing) override {
    const TensorRef& input = firing.input(0);
    if (!fits(input.info())) {
      return refuse(input.info());
    }
    const auto ready = ready_for(input.info().dtype);
    if (!ready) {
      return std::unexpected(ready.error());
    }
    auto label = firing.allocate(DType::U32, {.rank = 1, .dims = {1}});
    if (!label) {
      return std::unexpected(label.error());
    }
    TensorRef scores;
    if (firing.outputs() > 1) {
      auto made = firing.allocate(DType::F32, {.rank = 1, .dims = {of_bytes_.classifier.classes}});
      if (!made) {
        return std::unexpected(made.error());
      }
      scores = *std::move(made);
    }
    if (const kernel::Outcome ran = run(**ready, input, *label, scores); !ran) {
      return ran;
    }
    firing.send(0, *std::move(label));
    if (scores) {
      firing.send(1, std::move(scores));
    }
    return {};
  }

 private:
  [[nodiscard]] bool fits(const TensorInfo& info) const {
    const ml::Shape& wanted = of_bytes_.input.shape;
    if (info.dtype != DType::U8 && info.dtype != DType::F32) {
      return false;
    }
    if (!as_image_) {
      return elements_of(info) == wanted.elements();
    }
    const auto grid = grid_of(info);
    return grid && grid->height == wanted.height && grid->width == wanted.width && grid->channels == wanted.channels;
  }

  [[nodiscard]] std::unexpected<kernel::NamedError> refuse(const TensorInfo& info) const {
    const ml::Shape& wanted = of_bytes_.input.shape;
    kernel::FixedText<64> expected;
    if (as_image_) {
      kernel::format_to(expected, "u8 or f32 [{}, {}, {}]", wanted.height, wanted.width, wanted.channels);
    } else {
      kernel::format_to(expected, "{} elements of u8 or f32", wanted.elements());
    }
    return bad_input(0, expected.view(), info);
  }

  /// The model for tensors of `dtype`; that of f32 is made when the first one comes.
  std::expected<Ready*, kernel::NamedError> ready_for(DType dtype) {
    if (dtype == DType::U8) {
      return &of_bytes_;
    }
    if (of_floats_.inference == nullptr) {
      auto made = prepare(file_, Type::F32);
      if (!made) {
        return std::unexpected(made.error());
      }
      of_floats_ = *std::move(made);
    }
    return &of_floats_;
  }

  kernel::Outcome run(const Ready& ready, const TensorRef& input, const TensorRef& label, const TensorRef& scores) {
    const struct {
      const TensorRef& tensor;
      ml::Value value;
    } places[] = {{.tensor = input, .value = ready.classifier.input},
                  {.tensor = label, .value = ready.classifier.label},
                  {.tensor = scores, .value = ready.classifier.scores}};
    for (const auto& each : places) {
      if (!each.tensor) {
        continue;  // computed all the same, where nobody looks
      }
      const auto place = region_.place_of(each.tensor);
      if (!place) {
        return std::unexpected(place.error());
      }
      ready.inference->place(each.value, *place);
    }
    return ready.inference->run();
  }

  std::span<const std::byte> file_;
  bool as_image_;
  NpuRegion region_;
  Ready of_bytes_;
  Ready of_floats_;
};

std::expected<std::span<const std::byte>, kernel::NamedError> find_model(const Parameters& parameters) {
  if (!parameters.has("file")) {
    return ml::builtin_model(parameters.text("model"));
  }
  if (parameters.has("model")) {
    return kernel::fail("graph-bad-parameter", "parameters 'file' and 'model' exclude each other");
  }
  return find_file(parameters.text("file"));
}

MadeOperator make_classifier(const Parameters& parameters, bool as_image) {
  const auto file = find_model(parameters);
  if (!file) {
    return std::unexpected(file.error());
  }
  auto ready = prepare(*file, Type::U8);
  if (!ready && parameters.has("file")) {
    return kernel::fail(ready.error().name, "file '{}': {}", kernel::escaped(parameters.text("file")),
                        ready.error().detail.view());
  }
  if (!ready) {
    return std::unexpected(ready.error());
  }
  if (ready->classifier.has_windows != as_image) {
    return kernel::fail("graph-bad-model", "model '{}' has {}: {} runs it", ready->classifier.name.view(),
                        as_image ? "dense layers only" : "convolutions or pools", as_image ? "npu.mlp" : "npu.conv");
  }
  return make_code<NpuClassifier>(*file, *std::move(ready), as_image);
}

}  // namespace

MadeOperator make_npu_mlp(const Parameters& parameters) { return make_classifier(parameters, false); }
MadeOperator make_npu_conv(const Parameters& parameters) { return make_classifier(parameters, true); }

}  // namespace guest::graph
