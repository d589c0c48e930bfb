// Histograms as they were at one moment, as the command `histograms` answers them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "guest/control/buffer.hpp"

namespace guest::control {

struct Services;

/// Encoded, since a histogram itself is 4 KiB, of which few bytes are not 0. In the control loop's thread.
class HistogramCopies {
 public:
  /// Copies all that there are, one after the other. Once. False: no memory; there are none then.
  [[nodiscard]] bool take(const Services& services);

  /// Calls `each` with the name of each and its CBOR map {unit, buckets, count, total, max}, in the order of
  /// gather_metrics().
  template <typename Each>
  void for_each(Each&& each) const {
    std::span<const std::byte> rest = entries_.bytes();
    while (!rest.empty()) {
      Head head;
      std::memcpy(&head, rest.data(), sizeof(head));
      rest = rest.subspan(sizeof(head));
      // The name's characters, as take() has written them.
      each(std::string_view(reinterpret_cast<const char*>(rest.data()), head.name_bytes),
           rest.subspan(head.name_bytes, head.map_bytes));
      rest = rest.subspan(std::size_t{head.name_bytes} + head.map_bytes);
    }
  }

 private:
  class Taker;
  /// Of an entry: behind it the name, and then the map.
  struct Head {
    std::uint32_t name_bytes = 0;
    std::uint32_t map_bytes = 0;
  };
  Buffer entries_;
};

}  // namespace guest::control
