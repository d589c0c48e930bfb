// trace.json of a run: what happened and when, as Chrome trace events, which Perfetto opens
// (configs/trace.schema.json).
//
//   pid 1    the guest's CPUs: the thread that runs, in it interrupts; beside it items of deferred work
//   pid 2    graphs: a track for each operator, with its executions; of each channel how full it is
//   pid 3    jobs of the NPU           pid 4  requests to models           pid 5  control requests
//   pid 100  the host, on the guest's time as far as that is known
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/observe/trace_names.hpp"
#include "vmm/observe/trace_records.hpp"

namespace vmm::observe {

/// Something that the host did. Times are the guest's, and before its reset below 0.
struct HostEvent {
  std::string track;  ///< "steps"
  std::string name;
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
  nlohmann::ordered_json args;  ///< an object
};

struct TraceFile {
  static constexpr std::size_t kMaxBytes = std::size_t{512} << 20;
  static constexpr std::size_t kMaxHostEvents = 4096;

  std::string machine;
  std::string scenario;
  TraceRecords records{};
  TraceNames names{};
  std::vector<HostEvent> host_events;  ///< the first kMaxHostEvents are written
  nlohmann::ordered_json host;         ///< an object: what otherData says of the host
  std::size_t max_bytes = kMaxBytes;   ///< of the file; events beyond are counted and left out

  /// Gives the file's text to `sink`, piece by piece, and keeps at most a piece of it. But for what is the host's, the
  /// same records and names make the same text. False: the sink took no more.
  [[nodiscard]] bool write(const std::function<bool(std::string_view)>& sink) const;
};

}  // namespace vmm::observe
