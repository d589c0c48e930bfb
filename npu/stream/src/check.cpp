#include "abi/npu_commands.hpp"
#include "arithmetic.hpp"
#include "cost.hpp"
#include "fields.hpp"
#include "overlap.hpp"
#include "params.hpp"

namespace npu {

namespace {

using abi::npu::Command;
using abi::npu::kBlockElements;
using abi::npu::Opcode;
using abi::npu::Reason;
using abi::npu::Status;
using abi::npu::TensorRef;
using abi::npu::Type;
using Outcome = std::optional<Violation>;

/// How elements of a type lie in memory: `bytes` for each `elements`.
struct Encoding {
  std::uint32_t elements;
  std::uint32_t bytes;
  std::uint32_t alignment;
};
constexpr Encoding kEncodings[] = {
    {1, 4, 4},                                     // F32
    {1, 2, 2},                                     // F16
    {1, 1, 1},                                     // I8
    {1, 4, 4},                                     // I32
    {kBlockElements, abi::npu::kQ8BlockBytes, 2},  // Q8_0
    {kBlockElements, abi::npu::kQ4BlockBytes, 2},  // Q4_0
    {1, 1, 1},                                     // U8
};
static_assert(std::size(kEncodings) == abi::npu::kTypes);

Status status_of(Reason reason) {
  switch (reason) {
    case Reason::Opcode:
    case Reason::Flags:
    case Reason::ReservedField:
      return Status::Parse;
    case Reason::OperandType:
    case Reason::Dimension:
    case Reason::Parameter:
      return Status::Type;
    case Reason::CommandCycles:
      return Status::Budget;
    default:
      return Status::Region;
  }
}

constexpr bool has(unsigned set, unsigned index) { return (set >> index & 1U) != 0; }

/// Goes over a command field by field. Each step relies on those before it.
class Checker {
 public:
  Checker(const Command& command, const Regions& regions, const Model& model)
      : command_(command), regions_(regions), model_(model) {}

  Outcome run() {
    constexpr Outcome (Checker::* kSteps[])() = {&Checker::form,     &Checker::flags,    &Checker::dimensions,
                                                 &Checker::types,    &Checker::params,   &Checker::relation,
                                                 &Checker::operands, &Checker::overlaps, &Checker::cost};
    for (const auto step : kSteps) {
      if (const Outcome violation = (this->*step)()) {
        return violation;
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] const Checked& checked() const { return checked_; }

 private:
  Outcome form();
  Outcome flags();
  Outcome dimensions();
  Outcome types();
  Outcome params();
  Outcome relation() { return form_->relation != nullptr ? form_->relation(checked_) : std::nullopt; }
  Outcome operands();
  Outcome shape(unsigned index);
  Outcome place(unsigned index);
  Outcome overlaps();
  Outcome cost();

  const Command& command_;
  const Regions& regions_;
  const Model& model_;
  const Form* form_ = nullptr;
  Checked checked_{};
};

Outcome Checker::form() {
  if (command_.opcode >= abi::npu::kOpcodes) {
    return Violation{Reason::Opcode, kOpcodeField};
  }
  checked_.opcode = static_cast<Opcode>(command_.opcode.value());
  form_ = find_form(checked_.opcode, command_.types[0], command_.types[1]);
  if (form_ != nullptr) {
    return std::nullopt;
  }
  for (std::uint8_t input = 0; input < abi::npu::kTypes; ++input) {
    if (find_form(checked_.opcode, command_.types[0], input) != nullptr) {
      return Violation{Reason::OperandType, type_field(1)};
    }
  }
  return Violation{Reason::OperandType, type_field(0)};
}

Outcome Checker::flags() {
  checked_.flags = command_.flags;
  if ((checked_.flags & ~static_cast<unsigned>(form_->flags)) != 0) {
    return Violation{Reason::Flags, kFlagsField};
  }
  for (unsigned i = 0; i < sizeof(command_.reserved); ++i) {
    if (command_.reserved[i] != 0) {
      return Violation{Reason::ReservedField, kReservedField + i};
    }
  }
  return std::nullopt;
}

Outcome Checker::dimensions() {
  for (unsigned i = 0; i < abi::npu::kMaxDims; ++i) {
    const std::uint32_t value = command_.dims[i];
    const bool used = has(form_->dims, i);
    if (!used && !has(form_->dims_or_zero, i) && value != 0) {
      return Violation{Reason::ReservedField, dim_field(i)};
    }
    if (value > abi::npu::kMaxDim || (used && value == 0)) {
      return Violation{Reason::Dimension, dim_field(i)};
    }
    checked_.dims[i] = value;
  }
  return std::nullopt;
}

Outcome Checker::types() {
  for (unsigned i = 0; i < abi::npu::kMaxOperands; ++i) {
    const OperandRule& rule = form_->operands[i];
    const std::uint8_t type = command_.types[i];
    const bool there = command_.operands[i].region != abi::npu::kNoRegion;
    if (there && rule.types == 0) {
      return Violation{Reason::ReservedField, region_field(i)};
    }
    if (!there && rule.types != 0 && !rule.optional) {
      return Violation{Reason::MissingOperand, region_field(i)};
    }
    if (!there && (type != 0 || command_.operands[i].offset != 0 || command_.operands[i].row_stride != 0)) {
      return Violation{Reason::ReservedField, type != 0 ? type_field(i) : operand_field(i)};
    }
    if (there && (type >= abi::npu::kTypes || !has(rule.types, type))) {
      return Violation{Reason::OperandType, type_field(i)};
    }
    checked_.operands[i].type = static_cast<Type>(type);
  }
  return std::nullopt;
}

Outcome Checker::params() {
  for (unsigned i = 0; i < abi::npu::kMaxParams; ++i) {
    checked_.params[i] = command_.params[i];
  }
  return check_params(*form_, checked_);
}

Outcome Checker::operands() {
  for (unsigned i = 0; i < abi::npu::kMaxOperands; ++i) {
    if (command_.operands[i].region == abi::npu::kNoRegion) {
      continue;
    }
    Outcome violation = shape(i);
    if (!violation) {
      violation = place(i);
    }
    if (violation) {
      return violation;
    }
  }
  return std::nullopt;
}

/// Rows, and the bytes of one.
Outcome Checker::shape(unsigned index) {
  const OperandRule& rule = form_->operands[index];
  Operand& operand = checked_.operands[index];
  const Encoding& encoding = kEncodings[static_cast<unsigned>(operand.type)];
  const bool one_element = (checked_.flags & rule.one_element_flag) != 0;
  const std::uint64_t columns = one_element ? 1 : product(rule.columns, checked_.dims);
  operand.rows = (checked_.flags & rule.one_row_flag) != 0 ? 1 : product(rule.rows, checked_.dims);
  if (columns % encoding.elements != 0) {
    return Violation{Reason::Dimension, dim_field(static_cast<unsigned>(__builtin_ctz(rule.columns)))};
  }
  operand.row_bytes = saturating_multiply(columns / encoding.elements, encoding.bytes);
  const std::uint32_t stride = command_.operands[index].row_stride;
  if (stride != 0 && (stride < operand.row_bytes || stride % encoding.alignment != 0)) {
    return Violation{Reason::RowStride, stride_field(index)};
  }
  operand.row_stride = stride != 0 ? stride : operand.row_bytes;
  return std::nullopt;
}

/// Its bytes in a region.
Outcome Checker::place(unsigned index) {
  Operand& operand = checked_.operands[index];
  operand.region = command_.operands[index].region;
  const Region* const region = regions_.find(operand.region);
  if (region == nullptr) {
    return Violation{Reason::UnknownRegion, region_field(index)};
  }
  const std::uint64_t offset = command_.operands[index].offset;
  const std::uint64_t extent =
      saturating_add(saturating_multiply(operand.rows - 1, operand.row_stride), operand.row_bytes);
  if (extent == kSaturated || extent > region->bytes || offset > region->bytes - extent) {
    return Violation{Reason::OutsideRegion, operand_field(index)};
  }
  operand.data = region->base + offset;
  // The address as a number: a region may begin anywhere.
  if (reinterpret_cast<std::uintptr_t>(operand.data) % kEncodings[static_cast<unsigned>(operand.type)].alignment != 0) {
    return Violation{Reason::Misaligned, operand_field(index)};
  }
  namespace flag = abi::npu::region_flag;
  if (has(form_->outputs, index)) {
    const bool writable = (region->flags & (flag::kWrite | flag::kImmutable)) == flag::kWrite;
    return writable ? std::nullopt : Outcome(Violation{Reason::ReadOnlyRegion, region_field(index)});
  }
  return (region->flags & flag::kRead) != 0 ? std::nullopt
                                            : Outcome(Violation{Reason::WriteOnlyRegion, region_field(index)});
}

Outcome Checker::overlaps() {
  for (unsigned out = 0; out < abi::npu::kMaxOperands; ++out) {
    if (!has(form_->outputs, out)) {
      continue;
    }
    const Operand& output = checked_.operands[out];
    for (unsigned i = 0; i < abi::npu::kMaxOperands; ++i) {
      const Operand& other = checked_.operands[i];
      if (i == out || other.data == nullptr || !overlap(output, other)) {
        continue;
      }
      if (!has(form_->in_place, i) || !is_same(output, other)) {
        return Violation{Reason::Overlap, operand_field(i)};
      }
    }
  }
  return std::nullopt;
}

Outcome Checker::cost() {
  checked_.cost = cost_of(*form_, checked_, model_);
  return checked_.cost.cycles <= model_.max_command_cycles ? std::nullopt
                                                           : Outcome(Violation{Reason::CommandCycles, kOpcodeField});
}

}  // namespace

std::expected<Checked, Fault> check_command(const Command& command, const Regions& regions, const Model& model) {
  Checker checker(command, regions, model);
  if (const Outcome violation = checker.run()) {
    return std::unexpected(Fault{
        .status = status_of(violation->reason), .reason = violation->reason, .field_offset = violation->field_offset});
  }
  return checker.checked();
}

}  // namespace npu
