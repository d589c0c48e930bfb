// Numbers that models need and that are not in their files.
#pragma once

#include <cstdint>

namespace guest::llm::numeric {

/// 1 / sqrt(n) as the bits of an f32; n is not 0.
std::uint32_t inverse_square_root(std::uint32_t n);

}  // namespace guest::llm::numeric
