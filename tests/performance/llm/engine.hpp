// The plain engine: a transformer as loops that the compiler vectorises as it likes, on one thread. It reads every
// weight of a model once for each step, however many tokens that has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model.hpp"

namespace llm_bench {

class Engine {
 public:
  /// @param most_tokens  of a step
  /// `model` outlives it.
  Engine(const Model& model, std::size_t most_tokens);

  /// Forgets everything that was said.
  void clear() { size_ = 0; }
  /// Appends tokens, at most as many as a step may have and the context has room for, each below the vocabulary.
  /// @return the token with the largest logit behind them; of equal ones the lowest
  std::uint32_t run(std::span<const std::uint32_t> tokens);
  /// Of the last step, one for each token of the vocabulary.
  [[nodiscard]] std::span<const float> logits() const { return logits_; }

 private:
  using Reals = std::vector<float>;

  void embed(std::span<const std::uint32_t> tokens);
  void turn(float* heads, std::size_t count, std::size_t position) const;
  void attend(const Layer& layer, std::size_t index, std::size_t tokens);
  void attend_head(std::size_t index, std::size_t row, std::size_t head);
  void feed(const Layer& layer, std::size_t tokens);

  /// Activations of one product: a scale for each block.
  struct Activations {
    std::vector<std::uint8_t> values;  ///< with 128 added, since processors multiply unsigned with signed bytes
    Reals scales;
  };
  void multiply(const Matrix& by, const Reals& from, Reals& to, std::size_t rows);

  const Model& model_;
  std::size_t size_ = 0;           ///< positions that are taken
  Reals keys_, values_;            ///< [layers, context, key_elements]
  Reals stream_, normed_, added_;  ///< [tokens, embedding]
  Reals queries_, attended_;       ///< [tokens, embedding]
  Reals new_keys_, new_values_;    ///< [tokens, key_elements]
  Reals gate_, up_;                ///< [tokens, feed_forward]
  Reals scores_;                   ///< [context]
  Reals cosines_, sines_;          ///< [context, head_elements / 2]
  Reals logits_;
  Activations quantised_;
};

}  // namespace llm_bench
