// The guest's records as events on tracks.
//
// A slice is written when it ends, as one event; what begins and does not end by the end of the records is cut there.
// What overlaps (jobs, requests) is written when it begins and when it ends. A flow leads from a control request to the
// request to a model that it made, on to each job that the NPU ran for that, and to its end; it goes through the slices
// of the threads that did this, as there must be a slice at each of its ends.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "trace_output.hpp"
#include "vmm/observe/trace_names.hpp"
#include "vmm/observe/trace_records.hpp"

namespace vmm::observe {

class GuestTracks {
 public:
  /// Of what is open at a time, of each kind; the guest may begin what it never ends. More is counted and left out.
  static constexpr std::size_t kMaxOpen = 16384;

  /// `names` and `output` outlive it.
  GuestTracks(const TraceNames& names, TraceOutput& output);

  void take(const abi::trace::Record& record);
  /// Ends what is open at `now_ns`, and names the tracks.
  void finish(std::uint64_t now_ns);
  /// Events that were not understood for want of what had begun them, or for kMaxOpen.
  [[nodiscard]] std::uint64_t unmatched() const { return unmatched_; }

 private:
  using Record = abi::trace::Record;
  using Handler = void (GuestTracks::*)(const Record&);
  struct HandlerEntry {
    std::string_view event;
    Handler handler;
  };
  static const HandlerEntry kHandlers[];

  /// A point on a CPU's track, in a slice of a thread.
  struct Place {
    std::uint64_t time_ns = 0;
    std::uint16_t cpu = 0;
  };
  struct Open {
    Place begin;
    std::uint64_t what = 0;  ///< an INTID, a function, the number of an execution, of a command
  };
  struct Cpu {
    bool seen = false;
    std::optional<std::uint64_t> thread;  ///< that runs; absent: not known
    std::uint64_t since = 0;              ///< when it began
    std::vector<Open> interrupts;
    std::optional<Open> work;
    std::optional<std::uint64_t> call;  ///< that `call_thread` was given last
    std::optional<std::uint64_t> call_thread;
  };
  struct Job {
    Place begin;
    std::uint64_t run_ns = 0;
    std::uint64_t preemptions = 0;
    bool ran = false;
  };
  using Operator = std::pair<std::uint64_t, std::uint64_t>;  ///< graph, id

  void on_gap(const Record& record);
  void on_switch(const Record& record);
  void on_interrupt_enter(const Record& record);
  void on_interrupt_exit(const Record& record);
  void on_work_begin(const Record& record);
  void on_work_end(const Record& record);
  void on_operator_begin(const Record& record);
  void on_operator_end(const Record& record);
  void on_channel(const Record& record);
  void on_job_submit(const Record& record);
  void on_job_ran(const Record& record);
  void on_job_end(const Record& record);
  void on_request_submit(const Record& record);
  void on_request_step(const Record& record);
  void on_request_token(const Record& record);
  void on_request_end(const Record& record);
  void on_request_due(const Record& record);
  void on_control_begin(const Record& record);
  void on_control_end(const Record& record);
  void on_other(const Record& record);

  void end_thread(std::uint16_t cpu, std::optional<std::uint64_t> thread, std::uint64_t now_ns);
  void end_interrupts(std::uint16_t cpu, std::uint64_t now_ns);
  void end_work(std::uint16_t cpu, std::uint64_t now_ns);
  void end_operator(const Operator& which, const Open& open, std::uint64_t now_ns, std::optional<std::uint64_t> failed);
  void cut(TraceProcess process, std::string_view category, std::string_view name, std::uint64_t id,
           std::uint64_t now_ns);
  void flow(char phase, std::uint64_t request, const Place& place);
  std::uint64_t operator_track(const Operator& which);
  std::uint64_t channel_track(std::uint64_t graph, std::uint64_t channel);
  void name_tracks();
  template <typename Map>
  bool has_room(const Map& open);

  const TraceNames& names_;
  TraceOutput& output_;
  std::array<Handler, abi::trace::kTypes> handlers_{};  ///< by type
  std::array<Cpu, TraceRecords::kMaxCpus> cpus_{};
  std::map<Operator, Open> operators_;
  std::map<std::uint64_t, Job> jobs_;
  std::map<std::uint64_t, Place> ended_jobs_;  ///< the newest, which steps of requests may still name
  std::deque<std::uint64_t> ended_order_;
  std::map<std::uint64_t, Open> requests_;  ///< to models
  std::map<std::uint64_t, Open> calls_;
  std::map<Operator, std::uint64_t> operator_tracks_;
  std::map<Operator, std::uint64_t> channel_tracks_;
  std::uint64_t unmatched_ = 0;
};

}  // namespace vmm::observe
