// The host's time on the guest's clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

namespace vmm::observe {

/// Made of samples: the guest's clock was read between two moments of the host. Between samples time is in proportion,
/// before the first and behind the last a nanosecond is one. When there are more than kMaxSamples every second is
/// dropped.
class ClockMap {
 public:
  static constexpr std::size_t kMaxSamples = 2048;

  struct Sample {
    std::uint64_t host_before_ns;  ///< since the machine's start, as all times of the host
    std::uint64_t host_after_ns;
    std::uint64_t guest_ns;
  };

  /// A sample that is not later than the last on both clocks is passed over.
  void add(const Sample& sample);
  /// Forgets all: the guest has started again.
  void clear() { samples_.clear(); }

  /// Nothing without samples. Below 0: before the guest's reset.
  [[nodiscard]] std::optional<std::int64_t> guest_time(std::uint64_t host_ns) const;
  /// Half of the longest time that a sample took; nothing without samples.
  [[nodiscard]] std::optional<std::uint64_t> uncertainty_ns() const;
  /// {uncertainty_ns?, samples: [{host_before_ns, host_after_ns, guest_ns}]}
  [[nodiscard]] nlohmann::ordered_json to_json() const;

 private:
  std::vector<Sample> samples_;
};

}  // namespace vmm::observe
