// The kernel's own networks with images that a program draws, for mldemo, infdemo and ai_bench.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string_view>

#include "guest/graph/operators/pattern.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/ml/inference.hpp"
#include "guest/ml/model.hpp"

namespace guest::control {

/// Names of the models, as a Choice of arguments.
inline constexpr std::string_view kModels = "patterns|shapes";

/// A model that is ready to run. In threads, one at a time.
class DemoModel {
 public:
  /// `name` is one of kModels; `npu` outlives it. Errors: those of the model, and of its inference.
  static std::expected<std::unique_ptr<DemoModel>, kernel::NamedError> load(std::string_view name, npu::Npu& npu);

  /// Draws image `number`, which training has not seen, as the model's input.
  void show(std::uint64_t number);
  /// What it showed, u8 [side, side].
  [[nodiscard]] std::span<const std::byte> image() const { return {image_.get(), std::size_t{side_} * side_}; }
  [[nodiscard]] std::uint32_t side() const { return side_; }
  /// Its true class.
  [[nodiscard]] std::uint32_t label() const { return label_; }

  [[nodiscard]] ml::Inference& inference() { return *inference_; }
  [[nodiscard]] const ml::Inference& inference() const { return *inference_; }
  [[nodiscard]] const ml::Network& network() const { return *classifier_.network; }
  [[nodiscard]] const ml::TensorType& input() const { return network().type_of(classifier_.input); }
  /// After a run: the class that it found, and the bits of each class' score.
  [[nodiscard]] std::uint32_t found() const;
  [[nodiscard]] std::uint32_t score_bits(std::uint32_t index) const;
  [[nodiscard]] std::uint32_t classes() const { return classifier_.classes; }
  /// "circle"; a number where it has no name.
  [[nodiscard]] kernel::FixedText<16> class_name(std::uint32_t index) const;

 private:
  DemoModel() = default;

  ml::Classifier classifier_;
  std::unique_ptr<ml::Inference> inference_;
  graph::Pattern pattern_ = graph::Pattern::Cycle;
  std::uint32_t max_noise_ = 0;
  std::unique_ptr<std::byte[]> image_;
  std::uint32_t side_ = 0;
  std::uint32_t label_ = 0;
  std::span<const std::string_view> names_;
};

/// A number of f32, rounded to thousandths towards 0; nothing for what is no number or too large.
std::optional<std::int64_t> to_thousandths(std::uint32_t bits);

}  // namespace guest::control
