#include "guest/npu/job_history.hpp"

#include <algorithm>

namespace guest::npu {
namespace {

constinit JobHistory the_history;

}  // namespace

JobHistory& job_history() { return the_history; }

void JobHistory::began(std::uint64_t id, const abi::npu::JobHeader& header, std::uint64_t submitted_ns) {
  const kernel::SpinGuard guard(lock_);
  ++totals_.in_flight;
  totals_.most_in_flight = std::max(totals_.most_in_flight, totals_.in_flight);
  totals_.last_id = std::max(totals_.last_id, id);
  JobRecord& place = place_of(id);
  if (!place.in_flight) {
    place = {.origin = header.origin,
             .priority = static_cast<abi::npu::Priority>(header.priority),
             .commands = header.commands,
             .in_flight = true,
             .end = {.id = id, .submitted_ns = submitted_ns}};
  }
}

void JobHistory::ended(const JobEnd& end) {
  const kernel::SpinGuard guard(lock_);
  --totals_.in_flight;
  ++totals_.ended;
  ++totals_.by_status[static_cast<unsigned>(end.status)];
  totals_.run_ns += end.run_ns;
  if (JobRecord& place = place_of(end.id); place.end.id == end.id) {
    place.in_flight = false;
    place.end = end;
  }
}

void JobHistory::taken_back(std::uint64_t id) {
  const kernel::SpinGuard guard(lock_);
  --totals_.in_flight;
  if (JobRecord& place = place_of(id); place.end.id == id) {
    place = {};
  }
}

JobTotals JobHistory::totals() const {
  const kernel::SpinGuard guard(lock_);
  return totals_;
}

std::optional<JobRecord> JobHistory::find(std::uint64_t id) const {
  const kernel::SpinGuard guard(lock_);
  const JobRecord& place = places_[id % kPlaces];
  return place.end.id == id && id != 0 ? std::optional(place) : std::nullopt;
}

}  // namespace guest::npu
