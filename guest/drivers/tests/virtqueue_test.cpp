#include "guest/drivers/virtqueue.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "guest/drivers/testing/fake_queue_device.hpp"

namespace {

using guest::drivers::DmaBuffer;
using guest::drivers::QueueSegment;
using guest::drivers::Virtqueue;
using guest::drivers::testing::FakeQueueDevice;
using guest::drivers::testing::TestMemory;
using guest::kernel::PhysAddr;
using guest::kernel::Status;

QueueSegment segment(std::uint32_t bytes, std::uint64_t offset = 0x8'0000) {
  return {.address = PhysAddr{TestMemory::kBase + offset}, .bytes = bytes};
}

struct Bench {
  explicit Bench(Virtqueue::Options options)
      : buffer(memory.allocate(Virtqueue::memory_bytes(options)).value()),
        started(queue.init(options, buffer)),
        device(memory, queue.addresses(), options.event_idx) {
    EXPECT_EQ(started, Status::Ok);
  }
  Status add_one(std::uint16_t token, std::uint32_t writable_bytes = 64) {
    const std::array segments{segment(writable_bytes)};
    return queue.add({}, segments, token);
  }
  TestMemory memory{1 << 20};
  Virtqueue queue;
  DmaBuffer buffer;
  Status started;
  FakeQueueDevice device;
};

TEST(Virtqueue, usable_size_is_the_largest_power_of_two_within_bounds) {
  EXPECT_EQ(Virtqueue::usable_size(0), 0);
  EXPECT_EQ(Virtqueue::usable_size(1), 1);
  EXPECT_EQ(Virtqueue::usable_size(127), 64);
  EXPECT_EQ(Virtqueue::usable_size(128), 128);
  EXPECT_EQ(Virtqueue::usable_size(32768), 256);
  EXPECT_EQ(Virtqueue::usable_size(UINT32_MAX), 256);
}

TEST(Virtqueue, init_refuses_sizes_and_memory_that_do_not_fit) {
  TestMemory memory(1 << 20);
  const DmaBuffer buffer = memory.allocate(65536).value();
  Virtqueue queue;
  EXPECT_EQ(queue.init({.size = 0}, buffer), Status::Invalid);
  EXPECT_EQ(queue.init({.size = 100}, buffer), Status::Invalid);
  EXPECT_EQ(queue.init({.size = 512}, buffer), Status::Invalid);
  const std::size_t needed = Virtqueue::memory_bytes({.size = 64});
  EXPECT_EQ(queue.init({.size = 64}, buffer.part(0, needed - 1)), Status::Invalid);
  EXPECT_EQ(queue.init({.size = 64}, buffer.part(8, needed)), Status::Invalid) << "descriptors are 16-byte aligned";
  EXPECT_EQ(queue.init({.size = 64}, buffer.part(0, needed)), Status::Ok);
}

TEST(Virtqueue, areas_are_aligned_as_the_specification_demands) {
  const Bench bench({.size = 8});
  const auto addresses = bench.queue.addresses();
  EXPECT_EQ(raw(addresses.descriptors) % 16, 0U);
  EXPECT_EQ(raw(addresses.driver_area) % 2, 0U);
  EXPECT_EQ(raw(addresses.device_area) % 4, 0U);
}

TEST(Virtqueue, chain_reaches_the_device_readable_first_and_comes_back_with_its_token) {
  Bench bench({.size = 8});
  const std::array readable{segment(44, 0x8'0000), segment(100, 0x9'0000)};
  const std::array writable{segment(200, 0xA'0000)};
  ASSERT_EQ(bench.queue.add(readable, writable, 77), Status::Ok);
  const auto chain = bench.device.take();
  ASSERT_TRUE(chain.has_value());
  ASSERT_EQ(chain->readable.size(), 2U);
  EXPECT_EQ(chain->readable[1].address, TestMemory::kBase + 0x9'0000);
  EXPECT_EQ(chain->readable[1].bytes, 100U);
  ASSERT_EQ(chain->writable.size(), 1U);
  EXPECT_FALSE(bench.queue.take_used().has_value());
  bench.device.push_used(chain->head, 150);
  const auto used = bench.queue.take_used();
  ASSERT_TRUE(used.has_value());
  EXPECT_EQ(used->token, 77);
  EXPECT_EQ(used->written_bytes, 150U);
  EXPECT_EQ(bench.queue.in_flight(), 0);
  EXPECT_EQ(bench.queue.room(1), 8);
}

TEST(Virtqueue, full_queue_refuses_and_takes_again_after_a_return) {
  Bench bench({.size = 4});
  for (std::uint16_t i = 0; i < 4; ++i) ASSERT_EQ(bench.add_one(i), Status::Ok);
  EXPECT_EQ(bench.add_one(9), Status::NoMemory);
  EXPECT_EQ(bench.queue.room(1), 0);
  bench.device.push_used(bench.device.take()->head, 0);
  ASSERT_TRUE(bench.queue.take_used().has_value());
  EXPECT_EQ(bench.add_one(9), Status::Ok);
}

TEST(Virtqueue, chain_that_does_not_fit_leaves_the_queue_unchanged) {
  Bench bench({.size = 4});
  ASSERT_EQ(bench.add_one(0), Status::Ok);
  ASSERT_EQ(bench.add_one(1), Status::Ok);
  const std::array three{segment(1), segment(2), segment(3)};
  EXPECT_EQ(bench.queue.add(three, {}, 2), Status::NoMemory);
  EXPECT_EQ(bench.queue.room(1), 2);
  EXPECT_EQ(bench.device.avail_idx(), 2);
}

TEST(Virtqueue, malformed_chains_are_refused) {
  Bench bench({.size = 4, .indirect_segments = 8});
  const std::array empty{segment(0)};
  const std::array five{segment(1), segment(1), segment(1), segment(1), segment(1)};
  const std::array huge{segment(UINT32_MAX), segment(1)};
  EXPECT_EQ(bench.queue.add({}, {}, 0), Status::Invalid);
  EXPECT_EQ(bench.queue.add(empty, {}, 0), Status::Invalid);
  EXPECT_EQ(bench.queue.add({}, empty, 0), Status::Invalid);
  EXPECT_EQ(bench.queue.add(five, {}, 0), Status::Invalid) << "longer than the queue, indirect or not";
  EXPECT_EQ(bench.queue.add({}, huge, 0), Status::Invalid) << "the used length has 32 bits";
  EXPECT_EQ(bench.queue.in_flight(), 0);
}

TEST(Virtqueue, indirect_chain_takes_one_descriptor) {
  Bench bench({.size = 4, .indirect_segments = 3});
  const std::array readable{segment(10), segment(20)};
  const std::array writable{segment(30)};
  for (std::uint16_t i = 0; i < 4; ++i) ASSERT_EQ(bench.queue.add(readable, writable, i), Status::Ok);
  EXPECT_EQ(bench.queue.room(3), 0);
  for (std::uint16_t i = 0; i < 4; ++i) {
    const auto chain = bench.device.take();
    ASSERT_TRUE(chain.has_value());
    EXPECT_TRUE(chain->indirect);
    EXPECT_EQ(chain->readable.size(), 2U);
    EXPECT_EQ(chain->writable.size(), 1U);
    bench.device.push_used(chain->head, 30);
    EXPECT_EQ(bench.queue.take_used()->token, i);
  }
}

TEST(Virtqueue, segments_beyond_the_indirect_table_are_chained) {
  Bench bench({.size = 8, .indirect_segments = 2});
  const std::array three{segment(1), segment(2), segment(3)};
  ASSERT_EQ(bench.queue.add(three, {}, 1), Status::Ok);
  const auto chain = bench.device.take();
  ASSERT_TRUE(chain.has_value());
  EXPECT_FALSE(chain->indirect);
  EXPECT_EQ(chain->readable.size(), 3U);
  EXPECT_EQ(bench.queue.room(1), 5);
}

class Suppression : public testing::TestWithParam<bool> {};

TEST_P(Suppression, device_that_wants_no_kicks_gets_none) {
  Bench bench({.size = 8, .event_idx = GetParam()});
  bench.device.want_kicks(true);
  ASSERT_EQ(bench.add_one(0), Status::Ok);
  EXPECT_TRUE(bench.queue.take_notification());
  EXPECT_FALSE(bench.queue.take_notification()) << "one kick for what was added once";
  bench.device.take();
  bench.device.want_kicks(false);
  ASSERT_EQ(bench.add_one(1), Status::Ok);
  EXPECT_FALSE(bench.queue.take_notification());
  bench.device.take();
  bench.device.want_kicks(true);
  ASSERT_EQ(bench.add_one(2), Status::Ok);
  ASSERT_EQ(bench.add_one(3), Status::Ok);
  EXPECT_TRUE(bench.queue.take_notification()) << "one kick for a batch";
}

TEST_P(Suppression, disarmed_queue_causes_no_interrupt_and_armed_one_does) {
  Bench bench({.size = 8, .event_idx = GetParam()});
  for (std::uint16_t i = 0; i < 4; ++i) ASSERT_EQ(bench.add_one(i), Status::Ok);
  bench.queue.disarm_interrupt();
  bench.device.push_used(bench.device.take()->head, 0);
  bench.device.push_used(bench.device.take()->head, 0);
  EXPECT_FALSE(bench.device.take_interrupt());
  EXPECT_TRUE(bench.queue.arm_interrupt()) << "what came in the meantime must be reported";
  ASSERT_TRUE(bench.queue.take_used() && bench.queue.take_used());
  EXPECT_FALSE(bench.queue.arm_interrupt());
  bench.device.push_used(bench.device.take()->head, 0);
  EXPECT_TRUE(bench.device.take_interrupt());
}

TEST(Virtqueue, interrupt_can_wait_for_several_entries) {
  Bench bench({.size = 8, .event_idx = true});
  for (std::uint16_t i = 0; i < 4; ++i) ASSERT_EQ(bench.add_one(i), Status::Ok);
  EXPECT_FALSE(bench.queue.arm_interrupt(2));
  for (int i = 0; i < 2; ++i) bench.device.push_used(bench.device.take()->head, 0);
  EXPECT_FALSE(bench.device.take_interrupt());
  EXPECT_FALSE(bench.queue.arm_interrupt(2)) << "two are there, more than two were asked for";
  bench.device.push_used(bench.device.take()->head, 0);
  EXPECT_TRUE(bench.device.take_interrupt());
  EXPECT_TRUE(bench.queue.arm_interrupt(2));
}

TEST_P(Suppression, indices_wrap_without_a_lost_kick_interrupt_or_chain) {
  // 70,000 rounds pass 65,536, the width of every index, with batches that do not divide it.
  Bench bench({.size = 8, .event_idx = GetParam()});
  std::uint16_t token = 0;
  for (int round = 0; round < 24'000; ++round) {
    const int batch = 1 + round % 5;
    bench.device.want_kicks(true);
    const auto first = token;
    for (int i = 0; i < batch; ++i) ASSERT_EQ(bench.add_one(token++), Status::Ok);
    ASSERT_TRUE(bench.queue.take_notification()) << "round " << round;
    ASSERT_FALSE(bench.queue.arm_interrupt());
    for (int i = 0; i < batch; ++i) bench.device.push_used(bench.device.take()->head, 1);
    ASSERT_TRUE(bench.device.take_interrupt()) << "round " << round;
    for (int i = 0; i < batch; ++i) {
      const auto used = bench.queue.take_used();
      ASSERT_TRUE(used.has_value());
      ASSERT_EQ(used->token, static_cast<std::uint16_t>(first + i));
    }
  }
  EXPECT_FALSE(bench.queue.broken());
}

INSTANTIATE_TEST_SUITE_P(EventIdx, Suppression, testing::Bool());

TEST(VirtqueueHostile, used_index_ahead_of_what_is_in_flight_breaks_the_queue) {
  Bench bench({.size = 8});
  ASSERT_EQ(bench.add_one(0), Status::Ok);
  bench.device.publish_used(2);
  EXPECT_FALSE(bench.queue.take_used().has_value());
  EXPECT_EQ(bench.queue.fault(), Virtqueue::Fault::IndexJump);
}

TEST(VirtqueueHostile, used_index_that_goes_back_breaks_the_queue) {
  Bench bench({.size = 8});
  ASSERT_EQ(bench.add_one(0), Status::Ok);
  bench.device.publish_used(UINT16_MAX);
  EXPECT_FALSE(bench.queue.take_used().has_value());
  EXPECT_EQ(bench.queue.fault(), Virtqueue::Fault::IndexJump);
}

TEST(VirtqueueHostile, id_outside_of_the_queue_breaks_it) {
  for (const std::uint32_t id : {8U, 256U, 65536U, UINT32_MAX}) {
    Bench bench({.size = 8});
    ASSERT_EQ(bench.add_one(0), Status::Ok);
    bench.device.push_used(id, 0);
    EXPECT_FALSE(bench.queue.take_used().has_value());
    EXPECT_EQ(bench.queue.fault(), Virtqueue::Fault::IdOutOfRange) << id;
  }
}

TEST(VirtqueueHostile, chain_returned_twice_breaks_the_queue) {
  Bench bench({.size = 8});
  ASSERT_EQ(bench.add_one(0), Status::Ok);
  ASSERT_EQ(bench.add_one(1), Status::Ok);
  const std::uint16_t head = bench.device.take()->head;
  bench.device.push_used(head, 0);
  bench.device.push_used(head, 0);
  ASSERT_TRUE(bench.queue.take_used().has_value());
  EXPECT_FALSE(bench.queue.take_used().has_value());
  EXPECT_EQ(bench.queue.fault(), Virtqueue::Fault::IdNotInFlight);
}

TEST(VirtqueueHostile, middle_of_a_chain_is_not_a_head) {
  Bench bench({.size = 8});
  const std::array three{segment(1), segment(2), segment(3)};
  ASSERT_EQ(bench.queue.add(three, {}, 0), Status::Ok);
  const std::uint16_t head = bench.device.take()->head;
  bench.device.push_used(static_cast<std::uint32_t>(head + 1), 0);
  EXPECT_FALSE(bench.queue.take_used().has_value());
  EXPECT_EQ(bench.queue.fault(), Virtqueue::Fault::IdNotInFlight);
}

TEST(VirtqueueHostile, length_beyond_the_buffer_breaks_the_queue) {
  Bench bench({.size = 8});
  ASSERT_EQ(bench.add_one(0, 64), Status::Ok);
  bench.device.push_used(bench.device.take()->head, 65);
  EXPECT_FALSE(bench.queue.take_used().has_value());
  EXPECT_EQ(bench.queue.fault(), Virtqueue::Fault::LengthTooLarge);
}

TEST(VirtqueueHostile, length_of_a_chain_without_writable_bytes_is_ignored) {
  Bench bench({.size = 8});
  const std::array readable{segment(64)};
  ASSERT_EQ(bench.queue.add(readable, {}, 5), Status::Ok);
  bench.device.push_used(bench.device.take()->head, 64);
  EXPECT_EQ(bench.queue.take_used()->written_bytes, 0U);
}

TEST(VirtqueueHostile, broken_queue_does_nothing_until_it_is_set_up_again) {
  Bench bench({.size = 8});
  ASSERT_EQ(bench.add_one(0), Status::Ok);
  bench.device.push_used(99, 0);
  EXPECT_FALSE(bench.queue.take_used().has_value());
  EXPECT_EQ(bench.add_one(1), Status::DeviceFailed);
  EXPECT_FALSE(bench.queue.take_notification());
  EXPECT_FALSE(bench.queue.arm_interrupt());
  EXPECT_FALSE(bench.queue.has_used());
  ASSERT_EQ(bench.queue.init({.size = 8}, bench.buffer), Status::Ok);
  EXPECT_EQ(bench.add_one(1), Status::Ok);
}

TEST(VirtqueueHostile, scribbled_descriptors_and_rings_corrupt_nothing_of_the_driver) {
  Bench bench({.size = 8, .indirect_segments = 4});
  const std::array three{segment(1), segment(2), segment(3)};
  for (std::uint16_t i = 0; i < 8; ++i) ASSERT_EQ(bench.queue.add(three, {}, i), Status::Ok);
  std::vector<std::uint16_t> heads;
  for (int i = 0; i < 8; ++i) heads.push_back(bench.device.take()->head);
  const std::size_t used_offset = raw(bench.queue.addresses().device_area) - raw(bench.buffer.address);
  std::memset(bench.buffer.bytes.data(), 0xFF, used_offset);
  for (const std::uint16_t head : heads) bench.device.push_used(head, 0);
  for (std::uint16_t i = 0; i < 8; ++i) EXPECT_EQ(bench.queue.take_used()->token, i);
  EXPECT_EQ(bench.queue.room(3), 8);
}

TEST(VirtqueueModel, random_operations_agree_with_a_model) {
  for (const auto& [event_idx, indirect] : {std::pair{false, 0}, {true, 0}, {false, 6}, {true, 6}}) {
    std::mt19937 random(42);
    Bench bench({.size = 16, .event_idx = event_idx, .indirect_segments = static_cast<std::uint16_t>(indirect)});
    std::map<std::uint16_t, std::uint32_t> tokens;  // offered and not returned: token -> writable bytes
    std::vector<std::pair<std::uint16_t, std::uint32_t>> at_device;  // head, writable bytes
    std::uint16_t next_token = 0;
    std::size_t descriptors_used = 0;
    std::map<std::uint16_t, std::size_t> cost;
    for (int step = 0; step < 50'000; ++step) {
      switch (random() % 3) {
        case 0: {
          const std::size_t readable = random() % 4;
          const std::size_t writable = random() % 3 + (readable == 0 ? 1 : 0);
          std::vector<QueueSegment> in;
          std::vector<QueueSegment> out;
          std::uint32_t bytes = 0;
          for (std::size_t i = 0; i < readable; ++i)
            in.push_back(segment(static_cast<std::uint32_t>(1 + random() % 100)));
          for (std::size_t i = 0; i < writable; ++i) {
            out.push_back(segment(static_cast<std::uint32_t>(1 + random() % 100)));
            bytes += out.back().bytes;
          }
          const std::size_t count = readable + writable;
          const std::size_t needed =
              indirect != 0 && count > 1 && count <= static_cast<std::size_t>(indirect) ? 1 : count;
          const Status added = bench.queue.add(in, out, next_token);
          ASSERT_EQ(added, needed <= 16 - descriptors_used ? Status::Ok : Status::NoMemory);
          if (added == Status::Ok) {
            tokens[next_token] = bytes;
            cost[next_token++] = needed;
            descriptors_used += needed;
          }
          break;
        }
        case 1:
          while (const auto chain = bench.device.take()) {
            std::uint32_t bytes = 0;
            for (const auto& buffer : chain->writable) bytes += buffer.bytes;
            at_device.emplace_back(chain->head, bytes);
          }
          if (!at_device.empty()) {  // in any order
            const std::size_t pick = random() % at_device.size();
            bench.device.push_used(at_device[pick].first, at_device[pick].second);
            at_device.erase(at_device.begin() + static_cast<std::ptrdiff_t>(pick));
          }
          break;
        default:
          if (const auto used = bench.queue.take_used()) {
            ASSERT_TRUE(tokens.contains(used->token));
            ASSERT_EQ(tokens[used->token], used->written_bytes);
            tokens.erase(used->token);
            descriptors_used -= cost[used->token];
          }
          ASSERT_FALSE(bench.queue.broken());
          ASSERT_EQ(bench.queue.in_flight(), tokens.size());
          ASSERT_EQ(bench.queue.room(1), 16 - descriptors_used);
      }
    }
  }
}

/// A device in a thread of its own that sleeps unless it is kicked, and a driver that sleeps unless it is interrupted:
/// a lost notification of either side stops the test. The bells count, so none is lost outside of the queue.
TEST(VirtqueueThreads, no_notification_is_lost_between_driver_and_device) {
  Bench bench({.size = 8, .event_idx = true});
  constexpr int kChains = 200'000;
  std::atomic<int> kicks{0};
  std::atomic<int> interrupts{0};
  const QueueSegment piece = segment(64);
  const auto addresses = bench.queue.addresses();
  const auto word = [&](std::uint64_t address) {
    return std::atomic_ref<std::uint16_t>(*reinterpret_cast<std::uint16_t*>(bench.memory.at(address, 2)));
  };
  std::thread device([&] {
    const std::uint64_t avail = raw(addresses.driver_area);
    const std::uint64_t used = raw(addresses.device_area);
    std::uint16_t done = 0;
    int seen_kicks = 0;
    for (int left = kChains; left > 0;) {
      word(used + 4 + 8 * 8).store(done, std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_seq_cst);
      const std::uint16_t idx = word(avail + 2).load(std::memory_order_acquire);
      if (idx == done) {
        kicks.wait(seen_kicks);
        seen_kicks = kicks.load();
        continue;
      }
      const std::uint16_t old_idx = done;
      while (done != idx) {
        const std::uint16_t head = word(avail + 4 + 2 * (done % 8U)).load(std::memory_order_relaxed);
        bench.memory.store(used + 4 + 8 * (done % 8U), abi::virtio::UsedElement{.id = head, .len = 64});
        ++done;
        --left;
      }
      word(used + 2).store(done, std::memory_order_release);
      std::atomic_thread_fence(std::memory_order_seq_cst);
      if (abi::virtio::need_event(word(avail + 4 + 16).load(std::memory_order_relaxed), done, old_idx)) {
        interrupts.fetch_add(1);
        interrupts.notify_one();
      }
    }
  });
  int returned = 0;
  int offered = 0;
  int seen_interrupts = 0;
  while (returned < kChains) {
    while (offered < kChains && bench.queue.add({}, {&piece, 1}, 0) == Status::Ok) ++offered;
    if (bench.queue.take_notification()) {
      kicks.fetch_add(1);
      kicks.notify_one();
    }
    int taken = 0;
    while (bench.queue.take_used()) ++taken;
    returned += taken;
    if (taken == 0 && !bench.queue.arm_interrupt()) {
      interrupts.wait(seen_interrupts);
      seen_interrupts = interrupts.load();
    }
  }
  device.join();
  EXPECT_EQ(returned, kChains);
  EXPECT_FALSE(bench.queue.broken());
}

}  // namespace
