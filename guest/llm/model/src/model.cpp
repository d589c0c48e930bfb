#include "guest/llm/model/model.hpp"

#include <new>

#include "abi/npu_commands.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/llm/numeric/scale.hpp"

namespace guest::llm {
namespace {

constexpr std::string_view kUnsupported = "llm-unsupported";
constexpr std::string_view kBad = "llm-bad-model";

/// Of the bits of an f32: a finite number above 0.
bool is_positive(std::uint32_t bits) { return bits != 0 && bits < 0x7F80'0000U; }

/// What the NPU takes as weights; nothing: it takes no such tensor.
std::optional<abi::npu::Type> npu_type(gguf::Type type) {
  switch (type) {
    case gguf::Type::F32:
      return abi::npu::Type::F32;
    case gguf::Type::F16:
      return abi::npu::Type::F16;
    case gguf::Type::Q8_0:
      return abi::npu::Type::Q8_0;
    case gguf::Type::Q4_0:
      return abi::npu::Type::Q4_0;
    case gguf::Type::I8:
    case gguf::Type::I16:
    case gguf::Type::I32:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

/// Reads one file. The first thing that is wrong is kept, and from then on nothing matters.
class Model::Reader {
 public:
  explicit Reader(const gguf::File& file) : file_(file) {}

  kernel::Outcome read(Model& model);

 private:
  using Name = kernel::FixedText<64>;

  void refuse(const kernel::NamedError& error) {
    if (outcome_) {
      outcome_ = std::unexpected(error);
    }
  }
  template <typename T>
  T take(const std::expected<T, kernel::NamedError>& value) {
    if (!value) {
      refuse(value.error());
    }
    return value.value_or(T{});
  }
  std::uint32_t number(std::string_view key, std::uint64_t most) {
    return static_cast<std::uint32_t>(take(file_.integer(key, {.least = 1, .most = most})));
  }
  std::uint32_t number_or(std::string_view key, std::uint64_t fallback, std::uint64_t most);
  std::uint32_t real(std::string_view key, std::uint32_t fallback);

  void refuse_other_parts();
  void read_shape(Shape& shape);
  void read_heads(Shape& shape);
  Weight weight(std::string_view name, std::uint64_t rows, std::uint64_t columns);
  Weight norm(std::string_view name, const Shape& shape);
  Layer read_layer(std::uint32_t index, const Shape& shape);
  void check_all_used();

  const gguf::File& file_;
  kernel::Outcome outcome_;
  std::unique_ptr<bool[]> used_;  ///< of each tensor
};

/// What follows from other numbers has the same limits as what the file says.
std::uint32_t Model::Reader::number_or(std::string_view key, std::uint64_t fallback, std::uint64_t most) {
  if (file_.find(key) != nullptr) {
    return number(key, most);
  }
  if (fallback == 0 || fallback > most) {
    refuse(kernel::fail(kBad, "'{}' is not there, and would be {}, expected 1 to {}", key, fallback, most).error());
    return 0;
  }
  return static_cast<std::uint32_t>(fallback);
}

std::uint32_t Model::Reader::real(std::string_view key, std::uint32_t fallback) {
  const std::uint32_t bits = take(file_.f32_bits_or(key, fallback));
  if (outcome_ && !is_positive(bits)) {
    refuse(kernel::fail(kBad, "'{}' is no finite number above 0", key).error());
  }
  return bits;
}

void Model::Reader::refuse_other_parts() {
  const std::string_view architecture = take(file_.text("general.architecture"));
  if (outcome_ && architecture != "llama") {
    refuse(kernel::fail(kUnsupported, "'general.architecture' is '{}', expected llama",
                        kernel::escaped(architecture.substr(0, 32)))
               .error());
  }
  if (const std::uint64_t experts = take(file_.integer_or("llama.expert_count", 0)); experts != 0) {
    refuse(kernel::fail(kUnsupported, "'llama.expert_count' is {}, expected 0", experts).error());
  }
  if (const std::string_view scaling = take(file_.text_or("llama.rope.scaling.type", "none")); scaling != "none") {
    refuse(kernel::fail(kUnsupported, "'llama.rope.scaling.type' is '{}', expected none",
                        kernel::escaped(scaling.substr(0, 32)))
               .error());
  }
}

void Model::Reader::read_heads(Shape& shape) {
  shape.heads = number("llama.attention.head_count", 1024);
  shape.key_heads = number_or("llama.attention.head_count_kv", shape.heads, 1024);
  if (!outcome_) {
    return;
  }
  const std::uint32_t share = shape.embedding / shape.heads;
  shape.head_elements = number_or("llama.attention.key_length", share, abi::npu::kMaxHeadElements);
  const std::uint32_t value_elements =
      number_or("llama.attention.value_length", shape.head_elements, abi::npu::kMaxHeadElements);
  shape.rotated = number_or("llama.rope.dimension_count", shape.head_elements, abi::npu::kMaxHeadElements);
  if (!outcome_) {
    return;
  }
  if (shape.heads % shape.key_heads != 0) {
    refuse(kernel::fail(kBad, "{} heads of queries for {} of keys: expected a multiple", shape.heads, shape.key_heads)
               .error());
  }
  if (value_elements != shape.head_elements) {
    refuse(kernel::fail(kUnsupported, "values of {} elements with keys of {}: expected as many", value_elements,
                        shape.head_elements)
               .error());
  }
  if (shape.rotated % 2 != 0 || shape.rotated > shape.head_elements) {
    refuse(kernel::fail(kBad, "{} elements of a head are turned, expected an even number up to {}", shape.rotated,
                        shape.head_elements)
               .error());
  }
  shape.attention_scale = numeric::inverse_square_root(shape.head_elements);
}

void Model::Reader::read_shape(Shape& shape) {
  constexpr std::uint32_t kTenThousand = 0x461C'4000;  // as f32
  shape.context = number("llama.context_length", kMaxContext);
  shape.embedding = number("llama.embedding_length", kMaxEmbedding);
  shape.layers = number("llama.block_count", kMaxLayers);
  shape.feed_forward = number("llama.feed_forward_length", kMaxFeedForward);
  shape.epsilon = real("llama.attention.layer_norm_rms_epsilon", 0);
  shape.rope_base = real("llama.rope.freq_base", kTenThousand);
  shape.half_split = take(file_.boolean_or("sis.rope.half_split", false));
  read_heads(shape);
  if (!outcome_) {
    return;
  }
  const gguf::Tensor* const embedding = file_.find_tensor("token_embd.weight");
  const std::uint64_t rows = embedding != nullptr ? embedding->rows() : 0;
  shape.vocabulary = number_or("llama.vocab_size", rows, kMaxVocabulary);
}

Model::Weight Model::Reader::weight(std::string_view name, std::uint64_t rows, std::uint64_t columns) {
  const gguf::Tensor* const tensor = file_.find_tensor(name);
  if (!outcome_) {
    return {};
  }
  if (tensor == nullptr) {
    refuse(kernel::fail(kBad, "there is no tensor '{}', expected {} rows of {}", name, rows, columns).error());
    return {};
  }
  if (tensor->rows() != rows || tensor->row_elements() != columns) {
    refuse(kernel::fail(kBad, "tensor '{}' has {} rows of {}, expected {} of {}", name, tensor->rows(),
                        tensor->row_elements(), rows, columns)
               .error());
    return {};
  }
  const auto type = npu_type(tensor->type);
  if (!type) {
    refuse(
        kernel::fail(kUnsupported, "tensor '{}' is {}, expected F32, F16, Q8_0 or Q4_0", name, tensor->type).error());
    return {};
  }
  used_[static_cast<std::size_t>(tensor - file_.tensors().data())] = true;
  return {.type = *type, .offset = tensor->offset};
}

/// Norms are vectors of f32.
Model::Weight Model::Reader::norm(std::string_view name, const Shape& shape) {
  const Weight found = weight(name, 1, shape.embedding);
  if (outcome_ && found.type != abi::npu::Type::F32) {
    refuse(kernel::fail(kUnsupported, "tensor '{}' is no F32, which a norm is", name).error());
  }
  return found;
}

Model::Layer Model::Reader::read_layer(std::uint32_t index, const Shape& shape) {
  const auto name = [index](std::string_view part) {
    Name text;
    kernel::format_to(text, "blk.{}.{}.weight", index, part);
    return text;
  };
  const auto matrix = [&](std::string_view part, std::uint64_t rows, std::uint64_t columns) {
    return weight(name(part).view(), rows, columns);
  };
  const std::uint32_t embedding = shape.embedding;
  return {.attention_norm = norm(name("attn_norm").view(), shape),
          .query = matrix("attn_q", shape.query_elements(), embedding),
          .key = matrix("attn_k", shape.key_elements(), embedding),
          .value = matrix("attn_v", shape.key_elements(), embedding),
          .output = matrix("attn_output", embedding, shape.query_elements()),
          .feed_norm = norm(name("ffn_norm").view(), shape),
          .gate = matrix("ffn_gate", shape.feed_forward, embedding),
          .up = matrix("ffn_up", shape.feed_forward, embedding),
          .down = matrix("ffn_down", embedding, shape.feed_forward)};
}

/// A tensor that nobody uses is a part of the model that is not here: biases, factors of angles, experts.
void Model::Reader::check_all_used() {
  for (std::size_t i = 0; outcome_ && i < file_.tensors().size(); ++i) {
    if (!used_[i]) {
      refuse(kernel::fail(kUnsupported, "tensor '{}' is no part of the models that are run here",
                          kernel::escaped(file_.tensors()[i].name))
                 .error());
    }
  }
}

kernel::Outcome Model::Reader::read(Model& model) {
  refuse_other_parts();
  read_shape(model.shape_);
  if (!outcome_) {
    return outcome_;
  }
  const Shape& shape = model.shape_;
  used_.reset(new (std::nothrow) bool[file_.tensors().size()]());
  model.layers_.reset(new (std::nothrow) Layer[shape.layers]);
  if (used_ == nullptr || model.layers_ == nullptr) {
    return kernel::fail("llm-no-memory", "no memory for the places of {} layers", shape.layers);
  }
  model.embedding_ = weight("token_embd.weight", shape.vocabulary, shape.embedding);
  model.output_norm_ = norm("output_norm.weight", shape);
  model.output_ = file_.find_tensor("output.weight") == nullptr
                      ? model.embedding_
                      : weight("output.weight", shape.vocabulary, shape.embedding);
  for (std::uint32_t i = 0; outcome_ && i < shape.layers; ++i) {
    model.layers_[i] = read_layer(i, shape);
  }
  check_all_used();
  return outcome_;
}

const Model::Layer& Model::layer(std::uint32_t index) const {
  kernel::require(index < shape_.layers, "a layer beyond the model");
  return layers_[index];
}

std::expected<Model, kernel::NamedError> Model::read(const gguf::File& file) {
  Model model;
  if (const kernel::Outcome outcome = Reader(file).read(model); !outcome) {
    return std::unexpected(outcome.error());
  }
  return model;
}

}  // namespace guest::llm
