// A network: tensors, and the layers between them, in the order in which they run. It is put together layer by layer,
// and each is checked against the tensors that it takes when it is added; what it becomes is a command of the NPU each.
//
//   const auto network = Network::make(batch);
//   const auto image = (*network)->input({.type = U8, .shape = {32, 32, 1}});
//   const auto numbers = (*network)->convert(*image, Type::I8);
//   const auto features = (*network)->conv2d(*numbers, weights, 8, {.kernel_height = 3, ...}, {...});
//   ...
//   Inference::make(npu, **network)            inference.hpp
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string_view>

#include "abi/npu.hpp"
#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/ml/tensor.hpp"

namespace guest::ml {

/// A tensor of a network: what add a layer returns. Of the network that returned it.
struct Value {
  std::uint16_t index = 0;
};

/// What a layer computes with, of floats or of i8. Dense and conv2d: weight [outputs, inputs], of convolutions with a
/// row of [kernel height, kernel width, channels]; depthwise: [kernel height * kernel width, outputs].
struct Weights {
  Constant weight;
  Constant bias = {};  ///< [outputs] of f32, or of i32 where the weight is i8; or none
  /// Of i8: i32 each, one for each output or one for all (docs/npu.md, Requantisation).
  Constant multipliers = {};
  Constant shifts = {};
};

/// How the result of a layer is bounded, and what it stands for.
struct Result {
  Quantisation quantisation = {};  ///< of i8
  /// Of f32 with `clamp`: bits of f32. Of i8: values of i8, and `clamp` does not matter.
  std::int32_t min = -128;
  std::int32_t max = 127;
  bool clamp = false;
};

/// What a convolution or a pool looks at, in elements. Taps in the padding count for nothing.
struct Window {
  std::uint32_t kernel_height = 1;
  std::uint32_t kernel_width = 1;
  std::uint32_t step_height = 1;
  std::uint32_t step_width = 1;
  std::uint32_t pad_top = 0;
  std::uint32_t pad_left = 0;
  std::uint32_t pad_bottom = 0;
  std::uint32_t pad_right = 0;
  std::uint32_t dilation = 1;  ///< not of pools
};

/// Errors of all that add a layer: ml-bad-shape and ml-bad-type, which name what the tensor is and what the layer
/// wants; ml-bad-weights, the same of constants; ml-full. Then the network is as it was.
class Network {
 public:
  static constexpr std::size_t kMaxLayers = 48;
  static constexpr std::size_t kMaxTensors = kMaxLayers + 4;
  static constexpr std::size_t kMaxConstants = 4 * kMaxLayers;
  using Added = std::expected<Value, kernel::NamedError>;

  /// `batch`: examples that are computed at once, 1 to kMaxBatch. Errors: ml-bad-shape, ml-no-memory.
  static std::expected<std::unique_ptr<Network>, kernel::NamedError> make(std::uint32_t batch = 1);

  /// A tensor that comes from outside.
  Added input(const TensorType& type);

  /// out[n] = sum over all elements of `in` of in * weight[n] + bias[n]. `in` f32 with weights f32, f16, q8_0 or q4_0;
  /// or i8 with weights i8. Whatever its shape, `in` is a vector here.
  Added dense(Value in, const Weights& weights, std::uint32_t outputs, const Result& result);
  Added conv2d(Value in, const Weights& weights, std::uint32_t outputs, const Window& window, const Result& result);
  /// `outputs` is a multiple of the input's channels.
  Added depthwise(Value in, const Weights& weights, std::uint32_t outputs, const Window& window, const Result& result);
  /// f32 or i8, bounded by `result` where it is i8; the quantisation stays.
  Added max_pool(Value in, const Window& window, const Result& result = {});
  Added average_pool(Value in, const Window& window, const Result& result = {});
  /// f32, or i8: no element is below what stands for 0.
  Added relu(Value in);
  /// f32, over all elements of an example.
  Added softmax(Value in);
  /// f32 or i8: the index of the largest element, i32 [1]; the first one of those that are equal.
  Added argmax(Value in);
  /// To another type (docs/npu.md, Copy). From f32 to an integer by `quantisation`, from an integer to f32 by the
  /// tensor's own. From u8 to i8 and back the number that an element stands for stays.
  Added convert(Value in, abi::npu::Type to, const Quantisation& quantisation = {});

  [[nodiscard]] std::uint32_t batch() const { return batch_; }
  [[nodiscard]] const TensorType& type_of(Value value) const { return tensors_[value.index]; }
  /// Of all examples together.
  [[nodiscard]] std::uint64_t bytes_of(Value value) const;

  // ---- for who makes commands of it

  /// `command` has everything but its operands' places.
  struct Layer {
    static constexpr std::int16_t kNone = -1;
    std::string_view name;  ///< "conv2d"
    abi::npu::Command command{};
    /// Which of tensors() or of constants() each operand is.
    std::array<std::int16_t, abi::npu::kMaxOperands> tensors{kNone, kNone, kNone, kNone, kNone, kNone};
    std::array<std::int16_t, abi::npu::kMaxOperands> constants{kNone, kNone, kNone, kNone, kNone, kNone};
  };
  [[nodiscard]] std::span<const TensorType> tensors() const { return {tensors_.begin(), tensors_.size()}; }
  [[nodiscard]] std::span<const Constant> constants() const { return {constants_.begin(), constants_.size()}; }
  [[nodiscard]] std::span<const Layer> layers() const { return {layers_.begin(), layers_.size()}; }

 private:
  explicit Network(std::uint32_t batch) : batch_(batch) {}
  Added convolve(Layer& layer, Value in, const Weights& weights, std::uint32_t outputs, const Window& window,
                 const Result& result);
  Added pool(Layer& layer, Value in, const Window& window, const Result& result);
  Added add(Layer& layer, Value in, const TensorType& out, const Weights& weights = {});
  [[nodiscard]] kernel::FixedText<48> where(const Layer& layer) const;

  const std::uint32_t batch_;
  kernel::BoundedArray<TensorType, kMaxTensors> tensors_;
  kernel::BoundedArray<Constant, kMaxConstants> constants_;
  kernel::BoundedArray<Layer, kMaxLayers> layers_;
};

}  // namespace guest::ml
