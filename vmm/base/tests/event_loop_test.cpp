#include "vmm/base/event_loop.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <thread>

#include "vmm/base/mapped_region.hpp"

namespace vmm {
namespace {

using std::chrono::milliseconds;

struct EventLoopTest : ::testing::Test {
  void SetUp() override {
    loop = std::move(*EventLoop::create());
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    near.reset(ends[0]);
    far.reset(ends[1]);
  }
  void round() { ASSERT_TRUE(loop->run_once(milliseconds(0))); }

  std::unique_ptr<EventLoop> loop;
  UniqueFd near, far;
};

TEST_F(EventLoopTest, add_readable_callback_is_repeated_until_read) {
  int calls = 0;
  loop->add(near.get(), Interest::Read, [&](Events events) { calls += events.readable ? 1 : 0; });
  round();
  EXPECT_EQ(calls, 0);
  ASSERT_EQ(::write(far.get(), "x", 1), 1);
  round();
  round();
  EXPECT_EQ(calls, 2);
}

TEST_F(EventLoopTest, modify_none_silences_even_a_hangup) {
  int calls = 0;
  loop->add(near.get(), Interest::Read, [&](Events) { ++calls; });
  round();
  loop->modify(near.get(), Interest::None);
  far.reset();
  round();
  EXPECT_EQ(calls, 0);
}

TEST_F(EventLoopTest, interest_hangup_ignores_data_and_reports_the_end) {
  Events last;
  int calls = 0;
  loop->add(near.get(), Interest::Hangup, [&](Events events) { last = events, ++calls; });
  ASSERT_EQ(::write(far.get(), "x", 1), 1);
  round();
  EXPECT_EQ(calls, 0);
  far.reset();
  round();
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(last.hangup);
}

TEST_F(EventLoopTest, remove_in_another_callback_of_the_round_suppresses_the_event) {
  int calls = 0;
  const auto once = [&](Events) {
    ++calls;
    loop->remove(near.get());
    loop->remove(far.get());
  };
  loop->add(near.get(), Interest::Write, once);
  loop->add(far.get(), Interest::Write, once);
  round();
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, add_of_a_reused_descriptor_in_a_callback_does_not_inherit_the_event) {
  int stale = 0;
  const auto replace = [&](Events) {
    for (const int fd : {near.get(), far.get()}) {
      loop->remove(fd);
      loop->add(fd, Interest::Write, [&](Events) { ++stale; });
    }
  };
  loop->add(near.get(), Interest::Write, replace);
  loop->add(far.get(), Interest::Write, replace);
  round();
  EXPECT_EQ(stale, 0);
  round();
  EXPECT_EQ(stale, 2);
}

TEST_F(EventLoopTest, timers_run_in_order_once_and_not_when_cancelled) {
  std::string order;
  loop->add_timer(milliseconds(2), [&] { order += "b"; });
  loop->add_timer(milliseconds(1), [&] { order += "a"; });
  const auto cancelled = loop->add_timer(milliseconds(1), [&] { order += "x"; });
  loop->cancel_timer(cancelled);
  const auto end = EventLoop::Clock::now() + std::chrono::seconds(10);
  while (order.size() < 2 && EventLoop::Clock::now() < end) ASSERT_TRUE(loop->run_once(milliseconds(50)));
  ASSERT_TRUE(loop->run_once(milliseconds(5)));
  EXPECT_EQ(order, "ab");
}

TEST_F(EventLoopTest, timer_that_rearms_itself_runs_once_a_round) {
  int calls = 0;
  std::function<void()> again = [&] {
    ++calls;
    loop->add_timer(milliseconds(0), again);
  };
  again();
  round();
  EXPECT_LE(calls, 2);
}

TEST_F(EventLoopTest, post_from_posted_work_waits_for_the_next_round) {
  int calls = 0;
  std::function<void()> again = [&] {
    ++calls;
    loop->post(again);
  };
  loop->post(again);
  round();
  EXPECT_EQ(calls, 1);
  round();
  EXPECT_EQ(calls, 2);
}

TEST_F(EventLoopTest, defer_runs_once_after_the_events_of_the_round) {
  std::string order;
  const auto callback = [&](Events) {
    order += "e";
    loop->defer([&] { order += "d"; });
    loop->modify(near.get(), Interest::None);
  };
  loop->add(near.get(), Interest::Write, callback);
  round();
  round();
  EXPECT_EQ(order, "ed");
}

TEST_F(EventLoopTest, stop_from_another_thread_ends_run) {
  int posted = 0;
  std::thread other([&] {
    loop->post([&] { ++posted; });
    loop->post([&] { loop->stop(); });
  });
  ASSERT_TRUE(loop->run());
  other.join();
  EXPECT_EQ(posted, 1);
}

TEST_F(EventLoopTest, in_loop_thread_only_where_it_runs) {
  EXPECT_FALSE(loop->in_loop_thread());
  round();
  EXPECT_TRUE(loop->in_loop_thread());
  bool inside = false;
  loop->post([&] {
    inside = loop->in_loop_thread();
    loop->stop();
  });
  std::thread runner([&] { ASSERT_TRUE(loop->run()); });
  runner.join();
  EXPECT_TRUE(inside);
  EXPECT_FALSE(loop->in_loop_thread());
}

TEST(notifier, drain_after_many_signals_reports_once) {
  auto notifier = std::move(*Notifier::create());
  EXPECT_FALSE(notifier.drain());
  for (int i = 0; i < 1000; ++i) notifier.signal();
  EXPECT_TRUE(notifier.drain());
  EXPECT_FALSE(notifier.drain());
}

TEST(mapped_region, range_beyond_the_file_is_refused) {
  const UniqueFd file(::memfd_create("test", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 8192), 0);
  EXPECT_TRUE(MappedRegion::map_shared(file, 8192, 0));
  EXPECT_TRUE(MappedRegion::map_shared(file, 4096, 4096));
  EXPECT_FALSE(MappedRegion::map_shared(file, 8193, 0));
  EXPECT_FALSE(MappedRegion::map_shared(file, 4096, 8192));
  EXPECT_FALSE(MappedRegion::map_shared(file, SIZE_MAX, 4096));
  EXPECT_FALSE(MappedRegion::map_shared(file, 0, 0));
}

}  // namespace
}  // namespace vmm
