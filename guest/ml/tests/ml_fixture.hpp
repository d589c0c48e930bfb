// Networks on the CPU, in a thread of a fake CPU.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/ml/inference.hpp"
#include "guest/ml/network.hpp"
#include "guest/npu/cpu_accelerator.hpp"
#include "npu/kernels/kernels.hpp"

namespace guest::ml {

using abi::npu::Type;

inline F32 number(float value) { return f32(std::bit_cast<std::uint32_t>(value)); }

/// "name: detail", or "" where there is no error.
template <typename T>
std::string error_of(const std::expected<T, kernel::NamedError>& result) {
  return result ? std::string() : std::string(result.error().name) + ": " + std::string(result.error().detail.view());
}

class Ml : public ::testing::Test {
 protected:
  static void in_thread(std::function<void()> body) {
    threads::start("test", std::move(body));
    threads::run_until_idle();
  }
  /// As it lies in a file: at an odd address.
  template <typename T>
  Constant constant(Type type, const std::vector<T>& values) {
    std::string& kept = kept_.emplace_back(values.size() * sizeof(T) + 1, '\0');
    std::ranges::copy(std::as_bytes(std::span(values)), std::as_writable_bytes(std::span(kept)).begin() + 1);
    return {.type = type, .bytes = std::as_bytes(std::span(kept)).subspan(1)};
  }
  Constant floats(const std::vector<float>& values) { return constant(Type::F32, values); }
  Constant bytes(const std::vector<std::int8_t>& values) { return constant(Type::I8, values); }
  Constant words(const std::vector<std::int32_t>& values) { return constant(Type::I32, values); }
  /// i8 weights whose sums are halved: a multiplier of 2^30 is 1/2.
  Weights halved(const std::vector<std::int8_t>& weight, const std::vector<std::int32_t>& bias = {}) {
    return {.weight = bytes(weight),
            .bias = bias.empty() ? Constant{} : words(bias),
            .multipliers = words({1 << 30}),
            .shifts = words({0})};
  }
  std::unique_ptr<Network> network(std::uint32_t batch = 1) {
    auto made = Network::make(batch);
    EXPECT_TRUE(made.has_value());
    return *std::move(made);
  }

  template <typename T>
  static void write(const Inference& inference, Value value, const std::vector<T>& values) {
    ASSERT_EQ(inference.bytes(value).size(), values.size() * sizeof(T));
    std::memcpy(inference.bytes(value).data(), values.data(), values.size() * sizeof(T));
  }
  template <typename T>
  static std::vector<T> read(const Inference& inference, Value value) {
    std::vector<T> values(inference.bytes(value).size() / sizeof(T));
    std::memcpy(values.data(), inference.bytes(value).data(), values.size() * sizeof(T));
    return values;
  }
  /// What `out` becomes of `input`.
  template <typename Out, typename In>
  std::vector<Out> run(const Network& network, Value in, const std::vector<In>& input, Value out) {
    std::vector<Out> result;
    in_thread([&] {
      const auto inference = Inference::make(npu, network);
      ASSERT_EQ(error_of(inference), "");
      write(**inference, in, input);
      ASSERT_EQ(error_of((*inference)->run()), "");
      EXPECT_EQ((*inference)->job().end().cycles, (*inference)->cycles());
      result = read<Out>(**inference, out);
    });
    return result;
  }

  npu::CpuAccelerator npu{::npu::scalar_kernels()};

 private:
  std::deque<std::string> kept_;
};

}  // namespace guest::ml
