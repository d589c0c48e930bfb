#include "engine.hpp"

#include <algorithm>
#include <cmath>

namespace llm_bench {
namespace {

constexpr int kLargest = 127;
constexpr int kZero = 128;
constexpr double kRopeBase = 10'000;

void norm(const float* from, const std::vector<float>& by, float epsilon, float* to) {
  const std::size_t n = by.size();
  float sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += from[i] * from[i];
  const float factor = 1 / std::sqrt(sum / static_cast<float>(n) + epsilon);
  for (std::size_t i = 0; i < n; ++i) to[i] = from[i] * factor * by[i];
}

float dot(const float* a, const float* b, std::size_t n) {
  float sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

void quantise_block(const float* from, std::uint8_t* to, float& scale) {
  float largest = 0;
  for (std::size_t i = 0; i < kBlock; ++i) largest = std::max(largest, std::abs(from[i]));
  scale = largest / kLargest;
  const float inverse = largest > 0 ? kLargest / largest : 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    to[i] = static_cast<std::uint8_t>(static_cast<int>(std::nearbyint(from[i] * inverse)) + kZero);
  }
}

/// A row of weights with a row of activations.
float dot_blocks(const std::int8_t* w, const float* scales, const std::int16_t* sums, const std::uint8_t* x,
                 const float* x_scales, std::size_t blocks) {
  float sum = 0;
  for (std::size_t block = 0; block < blocks; ++block) {
    int products = 0;
    for (std::size_t i = 0; i < kBlock; ++i) products += x[block * kBlock + i] * w[block * kBlock + i];
    sum += static_cast<float>(products - kZero * sums[block]) * scales[block] * x_scales[block];
  }
  return sum;
}

}  // namespace

Engine::Engine(const Model& model, std::size_t most_tokens) : model_(model) {
  const std::size_t cached = model.layers.size() * model.context * model.key_elements();
  const std::size_t widest = std::max(model.embedding, model.feed_forward);
  keys_.resize(cached);
  values_.resize(cached);
  for (Reals* each : {&stream_, &normed_, &added_, &queries_, &attended_}) each->resize(most_tokens * model.embedding);
  for (Reals* each : {&new_keys_, &new_values_}) each->resize(most_tokens * model.key_elements());
  for (Reals* each : {&gate_, &up_}) each->resize(most_tokens * model.feed_forward);
  scores_.resize(model.context);
  logits_.resize(model.vocabulary);
  quantised_.values.resize(most_tokens * widest);
  quantised_.scales.resize(most_tokens * widest / kBlock);
  const std::size_t pairs = model.head_elements / 2;
  for (std::size_t position = 0; position < model.context; ++position) {
    for (std::size_t i = 0; i < pairs; ++i) {
      const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(model.head_elements);
      const double angle = static_cast<double>(position) * std::pow(kRopeBase, exponent);
      cosines_.push_back(static_cast<float>(std::cos(angle)));
      sines_.push_back(static_cast<float>(std::sin(angle)));
    }
  }
}

void Engine::embed(std::span<const std::uint32_t> tokens) {
  const std::size_t n = model_.embedding;
  const Matrix& from = model_.tokens;
  for (std::size_t row = 0; row < tokens.size(); ++row) {
    float* const to = stream_.data() + row * n;
    const std::size_t begin = tokens[row] * n;
    for (std::size_t i = 0; i < n; ++i) {
      to[i] = from.reals.empty() ? static_cast<float>(from.values[begin + i]) * from.scales[(begin + i) / kBlock]
                                 : from.reals[begin + i];
    }
  }
}

void Engine::multiply(const Matrix& by, const Reals& from, Reals& to, std::size_t rows) {
  const std::size_t n = by.columns;
  if (!by.reals.empty()) {
    for (std::size_t outer = 0; outer < by.rows; ++outer) {
      const float* const w = by.reals.data() + outer * n;
      for (std::size_t row = 0; row < rows; ++row) to[row * by.rows + outer] = dot(w, from.data() + row * n, n);
    }
    return;
  }
  const std::size_t blocks = n / kBlock;
  for (std::size_t block = 0; block < rows * blocks; ++block) {
    quantise_block(from.data() + block * kBlock, quantised_.values.data() + block * kBlock, quantised_.scales[block]);
  }
  for (std::size_t outer = 0; outer < by.rows; ++outer) {
    for (std::size_t row = 0; row < rows; ++row) {
      to[row * by.rows + outer] =
          dot_blocks(by.values.data() + outer * n, by.scales.data() + outer * blocks, by.sums.data() + outer * blocks,
                     quantised_.values.data() + row * n, quantised_.scales.data() + row * blocks, blocks);
    }
  }
}

/// Turns pairs of neighbours by their position.
void Engine::turn(float* heads, std::size_t count, std::size_t position) const {
  const std::size_t pairs = model_.head_elements / 2;
  const float* const cosine = cosines_.data() + position * pairs;
  const float* const sine = sines_.data() + position * pairs;
  for (std::size_t head = 0; head < count; ++head, heads += model_.head_elements) {
    for (std::size_t i = 0; i < pairs; ++i) {
      const float a = heads[2 * i], b = heads[2 * i + 1];
      heads[2 * i] = a * cosine[i] - b * sine[i];
      heads[2 * i + 1] = a * sine[i] + b * cosine[i];
    }
  }
}

void Engine::attend_head(std::size_t index, std::size_t row, std::size_t head) {
  const std::size_t n = model_.head_elements, stride = model_.key_elements();
  const std::size_t first = index * model_.context * stride + head / (model_.heads / model_.key_heads) * n;
  const float* const query = queries_.data() + row * model_.embedding + head * n;
  float* const to = attended_.data() + row * model_.embedding + head * n;
  const std::size_t seen = size_ + row + 1;
  const float scale = 1 / std::sqrt(static_cast<float>(n));
  float largest = -HUGE_VALF, total = 0;
  for (std::size_t t = 0; t < seen; ++t) {
    scores_[t] = dot(query, keys_.data() + first + t * stride, n) * scale;
    largest = std::max(largest, scores_[t]);
  }
  for (std::size_t t = 0; t < seen; ++t) scores_[t] = std::exp(scores_[t] - largest);
  for (std::size_t t = 0; t < seen; ++t) total += scores_[t];
  std::fill_n(to, n, 0.0F);
  for (std::size_t t = 0; t < seen; ++t) {
    const float share = scores_[t] / total;
    const float* const value = values_.data() + first + t * stride;
    for (std::size_t i = 0; i < n; ++i) to[i] += share * value[i];
  }
}

void Engine::attend(const Layer& layer, std::size_t index, std::size_t tokens) {
  const std::size_t n = model_.embedding, keys = model_.key_elements();
  for (std::size_t row = 0; row < tokens; ++row) {
    norm(stream_.data() + row * n, layer.attention_norm, model_.epsilon, normed_.data() + row * n);
  }
  multiply(layer.query, normed_, queries_, tokens);
  multiply(layer.key, normed_, new_keys_, tokens);
  multiply(layer.value, normed_, new_values_, tokens);
  for (std::size_t row = 0; row < tokens; ++row) {
    turn(queries_.data() + row * n, model_.heads, size_ + row);
    turn(new_keys_.data() + row * keys, model_.key_heads, size_ + row);
  }
  const std::size_t place = (index * model_.context + size_) * keys;
  std::copy_n(new_keys_.data(), tokens * keys, keys_.data() + place);
  std::copy_n(new_values_.data(), tokens * keys, values_.data() + place);
  for (std::size_t row = 0; row < tokens; ++row) {
    for (std::size_t head = 0; head < model_.heads; ++head) attend_head(index, row, head);
  }
  multiply(layer.output, attended_, added_, tokens);
  for (std::size_t i = 0; i < tokens * n; ++i) stream_[i] += added_[i];
}

void Engine::feed(const Layer& layer, std::size_t tokens) {
  const std::size_t n = model_.embedding;
  for (std::size_t row = 0; row < tokens; ++row) {
    norm(stream_.data() + row * n, layer.feed_norm, model_.epsilon, normed_.data() + row * n);
  }
  multiply(layer.gate, normed_, gate_, tokens);
  multiply(layer.up, normed_, up_, tokens);
  for (std::size_t i = 0; i < tokens * model_.feed_forward; ++i)
    gate_[i] = gate_[i] / (1 + std::exp(-gate_[i])) * up_[i];
  multiply(layer.down, gate_, added_, tokens);
  for (std::size_t i = 0; i < tokens * n; ++i) stream_[i] += added_[i];
}

std::uint32_t Engine::run(std::span<const std::uint32_t> tokens) {
  embed(tokens);
  for (std::size_t index = 0; index < model_.layers.size(); ++index) {
    attend(model_.layers[index], index, tokens.size());
    feed(model_.layers[index], tokens.size());
  }
  norm(stream_.data() + (tokens.size() - 1) * model_.embedding, model_.output_norm, model_.epsilon, normed_.data());
  multiply(model_.tokens, normed_, logits_, 1);
  size_ += tokens.size();
  return static_cast<std::uint32_t>(std::ranges::max_element(logits_) - logits_.begin());
}

}  // namespace llm_bench
