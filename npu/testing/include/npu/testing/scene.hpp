// A command and the memory it names, for tests. Each operand has a region of its own, of exactly its bytes, so that
// AddressSanitizer sees every access beyond.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <initializer_list>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "abi/npu.hpp"
#include "abi/npu_commands.hpp"
#include "npu/stream/checked_command.hpp"

namespace npu::testing {

inline constexpr std::uint32_t kReadWrite = abi::npu::region_flag::kRead | abi::npu::region_flag::kWrite;

/// Regions with memory of their own. Handles are 1, 2, ...
class Memory final : public Regions {
 public:
  /// Zeroed, aligned to 64. Returns its handle.
  std::uint32_t add(std::uint64_t bytes, std::uint32_t flags = kReadWrite);
  [[nodiscard]] const Region* find(std::uint32_t handle) const override;
  [[nodiscard]] std::span<std::byte> bytes(std::uint32_t handle);
  /// What a test wants to change.
  [[nodiscard]] Region& region(std::uint32_t handle) { return regions_[handle - 1]; }

 private:
  struct Free {
    void operator()(std::byte* bytes) const;
  };
  std::vector<std::unique_ptr<std::byte, Free>> blocks_;
  std::vector<Region> regions_;
};

/// Bytes of `columns` elements of a type; blocks: a multiple of 32.
std::uint64_t row_bytes(abi::npu::Type type, std::uint64_t columns);
std::uint64_t alignment_of(abi::npu::Type type);

struct OperandSpec {
  unsigned index;
  abi::npu::Type type;
  std::uint64_t rows;
  std::uint64_t columns;
  std::uint32_t gap = 0;  ///< bytes between two rows
};

/// Pseudorandom numbers (SplitMix64): the same in each run, and quick in a sanitised build. Also a generator for the
/// standard library's distributions.
class Noise {
 public:
  using result_type = std::uint64_t;
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  result_type operator()();

 private:
  std::uint64_t state_ = 1;
};

class Scene {
 public:
  Scene(abi::npu::Opcode opcode, std::initializer_list<std::uint32_t> dims, std::uint16_t flags = 0);

  Scene& f(unsigned param, float value);
  Scene& i(unsigned param, std::int32_t value);
  /// Gives an operand memory, filled with noise: floats within 2 of 0, blocks likewise, i32 0 to 7, others any.
  Scene& operand(const OperandSpec& spec);

  [[nodiscard]] std::expected<Checked, Fault> check(const Model& model = {}) const {
    return check_command(command, memory, model);
  }

  [[nodiscard]] bool has(unsigned operand) const { return command.operands[operand].region != abi::npu::kNoRegion; }
  [[nodiscard]] const OperandSpec& spec(unsigned operand) const { return specs_[operand]; }
  [[nodiscard]] std::span<std::byte> bytes(unsigned operand) { return memory.bytes(command.operands[operand].region); }
  /// An element as it is stored.
  template <typename T>
  [[nodiscard]] T get(unsigned operand, std::uint64_t row, std::uint64_t column) {
    T value;
    std::memcpy(&value, place(operand, row) + column * sizeof(T), sizeof(T));
    return value;
  }
  template <typename T>
  void set(unsigned operand, std::uint64_t row, std::uint64_t column, T value) {
    std::memcpy(place(operand, row) + column * sizeof(T), &value, sizeof(T));
  }
  /// An element of any type as the number that it stands for.
  [[nodiscard]] double value(unsigned operand, std::uint64_t row, std::uint64_t column);
  /// Fills an operand of f32 with numbers of a normal distribution.
  void spread(unsigned operand, float deviation);

  abi::npu::Command command{};
  Memory memory;
  Noise random;

 private:
  std::byte* place(unsigned operand, std::uint64_t row);
  void fill(unsigned operand);

  OperandSpec specs_[abi::npu::kMaxOperands] = {};
};

/// A float as the bits of a parameter.
std::uint32_t bits(float value);

}  // namespace npu::testing
