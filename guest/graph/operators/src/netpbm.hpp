// Images in the files of Netpbm: P5 (PGM, grey) and P6 (PPM, red green blue), one byte for each sample (netpbm's pgm(5)
// and ppm(5)).
//
//   "P5" blank width blank height blank "255" one blank, then width * height bytes; blanks may hold "# ..." to the end
//   of a line
#pragma once

#include <cstdint>
#include <expected>
#include <span>

#include "guest/kernel/named_error.hpp"

namespace guest::graph {

struct NetpbmImage {
  static constexpr std::uint32_t kMaxSide = 4096;
  std::uint32_t width;     ///< 1 to kMaxSide
  std::uint32_t height;    ///< 1 to kMaxSide
  std::uint32_t channels;  ///< 1 or 3
  /// [height, width, channels] in the file.
  std::span<const std::byte> samples;
};

/// The one image of a file. Errors: graph-bad-image, which says what was expected where.
std::expected<NetpbmImage, kernel::NamedError> read_netpbm(std::span<const std::byte> file);

}  // namespace guest::graph
