// Fields of the system registers in use. Arm DDI 0487 describes each under its name.
#pragma once

#include <cstdint>

#include "guest/arch/model/field.hpp"
#include "guest/arch/model/page_table.hpp"

namespace guest::arch {

namespace mair_el1 {
enum class Attr : std::uint8_t {
  DeviceNGnRE = 0x04,
  NormalNonCacheable = 0x44,
  NormalWriteBack = 0xff,  // inner and outer, non-transient, read and write allocate
};
using Attr0 = Field<7, 0, Attr>;
using Attr1 = Field<15, 8, Attr>;
using Attr2 = Field<23, 16, Attr>;
static_assert(static_cast<int>(MemoryType::Normal) == 0 && static_cast<int>(MemoryType::Device) == 1 &&
              static_cast<int>(MemoryType::NonCacheable) == 2);
inline constexpr std::uint64_t kKernel =
    Attr0::encode(Attr::NormalWriteBack) | Attr1::encode(Attr::DeviceNGnRE) | Attr2::encode(Attr::NormalNonCacheable);
static_assert(kKernel == 0x44'04ff);
}  // namespace mair_el1

namespace tcr_el1 {
enum class Tg0 : std::uint8_t { k4KiB = 0b00, k64KiB = 0b01, k16KiB = 0b10 };
enum class Tg1 : std::uint8_t { k16KiB = 0b01, k4KiB = 0b10, k64KiB = 0b11 };
enum class Walk : std::uint8_t { NonCacheable = 0b00, WriteBackAllocate = 0b01 };
using T0sz = Field<5, 0>;
using Epd0 = Bit<7>;  // no walks through TTBR0
using Irgn0 = Field<9, 8, Walk>;
using Orgn0 = Field<11, 10, Walk>;
using Sh0 = Field<13, 12, descriptor::Sh>;
using Granule0 = Field<15, 14, Tg0>;
using T1sz = Field<21, 16>;
using Irgn1 = Field<25, 24, Walk>;
using Orgn1 = Field<27, 26, Walk>;
using Sh1 = Field<29, 28, descriptor::Sh>;
using Granule1 = Field<31, 30, Tg1>;
using Ips = Field<34, 32>;  // physical address size, as ID_AA64MMFR0_EL1.PARange
/// Without IPS, which depends on the CPU.
inline constexpr std::uint64_t kKernel =
    T0sz::encode(64 - kAddressBits) | Irgn0::encode(Walk::WriteBackAllocate) | Orgn0::encode(Walk::WriteBackAllocate) |
    Sh0::encode(descriptor::Sh::Inner) | Granule0::encode(Tg0::k4KiB) | T1sz::encode(64 - kAddressBits) |
    Irgn1::encode(Walk::WriteBackAllocate) | Orgn1::encode(Walk::WriteBackAllocate) |
    Sh1::encode(descriptor::Sh::Inner) | Granule1::encode(Tg1::k4KiB);
static_assert(Granule1::decode(kKernel) == Tg1::k4KiB && T1sz::decode(kKernel) == 16);
}  // namespace tcr_el1

namespace id_aa64mmfr0_el1 {
using PaRange = Field<3, 0>;
inline constexpr std::uint64_t kPaRange48 = 5;  // more needs LPA, which these tables do not use
}  // namespace id_aa64mmfr0_el1

namespace id_aa64mmfr1_el1 {
using Pan = Field<23, 20>;
}

namespace id_aa64dfr0_el1 {
using PmuVer = Field<11, 8>;
}

namespace pmcr_el0 {
using E = Bit<0>;   // counters count
using P = Bit<1>;   // event counters to zero
using C = Bit<2>;   // cycle counter to zero
using Lc = Bit<6>;  // the cycle counter has 64 bits
using Lp = Bit<7>;  // event counters have 64 bits; RES0 before PMUv3p5
using N = Field<15, 11>;
}  // namespace pmcr_el0

namespace pmcnten {  // PMCNTENSET_EL0, and the others of one bit for each counter
using Cycles = Bit<31>;
}

namespace id_aa64isar0_el1 {
using Rndr = Field<63, 60>;
}

namespace id_aa64pfr0_el1 {
using Gic = Field<27, 24>;
using Amu = Field<47, 44>;
}  // namespace id_aa64pfr0_el1

namespace sctlr_el1 {
using M = Bit<0>;        // MMU
using A = Bit<1>;        // alignment check
using C = Bit<2>;        // data cache
using Sa = Bit<3>;       // stack alignment check
using Sa0 = Bit<4>;      //   and at EL0
using Eos = Bit<11>;     // exception exit synchronises; RES1 without ExS
using I = Bit<12>;       // instruction cache
using Dze = Bit<14>;     // EL0 may use DC ZVA,
using Uct = Bit<15>;     //   read CTR_EL0,
using Ntwi = Bit<16>;    //   use WFI,
using Ntwe = Bit<18>;    //   and WFE,
using Uci = Bit<26>;     //   and maintain caches by address
using Wxn = Bit<19>;     // writable memory is not executable
using Tscxt = Bit<20>;   // RES1 without CSV2_2
using Eis = Bit<22>;     // exception entry synchronises; RES1 without ExS
using Span = Bit<23>;    // 0: exceptions set PAN; RES1 without PAN
using Ntlsmd = Bit<29>;  // RES1 without AA32
using Lsmaoe = Bit<28>;  // RES1 without AA32
inline constexpr std::uint64_t kRes1 =
    Eos::encode(true) | Tscxt::encode(true) | Eis::encode(true) | Ntlsmd::encode(true) | Lsmaoe::encode(true);
/// Before the MMU is on.
inline constexpr std::uint64_t kMmuOff = kRes1 | Span::encode(true);
inline constexpr std::uint64_t kKernel = kRes1 | M::encode(true) | C::encode(true) | Sa::encode(true) |
                                         Sa0::encode(true) | I::encode(true) | Dze::encode(true) | Uct::encode(true) |
                                         Ntwi::encode(true) | Ntwe::encode(true) | Wxn::encode(true) |
                                         Uci::encode(true);
static_assert(kMmuOff == 0x30d0'0800);  // head.S has the same literal
static_assert(kKernel == 0x345d'd81d);  // head.S has the same literal, and sets SPAN where PAN is missing
}  // namespace sctlr_el1

namespace cpacr_el1 {
enum class Fpen : std::uint8_t { TrapAll = 0b00, TrapEl0 = 0b01, NoTrap = 0b11 };
using FpenBits = Field<21, 20, Fpen>;
}  // namespace cpacr_el1

namespace cnt_ctl_el0 {  // CNTV_CTL_EL0
using Enable = Bit<0>;
using Imask = Bit<1>;
using Istatus = Bit<2>;
}  // namespace cnt_ctl_el0

namespace ttbr_el1 {
using Baddr = Field<47, 1>;  // in units of 2 bytes; the tables are aligned to pages
using AsidBits = Field<63, 48>;
constexpr std::uint64_t value(std::uint64_t root_pa, std::uint64_t asid) {
  return Baddr::encode(root_pa / 2) | AsidBits::encode(asid);
}
}  // namespace ttbr_el1

namespace cntkctl_el1 {
using El0Vcten = Bit<1>;  // EL0 may read the virtual counter
}  // namespace cntkctl_el1

namespace mdscr_el1 {
using Tdcc = Bit<12>;  // EL0 may not use the debug communications channel
}  // namespace mdscr_el1

namespace ctr_el0 {
using DminLine = Field<19, 16>;  // smallest data cache line, log2 of words
}

namespace daif {
using F = Bit<6>;
using I = Bit<7>;
using A = Bit<8>;
using D = Bit<9>;
}  // namespace daif

namespace current_el {
using El = Field<3, 2>;
}

namespace spsr_el1 {
using M = Field<3, 0>;  // EL and stack pointer
using Aarch32 = Bit<4>;
using Daif = Field<9, 6>;
using Il = Bit<20>;
using Ss = Bit<21>;
using Pan = Bit<22>;
}  // namespace spsr_el1

namespace esr_el1 {
using Iss = Field<24, 0>;
using Il = Bit<25>;
using Ec = Field<31, 26>;
/// ISS of data and instruction aborts.
namespace abort {
using Fsc = Field<5, 0>;
using Wnr = Bit<6>;
using S1ptw = Bit<7>;
using Cm = Bit<8>;
using Ea = Bit<9>;
using Fnv = Bit<10>;
using Srt = Field<20, 16>;
using Sas = Field<23, 22>;
using Isv = Bit<24>;
}  // namespace abort
}  // namespace esr_el1

namespace par_el1 {
using F = Bit<0>;
using Address = Field<47, 12>;
}  // namespace par_el1

namespace mpidr_el1 {
inline constexpr std::uint64_t kAffinityMask = 0xff'00ff'ffff;
using Aff0 = Field<7, 0>;
using Aff1 = Field<15, 8>;
using Aff2 = Field<23, 16>;
using Aff3 = Field<39, 32>;
}  // namespace mpidr_el1

}  // namespace guest::arch
