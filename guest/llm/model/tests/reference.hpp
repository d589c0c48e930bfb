// A transformer in the plainest way, in binary64: what the logits of small models are compared with.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "guest/llm/model/testing/small_model.hpp"

namespace guest::llm::testing {

class Reference {
 public:
  explicit Reference(const SmallModel& model) : model_(model), weights_(weights_of(model)) {}

  /// Of the last of `tokens`, which are all that there are.
  std::vector<double> logits(const std::vector<std::uint32_t>& tokens) {
    std::vector<std::vector<double>> stream;
    for (const std::uint32_t token : tokens) {
      const auto begin = weights_.at("token_embd.weight").begin() + token * model_.embedding;
      stream.emplace_back(begin, begin + model_.embedding);
    }
    for (std::uint32_t i = 0; i < model_.layers; ++i) {
      const std::string layer = "blk." + std::to_string(i) + ".";
      attend(stream, layer);
      for (auto& x : stream) {
        add(x, feed(norm(x, layer + "ffn_norm.weight"), layer));
      }
    }
    return multiply(model_.own_output ? "output.weight" : "token_embd.weight",
                    norm(stream.back(), "output_norm.weight"));
  }

 private:
  using Vector = std::vector<double>;

  static void add(Vector& to, const Vector& what) {
    for (std::size_t i = 0; i < to.size(); ++i) {
      to[i] += what[i];
    }
  }
  Vector multiply(const std::string& name, const Vector& x) {
    const std::vector<float>& weight = weights_.at(name);
    Vector y(weight.size() / x.size());
    for (std::size_t row = 0; row < y.size(); ++row) {
      for (std::size_t i = 0; i < x.size(); ++i) {
        y[row] += static_cast<double>(weight[row * x.size() + i]) * x[i];
      }
    }
    return y;
  }
  Vector norm(const Vector& x, const std::string& name) {
    double squares = 0;
    for (const double value : x) {
      squares += value * value;
    }
    const double root = std::sqrt(squares / static_cast<double>(x.size()) + static_cast<double>(1e-5F));
    Vector y;
    for (std::size_t i = 0; i < x.size(); ++i) {
      y.push_back(x[i] / root * static_cast<double>(weights_.at(name)[i]));
    }
    return y;
  }
  Vector feed(const Vector& x, const std::string& layer) {
    Vector gate = multiply(layer + "ffn_gate.weight", x);
    const Vector up = multiply(layer + "ffn_up.weight", x);
    for (std::size_t i = 0; i < gate.size(); ++i) {
      gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
    }
    return multiply(layer + "ffn_down.weight", gate);
  }
  void turn(Vector& heads, double position) const {
    const std::uint32_t pairs = model_.rotated / 2;
    for (std::size_t head = 0; head < heads.size(); head += model_.head_elements()) {
      for (std::uint32_t i = 0; i < pairs; ++i) {
        double& a = heads[head + (model_.half_split ? i : 2 * i)];
        double& b = heads[head + (model_.half_split ? i + pairs : 2 * i + 1)];
        const double angle = position * std::pow(10'000.0, -2.0 * i / model_.rotated);
        const double turned = a * std::cos(angle) - b * std::sin(angle);
        b = a * std::sin(angle) + b * std::cos(angle);
        a = turned;
      }
    }
  }
  void attend(std::vector<Vector>& stream, const std::string& layer) {
    std::vector<Vector> keys;
    std::vector<Vector> values;
    const std::uint32_t elements = model_.head_elements();
    for (std::size_t position = 0; position < stream.size(); ++position) {
      const Vector x = norm(stream[position], layer + "attn_norm.weight");
      Vector query = multiply(layer + "attn_q.weight", x);
      keys.push_back(multiply(layer + "attn_k.weight", x));
      values.push_back(multiply(layer + "attn_v.weight", x));
      turn(query, static_cast<double>(position));
      turn(keys.back(), static_cast<double>(position));
      Vector attended(query.size());
      for (std::uint32_t head = 0; head < model_.heads; ++head) {
        const std::uint32_t from = head / (model_.heads / model_.key_heads) * elements;
        Vector scores;
        double sum = 0;
        for (const Vector& key : keys) {
          double score = 0;
          for (std::uint32_t i = 0; i < elements; ++i) {
            score += query[head * elements + i] * key[from + i];
          }
          scores.push_back(std::exp(score / std::sqrt(elements)));
          sum += scores.back();
        }
        for (std::size_t t = 0; t < scores.size(); ++t) {
          for (std::uint32_t i = 0; i < elements; ++i) {
            attended[head * elements + i] += scores[t] / sum * values[t][from + i];
          }
        }
      }
      added_.push_back(multiply(layer + "attn_output.weight", attended));
    }
    for (std::size_t position = 0; position < stream.size(); ++position) {
      add(stream[position], added_[position]);
    }
    added_.clear();
  }

  SmallModel model_;
  Weights weights_;
  std::vector<Vector> added_;
};

}  // namespace guest::llm::testing
