// The built-in model of mlp-classifier, in the format of mlp_model.hpp: 16 by 16 to 16 to 4 classes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace guest::graph {

inline constexpr std::size_t kPatternsModelBytes = 12 + (12 + 256 * 16 + 4 * 16) + (12 + 16 * 4 + 4 * 4);
extern const std::uint8_t kPatternsModel[kPatternsModelBytes];

}  // namespace guest::graph
