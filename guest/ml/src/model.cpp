#include "guest/ml/model.hpp"

#include "guest/gguf/file.hpp"

namespace guest::ml {
namespace {

using abi::npu::Type;
using gguf::ValueType;
using kernel::fail;

constexpr std::string_view kBadModel = "ml-bad-model";
constexpr std::uint64_t kVersion = 1;
constexpr std::uint64_t kMaxClasses = 1024;
// convert, argmax and convert are added.
constexpr std::uint64_t kMaxModelLayers = Network::kMaxLayers - 3;

template <typename T>
using Read = std::expected<T, kernel::NamedError>;

/// A key's array of as many numbers as there must be.
Read<gguf::Array> numbers(const gguf::File& file, std::string_view key, std::uint64_t count,
                          ValueType type = ValueType::I32) {
  auto array = file.array(key, type);
  if (array && array->size() != count) {
    return fail(kBadModel, "key '{}' has {} numbers: expected {}", key, array->size(), count);
  }
  return array;
}

/// An i32 as it is, and as what cannot be below 0: too large for every use where it is.
std::int32_t signed_at(const gguf::Array& array, std::uint64_t at) { return static_cast<std::int32_t>(array.bits(at)); }
std::uint32_t unsigned_at(const gguf::Array& array, std::uint64_t at) {
  return static_cast<std::uint32_t>(array.bits(at));
}

/// Of the bits of an f32: finite and above 0 (IEEE 754-2019, binary32: exponents of all ones are not).
constexpr bool is_scale(std::uint32_t bits) { return bits > 0 && bits < 0x7f80'0000U; }

/// The layers' numbers, one array for each kind of number.
struct Columns {
  std::uint64_t layers;
  gguf::Array outputs;
  gguf::Array kernel;
  gguf::Array step;
  gguf::Array padding;
  gguf::Array scale;
  gguf::Array zero;
  gguf::Array min;
  gguf::Array max;
};

Read<Columns> read_columns(const gguf::File& file, std::uint64_t layers) {
  const auto outputs = numbers(file, "sis.net.outputs", layers);
  const auto kernel = numbers(file, "sis.net.kernel", 2 * layers);
  const auto step = numbers(file, "sis.net.step", 2 * layers);
  const auto padding = numbers(file, "sis.net.padding", 4 * layers);
  const auto scale = numbers(file, "sis.net.scale", layers, ValueType::F32);
  const auto zero = numbers(file, "sis.net.zero", layers);
  const auto min = numbers(file, "sis.net.min", layers);
  const auto max = numbers(file, "sis.net.max", layers);
  for (const auto* const array : {&outputs, &kernel, &step, &padding, &scale, &zero, &min, &max}) {
    if (!*array) {
      return std::unexpected(array->error());
    }
  }
  return Columns{.layers = layers,
                 .outputs = *outputs,
                 .kernel = *kernel,
                 .step = *step,
                 .padding = *padding,
                 .scale = *scale,
                 .zero = *zero,
                 .min = *min,
                 .max = *max};
}

Window window_of(const Columns& columns, std::uint64_t layer) {
  return {.kernel_height = unsigned_at(columns.kernel, 2 * layer),
          .kernel_width = unsigned_at(columns.kernel, 2 * layer + 1),
          .step_height = unsigned_at(columns.step, 2 * layer),
          .step_width = unsigned_at(columns.step, 2 * layer + 1),
          .pad_top = unsigned_at(columns.padding, 4 * layer),
          .pad_left = unsigned_at(columns.padding, 4 * layer + 1),
          .pad_bottom = unsigned_at(columns.padding, 4 * layer + 2),
          .pad_right = unsigned_at(columns.padding, 4 * layer + 3)};
}

bool is_empty(const Window& window) {
  return (window.kernel_height | window.kernel_width | window.step_height | window.step_width | window.pad_top |
          window.pad_left | window.pad_bottom | window.pad_right) == 0;
}

/// Puts the layers of a model one behind the other.
class Stack {
 public:
  Stack(const gguf::File& file, const Columns& columns, Network& network, Value top)
      : file_(file), columns_(columns), network_(network), top_(top) {}

  [[nodiscard]] Value top() const { return top_; }
  [[nodiscard]] std::size_t tensors_used() const { return used_; }
  [[nodiscard]] bool has_windows() const { return has_windows_; }

  kernel::Outcome add(std::string_view kind) {
    const std::uint64_t layer = layer_++;
    const Window window = window_of(columns_, layer);
    const bool is_dense = kind == "dense";
    if (!is_scale(unsigned_at(columns_.scale, layer))) {
      return fail(kBadModel, "layer {} ({}): its scale is not a finite number above 0", layer,
                  kernel::escaped(kind.substr(0, 40)));
    }
    if (is_dense != is_empty(window)) {
      return fail(kBadModel, "layer {} ({}): its kernel, step and padding {} 0", layer,
                  kernel::escaped(kind.substr(0, 40)), is_dense ? "must be" : "are all");
    }
    has_windows_ |= !is_dense;
    const Network::Added added = kind == "max_pool" || kind == "average_pool" ? add_pool(kind, layer, window)
                                                                              : add_weighted(kind, layer, window);
    if (!added) {
      return std::unexpected(added.error());
    }
    top_ = *added;
    return {};
  }

 private:
  [[nodiscard]] Result result_of(std::uint64_t layer) const {
    return {.quantisation = {.scale = f32(unsigned_at(columns_.scale, layer)), .zero = signed_at(columns_.zero, layer)},
            .min = signed_at(columns_.min, layer),
            .max = signed_at(columns_.max, layer)};
  }

  Network::Added add_pool(std::string_view kind, std::uint64_t layer, const Window& window) {
    const Result result = result_of(layer);
    if (unsigned_at(columns_.outputs, layer) != 0 || result.quantisation != network_.type_of(top_).quantisation) {
      return fail(kBadModel,
                  "layer {} ({}): {} outputs, zero point {}: expected 0, and its input's scale and zero point", layer,
                  kind, signed_at(columns_.outputs, layer), result.quantisation.zero);
    }
    return kind == "max_pool" ? network_.max_pool(top_, window, result) : network_.average_pool(top_, window, result);
  }

  Network::Added add_weighted(std::string_view kind, std::uint64_t layer, const Window& window) {
    const Weights weights = {.weight = constant(layer, "weight"),
                             .bias = constant(layer, "bias"),
                             .multipliers = constant(layer, "multiplier"),
                             .shifts = constant(layer, "shift")};
    const std::uint32_t outputs = unsigned_at(columns_.outputs, layer);
    if (kind == "dense") {
      return network_.dense(top_, weights, outputs, result_of(layer));
    }
    if (kind == "conv2d") {
      return network_.conv2d(top_, weights, outputs, window, result_of(layer));
    }
    if (kind == "depthwise_conv2d") {
      return network_.depthwise(top_, weights, outputs, window, result_of(layer));
    }
    return fail(kBadModel, "layer {}: '{}' is no kind of layers", layer, kernel::escaped(kind.substr(0, 40)));
  }

  /// None: there is no such tensor. One of another type is refused by the layer.
  Constant constant(std::uint64_t layer, std::string_view what) {
    kernel::FixedText<32> name;
    kernel::format_to(name, "{}.{}", layer, what);
    const gguf::Tensor* const tensor = file_.find_tensor(name.view());
    if (tensor == nullptr) {
      return {};
    }
    ++used_;
    // What the NPU has no type for goes in as one that no layer of i8 takes.
    return constant_of(*tensor).value_or(Constant{.type = Type::F16, .bytes = tensor->data});
  }

  const gguf::File& file_;
  const Columns& columns_;
  Network& network_;
  Value top_;
  std::uint64_t layer_ = 0;
  std::size_t used_ = 0;
  bool has_windows_ = false;
};

/// What the file says of itself. Errors: ml-bad-model.
kernel::Outcome read_heading(const gguf::File& file, Classifier& made) {
  const auto architecture = file.text("general.architecture");
  const auto name = file.text("general.name");
  const auto version = file.integer("sis.net.version", {.least = kVersion, .most = kVersion});
  if (!architecture || !name || !version) {
    return std::unexpected(!architecture ? architecture.error() : !name ? name.error() : version.error());
  }
  if (*architecture != "sis.net") {
    return fail(kBadModel, "a model of the architecture '{}': expected sis.net",
                kernel::escaped(architecture->substr(0, 40)));
  }
  constexpr std::string_view kNameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  if (name->empty() || name->size() > Classifier::kMaxName ||
      name->find_first_not_of(kNameCharacters) != std::string_view::npos) {
    return fail(kBadModel, "the name '{}': expected 1 to {} of A-Z a-z 0-9 . _ -", kernel::escaped(name->substr(0, 40)),
                Classifier::kMaxName);
  }
  made.name.write(*name);
  return {};
}

/// What the model takes, i8.
Read<TensorType> read_input(const gguf::File& file) {
  const auto shape = numbers(file, "sis.net.input.shape", 3);
  const auto scale = file.f32_bits("sis.net.input.scale");
  const auto zero = file.find("sis.net.input.zero");
  if (!shape || !scale) {
    return std::unexpected(!shape ? shape.error() : scale.error());
  }
  if (!is_scale(*scale)) {
    return fail(kBadModel, "key 'sis.net.input.scale': expected a finite number above 0");
  }
  const auto zero_point = zero == nullptr ? std::nullopt : zero->as_signed();
  if (!zero_point || *zero_point < -128 || *zero_point > 127) {
    return fail(kBadModel, "key 'sis.net.input.zero': expected a value of i8");
  }
  return TensorType{
      .type = Type::I8,
      .shape = {.height = unsigned_at(*shape, 0), .width = unsigned_at(*shape, 1), .channels = unsigned_at(*shape, 2)},
      .quantisation = {.scale = f32(*scale), .zero = static_cast<std::int32_t>(*zero_point)}};
}

/// The input as the caller has it, and as the model wants it.
kernel::Outcome add_input(const TensorType& wanted, Type given, Classifier& made, Value& top) {
  TensorType input = {.type = given, .shape = wanted.shape};
  if (given == Type::U8) {
    input.quantisation = {.scale = wanted.quantisation.scale, .zero = wanted.quantisation.zero + 128};
  }
  const Network::Added added = made.network->input(input);
  const Network::Added converted = added ? made.network->convert(*added, Type::I8, wanted.quantisation) : added;
  if (!converted) {
    return std::unexpected(converted.error());
  }
  made.input = *added;
  top = *converted;
  return {};
}

/// What a class and its scores are made of.
kernel::Outcome add_outputs(const gguf::File& file, Value top, Classifier& made) {
  const auto classes = file.array("sis.net.classes", ValueType::String);
  if (!classes) {
    return std::unexpected(classes.error());
  }
  const TensorType& scores = made.network->type_of(top);
  if (classes->size() == 0 || classes->size() > kMaxClasses || scores.shape.elements() != classes->size()) {
    return fail(kBadModel, "{} classes, and a last layer of {}: expected one element for each of 1 to {} classes",
                classes->size(), describe(scores).view(), kMaxClasses);
  }
  const Network::Added label = made.network->argmax(top);
  const Network::Added numbers = made.network->convert(top, Type::F32);
  if (!label || !numbers) {
    return std::unexpected(!label ? label.error() : numbers.error());
  }
  made.label = *label;
  made.scores = *numbers;
  made.classes = static_cast<std::uint32_t>(classes->size());
  return {};
}

kernel::Outcome add_layers(const gguf::File& file, Classifier& made, Value& top) {
  const auto kinds = file.array("sis.net.layers", ValueType::String);
  if (!kinds) {
    return std::unexpected(kinds.error());
  }
  if (kinds->size() == 0 || kinds->size() > kMaxModelLayers) {
    return fail(kBadModel, "{} layers: expected 1 to {}", kinds->size(), kMaxModelLayers);
  }
  const auto columns = read_columns(file, kinds->size());
  if (!columns) {
    return std::unexpected(columns.error());
  }
  Stack stack(file, *columns, *made.network, top);
  gguf::Strings rest = kinds->strings();
  while (const auto kind = rest.next()) {
    if (const kernel::Outcome added = stack.add(*kind); !added) {
      return added;
    }
  }
  if (stack.tensors_used() != file.tensors().size()) {
    return fail(kBadModel, "{} tensors, of which the layers use {}", file.tensors().size(), stack.tensors_used());
  }
  made.has_windows = stack.has_windows();
  top = stack.top();
  return {};
}

}  // namespace

std::optional<Constant> constant_of(const gguf::Tensor& tensor) {
  constexpr struct {
    gguf::Type file;
    Type npu;
  } kTypes[] = {
      {.file = gguf::Type::F32, .npu = Type::F32},   {.file = gguf::Type::F16, .npu = Type::F16},
      {.file = gguf::Type::Q8_0, .npu = Type::Q8_0}, {.file = gguf::Type::Q4_0, .npu = Type::Q4_0},
      {.file = gguf::Type::I8, .npu = Type::I8},     {.file = gguf::Type::I32, .npu = Type::I32},
  };
  for (const auto& type : kTypes) {
    if (type.file == tensor.type) {
      return Constant{.type = type.npu, .bytes = tensor.data};
    }
  }
  return std::nullopt;
}

std::expected<Classifier, kernel::NamedError> read_classifier(std::span<const std::byte> file,
                                                              const ClassifierOptions& options) {
  kernel::require(options.input == Type::U8 || options.input == Type::F32, "a classifier of neither u8 nor f32");
  const auto opened = gguf::File::open(file);
  if (!opened) {
    return std::unexpected(opened.error());
  }
  Classifier made;
  const kernel::Outcome heading = read_heading(*opened, made);
  const auto wanted = read_input(*opened);
  if (!heading || !wanted) {
    return std::unexpected(!heading ? heading.error() : wanted.error());
  }
  auto network = Network::make(options.batch);
  if (!network) {
    return std::unexpected(network.error());
  }
  made.network = *std::move(network);
  Value top;
  if (const kernel::Outcome added = add_input(*wanted, options.input, made, top); !added) {
    return std::unexpected(added.error());
  }
  if (const kernel::Outcome added = add_layers(*opened, made, top); !added) {
    return std::unexpected(added.error());
  }
  if (const kernel::Outcome added = add_outputs(*opened, top, made); !added) {
    return std::unexpected(added.error());
  }
  return made;
}

}  // namespace guest::ml
