// The guest's trace as it comes, kept until it is written.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <nlohmann/json.hpp>
#include <vector>

#include "abi/trace.hpp"

namespace vmm::observe {

/// Takes events of `watch trace raw` and keeps the newest records: 32 bytes each, at most kMaxRecords and one chunk
/// more.
class TraceRecords {
 public:
  static constexpr std::size_t kMaxRecords = std::size_t{1} << 21;
  static constexpr std::size_t kChunk = std::size_t{1} << 16;
  static constexpr std::size_t kMaxCpus = 64;
  /// Type of a record of ours: behind it argument1 records of this CPU are missing; 0: an unknown number.
  static constexpr std::uint16_t kGap = 0xffff;

  explicit TraceRecords(std::size_t max_records = kMaxRecords, std::size_t chunk = kChunk)
      : max_records_(max_records), chunk_(chunk) {}

  /// {records: bytes, lost_by_cpu: [...], frozen?}. False: it is no such event, and nothing was taken.
  bool take(const nlohmann::json& event);
  /// The connection was lost; what is kept there is told again, and passed over here. What was overwritten meanwhile is
  /// not counted.
  void resume();

  /// An event did not get here: records of any CPU may be missing.
  void miss();

  /// Calls `take` with each record, in the order in which they came.
  template <typename Take>
  void for_each(Take&& take) const {
    for (const auto& chunk : chunks_) {
      for (const abi::trace::Record& record : chunk) take(record);
    }
  }

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }      ///< the oldest, for want of room
  [[nodiscard]] std::uint64_t malformed() const { return malformed_; }  ///< of an unknown type or CPU
  [[nodiscard]] std::vector<std::uint64_t> lost_by_cpu() const;         ///< overwritten in the guest
  [[nodiscard]] std::uint64_t last_time() const { return last_time_; }
  [[nodiscard]] bool frozen() const { return frozen_; }

 private:
  struct Cpu {
    std::uint64_t last_time = 0;
    std::uint64_t guest_lost = 0;  ///< as the guest counts
    std::uint64_t lost = 0;
    bool resumes = false;
    bool counts_anew = false;
  };
  void take_losses(const nlohmann::json& by_cpu);
  void take_record(const abi::trace::Record& record);
  void add_gap(std::size_t cpu, std::uint64_t missing);
  void add(const abi::trace::Record& record);

  std::size_t max_records_;
  std::size_t chunk_;
  std::deque<std::vector<abi::trace::Record>> chunks_;
  std::array<Cpu, kMaxCpus> cpus_{};
  std::size_t cpu_count_ = 0;
  std::uint64_t size_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t malformed_ = 0;
  std::uint64_t last_time_ = 0;
  bool frozen_ = false;
};

}  // namespace vmm::observe
