// A model of random numbers, as a GGUF file.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "guest/gguf/testing/builder.hpp"
#include "guest/llm/model/model.hpp"

namespace guest::llm::testing {

/// What the file says; its tensors follow. One of these that is changed is a file that does not hold together.
struct SmallModel {
  std::uint32_t context = 24;
  std::uint32_t vocabulary = 40;
  std::uint32_t embedding = 32;
  std::uint32_t feed_forward = 48;
  std::uint32_t layers = 2;
  std::uint32_t heads = 4;
  std::uint32_t key_heads = 2;
  std::uint32_t rotated = 8;
  bool half_split = false;
  bool own_output = false;  ///< not the embedding's weights
  std::uint32_t seed = 1;

  [[nodiscard]] std::uint32_t head_elements() const { return embedding / heads; }
};

using Weights = std::map<std::string, std::vector<float>>;

/// Each tensor's rows and columns, in the file's order.
inline std::vector<std::pair<std::string, std::pair<std::uint64_t, std::uint64_t>>> tensors_of(const SmallModel& m) {
  std::vector<std::pair<std::string, std::pair<std::uint64_t, std::uint64_t>>> list;
  const std::uint64_t key_elements = m.key_heads * m.head_elements();
  list.push_back({"token_embd.weight", {m.vocabulary, m.embedding}});
  list.push_back({"output_norm.weight", {1, m.embedding}});
  if (m.own_output) {
    list.push_back({"output.weight", {m.vocabulary, m.embedding}});
  }
  for (std::uint32_t i = 0; i < m.layers; ++i) {
    const std::string layer = "blk." + std::to_string(i) + ".";
    list.push_back({layer + "attn_norm.weight", {1, m.embedding}});
    list.push_back({layer + "attn_q.weight", {m.embedding, m.embedding}});
    list.push_back({layer + "attn_k.weight", {key_elements, m.embedding}});
    list.push_back({layer + "attn_v.weight", {key_elements, m.embedding}});
    list.push_back({layer + "attn_output.weight", {m.embedding, m.embedding}});
    list.push_back({layer + "ffn_norm.weight", {1, m.embedding}});
    list.push_back({layer + "ffn_gate.weight", {m.feed_forward, m.embedding}});
    list.push_back({layer + "ffn_up.weight", {m.feed_forward, m.embedding}});
    list.push_back({layer + "ffn_down.weight", {m.embedding, m.feed_forward}});
  }
  return list;
}

/// About as large as those of trained models, so that no layer drowns another one.
inline Weights weights_of(const SmallModel& model) {
  std::mt19937 random(model.seed);
  std::normal_distribution<float> normal;
  Weights weights;
  for (const auto& [name, size] : tensors_of(model)) {
    const auto [rows, columns] = size;
    std::vector<float>& values = weights[name];
    const float scale = rows == 1 ? 0.2F : 1.5F / std::sqrt(static_cast<float>(columns));
    for (std::uint64_t i = 0; i < rows * columns; ++i) {
      values.push_back(normal(random) * scale + (rows == 1 ? 1.0F : 0.0F));
    }
  }
  return weights;
}

/// The keys alone.
inline gguf::testing::Builder keys_of(const SmallModel& model) {
  gguf::testing::Builder builder;
  builder.put("general.architecture", "llama").put("llama.context_length", model.context);
  builder.put("llama.embedding_length", model.embedding).put("llama.block_count", model.layers);
  builder.put("llama.feed_forward_length", model.feed_forward).put("llama.vocab_size", model.vocabulary);
  builder.put("llama.attention.head_count", model.heads).put("llama.attention.head_count_kv", model.key_heads);
  builder.put("llama.rope.dimension_count", model.rotated).put("llama.rope.freq_base", 10'000.0F);
  builder.put("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  if (model.half_split) {
    builder.put("sis.rope.half_split", true);
  }
  return builder;
}

/// Its tensors, in F32.
inline void put_tensors(gguf::testing::Builder& builder, const SmallModel& model) {
  const Weights weights = weights_of(model);
  for (const auto& [name, size] : tensors_of(model)) {
    const auto [rows, columns] = size;
    builder.put_floats(name, rows == 1 ? std::vector{columns} : std::vector{columns, rows}, weights.at(name));
  }
}

inline std::string file_of(const SmallModel& model) {
  gguf::testing::Builder builder = keys_of(model);
  put_tensors(builder, model);
  return builder.bytes();
}

}  // namespace guest::llm::testing
