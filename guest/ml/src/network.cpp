#include "guest/ml/network.hpp"

#include <new>

#include "abi/npu_commands.hpp"
#include "weights.hpp"

namespace guest::ml {
namespace {

namespace dim = abi::npu::dim;
namespace operand = abi::npu::operand;
namespace param = abi::npu::param;
using abi::npu::Opcode;
using abi::npu::Type;
using kernel::fail;

constexpr std::string_view kBadShape = "ml-bad-shape";
constexpr std::string_view kBadType = "ml-bad-type";

Network::Layer layer_of(std::string_view name, Opcode opcode) {
  Network::Layer layer{.name = name};
  layer.command.opcode = static_cast<std::uint16_t>(opcode);
  return layer;
}

std::uint32_t word(std::int32_t value) { return static_cast<std::uint32_t>(value); }

/// How the result of a layer with weights is bounded.
void set_result(abi::npu::Command& command, const TensorType& from, const Result& result) {
  if (from.type == Type::I8) {
    command.params[param::kZeroIn] = word(from.quantisation.zero);
    command.params[param::kZeroOut] = word(result.quantisation.zero);
  }
  if (from.type == Type::I8 || result.clamp) {
    command.params[param::kMin] = word(result.min);
    command.params[param::kMax] = word(result.max);
  }
  if (from.type != Type::I8 && result.clamp) {
    command.flags = command.flags | abi::npu::command_flag::kClamp;
  }
}

/// The type of what such a layer makes.
TensorType result_of(const TensorType& from, const Shape& shape, const Result& result) {
  return {
      .type = from.type, .shape = shape, .quantisation = from.type == Type::I8 ? result.quantisation : Quantisation{}};
}

bool is_shape(const Shape& shape) {
  return shape.height >= 1 && shape.height <= kMaxSide && shape.width >= 1 && shape.width <= kMaxSide &&
         shape.channels >= 1 && shape.channels <= kMaxChannels;
}

struct Axis {
  std::uint32_t size;
  std::uint32_t kernel;
  std::uint32_t step;
  std::uint32_t before;
  std::uint32_t after;
};

/// How often a window fits; 0: it does not, or is none.
std::uint32_t positions(const Axis& axis, std::uint32_t dilation) {
  if (axis.kernel == 0 || axis.step == 0 || dilation == 0 || axis.kernel > kMaxSide || dilation > kMaxSide) {
    return 0;
  }
  const std::uint64_t reach = std::uint64_t{axis.kernel - 1} * dilation;
  const std::uint64_t whole = std::uint64_t{axis.size} + axis.before + axis.after;
  if (axis.before > reach || axis.after > reach || whole <= reach) {
    return 0;
  }
  return static_cast<std::uint32_t>((whole - reach - 1) / axis.step + 1);
}

/// Where the windows lie in an image of `shape`: height and width of what comes out, or 0.
Shape windows_of(const Shape& shape, const Window& window, std::uint32_t outputs) {
  return {.height = positions({.size = shape.height,
                               .kernel = window.kernel_height,
                               .step = window.step_height,
                               .before = window.pad_top,
                               .after = window.pad_bottom},
                              window.dilation),
          .width = positions({.size = shape.width,
                              .kernel = window.kernel_width,
                              .step = window.step_width,
                              .before = window.pad_left,
                              .after = window.pad_right},
                             window.dilation),
          .channels = outputs};
}

void set_window(abi::npu::Command& command, std::uint32_t batch, const Shape& from, const Shape& to,
                const Window& window) {
  const auto set = [&](unsigned index, std::uint32_t value) { command.dims[index] = value; };
  set(dim::image::kBatch, batch);
  set(dim::image::kHeight, from.height);
  set(dim::image::kWidth, from.width);
  set(dim::image::kChannels, from.channels);
  set(dim::image::kOutHeight, to.height);
  set(dim::image::kOutWidth, to.width);
  set(dim::image::kKernelHeight, window.kernel_height);
  set(dim::image::kKernelWidth, window.kernel_width);
  set(dim::image::kStrideHeight, window.step_height);
  set(dim::image::kStrideWidth, window.step_width);
  command.params[param::kPadTop] = window.pad_top;
  command.params[param::kPadLeft] = window.pad_left;
}

std::unexpected<kernel::NamedError> no_windows(std::string_view where, const TensorType& from, const Window& window) {
  return fail(kBadShape, "{}: a window of {} by {}, padded by {}, {}, {}, {}, does not fit in {}", where,
              window.kernel_height, window.kernel_width, window.pad_top, window.pad_left, window.pad_bottom,
              window.pad_right, describe(from).view());
}

/// A command over the rows of a batch.
void set_rows(abi::npu::Command& command, std::uint32_t batch, std::uint64_t elements) {
  command.dims[dim::kRows] = batch;
  command.dims[dim::kColumns] = static_cast<std::uint32_t>(elements);
}

bool converts(Type from, Type to) {
  const auto is_integer = [](Type type) { return type == Type::I8 || type == Type::U8 || type == Type::I32; };
  return (from == Type::F32 && (is_integer(to) || to == Type::F16)) ||
         (to == Type::F32 && (is_integer(from) || from == Type::F16)) || (from == Type::U8 && to == Type::I8) ||
         (from == Type::I8 && to == Type::U8);
}

}  // namespace

std::expected<std::unique_ptr<Network>, kernel::NamedError> Network::make(std::uint32_t batch) {
  if (batch == 0 || batch > kMaxBatch) {
    return fail(kBadShape, "a batch of {} examples: expected 1 to {}", batch, kMaxBatch);
  }
  std::unique_ptr<Network> network(new (std::nothrow) Network(batch));
  if (network == nullptr) {
    return fail("ml-no-memory", "no {} bytes for a network", sizeof(Network));
  }
  return network;
}

std::uint64_t Network::bytes_of(Value value) const {
  const TensorType& type = type_of(value);
  return *ml::bytes_of(type.type, batch_, type.shape.elements());
}

kernel::FixedText<48> Network::where(const Layer& layer) const {
  kernel::FixedText<48> text;
  kernel::format_to(text, "layer {} ({})", layers_.size(), layer.name);
  return text;
}

Network::Added Network::input(const TensorType& type) {
  const bool is_byte = type.type == Type::U8 || type.type == Type::I8;
  const std::int32_t least = type.type == Type::U8 ? 0 : -128;
  if (is_byte && (type.quantisation.zero < least || type.quantisation.zero > least + 255)) {
    return fail(kBadType, "an input of {} whose zero point is {}: expected {} to {}", to_string(type.type),
                type.quantisation.zero, least, least + 255);
  }
  if (!is_shape(type.shape) || type.shape.elements() > abi::npu::kMaxDim ||
      !ml::bytes_of(type.type, batch_, type.shape.elements())) {
    return fail(kBadShape, "an input of {}: expected sides of 1 to {}, 1 to {} channels, {} elements together",
                describe(type).view(), kMaxSide, kMaxChannels, abi::npu::kMaxDim);
  }
  if (!tensors_.push_back(type)) {
    return fail("ml-full", "a network has at most {} tensors", kMaxTensors);
  }
  return Value{static_cast<std::uint16_t>(tensors_.size() - 1)};
}

Network::Added Network::add(Layer& layer, Value in, const TensorType& out, const Weights& weights) {
  if (!is_shape(out.shape) || out.shape.elements() > abi::npu::kMaxDim) {
    return fail(kBadShape, "{}: makes {}: expected sides of 1 to {}, 1 to {} channels, {} elements together",
                where(layer).view(), describe(out).view(), kMaxSide, kMaxChannels, abi::npu::kMaxDim);
  }
  if (layers_.full() || tensors_.full() || constants_.size() + kWeightOperands.size() > kMaxConstants) {
    return fail("ml-full", "a network has at most {} layers and {} tensors", kMaxLayers, kMaxTensors);
  }
  for (const WeightOperand& kind : kWeightOperands) {
    if (const Constant& constant = weights.*kind.member; !constant.bytes.empty()) {
      layer.constants[kind.operand] = static_cast<std::int16_t>(constants_.size());
      layer.command.types[kind.operand] = static_cast<std::uint8_t>(constant.type);
      kernel::require(constants_.push_back(constant), "a network has no room for a constant");
    }
  }
  const Value value{static_cast<std::uint16_t>(tensors_.size())};
  layer.tensors[operand::kOutput] = static_cast<std::int16_t>(value.index);
  layer.tensors[operand::kInput] = static_cast<std::int16_t>(in.index);
  layer.command.types[operand::kOutput] = static_cast<std::uint8_t>(out.type);
  layer.command.types[operand::kInput] = static_cast<std::uint8_t>(type_of(in).type);
  kernel::require(tensors_.push_back(out) && layers_.push_back(layer), "a network has no room for a layer");
  return value;
}

Network::Added Network::dense(Value in, const Weights& weights, std::uint32_t outputs, const Result& result) {
  Layer layer = layer_of("dense", Opcode::Gemm);
  const TensorType& from = type_of(in);
  if (const auto fit = check_weights(where(layer).view(), from,
                                     {.rows = outputs, .columns = from.shape.elements(), .outputs = outputs}, weights);
      !fit) {
    return std::unexpected(fit.error());
  }
  set_rows(layer.command, batch_, outputs);
  layer.command.dims[dim::kInner] = static_cast<std::uint32_t>(from.shape.elements());
  layer.command.flags = per_tensor_flag(weights, outputs);
  set_result(layer.command, from, result);
  return add(layer, in, result_of(from, {.channels = outputs}, result), weights);
}

Network::Added Network::conv2d(Value in, const Weights& weights, std::uint32_t outputs, const Window& window,
                               const Result& result) {
  Layer layer = layer_of("conv2d", Opcode::Conv2d);
  return convolve(layer, in, weights, outputs, window, result);
}

Network::Added Network::depthwise(Value in, const Weights& weights, std::uint32_t outputs, const Window& window,
                                  const Result& result) {
  Layer layer = layer_of("depthwise", Opcode::DepthwiseConv2d);
  const std::uint32_t channels = type_of(in).shape.channels;
  if (outputs == 0 || outputs % channels != 0) {
    return fail(kBadShape, "{}: {} outputs of {}: expected a multiple of its channels", where(layer).view(), outputs,
                describe(type_of(in)).view());
  }
  return convolve(layer, in, weights, outputs, window, result);
}

Network::Added Network::convolve(Layer& layer, Value in, const Weights& weights, std::uint32_t outputs,
                                 const Window& window, const Result& result) {
  const TensorType& from = type_of(in);
  const Shape to = windows_of(from.shape, window, outputs);
  if (to.height == 0 || to.width == 0) {
    return no_windows(where(layer).view(), from, window);
  }
  // Each is at most kMaxSide, or kMaxChannels.
  const std::uint64_t taps = std::uint64_t{window.kernel_height} * window.kernel_width;
  const bool is_depthwise = layer.command.opcode == static_cast<std::uint16_t>(Opcode::DepthwiseConv2d);
  const WeightShape shape = {.rows = is_depthwise ? taps : outputs,
                             .columns = is_depthwise ? outputs : taps * from.shape.channels,
                             .outputs = outputs,
                             .is_convolution = true};
  if (const auto fit = check_weights(where(layer).view(), from, shape, weights); !fit) {
    return std::unexpected(fit.error());
  }
  set_window(layer.command, batch_, from.shape, to, window);
  layer.command.dims[dim::image::kOutChannels] = outputs;
  layer.command.dims[dim::image::kDilation] = window.dilation;
  layer.command.flags = per_tensor_flag(weights, outputs);
  set_result(layer.command, from, result);
  return add(layer, in, result_of(from, to, result), weights);
}

Network::Added Network::max_pool(Value in, const Window& window, const Result& result) {
  Layer layer = layer_of("max-pool", Opcode::MaxPool);
  return pool(layer, in, window, result);
}

Network::Added Network::average_pool(Value in, const Window& window, const Result& result) {
  Layer layer = layer_of("average-pool", Opcode::AvgPool);
  return pool(layer, in, window, result);
}

Network::Added Network::relu(Value in) {
  const TensorType& from = type_of(in);
  if (from.type == Type::I8) {
    // The maximum of one element that is bounded: the NPU's Relu is of f32.
    Layer layer = layer_of("relu", Opcode::MaxPool);
    return pool(layer, in, {}, {.min = from.quantisation.zero});
  }
  Layer layer = layer_of("relu", Opcode::Relu);
  if (from.type != Type::F32) {
    return fail(kBadType, "{}: expected f32 or i8, given {}", where(layer).view(), describe(from).view());
  }
  set_rows(layer.command, batch_, from.shape.elements());
  return add(layer, in, from);
}

Network::Added Network::pool(Layer& layer, Value in, const Window& window, const Result& result) {
  const TensorType& from = type_of(in);
  if (from.type != Type::F32 && from.type != Type::I8) {
    return fail(kBadType, "{}: expected f32 or i8, given {}", where(layer).view(), describe(from).view());
  }
  const Shape to = windows_of(from.shape, window, from.shape.channels);
  if (to.height == 0 || to.width == 0 || window.dilation != 1) {
    return no_windows(where(layer).view(), from, window);
  }
  set_window(layer.command, batch_, from.shape, to, window);
  if (from.type == Type::I8) {
    layer.command.params[param::kMin] = word(result.min);
    layer.command.params[param::kMax] = word(result.max);
  }
  return add(layer, in, {.type = from.type, .shape = to, .quantisation = from.quantisation});
}

Network::Added Network::softmax(Value in) {
  Layer layer = layer_of("softmax", Opcode::Softmax);
  const TensorType& from = type_of(in);
  if (from.type != Type::F32) {
    return fail(kBadType, "{}: expected f32, given {}", where(layer).view(), describe(from).view());
  }
  set_rows(layer.command, batch_, from.shape.elements());
  layer.command.params[param::kScale] = bits_of(F32::One);
  return add(layer, in, from);
}

Network::Added Network::argmax(Value in) {
  Layer layer = layer_of("argmax", Opcode::ArgMax);
  const TensorType& from = type_of(in);
  if (from.type != Type::F32 && from.type != Type::I8) {
    return fail(kBadType, "{}: expected f32 or i8, given {}", where(layer).view(), describe(from).view());
  }
  set_rows(layer.command, batch_, from.shape.elements());
  return add(layer, in, {.type = Type::I32});
}

Network::Added Network::convert(Value in, Type to, const Quantisation& quantisation) {
  Layer layer = layer_of("convert", Opcode::Copy);
  const TensorType& from = type_of(in);
  if (!converts(from.type, to)) {
    return fail(kBadType, "{}: {} does not become {}", where(layer).view(), describe(from).view(), to_string(to));
  }
  set_rows(layer.command, batch_, from.shape.elements());
  TensorType out = {.type = to, .shape = from.shape};
  if (from.type == Type::F32 || to == Type::F32) {
    const bool to_integer = from.type == Type::F32 && to != Type::F16;
    const Quantisation& used = to_integer ? quantisation : from.quantisation;
    if (from.type != Type::F16 && to != Type::F16) {
      layer.command.params[param::kScale] = bits_of(used.scale);
      layer.command.params[param::kZeroPoint] = word(used.zero);
    }
    out.quantisation = to_integer ? used : Quantisation{};
  } else {
    const std::int32_t shift = to == Type::I8 ? -128 : 128;
    out.quantisation = {.scale = from.quantisation.scale, .zero = from.quantisation.zero + shift};
  }
  return add(layer, in, out);
}

}  // namespace guest::ml
