#include "vmm/devices/pl031/pl031.hpp"

#include <gtest/gtest.h>

namespace vmm {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr std::uint64_t DR = 0x00, MR = 0x04, LR = 0x08, CR = 0x0c, IMSC = 0x10, RIS = 0x14, MIS = 0x18, ICR = 0x1c;
constexpr std::uint32_t kStart = 1'800'000'000;  // 2027

struct FakeClock final : WallClock {
  nanoseconds time = seconds(kStart);
  [[nodiscard]] nanoseconds now() const override { return time; }
};
struct FakeLine final : mmio::InterruptLine {
  bool level = false;
  void set(bool asserted) override { level = asserted; }
};

struct Pl031Test : ::testing::Test {
  FakeClock clock;
  FakeLine line;
  int changes = 0;
  Pl031 rtc{line, clock, [this] { ++changes; }};

  std::uint64_t get(std::uint64_t offset) { return rtc.read(offset, 4); }
  void set(std::uint64_t offset, std::uint64_t value) { rtc.write(offset, 4, value); }
};

TEST_F(Pl031Test, identification_is_that_of_a_pl031) {
  const std::uint64_t expected[] = {0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
  for (std::size_t i = 0; i < std::size(expected); ++i) EXPECT_EQ(get(0xfe0 + 4 * i), expected[i]);
}

TEST_F(Pl031Test, starts_with_the_wall_clock_and_runs) {
  EXPECT_EQ(get(DR), kStart);
  EXPECT_EQ(get(CR), 1u);
  for (const std::uint64_t offset : {MR, LR, IMSC, RIS, MIS, ICR}) EXPECT_EQ(get(offset), 0u);
  clock.time += milliseconds(1999);
  EXPECT_EQ(get(DR), kStart + 1);
  set(CR, 0);
  EXPECT_EQ(get(CR), 1u);
}

TEST_F(Pl031Test, loaded_time_goes_on_from_there) {
  set(LR, 1000);
  EXPECT_EQ(get(LR), 1000u);
  EXPECT_EQ(get(DR), 1000u);
  clock.time += seconds(5);
  EXPECT_EQ(get(DR), 1005u);
  EXPECT_EQ(get(LR), 1000u);
}

TEST_F(Pl031Test, counter_comes_around) {
  set(LR, UINT32_MAX);
  clock.time += seconds(2);
  EXPECT_EQ(get(DR), 1u);
}

TEST_F(Pl031Test, data_register_is_read_only_and_misplaced_accesses_do_nothing) {
  set(DR, 5);
  rtc.write(LR + 1, 1, 5);
  set(0xfe0, 5);
  EXPECT_EQ(get(DR), kStart);
  EXPECT_EQ(rtc.read(DR + 1, 1), 0u);
  EXPECT_EQ(get(0xfe0), 0x31u);
}

TEST_F(Pl031Test, alarm_raises_the_line_when_due_and_not_before) {
  set(MR, kStart + 10);
  set(IMSC, 1);
  EXPECT_EQ(get(IMSC), 1u);
  EXPECT_EQ(rtc.until_alarm(), seconds(10));
  clock.time += milliseconds(9'600);
  rtc.evaluate();
  EXPECT_FALSE(line.level);
  EXPECT_EQ(rtc.until_alarm(), milliseconds(400));
  clock.time += milliseconds(400);
  rtc.evaluate();
  EXPECT_TRUE(line.level);
  EXPECT_EQ(get(MIS), 1u);
  EXPECT_EQ(rtc.until_alarm(), std::nullopt);
  set(ICR, 1);
  EXPECT_FALSE(line.level);
  EXPECT_EQ(get(RIS), 0u);
}

TEST_F(Pl031Test, alarm_that_was_cleared_does_not_come_back_in_the_same_second) {
  set(MR, kStart);
  EXPECT_EQ(get(RIS), 1u);  // equal already
  set(ICR, 1);
  clock.time += milliseconds(500);
  EXPECT_EQ(get(RIS), 0u);
}

TEST_F(Pl031Test, masked_alarm_shows_in_the_raw_status_only) {
  set(MR, kStart + 1);
  EXPECT_EQ(rtc.until_alarm(), std::nullopt);
  clock.time += seconds(3);
  EXPECT_EQ(get(RIS), 1u);
  EXPECT_EQ(get(MIS), 0u);
  EXPECT_FALSE(line.level);
  set(IMSC, 1);
  EXPECT_TRUE(line.level);
  set(IMSC, 0);
  EXPECT_FALSE(line.level);
}

TEST_F(Pl031Test, alarm_in_the_past_waits_for_the_counter_to_come_around) {
  set(IMSC, 1);
  set(MR, kStart - 1);
  EXPECT_EQ(get(RIS), 0u);
  EXPECT_EQ(rtc.until_alarm(), seconds((std::int64_t{1} << 32) - 1));
}

TEST_F(Pl031Test, alarm_follows_a_loaded_time) {
  set(IMSC, 1);
  set(MR, 100);
  set(LR, 90);
  EXPECT_EQ(rtc.until_alarm(), seconds(10));
}

TEST_F(Pl031Test, alarm_follows_a_wall_clock_that_is_set) {
  set(IMSC, 1);
  set(MR, kStart + 100);
  clock.time -= seconds(50);
  EXPECT_EQ(rtc.until_alarm(), seconds(150));
  clock.time += seconds(500);
  EXPECT_EQ(rtc.until_alarm(), nanoseconds::zero());
}

TEST_F(Pl031Test, owner_hears_only_of_alarms_that_matter) {
  set(MR, kStart + 1);
  set(LR, 5);
  EXPECT_EQ(changes, 0);
  set(IMSC, 1);
  EXPECT_EQ(changes, 1);
  set(MR, 7);
  EXPECT_EQ(changes, 2);
  set(IMSC, 0);
  EXPECT_EQ(changes, 3);
}

TEST_F(Pl031Test, saved_state_goes_on_and_keeps_the_guests_offset) {
  set(LR, 1000);
  set(MR, 1010);
  set(IMSC, 1);
  const Pl031State state = rtc.save();
  clock.time += seconds(4);
  FakeLine other_line;
  Pl031 other(other_line, clock, {});
  ASSERT_TRUE(other.restore(state));
  EXPECT_EQ(other.read(DR, 4), 1004u);
  EXPECT_EQ(other.read(LR, 4), 1000u);
  EXPECT_FALSE(other_line.level);
  EXPECT_EQ(other.until_alarm(), seconds(6));
}

TEST_F(Pl031Test, alarm_missed_while_saved_is_raised_on_restore) {
  set(MR, kStart + 10);
  set(IMSC, 1);
  const Pl031State state = rtc.save();
  clock.time += seconds(1000);
  FakeLine other_line;
  Pl031 other(other_line, clock, {});
  ASSERT_TRUE(other.restore(state));
  EXPECT_TRUE(other_line.level);
}

TEST_F(Pl031Test, impossible_states_are_refused_by_field) {
  Pl031State state;
  state.imsc = 2;
  EXPECT_EQ(rtc.restore(state).error().message, "saved PL031 state: imsc is 2");
  state = {};
  state.ris = 2;
  EXPECT_EQ(rtc.restore(state).error().message, "saved PL031 state: ris is 2");
  EXPECT_EQ(get(RIS), 0u);
}

TEST(Pl031Alarm, raises_the_line_from_the_loop) {
  auto loop = std::move(*EventLoop::create());
  FakeLine line;
  FakeClock clock;
  std::optional<Pl031Alarm> alarm;
  Pl031 rtc(line, clock, [&] { alarm->changed(); });
  alarm.emplace(*loop, rtc);
  clock.time += milliseconds(990);
  rtc.write(MR, 4, kStart + 1);
  rtc.write(IMSC, 4, 1);
  ASSERT_TRUE(loop->run_once(milliseconds(0)));
  EXPECT_FALSE(line.level);
  clock.time += milliseconds(10);
  ASSERT_TRUE(loop->run_once(milliseconds(1000)));
  EXPECT_TRUE(line.level);
}

TEST(Pl031Alarm, masked_alarm_is_not_waited_for_and_an_end_is_clean) {
  auto loop = std::move(*EventLoop::create());
  FakeLine line;
  FakeClock clock;
  std::optional<Pl031Alarm> alarm;
  Pl031 rtc(line, clock, [&] { alarm->changed(); });
  alarm.emplace(*loop, rtc);
  rtc.write(MR, 4, kStart + 1);
  rtc.write(IMSC, 4, 1);
  ASSERT_TRUE(loop->run_once(milliseconds(0)));
  rtc.write(IMSC, 4, 0);
  clock.time += seconds(1);
  ASSERT_TRUE(loop->run_once(milliseconds(0)));
  EXPECT_EQ(rtc.until_alarm(), std::nullopt);
  rtc.write(IMSC, 4, 0);
  rtc.write(IMSC, 4, 1);
  alarm.reset();
  ASSERT_TRUE(loop->run_once(milliseconds(0)));
}

TEST(HostWallClock, is_the_hosts) {
  const auto before = std::chrono::system_clock::now().time_since_epoch();
  const auto now = HostWallClock().now();
  EXPECT_GE(now, before);
  EXPECT_LE(now, std::chrono::system_clock::now().time_since_epoch());
}

}  // namespace
}  // namespace vmm
