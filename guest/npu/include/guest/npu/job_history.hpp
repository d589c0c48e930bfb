// Which jobs there were: those in flight, and the newest that have ended. For people, and for what counts jobs.
//
// Ids are consecutive, so a job's place is its id modulo the number of places: nothing is searched in an interrupt. A
// job whose place is still held by one in flight, that many jobs older, is counted but not remembered.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "abi/npu.hpp"
#include "guest/kernel/spin_lock.hpp"
#include "guest/npu/job.hpp"

namespace guest::npu {

struct JobRecord {
  std::uint32_t origin = 0;  ///< id of the submitting thread's server; 0: it has none
  abi::npu::Priority priority = abi::npu::Priority::Normal;
  std::uint32_t commands = 0;
  bool in_flight = false;
  JobEnd end;  ///< of one in flight only its id and when it was submitted
};

/// Of all jobs since boot.
struct JobTotals {
  std::uint64_t ended = 0;
  std::uint64_t by_status[abi::npu::kStatuses] = {};
  std::uint64_t run_ns = 0;          ///< sum of JobEnd::run_ns
  std::uint32_t in_flight = 0;       ///< now
  std::uint32_t most_in_flight = 0;  ///< at a time
  std::uint64_t last_id = 0;         ///< 0: there was none
};

/// From any context and CPU.
class JobHistory {
 public:
  static constexpr std::uint32_t kPlaces = 128;

  void began(std::uint64_t id, const abi::npu::JobHeader& header, std::uint64_t submitted_ns);
  void ended(const JobEnd& end);
  /// It was not taken after all: it never was.
  void taken_back(std::uint64_t id);

  [[nodiscard]] JobTotals totals() const;
  /// Of the job with this id, if it is remembered.
  [[nodiscard]] std::optional<JobRecord> find(std::uint64_t id) const;

 private:
  JobRecord& place_of(std::uint64_t id) { return places_[id % kPlaces]; }

  mutable kernel::SpinLock lock_{"npu history", kernel::LockRank::NpuHistory};
  JobTotals totals_;
  std::array<JobRecord, kPlaces> places_{};
};

/// Of this kernel's NPU.
JobHistory& job_history();

}  // namespace guest::npu
