#include "model.hpp"

#include <bit>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numeric>
#include <stdexcept>
#include <string>

#include "guest/gguf/file.hpp"
#include "npu/kernels/element.hpp"

namespace llm_bench {
namespace {

namespace gguf = guest::gguf;

constexpr std::size_t kBlockBytes = sizeof(std::uint16_t) + kBlock;

/// What `value` has; what is wrong with it is thrown.
template <typename T>
T take(std::expected<T, guest::kernel::NamedError> value) {
  if (!value) throw std::runtime_error(std::string(value.error().detail.view()));
  return *std::move(value);
}

std::vector<std::byte> bytes_of(const std::filesystem::path& path) {
  std::vector<std::byte> bytes(std::filesystem::file_size(path));
  std::ifstream file(path, std::ios::binary);
  // Bytes are read as such.
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file) throw std::runtime_error("cannot be read");
  return bytes;
}

class Reader {
 public:
  explicit Reader(const gguf::File& file) : file_(file) {}

  [[nodiscard]] std::size_t number(const char* key) const {
    return take(file_.integer(std::string("llama.") + key, {.least = 1, .most = 1 << 20}));
  }
  [[nodiscard]] float real(const char* key) const {
    return std::bit_cast<float>(take(file_.f32_bits(std::string("llama.") + key)));
  }
  [[nodiscard]] std::vector<float> row(const std::string& name, std::size_t columns) const {
    return reals(tensor(name, 1, columns));
  }
  [[nodiscard]] Matrix matrix(const std::string& name, std::size_t rows, std::size_t columns) const {
    const gguf::Tensor& from = tensor(name, rows, columns);
    Matrix made{.rows = rows, .columns = columns, .reals = {}, .values = {}, .scales = {}, .sums = {}};
    if (from.type == gguf::Type::F32) {
      made.reals = reals(from);
    } else if (from.type == gguf::Type::Q8_0) {
      split_blocks(from, made);
    } else {
      throw std::runtime_error(name + " is neither F32 nor Q8_0");
    }
    return made;
  }

 private:
  [[nodiscard]] const gguf::Tensor& tensor(const std::string& name, std::size_t rows, std::size_t columns) const {
    const gguf::Tensor* const found = file_.find_tensor(name);
    if (found == nullptr || found->rows() != rows || found->row_elements() != columns) {
      throw std::runtime_error("no tensor " + name + " of " + std::to_string(rows) + " rows of " +
                               std::to_string(columns));
    }
    return *found;
  }
  static std::vector<float> reals(const gguf::Tensor& from) {
    std::vector<float> made(from.rows() * from.row_elements());
    if (from.data.size() != made.size() * sizeof(float)) throw std::runtime_error("a tensor that is not F32");
    std::memcpy(made.data(), from.data.data(), from.data.size());
    return made;
  }
  static void split_blocks(const gguf::Tensor& from, Matrix& to) {
    const std::size_t blocks = from.data.size() / kBlockBytes;
    to.values.resize(blocks * kBlock);
    for (std::size_t block = 0; block < blocks; ++block) {
      const std::byte* const at = from.data.data() + block * kBlockBytes;
      std::int8_t* const values = to.values.data() + block * kBlock;
      std::uint16_t scale = 0;
      std::memcpy(&scale, at, sizeof(scale));
      std::memcpy(values, at + sizeof(scale), kBlock);
      to.scales.push_back(npu::f16_to_f32(scale));
      to.sums.push_back(static_cast<std::int16_t>(std::accumulate(values, values + kBlock, 0)));
    }
  }

  const gguf::File& file_;
};

Layer read_layer(const Reader& reader, const Model& model, std::size_t index) {
  const std::size_t embedding = model.embedding;
  const auto name = [index](const char* part) { return "blk." + std::to_string(index) + "." + part + ".weight"; };
  return {.attention_norm = reader.row(name("attn_norm"), embedding),
          .feed_norm = reader.row(name("ffn_norm"), embedding),
          .query = reader.matrix(name("attn_q"), embedding, embedding),
          .key = reader.matrix(name("attn_k"), model.key_elements(), embedding),
          .value = reader.matrix(name("attn_v"), model.key_elements(), embedding),
          .output = reader.matrix(name("attn_output"), embedding, embedding),
          .gate = reader.matrix(name("ffn_gate"), model.feed_forward, embedding),
          .up = reader.matrix(name("ffn_up"), model.feed_forward, embedding),
          .down = reader.matrix(name("ffn_down"), embedding, model.feed_forward)};
}

}  // namespace

std::size_t Matrix::bytes() const { return reals.size() * sizeof(float) + scales.size() * kBlockBytes; }

std::size_t Model::weight_bytes() const {
  std::size_t sum = tokens.bytes();
  for (const Layer& layer : layers) {
    for (const Matrix* each :
         {&layer.query, &layer.key, &layer.value, &layer.output, &layer.gate, &layer.up, &layer.down}) {
      sum += each->bytes();
    }
  }
  return sum;
}

Model read_model(const std::filesystem::path& path) try {
  const std::vector<std::byte> bytes = bytes_of(path);
  const gguf::File file = take(gguf::File::open(bytes));
  const Reader reader(file);
  Model model;
  model.context = reader.number("context_length");
  model.vocabulary = reader.number("vocab_size");
  model.embedding = reader.number("embedding_length");
  model.feed_forward = reader.number("feed_forward_length");
  model.heads = reader.number("attention.head_count");
  model.key_heads = reader.number("attention.head_count_kv");
  model.epsilon = reader.real("attention.layer_norm_rms_epsilon");
  model.head_elements = model.embedding / model.heads;
  if (model.embedding % model.heads != 0 || model.heads % model.key_heads != 0 || model.head_elements % 2 != 0) {
    throw std::runtime_error("heads that do not share the embedding");
  }
  model.tokens = reader.matrix("token_embd.weight", model.vocabulary, model.embedding);
  model.output_norm = reader.row("output_norm.weight", model.embedding);
  const std::size_t layers = reader.number("block_count");
  for (std::size_t i = 0; i < layers; ++i) model.layers.push_back(read_layer(reader, model, i));
  return model;
} catch (const std::exception& error) {
  throw std::runtime_error(path.string() + ": " + error.what());
}

}  // namespace llm_bench
