// A transformer of the llama architecture in a GGUF file (docs/models.md, Models): its shape, and where its weights
// lie.
//
// A file is hostile: what it says of its shape has to agree with each tensor in it, and there is no tensor that nobody
// uses. No floating point: an f32 is its bits.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>

#include "abi/npu.hpp"
#include "guest/gguf/file.hpp"
#include "guest/kernel/named_error.hpp"

namespace guest::llm {

/// Checked: no product of two of them is beyond 2^62.
struct Shape {
  std::uint32_t context = 0;       ///< positions
  std::uint32_t vocabulary = 0;    ///< tokens
  std::uint32_t embedding = 0;     ///< elements of a position between two layers
  std::uint32_t feed_forward = 0;  ///< elements inside of a layer's second half
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;  ///< of queries; a multiple of key_heads
  std::uint32_t key_heads = 0;
  std::uint32_t head_elements = 0;
  std::uint32_t rotated = 0;          ///< elements of a head that are turned by its position; even
  bool half_split = false;            ///< pairs are (i, i + rotated / 2), else (2i, 2i + 1)
  std::uint32_t epsilon = 0;          ///< bits of an f32
  std::uint32_t rope_base = 0;        ///< bits of an f32
  std::uint32_t attention_scale = 0;  ///< bits of an f32: 1 / sqrt(head_elements)

  [[nodiscard]] std::uint32_t query_elements() const { return heads * head_elements; }
  [[nodiscard]] std::uint32_t key_elements() const { return key_heads * head_elements; }
};

/// Refers to nothing: it knows where in the file each tensor lies. Const calls from any thread.
class Model {
 public:
  static constexpr std::uint64_t kMaxContext = 131'072;
  static constexpr std::uint64_t kMaxVocabulary = 262'144;
  static constexpr std::uint64_t kMaxEmbedding = 16'384;
  static constexpr std::uint64_t kMaxFeedForward = 65'536;
  static constexpr std::uint64_t kMaxLayers = 240;

  /// A tensor in the file: [rows, columns], each row behind the one before.
  struct Weight {
    abi::npu::Type type = abi::npu::Type::F32;
    std::uint64_t offset = 0;  ///< bytes from the file's first one
  };
  struct Layer {
    Weight attention_norm, query, key, value, output;
    Weight feed_norm, gate, up, down;
  };

  /// Errors: gguf-... of keys; llm-no-memory;
  ///   llm-unsupported   another architecture, or a part of one that is not here: which
  ///   llm-bad-model     a shape that cannot be, or a tensor that is missing or does not have it: which, and what was
  ///                     expected
  static std::expected<Model, kernel::NamedError> read(const gguf::File& file);

  [[nodiscard]] const Shape& shape() const { return shape_; }
  /// [vocabulary, embedding].
  [[nodiscard]] const Weight& embedding() const { return embedding_; }
  [[nodiscard]] const Weight& output_norm() const { return output_norm_; }
  /// [vocabulary, embedding]; the embedding's where the file has no other one.
  [[nodiscard]] const Weight& output() const { return output_; }
  /// `index` is below shape().layers.
  [[nodiscard]] const Layer& layer(std::uint32_t index) const;

 private:
  class Reader;
  Model() = default;

  Shape shape_;
  Weight embedding_, output_norm_, output_;
  std::unique_ptr<Layer[]> layers_;
};

}  // namespace guest::llm
