#include "guest/llm/numeric/scale.hpp"

namespace guest::llm::numeric {

std::uint32_t inverse_square_root(std::uint32_t n) {
  return __builtin_bit_cast(std::uint32_t, static_cast<float>(1 / __builtin_sqrt(static_cast<double>(n))));
}

}  // namespace guest::llm::numeric
