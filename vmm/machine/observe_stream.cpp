#include "observe_stream.hpp"

#include <utility>

#include "vmm/base/file.hpp"
#include "vmm/machine/registry.hpp"
#include "vmm/machine/trace_expectations.hpp"

namespace vmm::machine {
namespace {

using nlohmann::ordered_json;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::uint32_t kTokenId = 3;

std::uint64_t count_of(nanoseconds time) { return static_cast<std::uint64_t>(std::max(time, nanoseconds(0)).count()); }

}  // namespace

ObserveStream::ObserveStream(EventLoop& loop, ObserveStreamOptions options)
    : loop_(loop), options_(std::move(options)) {
  // Called on the link's thread.
  collector_ = std::make_unique<ObserveCollector>(ObserveCollectorOptions{
      .metrics = options_.interval.has_value(),
      .trace = options_.trace,
      .start = options_.start,
      .on_completed = [this] { loop_.post([this] { on_completed(); }); },
      .on_warning =
          [this](std::string why) { loop_.post([this, why = std::move(why)] { options_.on_warning(why); }); }});
  link_ = std::make_unique<GuestLink>(
      loop, GuestLinkOptions{.socket = options_.socket,
                             .connect_timeout = options_.connect_timeout,
                             .token_id = kTokenId,
                             .rights = abi::control::Rights::Observe | abi::control::Rights::Admin,
                             .present_key = options_.present_key,
                             .use =
                                 [this](control::Client& client) {
                                   collector_->collect(client);
                                   return true;
                                 },
                             .sandbox = options_.sandbox});
}

ObserveStream::~ObserveStream() { loop_.cancel_timer(timer_); }

void ObserveStream::complete(milliseconds limit, std::function<void()> done) {
  done_ = std::move(done);
  timer_ = loop_.add_timer(limit, [this] { on_completed(); });
  collector_->complete_by(std::chrono::steady_clock::now() + limit);
}

void ObserveStream::on_completed() {
  loop_.cancel_timer(timer_);
  if (const auto done = std::exchange(done_, nullptr)) done();
}

ordered_json ObserveStream::steps_json(const observe::Summary& summary) const {
  ordered_json steps = ordered_json::array();
  for (const auto& step : summary.steps) {
    ordered_json& json = steps.emplace_back(ordered_json{{"name", step.name},
                                                         {"op", step.op},
                                                         {"status", observe::to_string(step.status)},
                                                         {"duration_ns", count_of(step.duration)},
                                                         {"sent", step.sent}});
    if (step.sent != 0) json["began_ns"] = count_of(step.began - options_.start);
  }
  return steps;
}

void ObserveStream::add_host(const observe::Summary& summary, nanoseconds stopping) {
  Observed& observed = collector_->observed();
  observed.metrics.machine = observed.trace.machine = summary.machine;
  observed.metrics.scenario = observed.trace.scenario = summary.scenario;
  if (options_.interval) observed.metrics.interval_ns = count_of(*options_.interval);
  observed.metrics.host = {{"started", observe::time_text(summary.started)},
                           {"duration_ns", count_of(summary.duration)},
                           {"backend", summary.backend},
                           {"accel", summary.accel},
                           {"clock", observed.clock.to_json()},
                           {"steps", steps_json(summary)},
                           {"device_counters", summary.device_counters},
                           {"collector",
                            {{"connections", observed.connections},
                             {"events", observed.events},
                             {"malformed", observed.malformed},
                             {"dropped", observed.dropped},
                             {"restarts", observed.restarts},
                             {"complete", observed.complete}}}};
  if (summary.boot_host) observed.metrics.host["boot_host_ns"] = count_of(*summary.boot_host);
  observed.trace.host = {{"clock", observed.clock.to_json()}};
  if (summary.boot_host) add_host_event("monitor", "boot", nanoseconds(0), *summary.boot_host, ordered_json::object());
  if (stopping.count() != 0) {
    add_host_event("monitor", "stop", stopping, summary.duration, {{"killed", summary.killed}});
  }
  add_steps(summary);
}

/// Requests of a parallel step lie beside each other.
void ObserveStream::add_steps(const observe::Summary& summary) {
  std::vector<nanoseconds> lanes;
  for (const auto& step : summary.steps) {
    if (step.sent == 0) continue;
    const nanoseconds begin = step.began - options_.start;
    std::size_t lane = 0;
    while (lane < lanes.size() && lanes[lane] > begin) ++lane;
    if (lane == lanes.size()) lanes.emplace_back();
    lanes[lane] = begin + step.duration;
    add_host_event(lane == 0 ? "steps" : "steps, beside " + std::to_string(lane), step.name, begin, lanes[lane],
                   {{"op", step.op},
                    {"status", observe::to_string(step.status)},
                    {"first_request", step.first_request},
                    {"last_request", step.last_request}});
  }
}

void ObserveStream::add_host_event(const std::string& track, const std::string& name, nanoseconds begin,
                                   nanoseconds end, ordered_json args) {
  Observed& observed = collector_->observed();
  const auto from = observed.clock.guest_time(count_of(begin));
  const auto to = observed.clock.guest_time(count_of(end));
  if (!from || !to) return;  // the guest has never told its time
  observed.trace.host_events.push_back(
      {.track = track, .name = name, .begin_ns = *from, .end_ns = *to, .args = std::move(args)});
}

std::vector<observe::ExpectationResult> ObserveStream::evaluate(const scenario::Expectations& expect) const {
  const Observed& observed = collector_->observed();
  return evaluate_trace(expect, observed.trace.records, observed.trace_read);
}

Result<std::vector<std::string>> ObserveStream::write(const observe::Summary& summary, nanoseconds stopping,
                                                      const std::filesystem::path& folder) {
  add_host(summary, stopping);
  const Observed& observed = collector_->observed();
  if (auto written = write_file(folder / file::kMetrics, observed.metrics.to_text()); !written) {
    return std::unexpected(std::move(written.error()));
  }
  if (!options_.trace) return std::vector<std::string>{file::kMetrics};
  auto writer = FileWriter::create(folder / file::kTrace);
  if (!writer) return std::unexpected(std::move(writer.error()));
  Result<> result;
  const bool whole = observed.trace.write([&](std::string_view piece) {
    result = writer->write(piece);
    return result.has_value();
  });
  if (whole) result = writer->commit();
  if (!result) return std::unexpected(std::move(result.error()));
  return std::vector<std::string>{file::kMetrics, file::kTrace};
}

}  // namespace vmm::machine
