#include "tools/web/follower.hpp"

#include <thread>

#include "tools/metric_set.hpp"
#include "vmm/machine/monitor_client.hpp"

namespace sis_web {
namespace {

using nlohmann::json;
using sisctl::ExitCode;
using sisctl::Failure;
using sisctl::Outcome;
using sisctl::Session;
using std::chrono::milliseconds;

constexpr milliseconds kInterval{1000};
constexpr milliseconds kMonitorTime{2000};
/// To connect, and for each reply: a guest that is busy is asked again.
constexpr milliseconds kGuestTime{5000};
constexpr milliseconds kRetry{200};
/// An answer has some hundred histograms; a guest that never says that it has told all is not believed for ever.
constexpr int kMaxPages = 64;

}  // namespace

Follower::Follower(sisctl::Options options, sisctl::Target target, bool patient, MachineView& view)
    : options_(std::move(options)), target_(std::move(target)), patient_(patient), view_(view) {
  options_.timeout = kGuestTime;
}

bool Follower::look_at_monitor() {
  auto monitor = vmm::machine::MonitorClient::connect(target_.monitor_path);
  if (!monitor) return false;
  const auto status = monitor->ask({{"op", "status"}}, kMonitorTime);
  // One that is busy is there nevertheless.
  if (status && status->is_object()) view_.set_status(*status);
  return true;
}

Outcome<void> Follower::run() {
  for (bool seen = false;;) {
    if (look_at_monitor()) {
      seen = true;
    } else if (seen || !patient_) {
      view_.set_ended("The machine has ended.");
      return {};
    } else {
      std::this_thread::sleep_for(kRetry);
      continue;
    }
    auto session = Session::open(options_);
    const auto followed = session ? follow(*session) : std::unexpected(session.error());
    if (followed) return {};
    // A machine that boots, reboots or ends is asked again, until its monitor has gone.
    const ExitCode code = followed.error().exit_code;
    if (code != ExitCode::NoReply && code != ExitCode::CannotConnect) return followed;
    view_.forget_past();
    std::this_thread::sleep_for(kRetry);
  }
}

Outcome<void> Follower::follow(Session& session) {
  const auto id = session.subscribe("watch metrics", {{"interval_ms", kInterval.count()}});
  if (!id) return std::unexpected(id.error());
  sisctl::MetricSet set;
  for (;;) {
    const auto next = session.next(*id, kInterval + kGuestTime);
    if (!next) return std::unexpected(next.error());
    if (!*next) {
      return std::unexpected(
          Failure{.exit_code = ExitCode::NoReply, .kind = "timeout", .message = "no metrics in time"});
    }
    if (!(*next)->is_event || !set.add((*next)->body)) {
      return std::unexpected(session.wrong_reply("an event of metrics is not {time_ns, metrics, left_off}"));
    }
    if (!set.complete()) continue;
    view_.set_metrics(set.time_ns(), set.metrics());
    look_at_monitor();
    look_at_histograms(session);
  }
}

void Follower::look_at_histograms(Session& session) {
  json all = json::object();
  for (int page = 0; has_histograms_ && page < kMaxPages; ++page) {
    const auto answer = session.call("histograms", {{"skip", all.size()}});
    if (!answer) {
      // A guest that does not know the command never will.
      has_histograms_ = answer.error().exit_code != ExitCode::Refused;
      return;
    }
    const auto part = answer->find("histograms");
    if (part == answer->end() || !part->is_object() || part->empty()) break;
    all.update(*part);
    if (answer->value("left_off", json()) == 0U) break;
  }
  view_.set_histograms(all);
}

}  // namespace sis_web
