// The registers of an interrupted context, as vectors.S saves them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "guest/arch/layout.h"

namespace guest::arch {

/// What the CPU numbers 0 to 15: four kinds from each of four origins. Arm DDI 0487, "AArch64 Exception vectors".
struct Vector {
  std::uint64_t raw;
  [[nodiscard]] constexpr unsigned number() const { return static_cast<unsigned>(raw & 0xf); }
  [[nodiscard]] constexpr unsigned kind() const { return number() % 4; }  ///< synchronous, IRQ, FIQ, SError
  [[nodiscard]] constexpr unsigned origin() const {
    return number() / 4;
  }  ///< SP_EL0, SP_EL1, lower EL 64, lower EL 32
  /// The stack had no room for the frame.
  [[nodiscard]] constexpr bool overflowed() const { return (raw & 0x100) != 0; }
};

struct FrameRecord {
  std::uint64_t fp;  ///< of the caller
  std::uint64_t lr;
};

struct ExceptionFrame {
  std::uint64_t x[31];
  std::uint64_t sp;
  std::uint64_t elr;
  std::uint64_t spsr;
  std::uint64_t esr;
  std::uint64_t far;
  FrameRecord record;
  Vector vector;
  std::uint64_t reserved;
};
static_assert(sizeof(ExceptionFrame) == SIS_FRAME_SIZE && sizeof(ExceptionFrame) % 16 == 0);
static_assert(offsetof(ExceptionFrame, x) == SIS_FRAME_X(0) && offsetof(ExceptionFrame, sp) == SIS_FRAME_SP);
static_assert(offsetof(ExceptionFrame, elr) == SIS_FRAME_ELR && offsetof(ExceptionFrame, spsr) == SIS_FRAME_SPSR);
static_assert(offsetof(ExceptionFrame, esr) == SIS_FRAME_ESR && offsetof(ExceptionFrame, far) == SIS_FRAME_FAR);
static_assert(offsetof(ExceptionFrame, record) == SIS_FRAME_RECORD);
static_assert(offsetof(ExceptionFrame, vector) == SIS_FRAME_VECTOR && std::is_standard_layout_v<ExceptionFrame>);

}  // namespace guest::arch
