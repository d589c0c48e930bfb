#include "vmm/devices/npu/engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <poll.h>

#include "fake_commands.hpp"

namespace vmm::npu {
namespace {

using abi::npu::Command;
using abi::npu::Opcode;
using abi::npu::Priority;
using abi::npu::Reason;
using abi::npu::Status;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::command;
using testing::Gate;

/// Longest that a test waits for what should come at once.
constexpr milliseconds kPatience{20'000};

struct NoRegions final : ::npu::Regions {
  [[nodiscard]] const ::npu::Region* find(std::uint32_t) const override { return nullptr; }
};
struct OneRegion final : ::npu::Regions {
  ::npu::Region region;
  [[nodiscard]] const ::npu::Region* find(std::uint32_t) const override { return &region; }
};

struct EngineTest : ::testing::Test {
  HostClock host_clock;
  testing::FakeClock fake_clock;
  Counters counters;
  EngineConfig config{
      .commands = testing::command_set(), .model = {}, .options = {}, .clock = &host_clock, .counters = &counters};
  std::unique_ptr<Engine> engine;
  std::vector<std::unique_ptr<Job>> finished;

  void SetUp() override { Gate::instance().close(); }
  void TearDown() override { Gate::instance().open(); }
  void start() { engine = std::move(*Engine::create(config)); }

  static std::unique_ptr<Job> job(std::uint64_t id, std::vector<Command> commands, Priority priority = Priority::Normal,
                                  const ::npu::Regions& regions = NoRegions(), abi::npu::JobHeader header = {}) {
    header.id = id;
    header.priority = static_cast<std::uint8_t>(priority);
    return std::move(*make_job(header, commands, testing::command_set(), regions, {}, {}));
  }

  /// Until so many jobs have finished.
  void wait_for(std::size_t count) {
    const auto end = steady_clock::now() + kPatience;
    while (finished.size() < count && steady_clock::now() < end) {
      pollfd news{.fd = engine->news().fd(), .events = POLLIN, .revents = 0};
      ::poll(&news, 1, 100);
      for (auto& done : engine->take_finished()) finished.push_back(std::move(done));
    }
    ASSERT_GE(finished.size(), count);
  }
  [[nodiscard]] std::vector<std::uint64_t> order() const {
    std::vector<std::uint64_t> ids;
    for (const auto& done : finished) ids.push_back(done->id);
    return ids;
  }
  /// All jobs that arrived have ended or are in flight, whatever became of them.
  void expect_sums() const {
    std::uint64_t ended = 0;
    for (const auto member : kJobsByStatus) ended += counters.*member;
    EXPECT_EQ(counters.jobs_submitted, ended + counters.jobs_in_flight);
  }
};

TEST_F(EngineTest, job_runs_all_its_commands_and_is_counted) {
  start();
  engine->submit(job(7, {command(Opcode::Nop, 1, 100), command(Opcode::Copy, 5, 200)}));
  wait_for(1);
  const Job& done = *finished[0];
  EXPECT_EQ(done.id, 7U);
  EXPECT_EQ(done.outcome.status, Status::Ok);
  EXPECT_EQ(done.outcome.command, abi::npu::kNoCommand);
  EXPECT_EQ(done.cycles, 300U);
  EXPECT_GE(done.started_ns, done.arrived_ns);
  EXPECT_GE(done.finished_ns, done.started_ns);
  EXPECT_EQ(counters.busy_cycles, 300U);
  EXPECT_EQ(counters.commands, 2U);
  EXPECT_EQ(counters.jobs_ok, 1U);
  EXPECT_EQ(counters.jobs_in_flight_peak, 1U);
  expect_sums();
}

TEST_F(EngineTest, job_without_commands_ends_at_once) {
  start();
  engine->submit(job(1, {}));
  wait_for(1);
  EXPECT_EQ(finished[0]->outcome.status, Status::Ok);
  EXPECT_NE(finished[0]->started_ns, 0U);
}

TEST_F(EngineTest, jobs_of_one_priority_run_in_their_order) {
  start();
  engine->submit(job(1, {command(Opcode::Mul, 1)}));
  for (std::uint64_t id = 2; id <= 6; ++id) engine->submit(job(id, {command(Opcode::Nop, 1)}));
  Gate::instance().open();
  wait_for(6);
  EXPECT_THAT(order(), ::testing::ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(EngineTest, critical_job_behind_15_long_low_ones_starts_within_one_command) {
  start();
  for (std::uint64_t id = 1; id <= 15; ++id) {
    engine->submit(job(id, {command(Opcode::Mul, 1), command(Opcode::Nop, 1), command(Opcode::Nop, 1)}, Priority::Low));
  }
  Gate::instance().wait_for_somebody();  // the first command of the first job runs
  engine->submit(job(100, {command(Opcode::Nop, 1)}, Priority::Critical));
  engine->submit(job(101, {command(Opcode::Nop, 1)}, Priority::High));
  Gate::instance().open();
  wait_for(17);
  EXPECT_EQ(finished[0]->id, 100U);
  EXPECT_EQ(finished[1]->id, 101U);
  EXPECT_EQ(finished[2]->id, 1U);
  EXPECT_EQ(finished[2]->preemptions, 1U);
  EXPECT_EQ(finished[3]->preemptions, 0U);
  EXPECT_EQ(counters.preemptions, 1U);
  // Nothing but the one command that ran.
  EXPECT_LE(finished[0]->started_ns, finished[2]->finished_ns);
  expect_sums();
}

TEST_F(EngineTest, abort_of_the_running_job_ends_it_within_one_slice) {
  start();
  testing::units_run = 0;
  // 10,000 units of 200 us: 2 s.
  engine->submit(job(1, {command(Opcode::Nop, 1), command(Opcode::Add, 10'000, 100'000'000)}));
  while (testing::units_run == 0) std::this_thread::yield();
  const auto asked = steady_clock::now();
  EXPECT_TRUE(engine->abort(1));
  wait_for(1);
  EXPECT_LT(steady_clock::now() - asked, milliseconds(500));
  EXPECT_EQ(finished[0]->outcome.status, Status::Aborted);
  EXPECT_EQ(finished[0]->outcome.reason, Reason::AbortRequest);
  EXPECT_EQ(finished[0]->outcome.command, 1U);
  EXPECT_EQ(finished[0]->outcome.stream_offset, sizeof(Command));
  EXPECT_EQ(finished[0]->cycles, 1000U) << "of the first command only";
  expect_sums();
}

TEST_F(EngineTest, abort_of_a_waiting_job_needs_no_slice_and_an_unknown_one_is_none) {
  start();
  engine->submit(job(1, {command(Opcode::Mul, 1)}));
  engine->submit(job(2, {command(Opcode::Nop, 1)}));
  Gate::instance().wait_for_somebody();
  EXPECT_TRUE(engine->abort(2));
  EXPECT_FALSE(engine->abort(3));
  wait_for(1);
  EXPECT_EQ(finished[0]->id, 2U);
  EXPECT_EQ(finished[0]->started_ns, 0U);
  Gate::instance().open();
  wait_for(2);
}

TEST_F(EngineTest, discard_in_mid_job_waits_for_one_slice_and_leaves_nothing) {
  start();
  testing::units_run = 0;
  for (std::uint64_t id = 1; id <= 3; ++id) engine->submit(job(id, {command(Opcode::Add, 10'000, 100'000'000)}));
  while (testing::units_run == 0) std::this_thread::yield();
  const auto asked = steady_clock::now();
  engine->discard(Status::Reset, Reason::DeviceReset);
  const auto took = steady_clock::now() - asked;
  const std::uint64_t units = testing::units_run;
  EXPECT_LT(took, milliseconds(500));
  std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(testing::units_run, units) << "no memory is touched after it";
  EXPECT_TRUE(engine->take_finished().empty());
  EXPECT_EQ(counters.jobs_reset, 3U);
  EXPECT_EQ(counters.jobs_in_flight, 0U);
  expect_sums();
  RecordProperty("discard_us", static_cast<int>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
}

TEST_F(EngineTest, pause_stops_in_mid_command_and_resume_goes_on_there) {
  start();
  testing::units_run = 0;
  engine->submit(job(1, {command(Opcode::Add, 100, 100'000)}));
  while (testing::units_run == 0) std::this_thread::yield();
  engine->pause();
  const std::uint64_t units = testing::units_run;
  std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(testing::units_run, units);
  EXPECT_LT(units, 100U);
  EXPECT_TRUE(engine->take_finished().empty());
  engine->resume();
  wait_for(1);
  EXPECT_EQ(testing::units_run, 100U) << "each unit ran once";
  EXPECT_EQ(finished[0]->outcome.status, Status::Ok);
}

TEST_F(EngineTest, gated_engine_starts_no_command) {
  start();
  engine->set_gated(true);
  engine->submit(job(1, {command(Opcode::Nop, 1)}));
  std::this_thread::sleep_for(milliseconds(5));
  EXPECT_TRUE(engine->take_finished().empty());
  while (engine->idle_ns() == 0) std::this_thread::yield();
  engine->set_gated(false);
  wait_for(1);
  EXPECT_EQ(finished[0]->outcome.status, Status::Ok);
}

TEST_F(EngineTest, deadline_passes_while_a_job_waits_and_while_it_runs) {
  config.clock = &fake_clock;
  start();
  abi::npu::JobHeader header{};
  header.deadline_ns = 1'000'000;
  engine->submit(job(1, {command(Opcode::Mul, 1), command(Opcode::Nop, 1)}, Priority::Normal, NoRegions(), header));
  engine->submit(job(2, {command(Opcode::Nop, 1)}, Priority::Normal, NoRegions(), header));
  header.deadline_ns = 1'000'000'000;
  engine->submit(job(3, {command(Opcode::Nop, 1)}, Priority::Normal, NoRegions(), header));
  Gate::instance().wait_for_somebody();
  fake_clock.advance(milliseconds(2));
  Gate::instance().open();
  wait_for(3);
  EXPECT_THAT(order(), ::testing::ElementsAre(1, 2, 3));
  EXPECT_EQ(finished[0]->outcome.status, Status::Deadline);
  EXPECT_EQ(finished[0]->outcome.command, 1U) << "before its second command";
  EXPECT_EQ(finished[1]->outcome.status, Status::Deadline);
  EXPECT_EQ(finished[1]->started_ns, 0U);
  EXPECT_EQ(finished[2]->outcome.status, Status::Ok);
  EXPECT_EQ(counters.jobs_deadline, 2U);
}

TEST_F(EngineTest, deadline_passes_although_nothing_can_run) {
  start();
  engine->set_gated(true);
  abi::npu::JobHeader header{};
  header.deadline_ns = 1'000'000;
  engine->submit(job(1, {command(Opcode::Nop, 1)}, Priority::Normal, NoRegions(), header));
  wait_for(1);
  EXPECT_EQ(finished[0]->outcome.reason, Reason::DeadlinePassed);
}

TEST_F(EngineTest, deadline_that_passes_during_the_last_command_counts) {
  config.clock = &fake_clock;
  start();
  abi::npu::JobHeader header{};
  header.deadline_ns = 1'000'000;
  engine->submit(job(1, {command(Opcode::Mul, 1)}, Priority::Normal, NoRegions(), header));
  Gate::instance().wait_for_somebody();
  fake_clock.advance(milliseconds(2));
  Gate::instance().open();
  wait_for(1);
  EXPECT_EQ(finished[0]->outcome.status, Status::Deadline);
  EXPECT_EQ(finished[0]->outcome.command, abi::npu::kNoCommand);
  EXPECT_EQ(finished[0]->cycles, 1000U);
}

TEST_F(EngineTest, failing_command_ends_the_job_with_its_reason) {
  start();
  engine->submit(job(1, {command(Opcode::Nop, 1), command(Opcode::Gelu, 4), command(Opcode::Nop, 1)}));
  wait_for(1);
  EXPECT_EQ(finished[0]->outcome.status, Status::Region);
  EXPECT_EQ(finished[0]->outcome.reason, Reason::IndexRange);
  EXPECT_EQ(finished[0]->outcome.command, 1U);
  EXPECT_EQ(counters.commands, 1U);
}

TEST_F(EngineTest, modelled_time_is_the_least_that_a_job_takes) {
  config.clock = &fake_clock;
  start();
  abi::npu::JobHeader header{};
  header.flags = abi::npu::job_flag::kAtModelledTime;
  // 5 ms at 1 GHz.
  engine->submit(job(1, {command(Opcode::Nop, 1, 2'000'000), command(Opcode::Nop, 1, 3'000'000)}, Priority::Normal,
                     NoRegions(), header));
  for (int i = 0; i < 49; ++i) {
    fake_clock.advance(std::chrono::microseconds(100));
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    EXPECT_TRUE(engine->take_finished().empty());
  }
  // The engine may have begun late.
  for (int i = 0; finished.empty() && i < 10'000; ++i) {
    fake_clock.advance(milliseconds(1));
    std::this_thread::sleep_for(milliseconds(1));
    for (auto& done : engine->take_finished()) finished.push_back(std::move(done));
  }
  ASSERT_EQ(finished.size(), 1U);
  EXPECT_GE(finished[0]->finished_ns - finished[0]->started_ns, 5'000'000U);
}

TEST_F(EngineTest, modelled_device_is_busy_for_others_too_and_abort_does_not_wait_for_it) {
  config.clock = &fake_clock;
  config.options.timing = Timing::Modelled;
  start();
  engine->submit(job(1, {command(Opcode::Nop, 1, 1'000'000), command(Opcode::Nop, 1, 1'000'000)}, Priority::Low));
  while (counters.commands == 0) std::this_thread::yield();
  engine->submit(job(2, {command(Opcode::Nop, 1, 1)}, Priority::Critical));
  std::this_thread::sleep_for(milliseconds(4));
  EXPECT_TRUE(engine->take_finished().empty()) << "the first command occupies the device for 1 ms";
  fake_clock.advance(milliseconds(1));
  for (int i = 0; finished.empty() && i < 1000; ++i) {
    fake_clock.advance(std::chrono::nanoseconds(1));
    std::this_thread::sleep_for(milliseconds(1));
    for (auto& done : engine->take_finished()) finished.push_back(std::move(done));
  }
  ASSERT_EQ(order(), std::vector<std::uint64_t>{2});
  while (counters.commands < 3) std::this_thread::yield();
  EXPECT_TRUE(engine->abort(1)) << "its second command has run, and occupies the device";
  wait_for(2);
  EXPECT_EQ(finished[1]->outcome.status, Status::Aborted);
  EXPECT_EQ(finished[1]->preemptions, 1U);
}

TEST_F(EngineTest, injected_faults_hit_the_job_that_they_name) {
  config.clock = &fake_clock;
  config.options.faults = {{.kind = Fault::Kind::FailCommand, .number = 2, .command = 1},
                           {.kind = Fault::Kind::DelayJob, .number = 3, .delay = milliseconds(5)}};
  start();
  for (std::uint64_t id = 11; id <= 13; ++id) {
    engine->submit(job(id, {command(Opcode::Nop, 1), command(Opcode::Nop, 1)}));
  }
  wait_for(2);
  EXPECT_EQ(finished[0]->outcome.status, Status::Ok);
  EXPECT_EQ(finished[1]->outcome.status, Status::Injected);
  EXPECT_EQ(finished[1]->outcome.command, 1U);
  std::this_thread::sleep_for(milliseconds(3));
  EXPECT_TRUE(engine->take_finished().empty());
  fake_clock.advance(milliseconds(6));
  wait_for(3);
  EXPECT_EQ(finished[2]->outcome.status, Status::Ok);
  EXPECT_GE(finished[2]->finished_ns - finished[2]->arrived_ns, 5'000'000U);
}

TEST_F(EngineTest, results_do_not_depend_on_the_number_of_threads) {
  constexpr std::uint32_t kUnits = 200'000;
  for (const unsigned threads : {1U, 2U, 4U}) {
    config.options.threads = threads;
    start();
    std::vector<std::uint32_t> output(kUnits, 0);
    OneRegion regions;
    regions.region = {.base = std::as_writable_bytes(std::span(output)).data(),
                      .bytes = output.size() * 4,
                      .flags = abi::npu::region_flag::kWrite};
    // Cycles enough that slices are shared.
    engine->submit(job(1, {command(Opcode::Copy, kUnits, 10'000'000, 1)}, Priority::Normal, regions));
    finished.clear();
    wait_for(1);
    EXPECT_EQ(finished[0]->outcome.status, Status::Ok);
    std::uint32_t wrong = 0;
    for (std::uint32_t i = 0; i < kUnits; ++i) wrong += output[i] != testing::value_of(i) ? 1 : 0;
    EXPECT_EQ(wrong, 0U) << threads << " threads";
  }
}

TEST_F(EngineTest, helpers_share_the_units_and_are_waited_for) {
  config.options.threads = 4;
  testing::units_run = 0;
  testing::threads_seen = 0;
  start();
  engine->submit(job(1, {command(Opcode::Add, 300, 1'000'000)}));
  wait_for(1);
  EXPECT_EQ(testing::units_run, 300U);
  EXPECT_GT(testing::threads_seen, 1U);
}

TEST_F(EngineTest, failure_with_several_threads_is_reported_once) {
  config.options.threads = 4;
  start();
  engine->submit(job(1, {command(Opcode::Gelu, 1000, 100'000'000)}));
  wait_for(1);
  EXPECT_EQ(finished[0]->outcome.reason, Reason::IndexRange);
}

TEST_F(EngineTest, end_in_mid_job_does_not_wait_for_the_job) {
  start();
  testing::units_run = 0;
  engine->submit(job(1, {command(Opcode::Add, 10'000, 100'000'000)}));
  while (testing::units_run == 0) std::this_thread::yield();
  const auto asked = steady_clock::now();
  engine.reset();
  EXPECT_LT(steady_clock::now() - asked, milliseconds(500));
}

}  // namespace
}  // namespace vmm::npu
