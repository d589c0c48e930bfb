// Any bytes: an image that is accepted has as many samples as it says, all of them in the file.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "../src/netpbm.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> file = std::as_bytes(std::span(data, size));
  const auto image = guest::graph::read_netpbm(file);
  if (!image) {
    return image.error().name == "graph-bad-image" && !image.error().detail.view().empty() ? 0 : (std::abort(), 0);
  }
  const std::uint64_t expected = std::uint64_t{image->width} * image->height * image->channels;
  const bool is_whole = image->width >= 1 && image->width <= guest::graph::NetpbmImage::kMaxSide &&
                        image->height >= 1 && image->height <= guest::graph::NetpbmImage::kMaxSide &&
                        (image->channels == 1 || image->channels == 3) && image->samples.size() == expected &&
                        image->samples.data() + expected == file.data() + size;
  if (!is_whole) {
    std::abort();
  }
  return 0;
}
