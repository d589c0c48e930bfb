// npu.mlp, npu.conv, npu.gemm: on the CPU, in a thread of a fake CPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <string>

#include "../src/random.hpp"
#include "guest/gguf/testing/builder.hpp"
#include "guest/graph/operators/pattern.hpp"
#include "guest/graph/operators/services.hpp"
#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/ml/model.hpp"
#include "guest/npu/cpu_accelerator.hpp"
#include "kind_fixture.hpp"
#include "npu/kernels/kernels.hpp"

namespace guest::graph {
namespace {

using ::testing::HasSubstr;
using Floats = std::vector<float>;
using Labels = std::vector<std::uint32_t>;

class NpuKinds : public ::testing::Test, public FileSource {
 protected:
  NpuKinds() {
    set_operator_services({.files = this});
    npu::set_npu(npu);
  }
  ~NpuKinds() override { set_operator_services({}); }
  [[nodiscard]] std::optional<std::span<const std::byte>> find(std::string_view name) const override {
    const auto found = files.find(std::string(name));
    return found == files.end() ? std::nullopt : std::optional(std::as_bytes(std::span(found->second)));
  }
  static void in_thread(std::function<void()> body) {
    threads::start("test", std::move(body));
    threads::run_until_idle();
  }
  std::uint64_t regions() { return (*npu.read_counters()).regions; }

  std::map<std::string, std::string> files;
  npu::CpuAccelerator npu{::npu::scalar_kernels()};
};

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// An image of the held-out ones of tools/models/train_*.py, and its label.
std::vector<std::uint8_t> held_out(Pattern pattern, std::uint32_t side, std::uint32_t max_noise, std::uint64_t number) {
  constexpr std::uint64_t kSeed = 999;
  std::vector<std::uint8_t> image(std::size_t{side} * side);
  draw({.pattern = pattern,
        .width = side,
        .height = side,
        .seed = kSeed,
        .noise = static_cast<std::uint32_t>(random_at(kSeed + 77, number) % (max_noise + 1))},
       number, std::as_writable_bytes(std::span(image)));
  return image;
}

/// How many of the first held-out images a model knows, as docs/ml.md says it: "48 of 50".
std::string documented(const std::string& model) {
  std::ifstream page(SIS_ML_PAGE);
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("| `" + model + "` | first 50 |")) {
      return line;
    }
  }
  return "no row for " + model;
}
constexpr std::uint64_t kHeldOut = 50;

TEST_F(NpuKinds, mlp_knows_as_many_patterns_as_documented) {
  in_thread([&] {
    KindFixture with("npu.mlp", {}, 1, 1);
    KindFixture normalise("normalise", {}, 1, 1);
    ASSERT_EQ(with.refusal, "");
    std::uint64_t right = 0;
    for (std::uint64_t number = 0; number < kHeldOut; ++number) {
      normalise.put(0, normalise.bytes({16, 16}, held_out(Pattern::Cycle, 16, 32, number)));
      ASSERT_EQ(normalise.fire(), "ok");
      with.put(0, with.tensor(DType::F32, {16, 16}, KindFixture::values<float>(normalise.take())));
      ASSERT_EQ(with.fire(), "ok");
      right += KindFixture::values<std::uint32_t>(with.take()).at(0) == label_of(Pattern::Cycle, number) ? 1 : 0;
    }
    EXPECT_THAT(documented("patterns"), HasSubstr("| " + std::to_string(right) + " of 50 |"));
  });
}

TEST_F(NpuKinds, conv_knows_as_many_shapes_as_documented) {
  in_thread([&] {
    KindFixture with("npu.conv", {}, 1, 1);
    ASSERT_EQ(with.refusal, "");
    std::uint64_t right = 0;
    for (std::uint64_t number = 0; number < kHeldOut; ++number) {
      with.put(0, with.bytes({32, 32}, held_out(Pattern::Shapes, 32, 20, number)));
      ASSERT_EQ(with.fire(), "ok");
      right += KindFixture::values<std::uint32_t>(with.take()).at(0) == label_of(Pattern::Shapes, number) ? 1 : 0;
    }
    EXPECT_THAT(documented("shapes"), HasSubstr("| " + std::to_string(right) + " of 50 |"));
  });
}

TEST_F(NpuKinds, conv_takes_bytes_and_floats_alike_and_gives_scores) {
  in_thread([&] {
    KindFixture with("npu.conv", {}, 1, 2);
    const auto image = held_out(Pattern::Shapes, 32, 20, 3);
    with.put(0, with.bytes({32, 32}, image));
    ASSERT_EQ(with.fire(), "ok");
    const auto of_bytes = KindFixture::values<float>(with.take(1));
    Floats numbers;
    for (const std::uint8_t element : image) {
      numbers.push_back(static_cast<float>(element) / 255);
    }
    with.put(0, with.tensor(DType::F32, {32, 32, 1}, numbers));
    ASSERT_EQ(with.fire(), "ok");
    EXPECT_EQ(KindFixture::values<float>(with.take(1)), of_bytes);
    EXPECT_EQ(of_bytes.size(), 6U);
    const auto labels = KindFixture::values<std::uint32_t>(with.take(0));
    EXPECT_EQ(of_bytes.at(labels.at(0)), *std::max_element(of_bytes.begin(), of_bytes.end()));
    EXPECT_EQ(with.graph->arena().statistics().bytes_copied, 0U);
  });
}

TEST_F(NpuKinds, share_a_region_for_as_long_as_their_graph_has_them) {
  in_thread([&] {
    {
      KindFixture with("npu.gemm", {}, 2, 1);
      EXPECT_EQ(regions(), 0U);
      with.put(0, with.tensor<float>(DType::F32, {1}, {2}));
      with.put(1, with.tensor<float>(DType::F32, {1}, {3}));
      ASSERT_EQ(with.fire(), "ok");
      EXPECT_EQ(KindFixture::values<float>(with.take()), (Floats{6}));
      EXPECT_EQ(regions(), 1U);
    }
    EXPECT_EQ(regions(), 0U);
  });
}

TEST_F(NpuKinds, mlp_refuses_other_tensors_and_models) {
  files["patterns"] = text_of(ml::builtin_model("patterns"));
  files["shapes"] = text_of(ml::builtin_model("shapes"));
  files["bad"] = files["shapes"].substr(0, 100);
  in_thread([&] {
    KindFixture with("npu.mlp", {{"file", "patterns"}}, 1, 1);
    with.put(0, with.bytes({3}, {1, 2, 3}));
    EXPECT_EQ(with.fire(), "graph-bad-input: input 0: expected 256 elements of u8 or f32, given u8 [3]");
    KindFixture conv("npu.conv", {}, 1, 1);
    conv.put(0, conv.bytes({1, 1024}, std::vector<std::uint8_t>(1024)));
    EXPECT_EQ(conv.fire(), "graph-bad-input: input 0: expected u8 or f32 [32, 32, 1], given u8 [1, 1024]");
    EXPECT_EQ(KindFixture("npu.mlp", {{"file", "shapes"}}, 1, 1).refusal,
              "graph-bad-model: operator 'it' (npu.mlp): model 'shapes' has convolutions or pools: npu.conv runs it");
    EXPECT_EQ(KindFixture("npu.conv", {{"file", "patterns"}}, 1, 1).refusal,
              "graph-bad-model: operator 'it' (npu.conv): model 'patterns' has dense layers only: npu.mlp runs it");
    EXPECT_EQ(KindFixture("npu.mlp", {{"file", "none"}}, 1, 1).refusal,
              "graph-no-file: operator 'it' (npu.mlp): there is no file 'none' in the boot archive");
    EXPECT_EQ(KindFixture("npu.mlp", {{"file", "patterns"}, {"model", "patterns"}}, 1, 1).refusal,
              "graph-bad-parameter: operator 'it' (npu.mlp): parameters 'file' and 'model' exclude each other");
    EXPECT_THAT(KindFixture("npu.conv", {{"file", "bad"}}, 1, 1).refusal,
                HasSubstr("operator 'it' (npu.conv): file 'bad': "));
  });
}

TEST_F(NpuKinds, fail_with_what_the_npu_says) {
  in_thread([&] {
    KindFixture with("npu.gemm", {}, 2, 1);
    ASSERT_TRUE(npu.set_power(abi::npu::Power::Off));
    with.put(0, with.tensor<float>(DType::F32, {1}, {2}));
    with.put(1, with.tensor<float>(DType::F32, {1}, {3}));
    EXPECT_THAT(with.fire(), HasSubstr("power-off"));
    ASSERT_TRUE(npu.set_power(abi::npu::Power::On));
  });
}

/// Kernels that find an index out of range in everything.
const ::npu::KernelSet& broken_kernels() {
  static const ::npu::KernelSet set = [] {
    ::npu::KernelSet broken = ::npu::scalar_kernels();
    broken.kernels.fill([](const ::npu::Checked&, ::npu::Units) -> std::optional<abi::npu::Reason> {
      return abi::npu::Reason::IndexRange;
    });
    return broken;
  }();
  return set;
}

TEST_F(NpuKinds, fail_with_what_ended_a_job) {
  npu::CpuAccelerator broken(broken_kernels());
  npu::set_npu(broken);
  in_thread([&] {
    KindFixture gemm("npu.gemm", {}, 2, 1);
    gemm.put(0, gemm.tensor<float>(DType::F32, {1}, {2}));
    gemm.put(1, gemm.tensor<float>(DType::F32, {1}, {3}));
    EXPECT_EQ(gemm.fire(), "ml-failed: gemm: region, index-range");
    KindFixture conv("npu.conv", {}, 1, 1);
    conv.put(0, conv.bytes({32, 32}, std::vector<std::uint8_t>(1024)));
    EXPECT_EQ(conv.fire(), "ml-failed: layer 0 (convert): region, index-range");
  });
  npu::set_npu(npu);
}

TEST_F(NpuKinds, that_find_no_memory_are_not_added) {
  in_thread([&] {
    std::string errors;
    for (const char* const kind : {"npu.gemm", "npu.conv"}) {
      KindFixture with("load", {{"us", "3"}}, 1, 1);
      for (const std::uint32_t id : {50U, 51U}) {
        ASSERT_TRUE(with.graph->add_channel({.id = id, .capacity = 1}));
      }
      const std::uint32_t in[] = {50};
      const std::uint32_t out[] = {51};
      kernel::Outcome added;
      kernel::fail_each_allocation(
          [&] {
            added = with.graph->add_operator({.id = 9, .name = "new", .kind = kind, .inputs = in, .outputs = out});
          },
          [&] {
            ASSERT_FALSE(added);
            EXPECT_TRUE(added.error().name.ends_with("-no-memory")) << added.error().name;
            EXPECT_EQ(regions(), 0U);
            errors += std::string(added.error().detail.view()) + "\n";
          });
      EXPECT_TRUE(added);
    }
    EXPECT_THAT(errors, HasSubstr("no memory for a job of one command"));
    EXPECT_THAT(errors, HasSubstr("bytes for a network"));
  });
  EXPECT_EQ(regions(), 0U);
}

TEST_F(NpuKinds, that_find_no_memory_for_their_region_fail) {
  in_thread([&] {
    KindFixture with("npu.gemm", {}, 2, 1);
    const auto fire = [&] {
      with.put(0, with.tensor<float>(DType::F32, {1}, {2}));
      with.put(1, with.tensor<float>(DType::F32, {1}, {3}));
      return with.fire();
    };
    std::string said;
    kernel::fail_each_allocation(
        [&] { said = fire(); },
        [&] {
          EXPECT_THAT(said, ::testing::MatchesRegex("graph-no-memory: no [0-9]+ bytes for the region of the tensors"));
        });
    EXPECT_EQ(said, "ok");
  });
}

TEST_F(NpuKinds, gemm_multiplies_by_its_second_input) {
  in_thread([&] {
    KindFixture with("npu.gemm", {}, 2, 1);
    with.put(0, with.tensor<float>(DType::F32, {2, 3}, {1, 2, 3, 4, 5, 6}));
    with.put(1, with.tensor<float>(DType::F32, {2, 3}, {1, 0, 0, 1, 1, 1}));
    ASSERT_EQ(with.fire(), "ok");
    const TensorRef made = with.take();
    EXPECT_EQ(KindFixture::dims(made), (std::vector<std::uint32_t>{2, 2}));
    EXPECT_EQ(KindFixture::values<float>(made), (Floats{1, 6, 4, 15}));
    with.put(0, with.tensor<float>(DType::F32, {2}, {1, 2}));
    with.put(1, with.tensor<float>(DType::F32, {2, 3}, {1, 0, 0, 1, 1, 1}));
    EXPECT_EQ(with.fire(), "graph-bad-input: input 0: expected f32 [3] or [rows, 3], given f32 [2]");
    with.put(0, with.tensor<float>(DType::F32, {2}, {1, 2}));
    with.put(1, with.bytes({2}, {1, 2}));
    EXPECT_EQ(with.fire(), "graph-bad-input: input 1: expected f32 [rows, columns] or [columns], given u8 [2]");
  });
}

/// A row of 32: one block with a scale of 2 (0x4000 as f16) and numbers of 3, as Q8_0 and as Q4_0.
std::string block_of(gguf::Type type) {
  return std::string("\0\x40", 2) + (type == gguf::Type::Q8_0 ? std::string(32, '\3') : std::string(16, '\xbb'));
}

TEST_F(NpuKinds, gemm_multiplies_by_a_tensor_of_a_file) {
  files["one"] = gguf::testing::Builder().put_floats("w", {2, 3}, {1, 2, 3, 4, 5, 6}).bytes();
  files["many"] = gguf::testing::Builder()
                      .put_tensor("f16", {2}, gguf::Type::F16, std::string("\0\x40\0\x3c", 4))
                      .put_tensor("q8", {32}, gguf::Type::Q8_0, block_of(gguf::Type::Q8_0))
                      .put_tensor("q4", {32, 1}, gguf::Type::Q4_0, block_of(gguf::Type::Q4_0))
                      .put_tensor("i8", {1}, gguf::Type::I8, "1")
                      .bytes();
  in_thread([&] {
    const auto product = [&](const Values& parameters, const Floats& input) {
      KindFixture with("npu.gemm", parameters, 1, 1);
      EXPECT_EQ(with.refusal, "");
      with.put(0, with.tensor<float>(DType::F32, {static_cast<std::uint32_t>(input.size())}, input));
      EXPECT_EQ(with.fire(), "ok");
      return KindFixture::values<float>(with.take());
    };
    EXPECT_EQ(product({{"file", "one"}}, {1, 10}), (Floats{21, 43, 65}));
    EXPECT_EQ(product({{"file", "many"}, {"tensor", "f16"}}, {3, 4}), (Floats{10}));
    EXPECT_EQ(product({{"file", "many"}, {"tensor", "q8"}}, Floats(32, 127)), (Floats{32 * 127 * 6}));
    EXPECT_EQ(product({{"file", "many"}, {"tensor", "q4"}}, Floats(32, 127)), (Floats{32 * 127 * 6}));
    const auto refusal = [](const Values& parameters) { return KindFixture("npu.gemm", parameters, 1, 1).refusal; };
    EXPECT_EQ(
        refusal({{"file", "many"}}),
        "graph-bad-parameter: operator 'it' (npu.gemm): file 'many': the file has 4 tensors: parameter 'tensor' must "
        "say which");
    EXPECT_EQ(refusal({{"file", "many"}, {"tensor", "x"}}),
              "graph-bad-model: operator 'it' (npu.gemm): file 'many': there is no tensor 'x' among 4");
    EXPECT_EQ(
        refusal({{"file", "many"}, {"tensor", "i8"}}),
        "graph-bad-model: operator 'it' (npu.gemm): file 'many': a tensor of I8 and 1 dimensions: expected F32, F16, "
        "Q8_0 or Q4_0, 1 or 2");
    EXPECT_EQ(refusal({{"tensor", "x"}}),
              "graph-bad-parameter: operator 'it' (npu.gemm): parameter 'tensor' is of a file: there is none");
    KindFixture with("npu.gemm", {{"file", "one"}}, 2, 1);
    with.put(0, with.tensor<float>(DType::F32, {2}, {1, 2}));
    with.put(1, with.tensor<float>(DType::F32, {2}, {1, 2}));
    EXPECT_EQ(with.fire(), "graph-bad-input: 2 inputs: expected 1, with the parameter 'file'");
  });
}

}  // namespace
}  // namespace guest::graph
