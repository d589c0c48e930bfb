// A model of the llama family as the plain engine keeps it: read from a GGUF file of matrices in F32 or Q8_0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

namespace llm_bench {

/// Elements of a block of Q8_0, and of activations that are multiplied with it.
inline constexpr std::size_t kBlock = 32;

/// Rows of f32, or of i8 with a scale for each block.
struct Matrix {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<float> reals;         ///< [rows, columns]; empty: it is of i8
  std::vector<std::int8_t> values;  ///< [rows, columns]
  std::vector<float> scales;        ///< [rows, columns / kBlock]
  std::vector<std::int16_t> sums;   ///< of each block's values: what an activation's zero point of 128 adds

  [[nodiscard]] std::size_t bytes() const;  ///< that it has in the file
};

struct Layer {
  std::vector<float> attention_norm, feed_norm;
  Matrix query, key, value, output, gate, up, down;
};

struct Model {
  std::size_t context = 0, vocabulary = 0, embedding = 0, feed_forward = 0;
  std::size_t heads = 0, key_heads = 0, head_elements = 0;
  float epsilon = 0;
  Matrix tokens;  ///< [vocabulary, embedding]: what goes in, and what comes out
  std::vector<float> output_norm;
  std::vector<Layer> layers;

  [[nodiscard]] std::size_t key_elements() const { return key_heads * head_elements; }
  /// Of all matrices in the file: what a token reads at least.
  [[nodiscard]] std::size_t weight_bytes() const;
};

/// Throws std::runtime_error, which says what is wrong with the file. Only what tools/models/random_llm.py writes: one
/// matrix for input and output, no factors of angles.
Model read_model(const std::filesystem::path& path);

}  // namespace llm_bench
