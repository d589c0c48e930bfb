// The back end with shell scripts that play sisvmm-kvm. The real one runs in tests/kvm.
#include "vmm/machine/kvm_process/backend.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "vmm/base/file.hpp"
#include "vmm/base/unix_socket.hpp"

namespace vmm::kvm_process {
namespace {

using namespace std::chrono_literals;
using abi::ExitCode;
using testing::ElementsAre;
using testing::HasSubstr;

class Recorder final : public machine::BackendEvents {
 public:
  explicit Recorder(EventLoop& loop) : loop_(loop) {}
  void on_console(std::string_view bytes) override { console += bytes; }
  void on_console_writable() override {}
  void on_guest_reset() override { news.emplace_back("reset"); }
  void on_guest_shutdown() override { news.emplace_back("shutdown"); }
  void on_guest_panicked() override { news.emplace_back("panicked"); }
  void on_warning(const std::string& message) override { news.push_back("warning: " + message); }
  void on_exited(Result<> end) override {
    how = std::move(end);
    loop_.stop();
  }

  std::string console;
  std::vector<std::string> news;
  std::optional<Result<>> how;

 private:
  EventLoop& loop_;
};

class ProcessBackendTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "sis-process-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    loop_ = EventLoop::create().value();
    recorder_ = std::make_unique<Recorder>(*loop_);
  }
  void TearDown() override {
    backend_.reset();
    std::filesystem::remove_all(folder_);
  }

  Result<> start(const std::string& script, const std::filesystem::path& snapshot = {}) {
    const auto program = folder_ / "sisvmm-kvm";
    EXPECT_TRUE(write_file(program, "#!/bin/sh\n" + script, 0700));
    return start_program(program, snapshot);
  }
  Result<> start_program(const std::filesystem::path& program, const std::filesystem::path& snapshot = {}) {
    scenario::Machine machine;
    machine.cpus = 2;
    backend_ = make_backend({.name = "m",
                             .machine = machine,
                             .npu = npu_,
                             .kernel = "/k",
                             .boot_archive = "/a",
                             .vsock_socket = folder_ / "vsock.sock",
                             .log_file = folder_ / "log"},
                            program, snapshot);
    return backend_->start(*loop_, *recorder_);
  }
  /// Returns how it ended.
  Result<> run() {
    EXPECT_TRUE(loop_->run());
    return recorder_->how.value_or(fail("it did not end"));
  }
  Result<> run(const std::string& script) {
    const auto started = start(script);
    EXPECT_TRUE(started) << started.error().message;
    return run();
  }
  std::string failure(const std::string& script) {
    const auto how = run(script);
    return how ? "none" : how.error().message;
  }
  machine::SnapshotFiles files() {
    const auto open = [&](const char* name) {
      EXPECT_TRUE(write_file(folder_ / name, std::string()));
      return UniqueFd(::open((folder_ / name).c_str(), O_WRONLY | O_CLOEXEC));
    };
    return {.machine = open("machine"), .memory = open("memory"), .kernel = open("kernel"), .initrd = open("initrd")};
  }

  std::filesystem::path folder_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Recorder> recorder_;
  std::optional<npu::Options> npu_;
  std::unique_ptr<machine::Backend> backend_;
};

TEST_F(ProcessBackendTest, console_news_and_end_arrive) {
  const auto how =
      run("printf hello >&3; printf '\\001\\000' >&4; printf '\\004\\000careful' >&4; printf '\\002\\000' >&4\n"
          "printf '\\006\\000' >&4");
  EXPECT_TRUE(how) << how.error().message;
  EXPECT_EQ(recorder_->console, "hello");
  EXPECT_THAT(recorder_->news, ElementsAre("reset", "warning: careful", "shutdown"));
}

TEST_F(ProcessBackendTest, error_of_the_machine_comes_with_its_exit_code) {
  const auto how = run("printf '\\006\\003no KVM' >&4; exit 3");
  ASSERT_FALSE(how);
  EXPECT_EQ(how.error().message, "no KVM");
  EXPECT_EQ(how.error().exit_code, ExitCode::HostLacks);
}

TEST_F(ProcessBackendTest, end_without_a_word_is_an_error_that_quotes_the_log) {
  EXPECT_EQ(failure("echo oh dear >&2; exit 7"), "the machine's process exited with code 7; it said: oh dear");
  EXPECT_THAT(failure("kill -9 $$"), HasSubstr("was killed by signal 9"));
}

TEST_F(ProcessBackendTest, nonsense_ends_the_machine) {
  EXPECT_EQ(failure("printf x >&4; sleep 60"), "the machine's process says what no machine says");
}

TEST_F(ProcessBackendTest, arguments_say_what_the_machine_is) {
  ASSERT_TRUE(run("echo \"$@\" >&3; printf '\\006\\000' >&4"));
  const std::string socket = folder_ / "vsock.sock";
  EXPECT_EQ(recorder_->console, "--supervised --vsock " + socket +
                                    " --name m --cpus 2 --memory 536870912B --gic-version 3 --initrd /a -- /k\n");
}

TEST_F(ProcessBackendTest, npu_is_told_of_and_counted) {
  npu_ = npu::Options{.threads = 3, .timing = npu::Timing::Modelled, .faults = {}};
  ASSERT_TRUE(run("echo \"$@\" >&3; printf '\\006\\000' >&4"));
  EXPECT_THAT(recorder_->console, HasSubstr(" --gic-version 3 --npu threads=3,timing=modelled --initrd"));
  EXPECT_TRUE(backend_->counters().contains("npu_jobs_ok"));
}

TEST_F(ProcessBackendTest, arguments_of_a_saved_machine_name_its_folder) {
  ASSERT_TRUE(start("echo \"$@\" >&3; printf '\\006\\000' >&4", "/saved"));
  ASSERT_TRUE(run());
  EXPECT_THAT(recorder_->console, HasSubstr(" --name m --restore /saved\n"));
}

TEST_F(ProcessBackendTest, socket_is_there_from_the_start_and_gone_at_the_end) {
  ASSERT_TRUE(start("head -c 1 <&4 >/dev/null; printf '\\006\\000' >&4"));
  EXPECT_TRUE(connect_unix(folder_ / "vsock.sock"));
  backend_->stop();
  EXPECT_TRUE(run());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "vsock.sock"));
}

TEST_F(ProcessBackendTest, machine_that_was_killed_ends_without_an_error) {
  ASSERT_TRUE(start("sleep 60"));
  backend_->kill();
  EXPECT_TRUE(run());
}

TEST_F(ProcessBackendTest, counters_are_the_machine_s) {
  ASSERT_TRUE(run("printf '\\007' >&5; printf '\\006\\000' >&4"));
  EXPECT_EQ(backend_->counters().at("vsock_rx_packets"), 7U);
  EXPECT_EQ(backend_->counters().at("mmio_unknown_accesses"), 0U);
}

TEST_F(ProcessBackendTest, snapshot_tells_when_it_is_done_or_why_not) {
  ASSERT_TRUE(
      start("head -c 1 <&4 >/dev/null; printf '\\005\\000' >&4; head -c 1 <&4 >/dev/null\n"
            "printf '\\005\\007the disk is full' >&4; printf '\\006\\000' >&4"));
  std::vector<std::string> told;
  const auto note = [&](const Result<>& how) { told.push_back(how ? "saved" : how.error().message); };
  backend_->snapshot(files(), [&](const Result<>& how) {
    note(how);
    backend_->snapshot(files(), note);
    backend_->snapshot(files(), note);
  });
  EXPECT_TRUE(run());
  EXPECT_THAT(told, ElementsAre("saved", "another snapshot is being written", "the disk is full"));
}

TEST_F(ProcessBackendTest, snapshot_of_a_machine_that_ends_is_an_error) {
  ASSERT_TRUE(start("head -c 1 <&4 >/dev/null; printf '\\006\\000' >&4"));
  std::string told;
  backend_->snapshot(files(), [&](const Result<>& how) {
    EXPECT_FALSE(recorder_->how);
    told = how ? "saved" : how.error().message;
  });
  EXPECT_TRUE(run());
  EXPECT_EQ(told, "the machine has ended");
}

TEST_F(ProcessBackendTest, missing_program_is_an_error_at_the_start) {
  const auto started = start_program(folder_ / "none");
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().exit_code, ExitCode::HostLacks);
}

TEST_F(ProcessBackendTest, socket_that_cannot_be_made_is_an_error_at_the_start) {
  ASSERT_TRUE(write_file(folder_ / "vsock.sock", std::string("not a socket")));
  const auto started = start("sleep 60");
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message, HasSubstr("not a socket lies there"));
}

}  // namespace
}  // namespace vmm::kvm_process
