// The command set as a table: what operands, dimensions and parameters each command takes, and what it costs.
// docs/npu.md, Commands, says the same to a reader.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "abi/npu.hpp"
#include "npu/stream/checked_command.hpp"

namespace npu {

/// A set of abi::npu::Type.
using TypeSet = std::uint8_t;
template <typename... Types>
constexpr TypeSet types(Types... each) {
  return static_cast<TypeSet>((0U | ... | (1U << static_cast<unsigned>(each))));
}

/// Dimensions that are multiplied; none: 1. The last two are made of dimensions 0 (rows) and kPast of Attention.
using DimSet = std::uint16_t;
inline constexpr unsigned kContext = abi::npu::kMaxDims;     ///< rows + past
inline constexpr unsigned kCausal = abi::npu::kMaxDims + 1;  ///< what all rows see together
template <typename... Dims>
constexpr DimSet dims(Dims... each) {
  return static_cast<DimSet>((0U | ... | (1U << each)));
}

/// An operand is `rows` rows of `columns` elements.
struct OperandRule {
  TypeSet types = 0;  ///< 0: the form has no such operand
  DimSet rows = 0;
  DimSet columns = 0;
  bool optional = false;
  std::uint16_t one_row_flag = 0;      ///< with this flag it has 1 row
  std::uint16_t one_element_flag = 0;  ///< with this flag it has 1 element
  /// Rows that are read, for the cost, where they are not all.
  DimSet rows_read = 0;
};

enum class ParamRule : std::uint8_t {
  Unused,
  Finite,       ///< f32
  NotNegative,  ///< f32, finite, at least 0
  Positive,     ///< f32, finite, above 0
  ClampMin,     ///< f32, no NaN, at most the next one; 0 without kClamp
  ClampMax,
  ZeroPoint,  ///< i32, a value of the input's type, or of the output's where the input is f32
  BoundMin,   ///< i32, a value of i8, at most the next one
  BoundMax,
  Padding,  ///< at most kMaxDim
};

/// Which MACs a form uses.
enum class Rate : std::uint8_t {
  F32,
  I8,
  Elements,  ///< none: a MAC is two operations on elements, since no number is used for several outputs
};

/// What a form takes to compute: `macs` and `elements` are products of dimensions.
struct Work {
  DimSet macs = 0;  ///< 0: none
  std::uint32_t macs_each = 1;
  DimSet elements = 0;  ///< 0: none
  std::uint32_t operations_each = 0;
};

/// Where a command is wrong.
struct Violation {
  abi::npu::Reason reason;
  std::uint32_t field_offset;
};

/// A check of what a table of products cannot say. Dimensions and parameters are each in range.
using Relation = std::optional<Violation> (*)(const Checked& command);

/// A command with certain types. A command has as many forms as it has families of types.
struct Form {
  abi::npu::Opcode opcode = abi::npu::Opcode::Nop;
  std::uint16_t flags = 0;    ///< that are allowed
  DimSet dims = 0;            ///< that are used; none of them is 0
  DimSet dims_or_zero = 0;    ///< that are used and may be 0
  std::uint8_t outputs = 1;   ///< bit n: operand n is written
  std::uint8_t in_place = 0;  ///< bit n: operand n may be where operand 0 is, exactly
  bool same_type = false;     ///< operands 0 and 1 have one type
  Rate rate = Rate::F32;      ///< of its MACs
  std::array<ParamRule, abi::npu::kMaxParams> params{};
  std::array<OperandRule, abi::npu::kMaxOperands> operands{};
  Work work{};
  Relation relation = nullptr;
};

/// All of them, those of one opcode behind each other.
std::span<const Form> all_forms();

/// The form of `opcode` for these types of the operands 0 and 1. Null: there is none.
const Form* find_form(abi::npu::Opcode opcode, std::uint8_t output_type, std::uint8_t input_type);

/// The product of dimensions, saturated.
std::uint64_t product(DimSet set, std::span<const std::uint32_t, abi::npu::kMaxDims> dims);

}  // namespace npu
