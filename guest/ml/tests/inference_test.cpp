// What networks compute, and what is known of them before they do.
#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "ml_fixture.hpp"

namespace guest::ml {
namespace {

using Bytes = std::vector<std::int8_t>;
using Floats = std::vector<float>;
using Words = std::vector<std::int32_t>;

class Layers : public Ml {
 protected:
  Value vector_of(Type type, std::uint32_t elements) {
    return *made->input({.type = type, .shape = {.channels = elements}});
  }
  std::unique_ptr<Network> made = network();
};

TEST_F(Layers, dense_of_floats) {
  const Value in = vector_of(Type::F32, 3);
  const Weights weights = {.weight = floats({1, 2, 3, -1, 0, 1}), .bias = floats({0.5F, -1})};
  const Value free = *made->dense(in, weights, 2, {});
  const Value bounded =
      *made->dense(in, weights, 2, {.min = 0, .max = std::bit_cast<std::int32_t>(6.0F), .clamp = true});
  EXPECT_EQ(run<float>(*made, in, Floats{1, 2, 3}, free), (Floats{14.5F, 1}));
  EXPECT_EQ(run<float>(*made, in, Floats{1, 2, 3}, bounded), (Floats{6, 1}));
}

TEST_F(Layers, dense_of_blocks) {
  const Value in = vector_of(Type::F32, 32);
  // One block: a scale of 2 (0x4000 as f16), numbers 1, 0, 0, ...
  Bytes block(34);
  block[1] = 0x40;
  block[2] = 1;
  const Value out = *made->dense(in, {.weight = constant(Type::Q8_0, block)}, 1, {});
  Floats numbers(32);
  numbers[0] = 127;
  EXPECT_EQ(run<float>(*made, in, numbers, out), (Floats{254}));
}

TEST_F(Layers, dense_of_bytes_with_zero_points) {
  const Value in = *made->input({.type = Type::I8, .shape = {.channels = 2}, .quantisation = {.zero = 10}});
  const Value out =
      *made->dense(in, halved({1, 2, -100, 100, 1, 0}, {0, 0, 7}), 3, {.quantisation = {.zero = -3}, .min = -5});
  // (14 - 10) * 1 + (8 - 10) * 2 = 0; -400 - 200 = -600; 4 + 7 = 11. Halved, less 3, bounded.
  EXPECT_EQ(run<std::int8_t>(*made, in, Bytes{14, 8}, out), (Bytes{-3, -5, 3}));
}

TEST_F(Layers, of_a_batch_compute_each_example) {
  made = network(2);
  const Value in = vector_of(Type::F32, 2);
  const Value out = *made->dense(in, {.weight = floats({1, 10})}, 1, {});
  const Value label = *made->argmax(in);
  EXPECT_EQ(run<float>(*made, in, Floats{1, 2, 4, 3}, out), (Floats{21, 34}));
  EXPECT_EQ(run<std::int32_t>(*made, in, Floats{1, 2, 4, 3}, label), (Words{1, 0}));
}

TEST_F(Layers, conv2d_pads_with_zero_points) {
  const Value in = *made->input({.type = Type::I8, .shape = {2, 2, 1}, .quantisation = {.zero = 1}});
  const Value out = *made->conv2d(
      in, halved({2, 2, 2, 2, 2, 2, 2, 2, 2}), 1,
      {.kernel_height = 3, .kernel_width = 3, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1}, {});
  // Each window sees all four.
  EXPECT_EQ(run<std::int8_t>(*made, in, Bytes{2, 3, 4, 5}, out), (Bytes{10, 10, 10, 10}));
  EXPECT_EQ(made->type_of(out).shape, (Shape{2, 2, 1}));
}

TEST_F(Layers, conv2d_of_floats_steps) {
  const Value in = *made->input({.shape = {2, 4, 1}});
  const Value out = *made->conv2d(in, {.weight = floats({1, 2, 0, 1})}, 2,
                                  {.kernel_width = 2, .step_height = 2, .step_width = 2}, {});
  EXPECT_EQ(run<float>(*made, in, Floats{1, 2, 3, 4, 5, 6, 7, 8}, out), (Floats{5, 2, 11, 4}));
}

TEST_F(Layers, depthwise_keeps_channels_apart) {
  const Value in = *made->input({.type = Type::I8, .shape = {1, 2, 2}});
  const Value out = *made->depthwise(in, halved({2, 4, 6, 8}), 2, {.kernel_width = 2}, {});
  EXPECT_EQ(run<std::int8_t>(*made, in, Bytes{1, 10, 2, 3}, out), (Bytes{1 + 6, 20 + 12}));
}

TEST_F(Layers, pools) {
  const Value in = *made->input({.type = Type::I8, .shape = {2, 2, 1}});
  const Window all = {.kernel_height = 2, .kernel_width = 2};
  const Value most = *made->max_pool(in, all, {.max = 3});
  const Value mean = *made->average_pool(in, all);
  EXPECT_EQ(run<std::int8_t>(*made, in, Bytes{-9, 1, 2, 4}, most), (Bytes{3}));
  EXPECT_EQ(run<std::int8_t>(*made, in, Bytes{-9, 1, 2, 4}, mean), (Bytes{-1}));
  const Value numbers = *made->input({.shape = {2, 2, 1}});
  EXPECT_EQ(run<float>(*made, numbers, Floats{-9, 1, 2, 4}, *made->average_pool(numbers, all)), (Floats{-0.5F}));
}

TEST_F(Layers, relu_is_at_the_zero_point) {
  const Value in = *made->input({.type = Type::I8, .shape = {.channels = 3}, .quantisation = {.zero = -5}});
  EXPECT_EQ(run<std::int8_t>(*made, in, Bytes{-128, -5, 7}, *made->relu(in)), (Bytes{-5, -5, 7}));
  const Value numbers = vector_of(Type::F32, 2);
  EXPECT_EQ(run<float>(*made, numbers, Floats{-2, 3}, *made->relu(numbers)), (Floats{0, 3}));
}

TEST_F(Layers, softmax_and_argmax) {
  const Value in = vector_of(Type::F32, 3);
  const Value shares = *made->softmax(in);
  const Value label = *made->argmax(shares);
  EXPECT_EQ(run<float>(*made, in, Floats{5, 5, -1000}, shares), (Floats{0.5F, 0.5F, 0}));
  EXPECT_EQ(run<std::int32_t>(*made, in, Floats{1, 7, 7}, label), (Words{1}));
}

TEST_F(Layers, convert_there_and_back) {
  const Value in = vector_of(Type::F32, 3);
  const Value rounded = *made->convert(in, Type::I8, {.scale = number(0.5F), .zero = 3});
  const Value back = *made->convert(rounded, Type::F32);
  EXPECT_EQ(run<std::int8_t>(*made, in, Floats{0, 1.25F, 1000}, rounded), (Bytes{3, 5, 127}));
  EXPECT_EQ(run<float>(*made, in, Floats{0, 1.25F, 1000}, back), (Floats{0, 1, 62}));
}

TEST_F(Layers, convert_bytes_keeps_what_they_stand_for) {
  const Value in =
      *made->input({.type = Type::U8, .shape = {.channels = 3}, .quantisation = {.scale = number(2), .zero = 100}});
  const Value as_signed = *made->convert(in, Type::I8);
  EXPECT_EQ(made->type_of(as_signed).quantisation, (Quantisation{.scale = number(2), .zero = -28}));
  const Value numbers = *made->convert(as_signed, Type::F32);
  EXPECT_EQ(run<float>(*made, in, std::vector<std::uint8_t>{0, 100, 255}, numbers), (Floats{-200, 0, 310}));
}

TEST_F(Layers, are_placed_in_memory_of_somebody_else) {
  const Value in = vector_of(Type::F32, 2);
  const Value out = *made->dense(in, {.weight = floats({1, 10})}, 1, {});
  in_thread([&] {
    auto inference = *Inference::make(npu, *made);
    auto memory = *Memory::make(256);
    ASSERT_TRUE(memory->enlist(npu, Memory::kReadWrite));
    inference->place(in, {.region = memory->handle(), .offset = 64});
    inference->place(out, {.region = memory->handle(), .offset = 128});
    const Floats numbers = {3, 4};
    std::memcpy(memory->bytes().data() + 64, numbers.data(), 8);
    ASSERT_EQ(error_of(inference->run()), "");
    float result = 0;
    std::memcpy(&result, memory->bytes().data() + 128, sizeof(result));
    EXPECT_EQ(result, 43);
    inference->place(out, {.region = memory->handle(), .offset = 256});
    EXPECT_THAT(error_of(inference->run()), ::testing::HasSubstr("outside-region"));
  });
}

TEST_F(Layers, cost_what_the_model_says) {
  const Value in = vector_of(Type::F32, 320);
  (void)*made->relu(in);
  (void)*made->softmax(in);
  in_thread([&] {
    const auto inference = *Inference::make(npu, *made);
    // 2560 bytes each: 40 cycles. 320 elements of 1 and of 12 operations: 20 and 240 cycles. 100 to start.
    EXPECT_EQ(inference->layers(), 2U);
    EXPECT_EQ(inference->layer(0).name, "relu");
    EXPECT_EQ(inference->layer(0).cycles, 140U);
    EXPECT_EQ(inference->layer(1).cycles, 340U);
    EXPECT_EQ(inference->cycles(), 480U);
  });
}

TEST_F(Layers, that_the_npu_would_not_take_are_refused) {
  const Value in = vector_of(Type::F32, 2);
  (void)*made->convert(in, Type::I8, {.scale = F32::Zero});
  in_thread([&] {
    EXPECT_EQ(error_of(Inference::make(npu, *made)),
              "ml-refused: layer 0 (convert): type, parameter, at byte 160 of its command");
    EXPECT_EQ(error_of(Inference::make(npu, *network())), "ml-refused: a network without layers");
    EXPECT_EQ((*npu.read_counters()).regions, 0U);
  });
}

TEST_F(Layers, leave_no_region_behind) {
  const Value in = vector_of(Type::F32, 2);
  (void)*made->relu(in);
  in_thread([&] {
    {
      const auto inference = *Inference::make(npu, *made);
      EXPECT_EQ((*npu.read_counters()).regions, 2U);
    }
    EXPECT_EQ((*npu.read_counters()).regions, 0U);
  });
}

TEST_F(Layers, that_are_too_long_are_refused_without_running) {
  const Value in = vector_of(Type::F32, 2);
  (void)*made->relu(in);
  in_thread([&] {
    const auto inference = *Inference::make(npu, *made);
    inference->job().options.cycle_limit = 1;
    EXPECT_THAT(error_of(inference->run()), ::testing::HasSubstr("cycle-limit"));
  });
}

/// A NPU whose jobs may not be long.
class Impatient final : public npu::Npu {
 public:
  explicit Impatient(npu::Npu& other) : other_(other), info_(other.info()) { info_.max_job_cycles = 500; }
  [[nodiscard]] const npu::Info& info() const override { return info_; }
  std::expected<std::uint32_t, kernel::NamedError> register_region(std::span<std::byte> memory,
                                                                   std::uint32_t flags) override {
    return other_.register_region(memory, flags);
  }
  kernel::Outcome release_region(std::uint32_t handle) override { return other_.release_region(handle); }
  kernel::Outcome submit(npu::Job& job) override { return other_.submit(job); }
  void abort(npu::Job& job) override { other_.abort(job); }
  kernel::Outcome reset() override { return other_.reset(); }
  kernel::Outcome flush() override { return other_.flush(); }
  kernel::Outcome set_power(abi::npu::Power power) override { return other_.set_power(power); }
  std::expected<abi::npu::Counters, kernel::NamedError> read_counters() override { return other_.read_counters(); }

 private:
  npu::Npu& other_;
  npu::Info info_;
};

TEST_F(Layers, that_cost_more_than_a_job_may_are_refused_when_they_are_made_ready) {
  const Value in = vector_of(Type::F32, 640);
  (void)*made->relu(in);
  (void)*made->softmax(in);
  in_thread([&] {
    Impatient impatient(npu);
    EXPECT_EQ(error_of(Inference::make(impatient, *made)),
              "ml-refused: layer 1 (softmax): 760 cycles up to here: the NPU allows 500 for a job");
  });
}

TEST_F(Layers, that_find_no_memory_say_so_and_leave_nothing) {
  const Value in = vector_of(Type::F32, 2);
  (void)*made->relu(in);
  in_thread([&] {
    std::string errors;
    std::expected<std::unique_ptr<Inference>, kernel::NamedError> inference;
    kernel::fail_each_allocation([&] { inference = Inference::make(npu, *made); },
                                 [&] {
                                   errors += error_of(inference) + "\n";
                                   EXPECT_EQ((*npu.read_counters()).regions, 0U);
                                 });
    EXPECT_EQ(error_of(inference), "");
    for (const char* const expected :
         {" bytes for a network that runs", " bytes for tensors: at most 1073741824", " bytes for the books of tensors",
          "ml-no-memory: no memory for a job of 1 commands"}) {
      EXPECT_THAT(errors, ::testing::HasSubstr(expected));
    }
    std::expected<std::unique_ptr<Network>, kernel::NamedError> other;
    kernel::fail_each_allocation([&] { other = Network::make(); },
                                 [&] { EXPECT_THAT(error_of(other), ::testing::HasSubstr(" bytes for a network")); });
  });
}

}  // namespace
}  // namespace guest::ml
