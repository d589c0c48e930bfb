#include "vmm/machine/supervisor.hpp"

#include <sodium.h>
#include <unistd.h>

#include "audit_stream.hpp"
#include "legacy_socket.hpp"
#include "observe_stream.hpp"
#include "vmm/base/file.hpp"
#include "vmm/machine/snapshot/folder.hpp"
#include "vmm/machine/snapshot/state.hpp"
#include "vmm/scenario/boot_archive.hpp"
#include "vmm/scenario/load.hpp"

namespace vmm::machine {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::uint32_t kRunnerTokenId = 1;
constexpr std::size_t kMaxWarnings = 20;
/// A guest that has told its end powers off within this, or hangs.
constexpr milliseconds kPowerOffGrace{5000};
/// A back end that was told to end does so within this.
constexpr milliseconds kBackendGrace{3000};

std::vector<std::string> texts_of(const scenario::Expectations& expect) {
  std::vector<std::string> texts;
  texts.reserve(expect.console.size());
  for (const auto& console : expect.console) texts.push_back(console.text);
  return texts;
}

std::string in_seconds(nanoseconds time) {
  std::string text = std::to_string(std::chrono::duration<double>(time).count());
  text.erase(text.find('.') + 4);
  return text + " s";
}

std::uint64_t unix_time_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

}  // namespace

/// Takes the back end's news; a class of its own so that they are not part of the supervisor's interface.
class Supervisor::Events final : public BackendEvents {
 public:
  explicit Events(Supervisor& owner) : owner_(owner) {}

  void on_console(std::string_view bytes) override {
    owner_.console_->on_output(bytes);
    owner_.reporter_.on_console(bytes);
    owner_.texts_.feed(bytes);
    owner_.order_.feed(bytes);
    owner_.parser_.feed(bytes);
  }
  void on_console_writable() override { owner_.console_->on_input_ready(); }
  void on_guest_reset() override { owner_.on_guest_reset(); }
  void on_guest_shutdown() override {}  // the exit follows at once, and says it all
  void on_guest_panicked() override { owner_.facts_.backend_saw_panic = true; }
  void on_warning(const std::string& message) override { owner_.on_warning(message); }
  void on_exited(Result<> how) override { owner_.on_exited(std::move(how)); }

 private:
  Supervisor& owner_;
};

Supervisor::Supervisor(RunOptions options, RunDirectory& run_dir, Reporter& reporter)
    : options_(std::move(options)),
      run_dir_(run_dir),
      reporter_(reporter),
      watch_([this](observe::ExitRecord record) { on_exit_record(record); }),
      texts_(texts_of(options_.scenario.expect)),
      order_(options_.scenario.expect.console_order),
      events_(std::make_unique<Events>(*this)),
      stop_timeout_(options_.scenario.timeouts.stop) {}

Supervisor::~Supervisor() {
  backend_.reset();
  runner_.reset();
  shutdown_.reset();
  audit_.reset();
  observe_.reset();
}

Result<std::unique_ptr<Supervisor>> Supervisor::create(RunOptions options, RunDirectory& run_dir,
                                                       const BackendFactory& make_backend, Reporter& reporter) {
  std::unique_ptr<Supervisor> supervisor(new Supervisor(std::move(options), run_dir, reporter));
  if (auto prepared = supervisor->prepare(make_backend); !prepared) return std::unexpected(prepared.error());
  return supervisor;
}

Result<> Supervisor::prepare(const BackendFactory& make_backend) {
  auto loop = EventLoop::create();
  if (!loop) return std::unexpected(loop.error());
  loop_ = std::move(*loop);
  if (auto written = write_key(); !written) return written;
  if (auto opened = open_legacy_socket(); !opened) return opened;
  const bool boots = options_.snapshot.empty();
  if (boots) {
    if (auto written = write_boot_archive(); !written) return written;
  }
  auto backend = make_backend({.name = run_dir_.name(),
                               .machine = options_.scenario.machine,
                               .npu = options_.scenario.npu,
                               .kernel = options_.kernel,
                               .boot_archive = boots ? run_dir_.path_of(file::kBootArchive) : std::filesystem::path(),
                               .vsock_socket = run_dir_.path_of(file::kVsockSocket),
                               .legacy_listener = legacy_socket_ ? legacy_socket_->fd() : -1,
                               .log_file = run_dir_.path_of(file::kBackendLog),
                               .sandbox = options_.sandbox.confines()});
  if (!backend) return std::unexpected(std::move(backend.error()));
  backend_ = std::move(*backend);
  auto console = ConsoleHub::create(*loop_, run_dir_.path_of(file::kConsoleSocket), run_dir_.path_of(file::kConsoleLog),
                                    [this](std::string_view bytes) { return backend_->write_console(bytes); });
  if (!console) return std::unexpected(console.error());
  console_ = std::move(*console);
  return {};
}

Result<> Supervisor::open_legacy_socket() {
  const auto& wanted = options_.scenario.legacy_socket;
  if (!wanted) return {};
  auto opened = LegacySocket::open(*wanted, run_dir_.path());
  if (!opened) return std::unexpected(std::move(opened.error()));
  legacy_socket_ = std::move(*opened);
  return {};
}

/// Makes the key of the guest's control server; a guest that goes on has one.
Result<> Supervisor::write_key() {
  if (::sodium_init() < 0) return fail("cannot initialise libsodium");
  if (options_.snapshot.empty()) {
    ::randombytes_buf(key_.data(), key_.size());
  } else {
    const auto key = read_control_key(options_.snapshot / snapshot::file::kControlKey);
    if (!key) return fail("the snapshot is damaged: " + key.error().message, abi::ExitCode::Usage);
    key_ = *key;
  }
  address_ = {.socket = run_dir_.path_of(file::kVsockSocket),
              .token = control::make_token(key_, kRunnerTokenId, abi::control::Rights::All, 0)};
  return write_file(run_dir_.path_of(file::kControlKey), std::as_bytes(std::span(key_)), 0600);
}

/// The key that the guest has now. Who rotates it over the control protocol writes the new one into its file.
control::Key Supervisor::present_key() const {
  return read_control_key(run_dir_.path_of(file::kControlKey)).value_or(key_);
}

/// The guest starts again with its boot configuration, and so with the key in that.
void Supervisor::on_guest_reset() {
  ++reboots_;
  if (observe_) observe_->on_guest_reset();
  if (present_key() == key_) return;
  const auto written = write_file(run_dir_.path_of(file::kControlKey), std::as_bytes(std::span(key_)), 0600);
  if (!written) on_warning("the guest has its first key again: " + written.error().message);
}

Result<> Supervisor::write_boot_archive() {
  scenario::ControlSeed seed{};
  ::randombytes_buf(seed.data(), seed.size());
  const auto archive = scenario::make_archive(
      options_.scenario, {.control_key = key_, .unix_time_ns = unix_time_ns(), .control_seed = seed});
  if (!archive) return std::unexpected(archive.error());
  // 0600: it holds the key and the seed, too.
  return write_file(run_dir_.path_of(file::kBootArchive), *archive, 0600);
}

Result<observe::Summary> Supervisor::run() {
  if (auto started = start(); !started) return std::unexpected(started.error());
  if (auto ran = loop_->run(); !ran) {
    backend_->kill();
    return std::unexpected(ran.error());
  }
  cancel_timers();
  // The device is gone, so every request under way has ended.
  runner_.reset();
  shutdown_.reset();
  if (audit_) audit_->finish();
  if (observe_) observe_->finish();
  // What these threads posted last.
  if (auto ran = loop_->run_once(milliseconds(0)); !ran) return std::unexpected(ran.error());
  parser_.finish();
  end_audit();

  observe::Summary summary = summarise();
  if (auto written = write_observed(summary); !written) return std::unexpected(written.error());
  const bool panicked = summary.exit_code == abi::ExitCode::GuestPanic;
  const std::string report = panicked ? watch_.panic_report() : std::string();
  if (auto written = write_reports(summary, report); !written) return std::unexpected(written.error());
  monitor_->tell_stopped(static_cast<int>(summary.exit_code), summary.killed);
  reporter_.on_finished(summary, run_dir_.path(), report);
  return summary;
}

Result<> Supervisor::start() {
  start_ = std::chrono::steady_clock::now();
  start_wall_ = std::chrono::system_clock::now();
  if (auto started = backend_->start(*loop_, *events_); !started) return started;
  // What the machine's start need not wait for.
  auto monitor =
      MonitorServer::create(*loop_, run_dir_.path_of(file::kMonitorSocket),
                            {.status = [this] { return status(); },
                             .stop =
                                 [this](std::optional<milliseconds> timeout) {
                                   if (timeout) stop_timeout_ = *timeout;
                                   stop(StopCause::Requested, "sisvmm stop");
                                 },
                             .snapshot = [this](const auto& folder, auto done) { save(folder, std::move(done)); }});
  if (!monitor) return std::unexpected(monitor.error());
  monitor_ = std::move(*monitor);
  if (options_.snapshot.empty()) {
    const auto text = scenario::to_yaml(options_.scenario);
    if (auto written = write_file(run_dir_.path_of(file::kScenario), text); !written) return written;
  }
  reporter_.on_started(run_dir_.name(), run_dir_.path(), backend_->info());
  if (legacy_socket_) reporter_.on_legacy_socket(legacy_socket_->where());
  const auto& timeouts = options_.scenario.timeouts;
  boot_timer_ = loop_->add_timer(timeouts.boot, [this] { on_boot_time_up(); });
  if (options_.timeout) {
    run_timer_ = loop_->add_timer(*options_.timeout, [this] { on_time_up(); });
  } else if (!options_.scenario.steps.empty()) {
    run_timer_ = loop_->add_timer(timeouts.run, [this] { on_time_up(); });
  }
  if (auto started = start_audit(); !started) return started;
  start_observe();
  start_runner();
  shutdown_ = std::make_unique<ShutdownRequest>(
      address_.socket,
      [this](control::ClientResult<nlohmann::json> answer) {
        loop_->post([this, answer = std::move(answer)] { on_shutdown_answer(answer); });
      },
      options_.sandbox);
  options_.sandbox.enter(sandbox::ThreadKind::Main);
  // Root's privileges may have opened it; now they are gone, and the reports are to be written.
  if (::access(run_dir_.path().c_str(), W_OK | X_OK) != 0) {
    return fail_errno("cannot write to the run directory " + run_dir_.path().string(), errno, abi::ExitCode::Usage);
  }
  return {};
}

Result<> Supervisor::start_audit() {
  if (!options_.scenario.audit) return {};
  auto stream = AuditStream::create(*loop_, {.file = run_dir_.path_of(file::kAudit),
                                             .socket = address_.socket,
                                             .connect_timeout = options_.scenario.timeouts.boot + kPowerOffGrace,
                                             .restored = !options_.snapshot.empty(),
                                             .present_key = [this] { return present_key(); },
                                             .on_warning = [this](const auto& message) { on_warning(message); },
                                             .sandbox = options_.sandbox});
  if (!stream) return std::unexpected(std::move(stream.error()));
  audit_ = std::move(*stream);
  return {};
}

void Supervisor::start_observe() {
  const auto& wanted = options_.scenario.observe;
  if (!wanted) return;
  observe_ = std::make_unique<ObserveStream>(
      *loop_, ObserveStreamOptions{.socket = address_.socket,
                                   .connect_timeout = options_.scenario.timeouts.boot + kPowerOffGrace,
                                   .start = start_,
                                   .interval = wanted->metrics,
                                   .trace = wanted->trace.has_value(),
                                   .present_key = [this] { return present_key(); },
                                   .on_warning = [this](const auto& message) { on_warning(message); },
                                   .sandbox = options_.sandbox});
}

void Supervisor::start_runner() {
  // Called on the runner's thread: everything goes through the loop, which outlives the runner.
  RunnerEvents events{
      .on_ready =
          [this] {
            const auto after = std::chrono::steady_clock::now() - start_;
            loop_->post([this, after] { on_ready(after); });
          },
      .on_no_connection =
          [this](const control::ClientError& error) { loop_->post([this, error] { on_no_connection(error); }); },
      .on_progress =
          [this](const std::string& doing) {
            loop_->post([this, doing] {
              doing_ = doing;
              reporter_.on_progress(doing);
            });
          },
      .on_step =
          [this](observe::StepResult step) {
            loop_->post([this, step = std::move(step)] {
              reporter_.on_step(step);
              steps_.push_back(step);
            });
          },
      .on_metrics =
          [this](FinalMetrics metrics) {
            loop_->post([this, metrics = std::move(metrics)]() mutable { final_metrics_ = std::move(metrics); });
          },
      .on_finished = [this] { loop_->post([this] { on_steps_finished(); }); },
  };
  // The boot timer is what tells of a guest that does not boot; the runner's own limit is only there to end its wait.
  const auto connect_timeout = options_.scenario.timeouts.boot + kPowerOffGrace;
  runner_ = std::make_unique<Runner>(options_.scenario, address_, connect_timeout, std::move(events), options_.sandbox);
}

void Supervisor::on_ready(nanoseconds after) {
  boot_host_ = after;
  facts_.ready = true;
  if (exited_) return;
  loop_->cancel_timer(boot_timer_);
  reporter_.on_ready(*boot_host_);
}

void Supervisor::on_no_connection(const control::ClientError& error) {
  runner_done_ = true;
  if (exited_ || facts_.cause != StopCause::None) return;
  // The guest may be about to say why: it then ends by itself.
  loop_->add_timer(kPowerOffGrace, [this, message = error.message] {
    if (!exited_) stop(StopCause::NoControl, "the guest's control server cannot be talked to: " + message);
  });
}

void Supervisor::on_steps_finished() {
  runner_done_ = true;
  std::size_t requests = 0;
  for (const auto& step : options_.scenario.steps) requests += step.requests.size();
  // What a stop cut short was not done, even if its last request was under way.
  if (facts_.cause == StopCause::None) facts_.steps_done = steps_.size() == requests;
  const bool failed = !steps_.empty() && steps_.back().status == observe::StepStatus::Failed;
  const bool endless = options_.scenario.steps.empty();
  if (exited_ || (endless && !options_.until_ready)) return;
  if (!options_.timeout) loop_->cancel_timer(run_timer_);
  doing_ = "the user at the console";
  // After a failed step the machine is not kept, not even for somebody at the console: the run has its verdict.
  if (!options_.stay || failed) {
    stop(StopCause::Done, failed ? "a step failed" : endless ? "the guest answers" : "the steps are done");
  }
}

void Supervisor::on_exit_record(observe::ExitRecord record) {
  if (record.kind == observe::ExitRecord::Kind::Reboot) return;
  // A machine that is being stopped has its time limit already.
  if (facts_.cause == StopCause::None) kill_if_still_there(kPowerOffGrace);
}

void Supervisor::on_warning(const std::string& message) {
  // A guest that misbehaves all the time must not fill the terminal or the summary.
  if (warnings_.size() == kMaxWarnings) {
    ++warnings_left_out_;
    return;
  }
  warnings_.push_back(message);
  reporter_.on_warning(message);
}

void Supervisor::on_exited(Result<> how) {
  exited_ = true;
  duration_ = std::chrono::steady_clock::now() - start_;
  facts_.exited = std::move(how);
  if (runner_) runner_->cancel();
  loop_->stop();
}

void Supervisor::on_boot_time_up() {
  stop(StopCause::BootTimeout, "the guest's control server did not answer within " +
                                   in_seconds(options_.scenario.timeouts.boot) + " (timeouts.boot)");
}

void Supervisor::on_time_up() {
  const auto limit = options_.timeout.value_or(options_.scenario.timeouts.run);
  const std::string source = options_.timeout ? "--timeout" : "timeouts.run";
  const bool idle = options_.scenario.steps.empty() && facts_.ready;
  stop(StopCause::RunTimeout, "the time limit of " + in_seconds(limit) + " (" + source + ") has passed" +
                                  (idle ? "" : "; waited for " + doing_));
}

void Supervisor::stop(StopCause cause, const std::string& detail) {
  if (exited_) return;
  if (facts_.cause != StopCause::None) {
    // Who interrupts a machine that stops already does not want to wait.
    if (cause != StopCause::Interrupted) return;
    if (facts_.cause == StopCause::Done || facts_.cause == StopCause::Left || facts_.cause == StopCause::Requested) {
      facts_.cause = cause;
      facts_.detail = detail;
    }
    end_backend(milliseconds(0));
    return;
  }
  facts_.cause = cause;
  facts_.detail = detail;
  stopping_ = std::chrono::steady_clock::now() - start_;
  cancel_timers();
  if (runner_) runner_->cancel();
  reporter_.on_stopping(detail);
  if (facts_.ready) {
    ask_guest_to_shut_down();
  } else {
    // Nobody there to ask.
    end_backend(kBackendGrace);
  }
}

void Supervisor::ask_guest_to_shut_down() {
  kill_if_still_there(stop_timeout_);
  const auto deadline = std::chrono::steady_clock::now() + stop_timeout_;
  const auto ask = [this, deadline] {
    if (exited_) return;
    shutdown_->send(deadline, control::make_token(present_key(), kRunnerTokenId, abi::control::Rights::All, 0));
  };
  if (!observe_) return ask();
  // Half of the time, so that a guest that does not answer can still be asked.
  observe_->complete(stop_timeout_ / 2, ask);
}

void Supervisor::on_shutdown_answer(const control::ClientResult<nlohmann::json>& answer) {
  if (exited_ || answer) return;
  // The guest may be on its way down already (a step did it), with the answer lost; only a refusal means that it stays.
  if (answer.error().kind == control::ClientError::Kind::Refused) {
    facts_.killed = true;
    end_backend(kBackendGrace);
  }
}

void Supervisor::end_backend(milliseconds kill_after) {
  if (kill_after.count() == 0) {
    backend_->kill();
    return;
  }
  backend_->stop();
  loop_->add_timer(kill_after, [this] {
    if (!exited_) backend_->kill();
  });
}

void Supervisor::kill_if_still_there(milliseconds after) {
  loop_->cancel_timer(kill_timer_);
  kill_timer_ = loop_->add_timer(after, [this] {
    if (exited_) return;
    facts_.killed = true;
    backend_->kill();
  });
}

void Supervisor::cancel_timers() {
  for (const auto timer : {boot_timer_, run_timer_}) loop_->cancel_timer(timer);
}

nlohmann::json Supervisor::status() const {
  const BackendInfo info = backend_->info();
  const char* const state = facts_.cause != StopCause::None ? "stopping" : facts_.ready ? "running" : "booting";
  const auto uptime = std::chrono::steady_clock::now() - start_;
  nlohmann::json status = {{"status", "ok"},
                           {"name", run_dir_.name()},
                           {"scenario", options_.scenario.name},
                           {"state", state},
                           {"backend", info.name},
                           {"backend_version", info.version},
                           {"accel", info.accel},
                           {"cpus", options_.scenario.machine.cpus},
                           {"memory_bytes", options_.scenario.machine.memory_bytes},
                           {"uptime_ns", std::chrono::duration_cast<nanoseconds>(uptime).count()}};
  if (legacy_socket_) status["legacy_socket"] = legacy_socket_->where();
  return status;
}

void Supervisor::save(const std::filesystem::path& folder, const SnapshotDone& done) {
  if (exited_ || facts_.cause != StopCause::None) return done(fail("the machine is being stopped"));
  auto made = snapshot::NewFolder::create(folder);
  if (!made) return done(std::unexpected(std::move(made.error())));
  auto files = made->create_files();
  if (!files) return done(std::unexpected(std::move(files.error())));
  // Shared, since a std::function must be copyable.
  auto kept = std::make_shared<snapshot::NewFolder>(std::move(*made));
  backend_->snapshot(std::move(*files), [this, kept, done](Result<> saved) {
    const auto key_file = kept->partial() / snapshot::file::kControlKey;
    const control::Key key = present_key();
    if (saved) saved = write_file(key_file, std::as_bytes(std::span(key)), 0600);
    if (saved) saved = kept->commit();
    done(std::move(saved));
  });
}

}  // namespace vmm::machine
