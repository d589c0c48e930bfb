// Numbers of requests to KVM and to terminals, as ARM64 Linux has them. make_filters runs on the build machine, whose
// headers have others, or none, for KVM; requests_check.cpp compares these in the build for ARM64.
#pragma once

#include <cstdint>

namespace vmm::sandbox::request {

inline constexpr std::uint32_t kRun = 0xae80;
inline constexpr std::uint32_t kIrqLine = 0x4008ae61;
inline constexpr std::uint32_t kSetVcpuEvents = 0x4040aea0;
inline constexpr std::uint32_t kGetVcpuEvents = 0x8040ae9f;
inline constexpr std::uint32_t kCheckExtension = 0xae03;
inline constexpr std::uint32_t kCreateVm = 0xae01;
inline constexpr std::uint32_t kCreateVcpu = 0xae41;
inline constexpr std::uint32_t kSetUserMemoryRegion = 0x4020ae46;
inline constexpr std::uint32_t kCreateDevice = 0xc00caee0;
inline constexpr std::uint32_t kIrqfd = 0x4020ae76;
inline constexpr std::uint32_t kIoeventfd = 0x4040ae79;
inline constexpr std::uint32_t kEnableCap = 0x4068aea3;
inline constexpr std::uint32_t kPreferredTarget = 0x8020aeaf;
inline constexpr std::uint32_t kVcpuInit = 0x4020aeae;
inline constexpr std::uint32_t kGetOneReg = 0x4010aeab;
inline constexpr std::uint32_t kSetOneReg = 0x4010aeac;
inline constexpr std::uint32_t kGetRegList = 0xc008aeb0;
inline constexpr std::uint32_t kGetMpState = 0x8004ae98;
inline constexpr std::uint32_t kHasDeviceAttr = 0x4018aee3;
inline constexpr std::uint32_t kSetDeviceAttr = 0x4018aee1;
inline constexpr std::uint32_t kGetDeviceAttr = 0x4018aee2;
inline constexpr std::uint32_t kGetTerminal = 0x5401;
inline constexpr std::uint32_t kSetTerminal = 0x5402;
inline constexpr std::uint32_t kSetTerminalDrained = 0x5403;

}  // namespace vmm::sandbox::request
