#include "guest/arch/model/stolen_time.hpp"

#include "guest/arch/model/field.hpp"
#include "guest/arch/model/page_table.hpp"

namespace guest::arch {
namespace {

// Arm DEN0022, PSCI_FEATURES; Arm DEN0028, SMCCC_VERSION and SMCCC_ARCH_FEATURES; Arm DEN0057, function identifiers.
constexpr std::uint32_t kPsciFeatures = 0x8400'000a;
constexpr std::uint32_t kSmcccVersion = 0x8000'0000;
constexpr std::uint32_t kSmcccArchFeatures = 0x8000'0001;
constexpr std::uint32_t kPvTimeFeatures = 0xc500'0020;
constexpr std::uint32_t kPvTimeSt = 0xc500'0021;

/// Both PSCI_VERSION and SMCCC_VERSION.
using Minor = Field<15, 0>;
using Major = Field<30, 16>;
constexpr std::uint32_t version(std::uint32_t major, std::uint32_t minor) {
  return static_cast<std::uint32_t>(Major::encode(major) | Minor::encode(minor));
}

std::int32_t call_32(SmcccCall call, std::uint32_t function, std::uint64_t argument) {
  return static_cast<std::int32_t>(call(function, argument));
}
std::int64_t call_64(SmcccCall call, std::uint32_t function, std::uint64_t argument) {
  return static_cast<std::int64_t>(call(function, argument));
}

}  // namespace

/// Each call is known to be there before it is made: before SMCCC 1.1 one that is unknown may do anything.
bool offers_stolen_time(SmcccCall call, std::uint32_t psci_version) {
  return psci_version >= version(1, 0) && call_32(call, kPsciFeatures, kSmcccVersion) >= 0 &&
         call_32(call, kSmcccVersion, 0) >= static_cast<std::int32_t>(version(1, 1)) &&
         call_32(call, kSmcccArchFeatures, kPvTimeFeatures) >= 0 && call_64(call, kPvTimeFeatures, kPvTimeSt) == 0;
}

std::optional<std::uint64_t> stolen_time_address(SmcccCall call) {
  const std::int64_t answer = call_64(call, kPvTimeSt, 0);
  const auto address = static_cast<std::uint64_t>(answer);
  // Addresses that tables can hold; so an error, which is negative, is none either. Aligned, it is within a page.
  if (answer < 0 || address >= level_bytes(0) * kTableEntries || address % sizeof(StolenTimeStructure) != 0) {
    return std::nullopt;
  }
  return address;
}

}  // namespace guest::arch
