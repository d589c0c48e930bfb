// Randomness at boot.
#pragma once

#include <cstdint>

namespace guest::arch {

/// A number that differs from boot to boot as far as the machine allows: the CPU's generator, else the device tree's
/// /chosen rng-seed and kaslr-seed mixed with the counter. Not for keys.
std::uint64_t boot_seed();

}  // namespace guest::arch
