// The values that a run has measured, by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace vmm::observe {

/// The last value of each metric. The guest chooses names, so their number is bounded.
class MetricStore {
 public:
  static constexpr std::size_t kMaxMetrics = 4096;

  /// Sets a value; a new name beyond the bound is counted in dropped() and not kept.
  void set(std::string_view name, std::int64_t value) {
    if (const auto found = values_.find(name); found != values_.end()) {
      found->second = value;
    } else if (values_.size() < kMaxMetrics) {
      values_.emplace(name, value);
    } else {
      ++dropped_;
    }
  }

  [[nodiscard]] std::optional<std::int64_t> get(std::string_view name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::nullopt : std::optional(found->second);
  }

  [[nodiscard]] const std::map<std::string, std::int64_t, std::less<>>& all() const { return values_; }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  std::map<std::string, std::int64_t, std::less<>> values_;
  std::uint64_t dropped_ = 0;
};

}  // namespace vmm::observe
