#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>

#include "children.hpp"
#include "commands.hpp"
#include "live_page.hpp"
#include "native_kvm.hpp"
#include "run_reporter.hpp"
#include "text_output.hpp"
#include "vmm/cli/backend_choice.hpp"
#include "vmm/cli/format.hpp"
#include "vmm/machine/registry.hpp"
#include "vmm/machine/snapshot/state.hpp"
#include "vmm/machine/supervisor.hpp"
#include "vmm/qemu/backend.hpp"
#include "vmm/scenario/load.hpp"
#include "vmm/terminal/signals.hpp"
#include "vmm/terminal/terminal.hpp"

namespace vmm::cli {
namespace {

Result<scenario::Scenario> load(const RunOptions& options) {
  auto scenario = scenario::load_file(options.file);
  if (!scenario) return scenario;
  if (auto applied = apply(options.overrides, *scenario); !applied) return std::unexpected(applied.error());
  if (options.observe && !scenario->observe) scenario->observe.emplace();
  return scenario;
}

std::optional<std::chrono::milliseconds> milliseconds_of(const std::optional<double>& seconds) {
  if (!seconds) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(*seconds));
}

/// The user's terminal and the signals, on the supervisor's loop.
class Attachments {
 public:
  Result<> attach(machine::Supervisor& supervisor, RunReporter& reporter, bool interactive) {
    if (interactive) {
      terminal_ = std::make_unique<AttachedTerminal>(
          supervisor.loop(),
          AttachedTerminal::Callbacks{.on_typed = [&](std::string_view b) { return supervisor.console().type(b); },
                                      .on_leave = [&] { supervisor.leave(); }});
      supervisor.console().set_on_room([this] { terminal_->resume(); });
      reporter.set_release_terminal([this] { terminal_->release(); });
    }
    std::vector<int> wanted = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    if (interactive && terminal_->is_terminal()) wanted.insert(wanted.end(), {SIGTSTP, SIGCONT});
    auto signals =
        SignalWatch::create(supervisor.loop(), wanted, [this, &supervisor](int n) { on_signal(supervisor, n); });
    if (!signals) return std::unexpected(signals.error());
    signals_ = std::move(*signals);
    return {};
  }

 private:
  void on_signal(machine::Supervisor& supervisor, int number) {
    if (number == SIGTSTP) {
      terminal_->release();
      ::raise(SIGSTOP);
      terminal_->take();
    } else if (number == SIGCONT) {
      terminal_->take();
    } else {
      supervisor.interrupt(signal_name(number));
    }
  }

  std::unique_ptr<AttachedTerminal> terminal_;
  std::unique_ptr<SignalWatch> signals_;
};

/// What `run` and `restore` have in common.
struct Session {
  machine::RunOptions options;
  machine::BackendFactory make_backend;
  std::string name;
  std::string run_dir;
};

/// The page beside the other files of the run, which has its outcome without it.
void add_report(const machine::RunDirectory& run_dir) {
  const std::filesystem::path folder = run_dir.path();
  const auto written = write_report(std::span(&folder, 1), run_dir.path_of(machine::file::kReport));
  if (!written) std::fprintf(stderr, "sisvmm: warning: there is no report.html: %s\n", written.error().message.c_str());
}

template <typename Options>
Result<observe::Summary> run_session(Session session, const Options& options) {
  auto run_dir = machine::RunDirectory::open(session.run_dir, session.name);
  if (!run_dir) return std::unexpected(run_dir.error());
  TextOutput output(STDOUT_FILENO, session.options.sandbox);
  RunReporter reporter(output, options.json ? Echo::None : options.interactive ? Echo::Raw : Echo::Lines);
  std::unique_ptr<LivePage> live_page;
  if (options.web) {
    auto started = LivePage::start(*options.web, run_dir->path(), session.name);
    if (!started) return std::unexpected(started.error());
    live_page = std::move(*started);
    reporter.on_live_page(live_page->url());
  }
  session.options.timeout = milliseconds_of(options.timeout_s);
  session.options.stay = options.interactive;
  session.options.version = version();
  auto supervisor = machine::Supervisor::create(std::move(session.options), *run_dir, session.make_backend, reporter);
  if (!supervisor) return std::unexpected(supervisor.error());
  Attachments attachments;
  if (auto attached = attachments.attach(**supervisor, reporter, options.interactive); !attached) {
    return std::unexpected(attached.error());
  }
  if (live_page) live_page->watch((*supervisor)->loop(), [&](const std::string& why) { reporter.on_warning(why); });
  const Ticker ticker((*supervisor)->loop(), output, [&] { reporter.show_progress(); });
  auto summary = (*supervisor)->run();
  live_page.reset();
  if (summary) add_report(*run_dir);
  return summary;
}

Result<observe::Summary> run_machine(const RunOptions& options) {
  auto scenario = load(options);
  if (!scenario) return std::unexpected(scenario.error());
  const auto backend = choose_backend(scenario->machine, missing_for_native_kvm);
  if (!backend) return std::unexpected(backend.error());
  auto kernel = find_kernel(options.kernel, *scenario);
  if (!kernel) return std::unexpected(kernel.error());
  Session session{.options = {},
                  .make_backend = *backend == scenario::Backend::Kvm ? make_native_kvm : qemu::make_backend,
                  .name = options.name.value_or(machine_name_from(scenario->name)),
                  .run_dir = {}};
  session.run_dir = options.run_dir.value_or("runs/" + session.name);
  session.options.scenario = std::move(*scenario);
  session.options.kernel = std::move(*kernel);
  session.options.until_ready = options.until_ready;
  if (*backend == scenario::Backend::Kvm) {
    auto sandbox = make_sandbox(options.sandbox);
    if (!sandbox) return std::unexpected(sandbox.error());
    session.options.sandbox = *sandbox;
  }
  return run_session(std::move(session), options);
}

Result<observe::Summary> restore_machine(const RestoreOptions& options) {
  auto state = snapshot::read_machine(options.folder);
  if (!state) return std::unexpected(state.error());
  Session session{.options = {},
                  .make_backend = {},
                  .name = options.name.value_or(machine_name_from(state->configuration.name)),
                  .run_dir = {}};
  session.run_dir = options.run_dir.value_or("runs/" + session.name);
  session.options.scenario.name = session.name;
  session.options.scenario.machine = snapshot::machine_of(*state);
  session.options.scenario.npu = snapshot::npu_of(*state);
  session.options.scenario.audit = options.audit;
  session.options.snapshot = options.folder;
  auto sandbox = make_sandbox(options.sandbox);
  if (!sandbox) return std::unexpected(sandbox.error());
  session.options.sandbox = *sandbox;
  session.make_backend = [&](machine::MachineConfig config) {
    return make_native_kvm_restored(std::move(config), options.folder);
  };
  return run_session(std::move(session), options);
}

template <typename Options>
int report_summary(const Result<observe::Summary>& summary, const Options& options) {
  if (!summary) return report(summary.error());
  if (options.json) {
    const std::string text = observe::to_text(observe::to_json(*summary));
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    if (!written) return report({.message = "cannot write the summary to the standard output"});
  }
  return static_cast<int>(summary->exit_code);
}

}  // namespace

Result<> apply(const std::vector<Override>& overrides, scenario::Scenario& scenario) {
  for (const auto& change : overrides) {
    if (auto set = scenario::set_option(scenario, change.key, change.value, change.option); !set) return set;
  }
  return {};
}

int run(const RunOptions& options) { return report_summary(run_machine(options), options); }

int restore(const RestoreOptions& options) { return report_summary(restore_machine(options), options); }

}  // namespace vmm::cli
