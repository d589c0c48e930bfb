// Models from files: GGUF with the architecture "sis.net" (docs/ml.md, Model files), int8 classifiers of numbers and of
// images.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "guest/gguf/tensor.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/ml/inference.hpp"
#include "guest/ml/network.hpp"

namespace guest::ml {

/// A classifier as a network: the model's layers, what makes i8 of the input before them, and what makes a class and
/// scores of their result.
struct Classifier {
  static constexpr std::size_t kMaxName = 32;

  kernel::FixedText<kMaxName> name;  ///< of the model; [A-Za-z0-9._-]
  std::unique_ptr<Network> network;  ///< refers to the file's bytes
  Value input;                       ///< [height, width, channels]
  Value label;                       ///< i32 [1]
  Value scores;                      ///< f32 [classes]: the last layer's numbers, dequantised
  std::uint32_t classes = 0;
  bool has_windows = false;  ///< there are layers that want an image: convolutions, pools
};

struct ClassifierOptions {
  /// U8: element x stands for the model's i8 x - 128 (of an image: x / 255 is the number). F32: numbers, which the NPU
  /// quantises.
  abi::npu::Type input = abi::npu::Type::U8;
  std::uint32_t batch = 1;
};

/// The model in `file`, any bytes, which outlives the network. Errors: ml-bad-model, gguf-..., and a network's.
std::expected<Classifier, kernel::NamedError> read_classifier(std::span<const std::byte> file,
                                                              const ClassifierOptions& options);

/// A file's tensor for a layer. Nothing: the NPU does not know its type.
std::optional<Constant> constant_of(const gguf::Tensor& tensor);

/// Files of models that every kernel has: "patterns", "shapes" (docs/ml.md). Empty: there is none of that name.
std::span<const std::byte> builtin_model(std::string_view name);

}  // namespace guest::ml
