#include "cost.hpp"

#include "abi/npu_commands.hpp"
#include "arithmetic.hpp"

namespace npu {

namespace {

std::uint64_t mac_cycles(Rate rate, std::uint64_t macs, const Model& model) {
  switch (rate) {
    case Rate::F32:
      return divide_up(macs, model.f32_macs_per_cycle);
    case Rate::I8:
      return divide_up(macs, model.i8_macs_per_cycle);
    case Rate::Elements:
      break;
  }
  return divide_up(saturating_multiply(macs, 2), model.f32_ops_per_cycle);
}

std::uint64_t compute_cycles(const Form& form, const Checked& command, const Model& model) {
  std::uint64_t cycles = 0;
  if (form.work.macs != 0) {
    const std::uint64_t macs = saturating_multiply(product(form.work.macs, command.dims), form.work.macs_each);
    cycles = mac_cycles(form.rate, macs, model);
  }
  if (form.work.elements != 0) {
    const std::uint64_t operations =
        saturating_multiply(product(form.work.elements, command.dims), form.work.operations_each);
    cycles = saturating_add(cycles, divide_up(operations, model.f32_ops_per_cycle));
  }
  return cycles;
}

void add_bytes(const Form& form, const Checked& command, Cost& cost) {
  for (unsigned i = 0; i < abi::npu::kMaxOperands; ++i) {
    const Operand& operand = command.operands[i];
    if (operand.data == nullptr) {
      continue;
    }
    const OperandRule& rule = form.operands[i];
    const std::uint64_t rows = rule.rows_read != 0 ? product(rule.rows_read, command.dims) : operand.rows;
    const std::uint64_t bytes = saturating_multiply(rows, operand.row_bytes);
    std::uint64_t& sum = (form.outputs >> i & 1U) != 0 ? cost.bytes_written : cost.bytes_read;
    sum = saturating_add(sum, bytes);
  }
}

}  // namespace

Cost cost_of(const Form& form, const Checked& command, const Model& model) {
  Cost cost;
  cost.compute_cycles = compute_cycles(form, command, model);
  add_bytes(form, command, cost);
  cost.memory_cycles = divide_up(saturating_add(cost.bytes_read, cost.bytes_written), model.bytes_per_cycle);
  const std::uint64_t longer = cost.compute_cycles > cost.memory_cycles ? cost.compute_cycles : cost.memory_cycles;
  cost.cycles = saturating_add(longer, model.start_cycles);
  return cost;
}

}  // namespace npu
