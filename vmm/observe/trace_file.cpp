#include "vmm/observe/trace_file.hpp"

#include <algorithm>
#include <map>

#include "trace_output.hpp"
#include "trace_tracks.hpp"

namespace vmm::observe {
namespace {

using nlohmann::ordered_json;

/// Each name of a track is one.
void write_host_events(const TraceFile& file, TraceOutput& output) {
  std::map<std::string, std::uint64_t> tracks;
  const std::size_t count = std::min(file.host_events.size(), TraceFile::kMaxHostEvents);
  for (std::size_t i = 0; i < count; ++i) {
    const HostEvent& event = file.host_events[i];
    const std::uint64_t track = tracks.try_emplace(event.track, tracks.size() + 1).first->second;
    output.event(TraceEventText('X', TraceProcess::Host, "host", event.name)
                     .track(track)
                     .at(event.begin_ns)
                     .lasts(std::max<std::int64_t>(event.end_ns - event.begin_ns, 0))
                     .args(event.args));
  }
  output.name(TraceProcess::Host, "host");
  for (const auto& [name, track] : tracks) output.name(TraceProcess::Host, track, name);
}

}  // namespace

bool TraceFile::write(const std::function<bool(std::string_view)>& sink) const {
  TraceOutput output(sink, max_bytes);
  output.text("{\"traceEvents\":[");
  GuestTracks tracks(names, output);
  records.for_each([&](const abi::trace::Record& record) { tracks.take(record); });
  tracks.finish(records.last_time());
  const ordered_json guest{{"records", records.size()},
                           {"events", output.events()},
                           {"left_out", output.left_out()},
                           {"unmatched", tracks.unmatched()},
                           {"lost_by_cpu", records.lost_by_cpu()},
                           {"dropped", records.dropped()},
                           {"malformed", records.malformed()},
                           {"frozen", records.frozen()}};
  write_host_events(*this, output);
  ordered_json of_host = host;
  if (host_events.size() > kMaxHostEvents) of_host["events_left_out"] = host_events.size() - kMaxHostEvents;
  const ordered_json other{{"format", "sis-trace"}, {"version", 1},   {"machine", machine},
                           {"scenario", scenario},  {"guest", guest}, {"host", of_host}};
  output.text("],\n\"displayTimeUnit\":\"ns\",\n\"otherData\":" +
              other.dump(-1, ' ', true, ordered_json::error_handler_t::replace) + "}\n");
  return output.finish();
}

}  // namespace vmm::observe
