// The stack protector's value.
#pragma once

#include <cstdint>

namespace guest::arch {

/// Mixes `entropy` (the boot loader's random seeds; 0: none) with the counter and the CPU's generator where it has one
/// into the value that guards stack frames. Only functions that never return may be active when it changes.
void seed_stack_guard(std::uint64_t entropy);

}  // namespace guest::arch
