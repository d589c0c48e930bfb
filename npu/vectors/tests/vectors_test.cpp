// The scalar kernels against the test vectors (generate.py), which know nothing of them.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "npu/kernels/kernels.hpp"
#include "npu/simd/kernels.hpp"
#include "npu/testing/scene.hpp"

namespace npu {
namespace {

using abi::npu::Reason;
using abi::npu::Status;
using abi::npu::Type;
using nlohmann::json;

std::vector<std::byte> from_hex(const std::string& text) {
  std::vector<std::byte> bytes(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(std::stoi(text.substr(2 * i, 2), nullptr, 16));
  }
  return bytes;
}

double number(const json& value) {
  if (!value.is_string()) {
    return value.get<double>();
  }
  const double infinity = std::numeric_limits<double>::infinity();
  return value == "nan" ? std::nan("") : value == "inf" ? infinity : -infinity;
}

template <typename T>
double load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return static_cast<double>(value);
}

/// Of a type that outputs of vectors have.
double element(const std::byte* row, const std::string& type, std::size_t index) {
  if (type == "f32") {
    return load<float>(row + 4 * index);
  }
  if (type == "i32") {
    return load<std::int32_t>(row + 4 * index);
  }
  if (type == "f16") {
    return load<_Float16>(row + 2 * index);
  }
  if (type == "i8") {
    return load<std::int8_t>(row + index);
  }
  if (type == "u8") {
    return load<std::uint8_t>(row + index);
  }
  throw std::runtime_error("a vector's output has the type " + type);
}

void expect_output(const Operand& operand, const json& output) {
  const json& rows = output["values"];
  ASSERT_EQ(rows.size(), operand.rows);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (std::size_t i = 0; i < rows[row].size(); ++i) {
      const double expected = number(rows[row][i]);
      const double found = element(operand.data + row * operand.row_stride, output["type"], i);
      const double tolerance = output.contains("tolerances") ? number(output["tolerances"][row][i]) : 0;
      if (std::isfinite(expected)) {
        EXPECT_NEAR(found, expected, tolerance) << "row " << row << ", element " << i;
      } else {
        EXPECT_TRUE(std::isnan(expected) ? std::isnan(found) : found == expected)
            << found << " in row " << row << " at " << i;
      }
    }
  }
}

/// Runs one vector, or sees it refused.
void try_vector(const json& vector, const KernelSet& set) {
  testing::Memory memory;
  for (const json& region : vector["regions"]) {
    const std::vector<std::byte> bytes = from_hex(region["bytes"]);
    // Handles need not begin at 1.
    while (memory.add(bytes.size(), region["flags"]) != region["handle"]) {
    }
    std::memcpy(memory.bytes(region["handle"]).data(), bytes.data(), bytes.size());
  }
  abi::npu::Command command;
  const std::vector<std::byte> packed = from_hex(vector["command"]);
  ASSERT_EQ(packed.size(), sizeof(command));
  std::memcpy(&command, packed.data(), sizeof(command));

  const json& expect = vector["expect"];
  const auto checked = check_command(command, memory, Model{});
  if (!checked) {
    EXPECT_EQ(static_cast<unsigned>(checked.error().status), expect["status"]);
    EXPECT_EQ(static_cast<unsigned>(checked.error().reason), expect["reason"]);
    EXPECT_EQ(checked.error().field_offset, expect.value("field_offset", 0xFFFF'FFFFU));
    return;
  }
  const auto reason =
      set.kernels[static_cast<unsigned>(checked->opcode)](*checked, {.first = 0, .count = partition(*checked).units});
  EXPECT_EQ(static_cast<unsigned>(reason.value_or(Reason::None)), expect["reason"]);
  EXPECT_FALSE(expect.contains("field_offset")) << "it was accepted";
  for (const json& output : expect.value("outputs", json::array())) {
    expect_output(checked->operands[output["operand"].get<unsigned>()], output);
  }
}

class Vectors : public ::testing::TestWithParam<const char*> {};

TEST_P(Vectors, come_out_as_they_should) {
  std::ifstream file(std::string(SIS_NPU_VECTORS) + "/" + GetParam() + ".json");
  const json all = json::parse(file);
  ASSERT_EQ(all["format"], 1);
  ASSERT_FALSE(all["vectors"].empty());
  for (const json& vector : all["vectors"]) {
    SCOPED_TRACE(vector["name"].get<std::string>());
    try_vector(vector, scalar_kernels());
    try_vector(vector, simd_kernels());
  }
}

INSTANTIATE_TEST_SUITE_P(Files, Vectors,
                         ::testing::Values("attention", "copy", "elementwise", "gemm", "image", "norm", "refused",
                                           "requantise", "rows"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace npu
