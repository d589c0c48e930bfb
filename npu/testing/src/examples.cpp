#include "npu/testing/examples.hpp"

#include <utility>

namespace npu::testing {

namespace {

using abi::npu::Opcode;
using abi::npu::Type;
namespace flag = abi::npu::command_flag;

const char* name_of(Type type) {
  constexpr const char* kNames[] = {"f32", "f16", "i8", "i32", "q8_0", "q4_0", "u8"};
  return kNames[static_cast<unsigned>(type)];
}

using List = std::vector<Example>;

void add(List& list, const std::string& name, std::function<Scene()> make) { list.push_back({name, std::move(make)}); }

Scene quantised(Scene scene, unsigned channels) {
  const bool per_tensor = (scene.command.flags & flag::kPerTensor) != 0;
  scene.i(0, -3).i(1, 5).i(2, -100).i(3, 120);
  for (const unsigned index : {4U, 5U}) {
    scene.operand({index, Type::I32, 1, per_tensor ? 1U : channels});
    for (unsigned i = 0; i < (per_tensor ? 1U : channels); ++i) {
      scene.set<std::int32_t>(index, 0, i,
                              index == 4 ? 1'500'000'000 + static_cast<int>(i) * 7919 : -8 - static_cast<int>(i % 3));
    }
  }
  return scene;
}

void add_gemm(List& list) {
  for (const Type weight : {Type::F32, Type::F16, Type::Q8_0, Type::Q4_0}) {
    add(list, std::string("gemm f32 ") + name_of(weight), [=] {
      Scene scene(Opcode::Gemm, {3, 5, 64}, flag::kClamp);
      scene.f(2, -3).f(3, 3).operand({0, Type::F32, 3, 5, 4}).operand({1, Type::F32, 3, 64});
      return std::move(scene.operand({2, weight, 5, 64}).operand({3, Type::F32, 1, 5}));
    });
  }
  for (const std::uint16_t flags : {std::uint16_t{0}, flag::kPerTensor}) {
    add(list, flags != 0 ? "gemm i8 per tensor" : "gemm i8", [=] {
      Scene scene(Opcode::Gemm, {3, 5, 17}, flags);
      scene.operand({0, Type::I8, 3, 5, 3}).operand({1, Type::I8, 3, 17}).operand({2, Type::I8, 5, 17, 1});
      scene.operand({3, Type::I32, 1, 5});
      return quantised(std::move(scene), 5);
    });
  }
  add(list, "gemm i8 to i32", [] {
    Scene scene(Opcode::Gemm, {2, 3, 9});
    scene.i(0, 7).operand({0, Type::I32, 2, 3}).operand({1, Type::I8, 2, 9}).operand({2, Type::I8, 3, 9});
    return std::move(scene.operand({3, Type::I32, 1, 3}));
  });
}

void add_matrix(List& list, const std::string& name, Opcode opcode, unsigned inputs,
                std::initializer_list<float> params = {}, std::uint16_t flags = 0) {
  add(list, name, [=, params = std::vector<float>(params)] {
    Scene scene(opcode, {3, 70}, flags);
    for (unsigned i = 0; i < params.size(); ++i) {
      scene.f(i, params[i]);
    }
    for (unsigned i = 0; i <= inputs; ++i) {
      const bool row = i == 2 && (flags & flag::kBroadcastRow) != 0;
      scene.operand({i, Type::F32, row ? 1U : 3U, 70, i == 1 ? 8U : 0U});
    }
    return scene;
  });
}

void add_matrices(List& list) {
  add(list, "rms norm", [] {
    Scene scene(Opcode::RmsNorm, {3, 11});
    scene.f(0, 1e-5F).operand({0, Type::F32, 3, 11}).operand({1, Type::F32, 3, 11});
    return std::move(scene.operand({2, Type::F32, 1, 11}));
  });
  add(list, "layer norm", [] {
    Scene scene(Opcode::LayerNorm, {3, 11});
    scene.f(0, 1e-5F).operand({0, Type::F32, 3, 11}).operand({1, Type::F32, 3, 11});
    return std::move(scene.operand({2, Type::F32, 1, 11}).operand({3, Type::F32, 1, 11}));
  });
  add_matrix(list, "softmax", Opcode::Softmax, 1, {0.5F});
  add_matrix(list, "swiglu", Opcode::SwiGlu, 2);
  add_matrix(list, "silu", Opcode::Silu, 1);
  add_matrix(list, "gelu", Opcode::Gelu, 1);
  add_matrix(list, "relu", Opcode::Relu, 1);
  add_matrix(list, "add", Opcode::Add, 2);
  add_matrix(list, "add row, clamped", Opcode::Add, 2, {0, 0, -1, 1}, flag::kBroadcastRow | flag::kClamp);
  add_matrix(list, "mul", Opcode::Mul, 2);
  add_matrix(list, "mul row, clamped", Opcode::Mul, 2, {0, 0, -1, 1}, flag::kBroadcastRow | flag::kClamp);
  add_matrix(list, "scale", Opcode::Scale, 1, {2, 0.25F});
}

void add_rows(List& list) {
  for (const Type table : {Type::F32, Type::F16, Type::Q8_0, Type::Q4_0}) {
    add(list, std::string("embed rows ") + name_of(table), [=] {
      Scene scene(Opcode::EmbedRows, {4, 8, 64});
      scene.operand({0, Type::F32, 4, 64}).operand({1, table, 8, 64, 2 * (table == Type::F32 ? 2U : 1U)});
      return std::move(scene.operand({2, Type::I32, 1, 4}));
    });
  }
  for (const Type type : {Type::F32, Type::I8}) {
    add(list, std::string("arg max ") + name_of(type), [=] {
      Scene scene(Opcode::ArgMax, {3, 13});
      return std::move(scene.operand({0, Type::I32, 1, 3}).operand({1, type, 3, 13}));
    });
  }
  add(list, "top k", [] {
    Scene scene(Opcode::TopK, {3, 40, 6});
    scene.operand({0, Type::F32, 3, 6, 4}).operand({1, Type::F32, 3, 40});
    return std::move(scene.operand({2, Type::I32, 3, 6}));
  });
}

void add_attention(List& list) {
  for (const std::uint16_t flags : {std::uint16_t{0}, flag::kHalfSplit}) {
    add(list, flags != 0 ? "rope half split" : "rope", [=] {
      Scene scene(Opcode::Rope, {3, 2, 10, 8}, flags);
      scene.f(0, 10000).f(1, 1).operand({0, Type::F32, 3, 20}).operand({1, Type::F32, 3, 20});
      return std::move(scene.operand({2, Type::I32, 1, 3}));
    });
  }
  for (const Type cache : {Type::F32, Type::F16}) {
    add(list, std::string("attention ") + name_of(cache), [=] {
      Scene scene(Opcode::Attention, {3, 4, 2, 6, 5});
      scene.f(0, 0.4F).operand({0, Type::F32, 3, 24}).operand({1, Type::F32, 3, 24});
      return std::move(scene.operand({2, cache, 8, 12, 4}).operand({3, cache, 8, 12}));
    });
  }
}

void add_images(List& list) {
  for (const bool dense : {true, false}) {
    const Opcode opcode = dense ? Opcode::Conv2d : Opcode::DepthwiseConv2d;
    const std::string name = dense ? "conv2d " : "depthwise conv2d ";
    // 2 images of 5 by 6 with 3 channels; a kernel of 3 by 2, steps of 2 and 1, dilation 2, padded by 2 and 1.
    const auto shape = [=](Type type, std::uint16_t flags) {
      Scene scene(opcode, {2, 5, 6, 3, 2, 5, 6, 3, 2, 2, 1, 2}, flags);
      scene.i(4, 2).i(5, 1).operand({0, type, 4, 30, 4}).operand({1, type, 10, 18});
      return std::move(dense ? scene.operand({2, type, 6, 18}) : scene.operand({2, type, 6, 6}));
    };
    add(list, name + "f32", [=] {
      Scene scene = shape(Type::F32, flag::kClamp);
      return std::move(scene.f(2, -4).f(3, 4).operand({3, Type::F32, 1, 6}));
    });
    for (const std::uint16_t flags : {std::uint16_t{0}, flag::kPerTensor}) {
      add(list, name + (flags != 0 ? "i8 per tensor" : "i8"), [=] {
        Scene scene = shape(Type::I8, flags);
        return quantised(std::move(scene.operand({3, Type::I32, 1, 6})), 6);
      });
    }
  }
  for (const Opcode opcode : {Opcode::MaxPool, Opcode::AvgPool}) {
    for (const Type type : {Type::F32, Type::I8}) {
      add(list, std::string(opcode == Opcode::MaxPool ? "max pool " : "avg pool ") + name_of(type), [=] {
        Scene scene(opcode, {2, 5, 6, 3, 3, 5, 0, 3, 2, 2, 1});
        if (type == Type::I8) {
          scene.i(2, -100).i(3, 100);
        }
        return std::move(scene.i(4, 2).i(5, 1).operand({0, type, 6, 15}).operand({1, type, 10, 18, 4}));
      });
    }
  }
}

void add_copies(List& list) {
  constexpr std::pair<Type, Type> kPairs[] = {
      {Type::F32, Type::F32},   {Type::F16, Type::F16},   {Type::I8, Type::I8},    {Type::I32, Type::I32},
      {Type::Q8_0, Type::Q8_0}, {Type::Q4_0, Type::Q4_0}, {Type::U8, Type::U8},    {Type::F16, Type::F32},
      {Type::Q8_0, Type::F32},  {Type::F32, Type::F16},   {Type::F32, Type::Q8_0}, {Type::F32, Type::Q4_0},
      {Type::I8, Type::F32},    {Type::U8, Type::F32},    {Type::I32, Type::F32},  {Type::F32, Type::I8},
      {Type::F32, Type::U8},    {Type::F32, Type::I32},   {Type::I8, Type::U8},    {Type::U8, Type::I8}};
  const auto is_integer = [](Type type) { return type == Type::I8 || type == Type::U8 || type == Type::I32; };
  for (const std::pair<Type, Type>& pair : kPairs) {
    const Type to = pair.first;
    const Type from = pair.second;
    const bool affine = (is_integer(to) && from == Type::F32) || (is_integer(from) && to == Type::F32);
    add(list, std::string("copy ") + name_of(from) + " to " + name_of(to), [=] {
      Scene scene(Opcode::Copy, {3, 96});
      if (affine) {
        scene.f(0, 0.02F).i(1, 3);
      }
      return std::move(scene.operand({0, to, 3, 96, 8}).operand({1, from, 3, 96}));
    });
  }
}

}  // namespace

const std::vector<Example>& examples() {
  static const List kList = [] {
    List list;
    add(list, "nop", [] { return Scene(Opcode::Nop, {}); });
    add_gemm(list);
    add_matrices(list);
    add_rows(list);
    add_attention(list);
    add_images(list);
    add_copies(list);
    return list;
  }();
  return kList;
}

}  // namespace npu::testing
