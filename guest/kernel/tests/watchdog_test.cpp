#include "guest/kernel/watchdog.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "guest/kernel/host_cpu.hpp"

namespace guest::kernel {
namespace {

constexpr std::uint64_t kSecond = Watchdog::kPeriodNs;

std::uint64_t clock_ns = 0;

class FakeTimer final : public HardwareTimer {
 public:
  [[nodiscard]] std::uint64_t now_ns() const override { return clock_ns; }
  [[nodiscard]] std::uint64_t resolution_ns() const override { return 1; }
  void set_deadline(std::uint64_t deadline_ns) override { deadline = deadline_ns; }
  std::uint64_t deadline = kNoDeadline;
};

/// What a CPU does when its timer is due.
enum class Does : std::uint8_t { Sleep, Work, Hang };

struct FakeCpu {
  explicit FakeCpu(WorkQueue& work) : timers(timer, work) {}
  FakeTimer timer;
  TimerQueue timers;
  Does does = Does::Sleep;
  bool roused = false;
  unsigned wakeups = 0;
};

std::vector<std::uint32_t> roused;
std::vector<std::pair<std::uint32_t, std::uint64_t>> silent;

class WatchdogTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kCpus = 3;
  WatchdogTest() {
    clock_ns = 0;
    roused.clear();
    silent.clear();
    for (std::uint32_t i = 0; i < kCpus; ++i) {
      const HostCpu number(i);
      cpus[i] = std::make_unique<FakeCpu>(work);
    }
  }
  void start(std::uint32_t members) {
    watchdog.start(members);
    for (std::uint32_t i = 0; i < kCpus; ++i) {
      const HostCpu number(i);
      if ((members >> i & 1) != 0) {
        watchdog.join(cpus[i]->timers);
      }
    }
  }
  /// CPU `i` wakes up from its sleep, as the idle thread does it.
  void wake(std::uint32_t i) {
    const HostCpu number(i);
    FakeCpu& cpu = *cpus[i];
    ++cpu.wakeups;
    if (cpu.does == Does::Hang) {
      return;
    }
    if (cpu.does == Does::Sleep && watchdog.beat_in_idle()) {
      return;
    }
    if (cpu.timer.deadline <= clock_ns) {
      cpu.timers.on_interrupt();
    }
  }
  void take_rouses() {
    for (const std::uint32_t cpu : std::exchange(roused, {})) {
      wake(cpu);
    }
  }
  /// The clock goes on to each deadline on the way.
  void run_until(std::uint64_t end_ns) {
    for (;;) {
      std::uint64_t next = kNoDeadline;
      for (const auto& cpu : cpus) {
        next = std::min(next, cpu->does == Does::Hang ? kNoDeadline : cpu->timer.deadline);
      }
      if (next > end_ns) {
        break;
      }
      clock_ns = std::max(clock_ns, next);
      for (std::uint32_t i = 0; i < kCpus; ++i) {
        if (cpus[i]->timer.deadline <= clock_ns && cpus[i]->does != Does::Hang) {
          wake(i);
        }
      }
      take_rouses();
    }
    clock_ns = end_ns;
  }
  [[nodiscard]] std::uint64_t beats(std::uint32_t cpu) const { return watchdog.heartbeat(cpu).beats; }

  WorkQueue work;
  std::array<std::unique_ptr<FakeCpu>, kCpus> cpus;
  Watchdog watchdog{{.rouse = [](std::uint32_t cpu) { roused.push_back(cpu); },
                     .silent = [](std::uint32_t cpu, std::uint64_t ns) { silent.emplace_back(cpu, ns); }}};
};

TEST_F(WatchdogTest, a_cpu_alone_has_no_heartbeat) {
  start(0b1);
  EXPECT_EQ(cpus[0]->timer.deadline, kNoDeadline);
}

TEST_F(WatchdogTest, a_working_cpu_beats_once_a_period) {
  for (const auto& cpu : cpus) {
    cpu->does = Does::Work;
  }
  start(0b111);
  run_until(100 * kSecond);
  EXPECT_EQ(beats(0), 100U);
  EXPECT_EQ(beats(2), 100U);
  EXPECT_TRUE(silent.empty());
}

TEST_F(WatchdogTest, an_idle_machine_rests_after_two_beats_for_ever) {
  start(0b111);
  run_until(1000 * kSecond);
  for (std::uint32_t i = 0; i < kCpus; ++i) {
    EXPECT_LE(cpus[i]->wakeups, 3U);
    EXPECT_EQ(cpus[i]->timer.deadline, kNoDeadline);
  }
}

TEST_F(WatchdogTest, machine_with_one_busy_cpu_does_not_rest) {
  cpus[1]->does = Does::Work;
  start(0b111);
  run_until(100 * kSecond);
  EXPECT_EQ(beats(0), 100U);
  EXPECT_NE(cpus[0]->timer.deadline, kNoDeadline);
}

TEST_F(WatchdogTest, whoever_ends_its_rest_rouses_the_others_before_anything_else) {
  start(0b111);
  run_until(100 * kSecond);
  wake(1);  // an interrupt that is not the heartbeat
  EXPECT_EQ(roused, (std::vector<std::uint32_t>{0, 2}));
  take_rouses();
  EXPECT_TRUE(roused.empty()) << "those that are roused rouse nobody";
  for (const auto& cpu : cpus) {
    EXPECT_EQ(cpu->timer.deadline, 101 * kSecond);
  }
}

TEST_F(WatchdogTest, cpu_that_hangs_in_the_interrupt_that_ends_its_rest_is_found) {
  start(0b111);
  run_until(100 * kSecond);
  wake(1);
  cpus[1]->does = Does::Hang;
  take_rouses();
  run_until(100 * kSecond + (Watchdog::kMaxMissed + 1) * kSecond);
  ASSERT_FALSE(silent.empty());
  EXPECT_EQ(silent.front(), (std::pair<std::uint32_t, std::uint64_t>{1, 11 * kSecond}));
}

TEST_F(WatchdogTest, hang_is_found_by_the_cpu_before_and_by_no_other) {
  for (const auto& cpu : cpus) {
    cpu->does = Does::Work;
  }
  start(0b111);
  run_until(5 * kSecond);
  cpus[0]->does = Does::Hang;
  run_until(14 * kSecond);
  EXPECT_TRUE(silent.empty());
  run_until(15 * kSecond);
  EXPECT_EQ(silent, (std::vector<std::pair<std::uint32_t, std::uint64_t>>{{0, 10 * kSecond}}));
}

TEST_F(WatchdogTest, two_cpus_that_hang_are_found_by_the_one_that_is_left) {
  for (const auto& cpu : cpus) {
    cpu->does = Does::Work;
  }
  start(0b111);
  cpus[1]->does = Does::Hang;
  cpus[2]->does = Does::Hang;
  run_until(10 * kSecond);
  ASSERT_EQ(silent.size(), 1U);
  EXPECT_EQ(silent.front().first, 1U);
}

TEST_F(WatchdogTest, members_need_not_be_neighbours) {
  cpus[2]->does = Does::Hang;
  cpus[0]->does = Does::Work;
  start(0b101);
  run_until(10 * kSecond);
  ASSERT_EQ(silent.size(), 1U);
  EXPECT_EQ(silent.front().first, 2U);
}

/// The machine was paused, or saved and restored: the clock has gone on, and one CPU runs before the other.
TEST_F(WatchdogTest, clock_that_jumps_by_hours_is_one_missed_beat) {
  for (const auto& cpu : cpus) {
    cpu->does = Does::Work;
  }
  start(0b111);
  for (int i = 0; i < 100; ++i) {
    clock_ns += 3600 * kSecond;
    for (const std::uint32_t cpu : {2U, 0U, 1U}) {
      wake(cpu);
    }
  }
  EXPECT_TRUE(silent.empty());
}

TEST_F(WatchdogTest, beat_in_idle_leaves_other_causes_pending) {
  start(0b11);
  run_until(kSecond);
  unsigned runs = 0;
  Timer other([](void* count) { ++*static_cast<unsigned*>(count); }, &runs);
  {
    const HostCpu number(0);
    cpus[0]->timers.arm(other, 2 * kSecond);
  }
  clock_ns = 2 * kSecond;
  wake(0);
  EXPECT_EQ(runs, 0U);
  EXPECT_EQ(cpus[0]->timer.deadline, 2 * kSecond) << "the interrupt comes as soon as it is not masked";
  wake(0);
  EXPECT_EQ(runs, 1U);
}

TEST(SeenPeriods, a_long_absence_is_one_period) {
  SeenPeriods periods(10, 100);
  EXPECT_EQ(periods.at(109), 0U);
  EXPECT_EQ(periods.at(110), 1U);
  EXPECT_EQ(periods.at(10'000), 2U);
  EXPECT_EQ(periods.at(10'009), 2U);
  EXPECT_EQ(periods.at(10'010), 3U);
}

}  // namespace
}  // namespace guest::kernel
