// Commands of the NPU on a CPU that stands in for it, without a machine.
#pragma once

#include <optional>

#include "command_fixture.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "guest/kernel/work.hpp"
#include "guest/npu/cpu_accelerator.hpp"
#include "guest/npu/npu.hpp"
#include "npu/kernels/kernels.hpp"

namespace guest::control::testing {

/// Keeps the answer of a command, or why there is none.
class AnsweredCaller final : public Caller {
 public:
  explicit AnsweredCaller(std::string_view command) : command_(command) {}
  void complete(std::span<const std::byte> encoded) override {
    answer = json::from_cbor(encoded);
    const Command& command = *find_command(command_);
    TextCapture capture;
    (command.render != nullptr ? command.render : render_map)(capture, read_own_cbor(encoded));
    text = capture.text;
  }
  void fail(const Refusal& refusal) override { answer = {{"code", refusal.code}, {"message", refusal.message.view()}}; }
  void defer(Operation& with) override { operation = &with; }
  bool has_room() override { return true; }
  bool emit(std::span<const std::byte>) override { return false; }

  std::optional<json> answer;
  std::string text;
  Operation* operation = nullptr;

 private:
  std::string command_;
};

class NpuCommandTest : public CommandTest {
 protected:
  NpuCommandTest() {
    threads::start_cpus();
    npu::set_npu(accelerator);
  }

  static void run_all() {
    threads::run_until_idle();
    while (kernel::work_queue().run_one()) {
    }
  }
  /// The answer when every thread has had its turn; null if the command goes on.
  json call(std::string_view name, const std::vector<std::string_view>& words = {}) {
    AnsweredCaller caller(name);
    const json now = run_for(caller, name, words);
    if (!now.is_null()) {
      return now;
    }
    run_all();
    rendered = caller.text;
    if (!caller.answer) {
      caller.operation->cancel();
      run_all();
    }
    return caller.answer.value_or(nullptr);
  }

  /// A thread of its own runs a job of a command that does nothing. It has had no turn yet.
  static void start_job(const npu::JobOptions& options = {}) {
    static npu::JobOptions wanted;
    wanted = options;
    const auto thread = threads::spawn(
        {.name = "job"},
        [](void*) {
          const auto job = npu::Job::make(1);
          (*job)->options = wanted;
          EXPECT_EQ((*job)->add(abi::npu::Command{}), kernel::Status::Ok);
          EXPECT_TRUE(npu::npu().run(**job).has_value());
        },
        nullptr);
    EXPECT_TRUE(thread.has_value());
  }
  static void run_job(const npu::JobOptions& options = {}) {
    start_job(options);
    run_all();
  }

  npu::CpuAccelerator accelerator{::npu::scalar_kernels()};
  std::string rendered;
};

}  // namespace guest::control::testing
