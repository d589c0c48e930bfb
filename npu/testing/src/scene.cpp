#include "npu/testing/scene.hpp"

#include <algorithm>
#include <bit>
#include <new>

namespace npu::testing {

namespace {

using abi::npu::kBlockElements;
using abi::npu::Type;

constexpr std::align_val_t kAlignment{64};

std::uint64_t element_bytes(Type type) {
  switch (type) {
    case Type::F16:
      return 2;
    case Type::I8:
    case Type::U8:
      return 1;
    default:
      return 4;
  }
}

bool is_blocks(Type type) { return type == Type::Q8_0 || type == Type::Q4_0; }

std::uint64_t block_bytes(Type type) { return type == Type::Q8_0 ? abi::npu::kQ8BlockBytes : abi::npu::kQ4BlockBytes; }

}  // namespace

void Memory::Free::operator()(std::byte* bytes) const { ::operator delete(bytes, kAlignment); }

std::uint32_t Memory::add(std::uint64_t bytes, std::uint32_t flags) {
  auto* const block = static_cast<std::byte*>(::operator new(bytes, kAlignment));
  std::fill_n(block, bytes, std::byte{0});
  blocks_.emplace_back(block);
  regions_.push_back({.base = block, .bytes = bytes, .flags = flags});
  return static_cast<std::uint32_t>(regions_.size());
}

const Region* Memory::find(std::uint32_t handle) const {
  return handle >= 1 && handle <= regions_.size() ? &regions_[handle - 1] : nullptr;
}

std::span<std::byte> Memory::bytes(std::uint32_t handle) {
  const Region& region = regions_.at(handle - 1);
  return {region.base, region.bytes};
}

std::uint64_t row_bytes(Type type, std::uint64_t columns) {
  return is_blocks(type) ? columns / kBlockElements * block_bytes(type) : columns * element_bytes(type);
}

std::uint64_t alignment_of(Type type) { return is_blocks(type) ? 2 : element_bytes(type); }

std::uint32_t bits(float value) { return std::bit_cast<std::uint32_t>(value); }

Scene::Scene(abi::npu::Opcode opcode, std::initializer_list<std::uint32_t> dims, std::uint16_t flags) {
  command.opcode = static_cast<std::uint16_t>(opcode);
  command.flags = flags;
  std::copy(dims.begin(), dims.end(), std::begin(command.dims));
}

Scene& Scene::f(unsigned param, float value) {
  command.params[param] = bits(value);
  return *this;
}

Scene& Scene::i(unsigned param, std::int32_t value) {
  command.params[param] = static_cast<std::uint32_t>(value);
  return *this;
}

Scene& Scene::operand(const OperandSpec& spec) {
  const std::uint64_t row = row_bytes(spec.type, spec.columns);
  specs_[spec.index] = spec;
  command.types[spec.index] = static_cast<std::uint8_t>(spec.type);
  command.operands[spec.index] = {
      .offset = 0,
      .region = memory.add((spec.rows - 1) * (row + spec.gap) + row),
      .row_stride = spec.gap != 0 ? static_cast<std::uint32_t>(row + spec.gap) : 0,
  };
  fill(spec.index);
  return *this;
}

std::uint64_t Noise::operator()() {
  std::uint64_t z = state_ += 0x9E37'79B9'7F4A'7C15;
  z = (z ^ (z >> 30)) * 0xBF58'476D'1CE4'E5B9;
  z = (z ^ (z >> 27)) * 0x94D0'49BB'1331'11EB;
  return z ^ (z >> 31);
}

std::byte* Scene::place(unsigned operand, std::uint64_t row) {
  const OperandSpec& spec = specs_[operand];
  return bytes(operand).data() + row * (row_bytes(spec.type, spec.columns) + spec.gap);
}

void Scene::fill(unsigned operand) {
  const OperandSpec& spec = specs_[operand];
  const std::span<std::byte> all = bytes(operand);
  for (std::size_t i = 0; i < all.size(); i += sizeof(std::uint64_t)) {
    const std::uint64_t noise = random();
    std::memcpy(all.data() + i, &noise, std::min(sizeof(noise), all.size() - i));
  }
  const auto real = [&] { return static_cast<float>(random() % 65536) / 16384.0F - 2.0F; };
  const bool blocks = is_blocks(spec.type);
  for (std::uint64_t row = 0; row < spec.rows; ++row) {
    for (std::uint64_t column = 0; column < spec.columns; column += blocks ? kBlockElements : 1) {
      if (spec.type == Type::F32) {
        set(operand, row, column, real());
      } else if (spec.type == Type::F16) {
        set(operand, row, column, static_cast<_Float16>(real()));
      } else if (spec.type == Type::I32) {
        set(operand, row, column, static_cast<std::int32_t>(random() % 8));
      } else if (blocks) {
        const auto scale = static_cast<_Float16>(real() / (spec.type == Type::Q8_0 ? 127.0F : 8.0F));
        std::memcpy(place(operand, row) + column / kBlockElements * block_bytes(spec.type), &scale, sizeof(scale));
      }
    }
  }
}

void Scene::spread(unsigned operand, float deviation) {
  std::normal_distribution<float> normal(0, deviation);
  for (std::uint64_t row = 0; row < specs_[operand].rows; ++row) {
    for (std::uint64_t column = 0; column < specs_[operand].columns; ++column) {
      set(operand, row, column, normal(random));
    }
  }
}

double Scene::value(unsigned operand, std::uint64_t row, std::uint64_t column) {
  const Type type = specs_[operand].type;
  switch (type) {
    case Type::F32:
      return static_cast<double>(get<float>(operand, row, column));
    case Type::F16:
      return static_cast<double>(get<_Float16>(operand, row, column));
    case Type::I8:
      return get<std::int8_t>(operand, row, column);
    case Type::U8:
      return get<std::uint8_t>(operand, row, column);
    case Type::I32:
      return get<std::int32_t>(operand, row, column);
    default:
      break;
  }
  const std::byte* const block = place(operand, row) + column / kBlockElements * block_bytes(type);
  _Float16 scale = 0;
  std::memcpy(&scale, block, sizeof(scale));
  const std::byte* const values = block + sizeof(scale);
  const std::uint64_t i = column % kBlockElements;
  if (type == Type::Q8_0) {
    return static_cast<double>(scale) * static_cast<std::int8_t>(values[i]);
  }
  const std::byte nibble = i < 16 ? values[i] & std::byte{15} : values[i - 16] >> 4;
  return static_cast<double>(scale) * (std::to_integer<int>(nibble) - 8);
}

}  // namespace npu::testing
