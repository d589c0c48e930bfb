#include "streams.hpp"

#include "abi/npu_commands.hpp"

namespace guest::hostile {
namespace {

using abi::npu::Command;
using abi::npu::ControlOp;
using abi::npu::ControlRequest;
using abi::npu::Opcode;
using abi::npu::Type;

constexpr std::uint32_t kOne = 0x3f80'0000;  // the bits of 1.0f
constexpr Type kF = Type::F32;

/// Operands lie one behind the other, this far apart.
constexpr std::uint32_t kApart = 0x4000;

struct Kind {
  Opcode opcode;
  std::uint32_t dims[abi::npu::kMaxDims];
  unsigned operands;  ///< the first so many
  Type types[abi::npu::kMaxOperands];
  std::uint32_t params[abi::npu::kMaxParams] = {};
};

// docs/npu.md has the tables.
constexpr Kind kKinds[] = {
    {Opcode::Nop, {}, 0, {}},
    {Opcode::Copy, {64, 64}, 2, {kF, kF}},
    {Opcode::Gemm, {16, 32, 64}, 3, {kF, kF, kF}},
    {Opcode::Gemm, {4, 32, 64}, 3, {kF, kF, Type::Q8_0}},
    {Opcode::Gemm, {16, 32, 64}, 3, {Type::I32, Type::I8, Type::I8}},
    {Opcode::RmsNorm, {16, 64}, 2, {kF, kF}},
    {Opcode::Softmax, {16, 64}, 2, {kF, kF}, {kOne}},
    {Opcode::EmbedRows, {8, 16, 64}, 3, {kF, kF, Type::I32}},
    {Opcode::ArgMax, {16, 64}, 2, {Type::I32, kF}},
    {Opcode::TopK, {16, 64, 8}, 3, {kF, kF, Type::I32}},
    {Opcode::Conv2d, {1, 16, 16, 4, 16, 16, 8, 3, 3, 1, 1, 1}, 3, {kF, kF, kF}, {0, 0, 0, 0, 1, 1}},
    {Opcode::MaxPool, {1, 16, 16, 4, 8, 8, 0, 2, 2, 2, 2, 0}, 2, {kF, kF}},
    {Opcode::Attention, {4, 4, 2, 32, 8}, 4, {kF, kF, kF, kF}, {kOne}},
    {Opcode::Add, {64, 64}, 3, {kF, kF, kF}},
};

Command make(const Kind& kind, std::uint32_t region) {
  Command command{};
  command.opcode = static_cast<std::uint16_t>(kind.opcode);
  for (unsigned i = 0; i < kind.operands; ++i) {
    command.types[i] = static_cast<std::uint8_t>(kind.types[i]);
    command.operands[i].region = region;
    command.operands[i].offset = std::uint64_t{i} * kApart;
  }
  for (unsigned i = 0; i < abi::npu::kMaxDims; ++i) {
    command.dims[i] = kind.dims[i];
  }
  for (unsigned i = 0; i < abi::npu::kMaxParams; ++i) {
    command.params[i] = kind.params[i];
  }
  return command;
}

/// Numbers at which something begins or ends.
std::uint64_t edge(Random& random) {
  constexpr std::uint64_t kEdges[] = {
      0, 1, 63, 64, 0x7fff'ffff, 0x8000'0000, 0xffff'ffff, 0x1'0000'0000, ~0ULL >> 1, ~0ULL - 63, ~0ULL};
  return random.one_in(3) ? random.below(4096) : kEdges[random.below(std::size(kEdges))];
}

void change(Random& random, const Handles& handles, Command& command) {
  abi::npu::TensorRef& operand = command.operands[random.below(abi::npu::kMaxOperands)];
  switch (random.below(10)) {
    case 0:
      command.opcode = static_cast<std::uint16_t>(random.below(abi::npu::kOpcodes + 2));
      return;
    case 1:
      command.flags = static_cast<std::uint16_t>(random.below(32));
      return;
    case 2:
      command.types[random.below(abi::npu::kMaxOperands)] = static_cast<std::uint8_t>(random.below(9));
      return;
    case 3:
      operand.region = handles.any(random);
      return;
    case 4:
      operand.offset = edge(random);
      return;
    case 5:
      operand.row_stride = static_cast<std::uint32_t>(edge(random));
      return;
    case 6:
      operand = command.operands[random.below(abi::npu::kMaxOperands)];
      return;
    case 7:
      command.params[random.below(abi::npu::kMaxParams)] = static_cast<std::uint32_t>(random.next());
      return;
    default:
      command.dims[random.below(abi::npu::kMaxDims)] = static_cast<std::uint32_t>(edge(random));
  }
}

/// Of the tensors a part, which may be all.
void put_part(Random& random, const drivers::DmaBuffer& tensors, ControlRequest& request) {
  const std::uint64_t offset = random.one_in(3) ? 0 : std::uint64_t{random.below(kTensorBytes / 64)} * 64;
  request.address = kernel::raw(tensors.address) + offset;
  const auto rest = static_cast<std::uint32_t>(kTensorBytes - offset);
  request.bytes = random.one_in(3) ? rest : 1 + random.below(rest);
}

}  // namespace

void make_commands(Random& random, const Handles& handles, std::uint32_t whole, std::span<Command> out) {
  for (Command& command : out) {
    command = make(kKinds[random.below(std::size(kKinds))], random.one_in(8) ? handles.any(random) : whole);
    for (std::uint32_t changes = random.one_in(2) ? 0 : random.below(4); changes > 0; --changes) {
      change(random, handles, command);
    }
  }
}

Command make_long_command(std::uint32_t whole) {
  // 67 million products, over all of the tensors.
  constexpr Kind kLong = {Opcode::Gemm, {256, 512, 512}, 3, {kF, kF, kF}};
  constexpr std::uint64_t kHalfMiB = 512 * 1024;
  Command command = make(kLong, whole);
  command.operands[1].offset = kHalfMiB;
  command.operands[2].offset = 2 * kHalfMiB;
  return command;
}

abi::npu::JobHeader make_header(Random& random, std::uint32_t commands) {
  abi::npu::JobHeader header{};
  header.stream_version = random.one_in(40) ? random.below(5) : abi::npu::kStreamVersion;
  header.commands = random.one_in(20) ? static_cast<std::uint32_t>(edge(random)) : commands;
  header.id = random.below(24);  // so that some are there twice
  header.priority = static_cast<std::uint8_t>(random.one_in(30) ? random.below(256) : random.below(4));
  header.flags = static_cast<std::uint8_t>(random.one_in(20) ? random.below(256) : random.below(2));
  header.deadline_ns = random.one_in(6) ? edge(random) : 0;
  header.cycle_limit = random.one_in(6) ? edge(random) : 0;
  header.reserved0 = random.one_in(60) ? 1 : 0;
  return header;
}

ControlRequest make_request(Random& random, const Handles& handles, const drivers::DmaBuffer& tensors) {
  ControlRequest request{};
  request.op = random.below(10);
  switch (static_cast<ControlOp>(request.op.value())) {
    case ControlOp::RegisterRegion:
      if (random.one_in(2)) {
        return make_bad_region(random, tensors);
      }
      request.argument = random.below(9);
      put_part(random, tensors, request);
      break;
    case ControlOp::ReleaseRegion:
      request.argument = handles.any(random);
      break;
    case ControlOp::Abort:
      request.address = random.below(24);
      break;
    case ControlOp::SetPower:
      request.argument = random.one_in(3) ? random.below(4) : 0;
      break;
    default:
      request.argument = random.one_in(10) ? 1 : 0;
  }
  request.reserved = random.one_in(40) ? 1 : 0;
  return request;
}

ControlRequest make_bad_region(Random& random, const drivers::DmaBuffer& tensors) {
  constexpr std::uint64_t kDevices = 0x0a00'0000;  // registers of virtio-mmio, where there is no memory
  constexpr std::uint64_t kFourGiB = std::uint64_t{1} << 32;
  ControlRequest request{};
  request.op = static_cast<std::uint32_t>(ControlOp::RegisterRegion);
  request.argument = abi::npu::region_flag::kRead | abi::npu::region_flag::kWrite;
  request.address = kernel::raw(tensors.address);
  request.bytes = kTensorBytes;
  switch (random.below(6)) {
    case 0:
      request.bytes = kFourGiB + random.below(2);
      break;
    case 1:
      request.bytes = ~std::uint64_t{0} - random.below(64);
      break;
    case 2:
      request.address = ~std::uint64_t{0} - 63;
      request.bytes = 64 + random.below(128);
      break;
    case 3:
      request.address = kDevices;
      request.bytes = 64;
      break;
    case 4:
      request.bytes = 0;
      break;
    default:
      request.address = kernel::raw(tensors.address) + 1 + random.below(63);
      request.bytes = 64;
  }
  return request;
}

}  // namespace guest::hostile
