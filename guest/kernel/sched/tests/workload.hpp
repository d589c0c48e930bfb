// What a simulated CPU is given, and what comes of it. Times are nanoseconds from the start of the simulation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace guest::sched::testing {

inline constexpr int kIdle = -1;
inline constexpr std::int64_t kUnfinished = -1;

struct ServerSpec {
  std::int64_t budget;
  std::int64_t period;
  std::int64_t deadline;
  bool soft = false;
  bool reclaim = false;
  friend bool operator==(const ServerSpec&, const ServerSpec&) = default;
};

/// Work of one server's only thread. Those of a server are executed in their order, each not before its release.
struct Job {
  std::int64_t release;
  std::int64_t demand;  ///< > 0
  friend bool operator==(const Job&, const Job&) = default;
};

/// Servers have their index as id.
struct Workload {
  std::vector<ServerSpec> servers;
  std::vector<std::vector<Job>> jobs;  ///< for each server; releases do not decrease
  std::int64_t horizon;                ///< what happens before it is simulated; a slice that reaches it is cut there
  std::int64_t bound_ppm = 1'000'000;  ///< of the CPU, at least the servers' density
};

/// One server, or nobody, had the CPU from `begin` to `end`.
struct Slice {
  int server;
  std::int64_t begin;
  std::int64_t end;
  friend bool operator==(const Slice&, const Slice&) = default;
};

/// Neighbouring slices are of different servers, and the slices cover [0, horizon) without gaps.
struct Schedule {
  std::vector<Slice> slices;
  std::vector<std::vector<std::int64_t>> finishes;  ///< for each server and job; kUnfinished: not before the horizon
  std::vector<std::uint64_t> throttles;  ///< for each server: how often it became throttled before the horizon
  friend bool operator==(const Schedule&, const Schedule&) = default;
};

}  // namespace guest::sched::testing
