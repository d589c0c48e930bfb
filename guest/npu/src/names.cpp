#include "guest/npu/names.hpp"

#include <cstddef>
#include <iterator>
#include <span>

namespace guest::npu {
namespace {

constexpr std::string_view kStatusNames[] = {"ok",       "parse",   "region", "type",     "budget",
                                             "deadline", "aborted", "reset",  "injected", "busy"};
static_assert(std::size(kStatusNames) == abi::npu::kStatuses);

constexpr std::string_view kReasonNames[] = {"none",
                                             "short-buffer",
                                             "stream-version",
                                             "opcode",
                                             "reserved-field",
                                             "flags",
                                             "priority",
                                             "duplicate-job",
                                             "too-many-commands",
                                             "missing-operand",
                                             "unknown-region",
                                             "outside-region",
                                             "read-only-region",
                                             "misaligned",
                                             "row-stride",
                                             "overlap",
                                             "operand-type",
                                             "dimension",
                                             "parameter",
                                             "index-range",
                                             "cycle-limit",
                                             "command-cycles",
                                             "queue-full",
                                             "deadline-passed",
                                             "abort-request",
                                             "device-reset",
                                             "power-off",
                                             "fault-injection",
                                             "region-in-use",
                                             "region-table",
                                             "guest-memory",
                                             "unknown-job",
                                             "unknown-request",
                                             "write-only-region"};
static_assert(std::size(kReasonNames) == static_cast<std::size_t>(abi::npu::Reason::WriteOnlyRegion) + 1);

constexpr std::string_view kPriorityNames[] = {"low", "normal", "high", "critical"};
static_assert(std::size(kPriorityNames) == abi::npu::kPriorities);

constexpr std::string_view kPowerNames[] = {"on", "gated", "off"};

constexpr std::string_view kOpcodeNames[] = {"nop",
                                             "gemm",
                                             "rms-norm",
                                             "layer-norm",
                                             "softmax",
                                             "rope",
                                             "attention",
                                             "swi-glu",
                                             "silu",
                                             "gelu",
                                             "relu",
                                             "add",
                                             "mul",
                                             "scale",
                                             "embed-rows",
                                             "arg-max",
                                             "top-k",
                                             "conv2d",
                                             "depthwise-conv2d",
                                             "max-pool",
                                             "avg-pool",
                                             "copy"};
static_assert(std::size(kOpcodeNames) == abi::npu::kOpcodes);

template <typename Value>
std::string_view name_of(std::span<const std::string_view> names, Value value) {
  const auto index = static_cast<std::size_t>(value);
  return index < names.size() ? names[index] : "unknown";
}

}  // namespace

std::string_view to_string(abi::npu::Status status) { return name_of(kStatusNames, status); }
std::string_view to_string(abi::npu::Reason reason) { return name_of(kReasonNames, reason); }
std::string_view to_string(abi::npu::Priority priority) { return name_of(kPriorityNames, priority); }
std::string_view to_string(abi::npu::Power power) { return name_of(kPowerNames, power); }
std::string_view to_string(abi::npu::Opcode opcode) { return name_of(kOpcodeNames, opcode); }

}  // namespace guest::npu
