// Files of models: what is read, and what is refused in which words.
#include "guest/ml/model.hpp"

#include <fstream>
#include <iterator>
#include <map>

#include "guest/gguf/testing/builder.hpp"
#include "ml_fixture.hpp"

namespace guest::ml {
namespace {

using ::testing::HasSubstr;
using Numbers = std::vector<std::int32_t>;

template <typename T>
std::string packed(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

/// A model of a convolution, a pool and a dense layer; tests change what they like.
struct Parts {
  std::string architecture = "sis.net";
  std::string name = "tiny";
  std::uint32_t version = 1;
  std::vector<std::string> classes = {"dark", "bright"};
  Numbers shape = {2, 2, 1};
  float scale = 1;
  std::int32_t zero = -128;
  std::vector<std::string> layers = {"conv2d", "max_pool", "dense"};
  Numbers outputs = {2, 0, 2};
  Numbers kernel = {1, 1, 2, 2, 0, 0};
  Numbers step = {1, 1, 2, 2, 0, 0};
  Numbers padding = Numbers(12);
  Numbers zeros = {0, 0, 0};
  std::vector<float> scales = {1, 1, 0.25F};
  Numbers min = {-128, -128, -128};
  Numbers max = {127, 127, 127};
  struct Tensor {
    std::vector<std::uint64_t> extents;
    gguf::Type type;
    std::string data;
  };
  std::map<std::string, Tensor> tensors = {
      {"0.weight", {{1, 1, 1, 2}, gguf::Type::I8, packed<std::int8_t>({1, -1})}},
      {"0.multiplier", {{2}, gguf::Type::I32, packed<std::int32_t>({1 << 30, 1 << 30})}},
      {"0.shift", {{2}, gguf::Type::I32, packed<std::int32_t>({0, 0})}},
      {"2.weight", {{2, 2}, gguf::Type::I8, packed<std::int8_t>({0, 2, 2, 0})}},
      {"2.bias", {{2}, gguf::Type::I32, packed<std::int32_t>({100, 0})}},
      {"2.multiplier", {{1}, gguf::Type::I32, packed<std::int32_t>({1 << 30})}},
      {"2.shift", {{1}, gguf::Type::I32, packed<std::int32_t>({0})}},
  };

  [[nodiscard]] std::string bytes() const {
    gguf::testing::Builder file;
    file.put("general.architecture", std::string_view(architecture))
        .put("general.name", std::string_view(name))
        .put("sis.net.version", version);
    file.put_array("sis.net.classes", classes).put_array("sis.net.input.shape", shape);
    file.put("sis.net.input.scale", scale).put("sis.net.input.zero", zero);
    file.put_array("sis.net.layers", layers).put_array("sis.net.outputs", outputs);
    file.put_array("sis.net.kernel", kernel).put_array("sis.net.step", step).put_array("sis.net.padding", padding);
    file.put_array("sis.net.scale", scales).put_array("sis.net.zero", zeros);
    file.put_array("sis.net.min", min).put_array("sis.net.max", max);
    for (const auto& [tensor, of] : tensors) {
      file.put_tensor(tensor, of.extents, of.type, of.data);
    }
    return file.bytes();
  }
};

class ModelFile : public Ml {
 protected:
  static std::expected<Classifier, kernel::NamedError> read_file(const std::string& file, Type input = Type::U8) {
    return read_classifier(std::as_bytes(std::span(file)), {.input = input});
  }
};

TEST_F(ModelFile, computes_a_class_and_scores) {
  const std::string file = Parts().bytes();
  const auto model = read_file(file);
  ASSERT_EQ(error_of(model), "");
  EXPECT_EQ(model->name.view(), "tiny");
  EXPECT_EQ(model->classes, 2U);
  EXPECT_TRUE(model->has_windows);
  // 200 is an i8 of 72, which stands for 200; halved and bounded 100, or -100 of the other; the pool takes the largest
  // of those of 0, 0, 0 and 200: 100 and 0. Then (0 + 0 + 100) / 2 and (200 + 0) / 2, a quarter each.
  using Raw = std::vector<std::uint8_t>;
  EXPECT_EQ(run<float>(*model->network, model->input, Raw{0, 0, 200, 0}, model->scores),
            (std::vector<float>{12.5F, 25}));
  EXPECT_EQ(run<std::int32_t>(*model->network, model->input, Raw{0, 0, 200, 0}, model->label), (Numbers{1}));
  EXPECT_EQ(run<std::int32_t>(*model->network, model->input, Raw{0, 0, 20, 0}, model->label), (Numbers{0}));
}

TEST_F(ModelFile, quantises_floats_as_it_says) {
  Parts parts;
  parts.scale = 0.5F;
  const std::string file = parts.bytes();
  const auto model = read_file(file, Type::F32);
  ASSERT_EQ(error_of(model), "");
  EXPECT_EQ(run<float>(*model->network, model->input, std::vector<float>{0, 0, 100, -7}, model->scores),
            (std::vector<float>{12.5F, 25}));
}

TEST_F(ModelFile, that_ends_early_is_refused) {
  const std::string file = Parts().bytes();
  for (std::size_t bytes = 0; bytes < file.size(); bytes += 7) {
    EXPECT_FALSE(read_file(file.substr(0, bytes))) << bytes;
  }
}

struct Tampered {
  const char* what;
  std::function<void(Parts&)> change;
  const char* error;
};

TEST_F(ModelFile, that_does_not_hold_together_is_refused) {
  const Tampered kinds[] = {
      {"architecture", [](Parts& p) { p.architecture = "llama"; },
       "ml-bad-model: a model of the architecture 'llama': expected sis.net"},
      {"version", [](Parts& p) { p.version = 2; }, "gguf-out-of-range: "},
      {"name", [](Parts& p) { p.name = "a\nb"; }, "ml-bad-model: the name 'a\\nb'"},
      {"no name", [](Parts& p) { p.name = ""; }, "ml-bad-model: the name ''"},
      {"shape of two", [](Parts& p) { p.shape = {2, 2}; },
       "ml-bad-model: key 'sis.net.input.shape' has 2 numbers: expected 3"},
      {"negative side", [](Parts& p) { p.shape = {-2, 2, 1}; }, "ml-bad-shape: an input of u8 [4294967294, 2, 1]"},
      {"scale 0", [](Parts& p) { p.scale = 0; },
       "ml-bad-model: key 'sis.net.input.scale': expected a finite number above 0"},
      {"scale below 0", [](Parts& p) { p.scales[1] = -1; },
       "ml-bad-model: layer 1 (max_pool): its scale is not a finite number above 0"},
      {"zero of no i8", [](Parts& p) { p.zero = 128; },
       "ml-bad-model: key 'sis.net.input.zero': expected a value of i8"},
      {"no layers", [](Parts& p) { p.layers.clear(); }, "ml-bad-model: 0 layers: expected 1 to 45"},
      {"many layers", [](Parts& p) { p.layers.resize(46); }, "ml-bad-model: 46 layers: expected 1 to 45"},
      {"kind", [](Parts& p) { p.layers[0] = "conv3d"; }, "ml-bad-model: layer 0: 'conv3d' is no kind of layers"},
      {"short column", [](Parts& p) { p.kernel.pop_back(); },
       "ml-bad-model: key 'sis.net.kernel' has 5 numbers: expected 6"},
      {"dense with a window", [](Parts& p) { p.padding[8] = 1; },
       "ml-bad-model: layer 2 (dense): its kernel, step and padding must be 0"},
      {"no window", [](Parts& p) { p.kernel[0] = p.kernel[1] = p.step[0] = p.step[1] = 0; },
       "ml-bad-model: layer 0 (conv2d): its kernel, step and padding are all 0"},
      {"large kernel", [](Parts& p) { p.kernel[2] = 3; }, "ml-bad-shape: layer 2 (max-pool): a window of 3 by 2"},
      {"negative step", [](Parts& p) { p.step[2] = 0; }, "ml-bad-shape: layer 2 (max-pool): a window"},
      {"pool with outputs", [](Parts& p) { p.outputs[1] = 2; },
       "ml-bad-model: layer 1 (max_pool): 2 outputs, zero point 0: expected 0, and its input's scale and zero point"},
      {"pool that moves zero", [](Parts& p) { p.zeros[1] = 1; },
       "ml-bad-model: layer 1 (max_pool): 0 outputs, zero point 1"},
      {"outputs", [](Parts& p) { p.outputs[0] = 3; },
       "ml-bad-weights: layer 1 (conv2d): i8 [2, 2, 1] wants weights i8 [3, 1], which are 3 bytes: given 2"},
      {"negative outputs", [](Parts& p) { p.outputs[0] = -1; }, "ml-bad-weights: layer 1 (conv2d)"},
      {"weights of f32", [](Parts& p) { p.tensors["2.weight"] = {{1}, gguf::Type::F32, "1234"}; },
       "ml-bad-type: layer 3 (dense): weights of f32 for i8 [2]"},
      {"no weights", [](Parts& p) { p.tensors.erase("2.weight"); }, "ml-bad-type: layer 3 (dense): weights of f32"},
      {"no shift", [](Parts& p) { p.tensors.erase("0.shift"); },
       "ml-bad-weights: layer 1 (conv2d): shifts: expected 2"},
      {"i16 bias", [](Parts& p) { p.tensors["2.bias"] = {{4}, gguf::Type::I16, "12345678"}; },
       "ml-bad-weights: layer 3 (dense): bias: expected 2 i32, given 8 bytes of f16"},
      {"unused tensor", [](Parts& p) { p.tensors["1.weight"] = {{1}, gguf::Type::I8, "1"}; },
       "ml-bad-model: 8 tensors, of which the layers use 7"},
      {"classes", [](Parts& p) { p.classes.emplace_back("third"); },
       "ml-bad-model: 3 classes, and a last layer of i8 [2]: expected one element for each of 1 to 1024 classes"},
  };
  for (const Tampered& kind : kinds) {
    Parts parts;
    kind.change(parts);
    EXPECT_THAT(error_of(read_file(parts.bytes())), HasSubstr(kind.error)) << kind.what;
  }
}

TEST_F(ModelFile, with_limits_in_the_wrong_order_does_not_run) {
  Parts parts;
  parts.min[0] = 5;
  parts.max[0] = 4;
  const std::string file = parts.bytes();
  const auto model = read_file(file);
  ASSERT_EQ(error_of(model), "");
  in_thread([&] {
    EXPECT_EQ(error_of(Inference::make(npu, *model->network)),
              "ml-refused: layer 1 (conv2d): type, parameter, at byte 168 of its command");
  });
}

/// The row of a model in the table of docs/ml.md.
std::string documented(const std::string& model) {
  std::ifstream page(SIS_ML_PAGE);
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("| `" + model + "` | npu.")) {
      return line;
    }
  }
  return "no row for " + model + " in " SIS_ML_PAGE;
}

std::string grouped(std::uint64_t value) {
  std::string text = std::to_string(value);
  for (std::size_t at = text.size(); at > 3; at -= 3) {
    text.insert(at - 3, ",");
  }
  return text;
}

TEST_F(ModelFile, that_is_built_in_costs_what_is_documented) {
  for (const char* const name : {"patterns", "shapes"}) {
    const std::span<const std::byte> file = builtin_model(name);
    const auto model = read_classifier(file, {.input = Type::U8});
    ASSERT_EQ(error_of(model), "") << name;
    EXPECT_EQ(model->name.view(), name);
    in_thread([&] {
      const auto inference = *Inference::make(npu, *model->network);
      EXPECT_THAT(documented(name),
                  HasSubstr("| " + grouped(file.size()) + " | " + grouped(inference->cycles()) + " |"));
    });
  }
  EXPECT_TRUE(builtin_model("others").empty());
}

}  // namespace
}  // namespace guest::ml
