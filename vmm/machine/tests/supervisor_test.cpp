// The supervisor with a back end that plays a script instead of running a machine. What needs a guest that answers is
// tested with a real one (tests/integration).
#include "vmm/machine/supervisor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "vmm/base/file.hpp"
#include "vmm/base/unix_socket.hpp"
#include "vmm/machine/monitor_client.hpp"

namespace vmm::machine {
namespace {

using namespace std::chrono_literals;
using abi::ExitCode;
using testing::HasSubstr;

/// What the back end does once it is started.
struct Script {
  std::atomic<bool> saves = true;  ///< snapshot() does
  std::string console;             ///< printed at once
  std::function<void()> resets;    ///< called, and the guest reboots; empty: it does not
  bool exits = true;               ///< then it ends
  Result<> how;                    ///< so
  bool ignores_stop = false;       ///< stop() does nothing, only kill() ends it
  int stops = 0;
  int kills = 0;
};

class ScriptedBackend final : public Backend {
 public:
  explicit ScriptedBackend(Script& script) : script_(script) {}

  Result<> start(EventLoop& loop, BackendEvents& events) override {
    loop_ = &loop;
    events_ = &events;
    loop.post([this] {
      events_->on_console(script_.console);
      if (script_.resets) {
        script_.resets();
        events_->on_guest_reset();
      }
      if (script_.exits) end(script_.how);
    });
    return {};
  }
  void stop() override {
    ++script_.stops;
    if (!script_.ignores_stop) end({});
  }
  void kill() override {
    ++script_.kills;
    end({});
  }
  void snapshot(SnapshotFiles files, SnapshotDone done) override {
    loop_->post([this, file = std::make_shared<UniqueFd>(std::move(files.machine)), done = std::move(done)] {
      done(script_.saves ? write_all(*file, std::as_bytes(std::span("m", 1)), "machine") : fail("no snapshots here"));
    });
  }
  std::size_t write_console(std::string_view bytes) override { return bytes.size(); }
  [[nodiscard]] BackendInfo info() const override { return {"scripted", "1", "none"}; }
  [[nodiscard]] std::map<std::string, std::uint64_t, std::less<>> counters() const override { return {{"counter", 7}}; }

 private:
  void end(Result<> how) {
    if (std::exchange(ended_, true)) return;
    loop_->post([this, how = std::move(how)] { events_->on_exited(how); });
  }

  Script& script_;
  EventLoop* loop_ = nullptr;
  BackendEvents* events_ = nullptr;
  bool ended_ = false;
};

class Silent : public Reporter {
 public:
  void on_started(const std::string&, const std::filesystem::path&, const BackendInfo&) override {}
  void on_legacy_socket(const std::string& where) override { legacy_socket = where; }
  void on_console(std::string_view) override {}
  void on_ready(std::chrono::nanoseconds) override {}
  void on_progress(const std::string&) override {}
  void on_step(const observe::StepResult&) override {}
  void on_warning(const std::string&) override {}
  void on_stopping(const std::string&) override {}
  void on_finished(const observe::Summary&, const std::filesystem::path&, const std::string& report) override {
    panic_report = report;
  }
  std::string legacy_socket;
  std::string panic_report;
};

class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "sis-supervisor-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = std::filesystem::canonical(name);
    ::setenv("XDG_RUNTIME_DIR", folder_.c_str(), 1);
    options_.scenario.name = "test";
    options_.scenario.timeouts.boot = 10s;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// Runs the script; `meanwhile` is called once the loop turns.
  observe::Summary run(const std::function<void(Supervisor&)>& meanwhile = {}) {
    auto run_dir = RunDirectory::open(folder_ / "run", "test");
    EXPECT_TRUE(run_dir);
    auto supervisor = Supervisor::create(
        options_, *run_dir,
        [this](const MachineConfig& config) {
          config_ = config;
          return std::make_unique<ScriptedBackend>(script_);
        },
        reporter_);
    EXPECT_TRUE(supervisor) << supervisor.error().message;
    if (meanwhile) (*supervisor)->loop().add_timer(20ms, [&] { meanwhile(**supervisor); });
    auto summary = (*supervisor)->run();
    EXPECT_TRUE(summary) << summary.error().message;
    return *summary;
  }

  std::string file_text(const char* name) { return read_file(folder_ / "run" / name, 1 << 20).value_or("(none)"); }

  std::filesystem::path folder_;
  RunOptions options_;
  Script script_;
  MachineConfig config_;  ///< what the back end was given
  Silent reporter_;
};

TEST_F(SupervisorTest, files_of_the_run_are_written) {
  script_.console = "hello\nMETRIC boot_to_control_ready_ns=5\n\x1e SIS-EXIT kind=shutdown code=0\n";
  const auto summary = run();
  EXPECT_EQ(summary.exit_code, ExitCode::Passed) << summary.message;
  EXPECT_EQ(summary.boot_guest_ns, 5);
  EXPECT_EQ(summary.device_counters.at("counter"), 7U);
  EXPECT_THAT(file_text(file::kConsoleLog), HasSubstr("hello\n"));
  EXPECT_EQ(nlohmann::json::parse(file_text(file::kSummary))["exit_code"], 0);
  EXPECT_THAT(file_text(file::kJunit), HasSubstr("<testsuite"));
  EXPECT_THAT(file_text(file::kScenario), HasSubstr("apiVersion"));
  EXPECT_EQ(file_text(file::kControlKey).size(), 32U);
  const auto key_mode = std::filesystem::status(folder_ / "run" / file::kControlKey).permissions();
  EXPECT_EQ(key_mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(SupervisorTest, legacy_socket_listens_for_the_back_end_while_the_machine_is_there) {
  options_.scenario.legacy_socket = scenario::LegacySocket{.unix_path = "old.sock"};
  script_.exits = false;
  const auto path = folder_ / "run" / "old.sock";
  const auto summary = run([&](Supervisor& supervisor) {
    EXPECT_TRUE(connect_unix(path));
    EXPECT_GE(config_.legacy_listener, 0);
    supervisor.interrupt("test");
  });
  EXPECT_EQ(summary.legacy_socket, "unix:" + path.string());
  EXPECT_EQ(reporter_.legacy_socket, summary.legacy_socket);
  EXPECT_EQ(nlohmann::json::parse(file_text(file::kSummary))["legacy_socket"], summary.legacy_socket);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(SupervisorTest, legacy_socket_by_tcp_has_a_port_of_its_own) {
  options_.scenario.legacy_socket = scenario::LegacySocket{.tcp = "127.0.0.1:0"};
  EXPECT_THAT(run().legacy_socket, testing::MatchesRegex("tcp:127\\.0\\.0\\.1:[1-9][0-9]*"));
}

TEST_F(SupervisorTest, a_scenario_without_legacy_socket_has_none) {
  const auto summary = run();
  EXPECT_EQ(config_.legacy_listener, -1);
  EXPECT_EQ(summary.legacy_socket, "");
  EXPECT_FALSE(nlohmann::json::parse(file_text(file::kSummary)).contains("legacy_socket"));
}

TEST_F(SupervisorTest, what_lies_where_the_legacy_socket_should_be_stays) {
  const auto path = folder_ / "taken";
  ASSERT_TRUE(write_file(path, std::string_view("precious")));
  options_.scenario.legacy_socket = scenario::LegacySocket{.unix_path = path};
  auto run_dir = RunDirectory::open(folder_ / "run", "test");
  const auto refused = Supervisor::create(
      options_, *run_dir, [this](const MachineConfig&) { return std::make_unique<ScriptedBackend>(script_); },
      reporter_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().exit_code, ExitCode::Usage);
  EXPECT_THAT(refused.error().message, HasSubstr("a file lies there already"));
  EXPECT_EQ(read_file(path, 100).value_or(""), "precious");
}

TEST_F(SupervisorTest, panic_is_kept_and_shown) {
  script_.console =
      "==== KERNEL PANIC ====\nreason: because\n==== END OF PANIC ====\n\x1e SIS-EXIT kind=panic code=4\n";
  EXPECT_EQ(run().exit_code, ExitCode::GuestPanic);
  EXPECT_THAT(file_text(file::kPanic), HasSubstr("reason: because"));
  EXPECT_THAT(reporter_.panic_report, HasSubstr("reason: because"));
}

TEST_F(SupervisorTest, refused_boot_configuration_gives_5) {
  script_.console = "BOOT CONFIG ERROR: a: b\n\x1e SIS-EXIT kind=boot-config code=5\n";
  const auto summary = run();
  EXPECT_EQ(summary.exit_code, ExitCode::BootConfig);
  EXPECT_THAT(summary.message, HasSubstr("BOOT CONFIG ERROR: a: b"));
}

TEST_F(SupervisorTest, back_end_that_dies_gives_7_with_its_reason) {
  script_.how = fail("QEMU was killed");
  const auto summary = run();
  EXPECT_EQ(summary.exit_code, ExitCode::Internal);
  EXPECT_EQ(summary.message, "QEMU was killed");
}

TEST_F(SupervisorTest, steps_that_were_not_run_are_reported_as_skipped) {
  scenario::Request request;
  request.name = "never";
  request.op = "ping";
  options_.scenario.steps = {{.requests = {request}}};
  script_.console = "\x1e SIS-EXIT kind=shutdown code=0\n";
  const auto summary = run();
  EXPECT_EQ(summary.exit_code, ExitCode::Failed);
  ASSERT_EQ(summary.steps.size(), 1U);
  EXPECT_EQ(summary.steps[0].status, observe::StepStatus::Skipped);
}

TEST_F(SupervisorTest, guest_that_never_answers_gives_6_with_the_last_lines) {
  options_.scenario.timeouts.boot = 50ms;
  script_.exits = false;
  script_.console = "STACK OK\n";
  const auto summary = run();
  EXPECT_EQ(summary.exit_code, ExitCode::TimedOut);
  EXPECT_THAT(summary.message, HasSubstr("did not answer within 0.050 s"));
  EXPECT_THAT(summary.message, HasSubstr("STACK OK"));
  EXPECT_EQ(script_.stops, 1);
}

TEST_F(SupervisorTest, interrupt_before_the_guest_is_up_ends_at_once_with_130) {
  script_.exits = false;
  const auto summary = run([](Supervisor& supervisor) { supervisor.interrupt("SIGINT"); });
  EXPECT_EQ(summary.exit_code, ExitCode::Interrupted);
  EXPECT_EQ(script_.stops, 1);
  EXPECT_EQ(script_.kills, 0);
}

TEST_F(SupervisorTest, second_interrupt_kills) {
  script_.exits = false;
  script_.ignores_stop = true;
  const auto summary = run([](Supervisor& supervisor) {
    supervisor.interrupt("SIGINT");
    supervisor.interrupt("SIGINT");
  });
  EXPECT_EQ(summary.exit_code, ExitCode::Interrupted);
  EXPECT_EQ(script_.kills, 1);
}

TEST_F(SupervisorTest, time_limit_of_the_command_line_holds_without_steps) {
  options_.timeout = 50ms;
  script_.exits = false;
  const auto summary = run();
  EXPECT_EQ(summary.exit_code, ExitCode::TimedOut);
  EXPECT_THAT(summary.message, HasSubstr("--timeout"));
}

TEST_F(SupervisorTest, snapshot_over_the_monitor_socket_is_complete_or_not_there) {
  script_.exits = false;
  nlohmann::json answers;
  std::thread other;
  run([&](Supervisor& supervisor) {
    other = std::thread([&] {
      const auto ask = [&](const std::string& folder) {
        auto client = MonitorClient::connect(folder_ / "run" / file::kMonitorSocket);
        return client->ask({{"op", "snapshot"}, {"folder", folder_ / folder}}, 10s).value_or("none");
      };
      answers.push_back(ask("s"));
      answers.push_back(ask("s"));
      script_.saves = false;
      answers.push_back(ask("t"));
      supervisor.loop().post([&] { supervisor.interrupt("SIGINT"); });
    });
  });
  other.join();
  EXPECT_EQ(answers[0]["status"], "saved") << answers;
  EXPECT_EQ(read_file(folder_ / "s" / "machine", 10).value_or("none"), "m");
  EXPECT_EQ(read_file(folder_ / "s" / "control.key", 100).value_or("none"), file_text(file::kControlKey));
  EXPECT_THAT(answers[1]["message"].get<std::string>(), HasSubstr("it is there already"));
  EXPECT_EQ(answers[2]["message"], "no snapshots here");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "t"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "t.partial"));
}

TEST_F(SupervisorTest, restored_machine_has_the_key_of_the_saved_one_and_no_boot_files) {
  const std::string key(32, 'k');
  std::filesystem::create_directory(folder_ / "s");
  ASSERT_TRUE(write_file(folder_ / "s" / "control.key", key, 0600));
  options_.snapshot = folder_ / "s";
  script_.console = "\x1e SIS-EXIT kind=shutdown code=0\n";
  EXPECT_EQ(run().exit_code, ExitCode::Passed);
  EXPECT_EQ(file_text(file::kControlKey), key);
  EXPECT_EQ(file_text(file::kBootArchive), "(none)");
}

TEST_F(SupervisorTest, snapshot_has_the_key_that_the_guest_has_now) {
  const std::string rotated(32, 'r');
  script_.exits = false;
  std::thread other;
  run([&](Supervisor& supervisor) {
    other = std::thread([&] {
      EXPECT_TRUE(write_file(folder_ / "run" / file::kControlKey, rotated, 0600));
      auto client = MonitorClient::connect(folder_ / "run" / file::kMonitorSocket);
      EXPECT_TRUE(client->ask({{"op", "snapshot"}, {"folder", folder_ / "s"}}, 10s));
      supervisor.loop().post([&] { supervisor.interrupt("SIGINT"); });
    });
  });
  other.join();
  EXPECT_EQ(read_file(folder_ / "s" / "control.key", 100).value_or("none"), rotated);
}

TEST_F(SupervisorTest, guest_that_reboots_has_its_first_key_again) {
  const std::filesystem::path file = folder_ / "run" / file::kControlKey;
  std::string first;
  script_.console = "\x1e SIS-EXIT kind=shutdown code=0\n";
  script_.resets = [&] {
    first = read_file(file, 100).value_or("none");
    EXPECT_TRUE(write_file(file, std::string(32, 'r'), 0600));
  };
  EXPECT_EQ(run().exit_code, ExitCode::Passed);
  EXPECT_EQ(file_text(file::kControlKey), first);
  EXPECT_EQ(std::filesystem::status(file).permissions(), std::filesystem::perms(0600));
}

TEST_F(SupervisorTest, stop_over_the_monitor_socket_is_answered_with_the_exit_code) {
  script_.exits = false;
  nlohmann::json stopped;
  std::thread other;
  run([&](Supervisor&) {
    other = std::thread([&] {
      auto client = MonitorClient::connect(folder_ / "run" / file::kMonitorSocket);
      if (client && client->ask({{"op", "stop"}}, 10s)) stopped = client->next(10s).value_or("none");
    });
  });
  other.join();
  EXPECT_EQ(stopped["status"], "stopped") << stopped;
  EXPECT_EQ(stopped["exit_code"], 0);
}

TEST_F(SupervisorTest, audit_file_of_a_guest_that_was_never_reached_says_so) {
  script_.console = "\x1e SIS-EXIT kind=shutdown code=0\n";
  run();
  EXPECT_EQ(file_text(file::kAudit), "(none)");
  options_.scenario.audit = true;
  run();
  const std::string zeros(64, '0');
  EXPECT_EQ(file_text(file::kAudit), R"({"audit":2,"before":")" + zeros + "\"}\n" +
                                         R"({"end":"not-followed","hash":")" + zeros + "\",\"last\":0}\n");
  const auto mode = std::filesystem::status(folder_ / "run" / file::kAudit).permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

}  // namespace
}  // namespace vmm::machine
