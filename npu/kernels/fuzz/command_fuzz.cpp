// Any jobs over small regions: what the checker lets through runs without touching a byte outside of them
// (AddressSanitizer sees to that), ends, and writes nothing but what it says it writes. With scalar kernels and with
// vector ones, which give what these do, and all the same bytes, with weights in place and packed.
//
// The input is instructions for making commands, most of which are nearly right: random bytes alone would never pass.
//   1 byte     which of the examples to begin with
//   1 byte     how many commands, and whether a byte of the header is changed
//   then pairs of a byte and a number, each changing a field (change()); a command is the one before, changed
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "npu/kernels/kernels.hpp"
#include "npu/simd/kernels.hpp"
#include "npu/stream/job.hpp"
#include "npu/testing/examples.hpp"
#include "npu/testing/packed.hpp"
#include "npu/testing/tolerance.hpp"

namespace {

using namespace npu;
using abi::npu::kMaxDims;
using abi::npu::kMaxOperands;
using abi::npu::kMaxParams;
using testing::Scene;

/// Takes bytes off the input; zeros behind its end.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  [[nodiscard]] bool empty() const { return size_ == 0; }
  template <typename T>
  T take() {
    T value{};
    const std::size_t count = size_ < sizeof(T) ? size_ : sizeof(T);
    std::memcpy(&value, data_, count);
    data_ += count;
    size_ -= count;
    return value;
  }
  /// Small ones, as they are most of the time, or any.
  std::uint32_t number() {
    const auto first = take<std::uint8_t>();
    return first < 0xF0 ? first % 64 : first < 0xF8 ? take<std::uint16_t>() : take<std::uint32_t>();
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

/// Changes one field.
void change(Scene& scene, Input& input) {
  abi::npu::Command& command = scene.command;
  const auto what = input.take<std::uint8_t>();
  const unsigned operand = what % kMaxOperands;
  switch (what / 16) {
    case 0:
      command.flags = input.take<std::uint8_t>() % 32;
      break;
    case 1:
      command.types[operand] = input.take<std::uint8_t>() % 8;
      break;
    case 2:  // another region, of a size that may fit
      command.operands[operand].region = scene.memory.add(1 + input.number() % 4096 * 4);
      break;
    case 3:
      command.operands[operand].region = input.number() % 9;
      break;
    case 4:
      command.operands[operand].offset = input.number();
      break;
    case 5:
      command.operands[operand].offset = input.take<std::uint64_t>();
      break;
    case 6:
      command.operands[operand].row_stride = input.number();
      break;
    case 7:  // the same place as another one
      command.operands[operand] = command.operands[input.take<std::uint8_t>() % kMaxOperands];
      break;
    case 8:
    case 9:
    case 10:
      command.dims[what % kMaxDims] = input.number();
      break;
    case 11:
      command.params[what % kMaxParams] = input.take<std::uint32_t>();
      break;
    case 12:
      command.params[what % kMaxParams] = input.number();
      break;
    case 13:
      command.opcode = input.take<std::uint8_t>() % (abi::npu::kOpcodes + 1);
      break;
    case 14: {  // what is in the memory
      if (const Region* const region = scene.memory.find(command.operands[operand].region)) {
        region->base[input.number() % region->bytes] = input.take<std::byte>();
      }
      break;
    }
    default:
      if (scene.memory.find(1 + operand) != nullptr) {
        scene.memory.region(1 + operand).flags = input.take<std::uint8_t>() % 8;
      }
      break;
  }
}

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

/// All memory, to see later what has changed.
class Snapshot {
 public:
  explicit Snapshot(testing::Memory& memory) : memory_(memory) {
    for (std::uint32_t handle = 1; memory.find(handle) != nullptr; ++handle) {
      const std::span<std::byte> bytes = memory.bytes(handle);
      copies_.emplace_back(bytes.begin(), bytes.end());
    }
  }

  /// These rows may have changed.
  void allow(const Operand& output) {
    std::vector<std::byte>& copy = copies_[output.region - 1];
    const std::byte* const base = memory_.bytes(output.region).data();
    for (std::uint64_t row = 0; row < output.rows; ++row) {
      const std::byte* const from = output.data + row * output.row_stride;
      std::memcpy(copy.data() + (from - base), from, output.row_bytes);
    }
  }

  [[nodiscard]] bool is_same() const {
    for (std::uint32_t handle = 1; handle <= copies_.size(); ++handle) {
      if (std::memcmp(copies_[handle - 1].data(), memory_.bytes(handle).data(), copies_[handle - 1].size()) != 0) {
        return false;
      }
    }
    return true;
  }

 private:
  testing::Memory& memory_;
  std::vector<std::vector<std::byte>> copies_;
};

bool is_output(const Checked& command, unsigned operand) {
  return operand == 0 || (operand == 2 && command.opcode == abi::npu::Opcode::TopK);
}

/// One that was let through.
std::optional<abi::npu::Reason> run(const Checked& command, testing::Memory& memory, const KernelSet& set) {
  Snapshot before(memory);
  const Partition grid = partition(command);
  const auto kernel = set.kernels[static_cast<unsigned>(command.opcode)];
  std::optional<abi::npu::Reason> outcome;
  for (std::uint64_t unit = 0; unit < grid.units; ++unit) {
    const auto reason = kernel(command, {.first = unit, .count = 1});
    require(!reason || *reason == abi::npu::Reason::IndexRange);
    outcome = reason ? reason : outcome;
  }
  for (unsigned i = 0; i < kMaxOperands; ++i) {
    if (is_output(command, i) && command.operands[i].data != nullptr) {
      before.allow(command.operands[i]);
    }
  }
  require(before.is_same());
  return outcome;
}

std::uint64_t columns_of(const Operand& operand) {
  const bool blocks = operand.type == abi::npu::Type::Q8_0 || operand.type == abi::npu::Type::Q4_0;
  const std::uint64_t elements = blocks ? abi::npu::kBlockElements : 1;
  return operand.row_bytes / testing::row_bytes(operand.type, elements) * elements;
}

/// The command with memory of its own for each operand, so that outputs are beside inputs.
Scene copy_of(const Checked& command) {
  Scene scene(command.opcode, {}, command.flags);
  for (unsigned i = 0; i < kMaxDims; ++i) {
    scene.command.dims[i] = command.dims[i];
  }
  for (unsigned i = 0; i < kMaxParams; ++i) {
    scene.command.params[i] = command.params[i];
  }
  for (unsigned i = 0; i < kMaxOperands; ++i) {
    const Operand& operand = command.operands[i];
    if (operand.data == nullptr) {
      continue;
    }
    scene.operand({i, operand.type, operand.rows, columns_of(operand)});
    for (std::uint64_t row = 0; row < operand.rows; ++row) {
      std::memcpy(&scene.bytes(i)[row * operand.row_bytes], operand.data + row * operand.row_stride, operand.row_bytes);
    }
  }
  return scene;
}

/// The tolerances hold for numbers whose sums and products are ones of f32, too.
bool is_ordinary(Scene& scene) {
  const auto ordinary = [](double x) { return x == 0 || (std::abs(x) > 1e-9 && std::abs(x) < 1e9); };
  for (unsigned i = 0; i < kMaxParams; ++i) {
    if (!ordinary(static_cast<double>(std::bit_cast<float>(scene.command.params[i].value())))) {
      return false;
    }
  }
  for (unsigned i = 1; i < kMaxOperands; ++i) {
    const bool real =
        scene.has(i) && scene.spec(i).type != abi::npu::Type::I8 && scene.spec(i).type != abi::npu::Type::I32;
    for (std::uint64_t at = 0; real && at < scene.spec(i).rows * scene.spec(i).columns; ++at) {
      if (!ordinary(scene.value(i, at / scene.spec(i).columns, at % scene.spec(i).columns))) {
        return false;
      }
    }
  }
  return true;
}

bool is_integer(abi::npu::Type type) {
  return type == abi::npu::Type::I8 || type == abi::npu::Type::I32 || type == abi::npu::Type::U8;
}

void compare_sets(const Checked& command) {
  Scene reference = copy_of(command);
  const auto checked = reference.check();
  require(checked.has_value());
  const auto outcome = run(*checked, reference.memory, scalar_kernels());
  if (outcome) {
    return;  // what is written then is unspecified
  }
  Scene first = copy_of(command);
  bool has_first = false;
  for (const KernelSet* const set : available_simd_kernels()) {
    if (set == nullptr) {
      continue;
    }
    Scene other = copy_of(command);
    require(!run(*other.check(), other.memory, *set));
    if (!has_first) {
      run(*first.check(), first.memory, *set);
      has_first = true;
      if (is_integer(first.spec(0).type) || is_ordinary(reference)) {
        require(difference(reference, first).empty());
      }
    }
    require(std::ranges::equal(first.bytes(0), other.bytes(0)));
    Scene again = copy_of(command);
    Checked packed = *again.check();
    const testing::Packed weights = testing::pack(packed, *set);
    if (weights != nullptr) {
      packed.packed_weights = weights.get();
      require(!run(packed, again.memory, *set));
      require(std::ranges::equal(first.bytes(0), again.bytes(0)));
    }
  }
}

/// In its own memory: in place, side by side, with gaps.
void run(const Checked& command, testing::Memory& memory) {
  if (command.opcode != abi::npu::Opcode::Nop) {
    compare_sets(command);
  }
  run(command, memory, simd_kernels());
}

void run(const abi::npu::JobHeader& header, const std::vector<abi::npu::Command>& commands, testing::Memory& memory) {
  // So that an input takes some milliseconds at most.
  constexpr JobLimits kLimits = {.max_commands = 3, .max_cycles = 20'000};
  std::vector<Checked> checked(commands.size());
  const auto cost = check_job(header, commands, memory, Model{}, kLimits, checked);
  if (!cost) {
    const JobFault& fault = cost.error();
    require(fault.fault.reason != abi::npu::Reason::None && fault.fault.status != abi::npu::Status::Ok);
    require(fault.fault.field_offset < sizeof(abi::npu::Command));
    require(fault.command < header.commands || fault.command == abi::npu::kNoCommand);
    return;
  }
  require(cost->cycles <= kLimits.max_cycles);
  for (std::uint32_t i = 0; i < header.commands; ++i) {
    run(checked[i], memory);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const auto& examples = testing::examples();
  Scene scene = examples[input.take<std::uint8_t>() % examples.size()].make();

  abi::npu::JobHeader header{};
  header.stream_version = abi::npu::kStreamVersion;
  const auto shape = input.take<std::uint8_t>();
  header.commands = 1 + shape % 3U;
  if (shape >= 0xF0) {  // a byte of the header
    const auto at = input.take<std::uint8_t>() % sizeof(header);
    const auto value = input.take<std::uint8_t>();
    std::memcpy(static_cast<std::byte*>(static_cast<void*>(&header)) + at, &value, 1);
  }

  std::vector<abi::npu::Command> commands;
  for (unsigned i = 0; i < 1 + shape % 3U; ++i) {
    for (int changes = 0; changes < 8 && !input.empty(); ++changes) {
      change(scene, input);
    }
    commands.push_back(scene.command);
  }
  run(header, commands, scene.memory);
  return 0;
}
