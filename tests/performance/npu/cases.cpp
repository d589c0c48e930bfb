#include "cases.hpp"

#include <cmath>
#include <utility>

namespace npu_bench {
namespace {

namespace dim = abi::npu::dim;
using abi::npu::Opcode;
using abi::npu::Type;
using npu::testing::Scene;

/// Collects cases.
class List {
 public:
  explicit List(Size size) : size_(size) {}

  /// A dimension: as it is, or in the short form.
  [[nodiscard]] std::uint32_t of(std::uint32_t full, std::uint32_t brief) const {
    return size_ == Size::Full ? full : brief;
  }
  void add(const std::string& name, std::initializer_list<std::uint32_t> shape, std::function<Scene()> make) {
    std::string text;
    for (const std::uint32_t each : shape) text += (text.empty() ? "" : "x") + std::to_string(each);
    cases_.push_back({.name = name, .shape = text, .make = std::move(make)});
  }
  std::vector<Case> take() { return std::move(cases_); }

 private:
  Size size_;
  std::vector<Case> cases_;
};

struct Product {
  std::uint32_t rows;
  std::uint32_t outer;
  std::uint32_t inner;
};

void add_real_product(List& list, const std::string& name, Type weight, Product p) {
  list.add(name, {p.rows, p.outer, p.inner}, [=] {
    Scene scene(Opcode::Gemm, {p.rows, p.outer, p.inner});
    scene.operand({0, Type::F32, p.rows, p.outer}).operand({1, Type::F32, p.rows, p.inner});
    return std::move(scene.operand({2, weight, p.outer, p.inner}));
  });
}

/// Multipliers and shifts for sums of `products` products of i8, so that outputs are spread over i8.
Scene quantised(Scene scene, std::uint32_t channels, std::uint32_t products) {
  // A sum's deviation is some 74^2 sqrt(products); divided by 2^(shift + 1) it shall be some 40.
  const int shift = static_cast<int>(std::lround(std::log2(137 * std::sqrt(products)))) - 1;
  scene.i(0, 3).i(1, -5).i(2, -128).i(3, 127).operand({4, Type::I32, 1, channels}).operand({5, Type::I32, 1, channels});
  for (std::uint32_t c = 0; c < channels; ++c) {
    scene.set<std::int32_t>(4, 0, c, (1 << 30) + static_cast<std::int32_t>(c) * 7919);
    scene.set<std::int32_t>(5, 0, c, -shift);
  }
  return scene;
}

void add_integer_product(List& list, const std::string& name, Type output, Product p) {
  list.add(name, {p.rows, p.outer, p.inner}, [=] {
    Scene scene(Opcode::Gemm, {p.rows, p.outer, p.inner});
    scene.operand({0, output, p.rows, p.outer}).operand({1, Type::I8, p.rows, p.inner});
    scene.operand({2, Type::I8, p.outer, p.inner}).operand({3, Type::I32, 1, p.outer});
    return output == Type::I8 ? quantised(std::move(scene), p.outer, p.inner) : std::move(scene.i(0, 3));
  });
}

void add_products(List& list) {
  // "large": weights are beyond a core's caches; "small": they are in them.
  const std::uint32_t large = list.of(4096, 96), small = list.of(512, 64), rows = list.of(16, 3);
  constexpr std::pair<const char*, Type> kWeights[] = {
      {"f32", Type::F32}, {"f16", Type::F16}, {"q8_0", Type::Q8_0}, {"q4_0", Type::Q4_0}};
  for (const auto& [type, weight] : kWeights) {
    const std::string name = std::string("gemm_") + type;
    add_real_product(list, name + "_vector_large", weight, {1, large, large});
    add_real_product(list, name + "_vector_small", weight, {1, small, small});
    add_real_product(list, name + "_rows", weight, {rows, 2 * small, 2 * small});
  }
  add_real_product(list, "gemm_f32_matrix", Type::F32, {small, small, small});
  add_integer_product(list, "gemm_i8_vector_small", Type::I8, {1, small, small});
  add_integer_product(list, "gemm_i8_matrix", Type::I8, {small, small, small});
  add_integer_product(list, "gemm_i8_to_i32_matrix", Type::I32, {small, small, small});
}

/// A command on a matrix, with so many more operands: of as many rows, or of one.
struct OnMatrix {
  Opcode opcode;
  unsigned matrices = 1;  ///< inputs
  unsigned vectors = 0;
  std::initializer_list<float> params = {};
};

void add_on_matrix(List& list, const std::string& name, OnMatrix what, std::uint32_t rows, std::uint32_t columns) {
  list.add(name, {rows, columns}, [=, params = std::vector<float>(what.params)] {
    Scene scene(what.opcode, {rows, columns});
    for (unsigned i = 0; i < params.size(); ++i) scene.f(i, params[i]);
    unsigned index = 0;
    for (; index <= what.matrices; ++index) scene.operand({index, Type::F32, rows, columns});
    for (; index <= what.matrices + what.vectors; ++index) scene.operand({index, Type::F32, 1, columns});
    return scene;
  });
}

void add_norms(List& list) {
  const std::uint32_t rows = list.of(64, 3), columns = list.of(1024, 70);
  add_on_matrix(list, "rms_norm", {.opcode = Opcode::RmsNorm, .vectors = 1, .params = {1e-5F}}, rows, columns);
  add_on_matrix(list, "rms_norm_one_row", {.opcode = Opcode::RmsNorm, .vectors = 1, .params = {1e-5F}}, 1, columns);
  add_on_matrix(list, "layer_norm", {.opcode = Opcode::LayerNorm, .vectors = 2, .params = {1e-5F}}, rows, columns);
  add_on_matrix(list, "softmax", {.opcode = Opcode::Softmax, .params = {0.5F}}, rows, columns);
}

void add_elementwise(List& list) {
  const std::uint32_t rows = list.of(64, 3), columns = list.of(2048, 70);
  add_on_matrix(list, "swiglu", {.opcode = Opcode::SwiGlu, .matrices = 2}, rows, columns);
  add_on_matrix(list, "silu", {.opcode = Opcode::Silu}, rows, columns);
  add_on_matrix(list, "gelu", {.opcode = Opcode::Gelu}, rows, columns);
  add_on_matrix(list, "relu", {.opcode = Opcode::Relu}, rows, columns);
  add_on_matrix(list, "add", {.opcode = Opcode::Add, .matrices = 2}, rows, columns);
  add_on_matrix(list, "mul", {.opcode = Opcode::Mul, .matrices = 2}, rows, columns);
  add_on_matrix(list, "scale", {.opcode = Opcode::Scale, .params = {2, 0.25F}}, rows, columns);
  add_on_matrix(list, "add_one_row", {.opcode = Opcode::Add, .matrices = 2}, 1, list.of(768, 70));
}

void add_attention(List& list) {
  const std::uint32_t rows = list.of(64, 3), heads = list.of(12, 4), size = list.of(64, 8), past = list.of(1023, 9);
  list.add("rope", {rows, heads, size}, [=] {
    Scene scene(Opcode::Rope, {rows, heads, size, size});
    scene.f(0, 10000).f(1, 1).operand({0, Type::F32, rows, heads * size}).operand({1, Type::F32, rows, heads * size});
    scene.operand({2, Type::I32, 1, rows});
    for (std::uint32_t row = 0; row < rows; ++row) scene.set(2, 0, row, static_cast<std::int32_t>(row));
    return scene;
  });
  const auto add = [&](const std::string& name, Type cache, std::uint32_t count, std::uint32_t before) {
    list.add(name, {count, heads, heads / 4, size, before}, [=] {
      const std::uint32_t cached = count + before, keys = heads / 4 * size;
      Scene scene(Opcode::Attention, {count, heads, heads / 4, size, before});
      scene.f(0, 0.125F).operand({0, Type::F32, count, heads * size}).operand({1, Type::F32, count, heads * size});
      return std::move(scene.operand({2, cache, cached, keys}).operand({3, cache, cached, keys}));
    });
  };
  add("attention_f32_token", Type::F32, 1, past);
  add("attention_f16_token", Type::F16, 1, past);
  add("attention_f32_prompt", Type::F32, rows, 0);
}

void add_rows(List& list) {
  const std::uint32_t rows = list.of(16, 3), vocabulary = list.of(32000, 90), size = list.of(768, 64);
  for (const auto& [type, table] : {std::pair{"f32", Type::F32}, {"q8_0", Type::Q8_0}}) {
    list.add(std::string("embed_rows_") + type, {rows, size}, [=] {
      Scene scene(Opcode::EmbedRows, {rows, rows, size});
      scene.operand({0, Type::F32, rows, size}).operand({1, table, rows, size}).operand({2, Type::I32, 1, rows});
      for (std::uint32_t row = 0; row < rows; ++row) {
        scene.set(2, 0, row, static_cast<std::int32_t>((7 * row + 3) % rows));
      }
      return scene;
    });
  }
  for (const auto& [type, input] : {std::pair{"f32", Type::F32}, {"i8", Type::I8}}) {
    list.add(std::string("arg_max_") + type, {1, vocabulary}, [=] {
      Scene scene(Opcode::ArgMax, {1, vocabulary});
      return std::move(scene.operand({0, Type::I32, 1, 1}).operand({1, input, 1, vocabulary}));
    });
  }
  list.add("top_k", {1, vocabulary, 40}, [=] {
    Scene scene(Opcode::TopK, {1, vocabulary, 40});
    scene.operand({0, Type::F32, 1, 40}).operand({1, Type::F32, 1, vocabulary});
    return std::move(scene.operand({2, Type::I32, 1, 40}));
  });
}

void add_images(List& list) {
  const std::uint32_t side = list.of(34, 6), channels = list.of(32, 5), outputs = list.of(64, 6);
  for (const auto& [type, element] : {std::pair{"f32", Type::F32}, {"i8", Type::I8}}) {
    for (const bool dense : {true, false}) {
      const std::uint32_t out = side - 2, oc = dense ? outputs : channels;
      list.add(std::string(dense ? "conv2d_" : "depthwise_conv2d_") + type, {side, side, channels, oc}, [=] {
        Scene scene(dense ? Opcode::Conv2d : Opcode::DepthwiseConv2d,
                    {1, side, side, channels, out, out, oc, 3, 3, 1, 1, 1});
        scene.operand({0, element, out, out * oc}).operand({1, element, side, side * channels});
        scene.operand(dense ? npu::testing::OperandSpec{2, element, oc, 9 * channels}
                            : npu::testing::OperandSpec{2, element, 9, oc});
        scene.operand({3, element == Type::I8 ? Type::I32 : Type::F32, 1, oc});
        return element == Type::I8 ? quantised(std::move(scene), oc, dense ? 9 * channels : 9) : std::move(scene);
      });
    }
    for (const Opcode opcode : {Opcode::MaxPool, Opcode::AvgPool}) {
      list.add(std::string(opcode == Opcode::MaxPool ? "max_pool_" : "avg_pool_") + type, {side, side, channels}, [=] {
        Scene scene(opcode, {1, side, side, channels, side / 2, side / 2, 0, 2, 2, 2, 2});
        if (element == Type::I8) scene.i(2, -128).i(3, 127);
        scene.operand({0, element, side / 2, side / 2 * channels});
        return std::move(scene.operand({1, element, side, side * channels}));
      });
    }
  }
}

void add_copies(List& list) {
  constexpr struct {
    const char* name;
    Type from;
    Type to;
  } kCopies[] = {{"copy_f32", Type::F32, Type::F32},          {"copy_f32_to_f16", Type::F32, Type::F16},
                 {"copy_f16_to_f32", Type::F16, Type::F32},   {"copy_f32_to_q8_0", Type::F32, Type::Q8_0},
                 {"copy_q8_0_to_f32", Type::Q8_0, Type::F32}, {"copy_f32_to_i8", Type::F32, Type::I8},
                 {"copy_i8_to_f32", Type::I8, Type::F32},     {"copy_u8_to_i8", Type::U8, Type::I8}};
  const std::uint32_t rows = list.of(64, 3), columns = list.of(2048, 96);
  for (const auto& copy : kCopies) {
    list.add(copy.name, {rows, columns}, [=] {
      Scene scene(Opcode::Copy, {rows, columns});
      if (copy.from != copy.to && (copy.from == Type::I8 || copy.to == Type::I8) && copy.from != Type::U8) {
        scene.f(0, 0.02F).i(1, 3);
      }
      return std::move(scene.operand({0, copy.to, rows, columns}).operand({1, copy.from, rows, columns}));
    });
  }
}

}  // namespace

std::vector<Case> all_cases(Size size) {
  List list(size);
  list.add("nop", {}, [] { return Scene(Opcode::Nop, {}); });
  add_products(list);
  add_attention(list);
  add_norms(list);
  add_elementwise(list);
  add_rows(list);
  add_images(list);
  add_copies(list);
  return list.take();
}

double operations_of(const npu::Checked& command) {
  namespace image = abi::npu::dim::image;
  const auto size = [&](unsigned index) { return static_cast<double>(command.dims[index]); };
  const auto window = [&] { return size(image::kKernelHeight) * size(image::kKernelWidth); };
  const auto outputs = [&] {
    return size(image::kBatch) * size(image::kOutHeight) * size(image::kOutWidth) * size(image::kOutChannels);
  };
  switch (command.opcode) {
    case Opcode::Gemm:
      return 2 * size(dim::kRows) * size(dim::kOuter) * size(dim::kInner);
    case Opcode::Attention: {
      const double rows = size(dim::kRows);
      const double seen = rows * size(dim::attention::kPast) + rows * (rows + 1) / 2;
      return 4 * size(dim::attention::kQueryHeads) * size(dim::attention::kHeadElements) * seen;
    }
    case Opcode::Conv2d:
      return 2 * outputs() * window() * size(image::kChannels);
    case Opcode::DepthwiseConv2d:
      return 2 * outputs() * window();
    default:
      return static_cast<double>(command.cost.compute_cycles) * npu::Model{}.f32_ops_per_cycle;
  }
}

}  // namespace npu_bench
