#include "vmm/virtio/virtqueue.hpp"

#include <gtest/gtest.h>

#include <array>

#include "vmm/virtio/testing/fake_driver.hpp"

namespace vmm::virtio {
namespace {

using testing::FakeGuest;
using testing::FakeQueue;
using Kind = QueueError::Kind;

constexpr std::uint16_t kNext = abi::virtio::kDescNext;
constexpr std::uint16_t kWrite = abi::virtio::kDescWrite;
constexpr std::uint16_t kIndirect = abi::virtio::kDescIndirect;

struct VirtqueueTest : ::testing::Test {
  FakeGuest guest;
  FakeQueue driver{guest, 8, false, true};
  std::uint64_t data = guest.allocate(4096);
  DescriptorChain chain;

  /// What pop() says about what the driver did.
  Kind violation() {
    auto queue = driver.device_side();
    const auto popped = queue.pop(chain);
    EXPECT_FALSE(popped.has_value());
    if (popped) return Kind::AlreadyBroken;
    EXPECT_FALSE(popped.error().message().empty());
    EXPECT_EQ(queue.pop(chain).error().kind, Kind::AlreadyBroken);
    return popped.error().kind;
  }
};

TEST_F(VirtqueueTest, pop_empty_queue_gives_nothing) {
  auto queue = driver.device_side();
  EXPECT_EQ(queue.pop(chain), false);
}

TEST_F(VirtqueueTest, pop_chain_reads_and_writes_in_order) {
  guest.put_bytes(data, "hello");
  driver.add({{data, 2, false}, {data + 2, 3, false}, {data + 100, 2, true}, {data + 200, 9, true}});
  auto queue = driver.device_side();
  ASSERT_EQ(queue.pop(chain), true);
  Reader reader = chain.reader();
  std::array<char, 5> text;
  EXPECT_EQ(reader.read(std::as_writable_bytes(std::span(text))), 5u);
  EXPECT_EQ(std::string_view(text.data(), 5), "hello");
  EXPECT_EQ(reader.available(), 0u);
  Writer writer = chain.writer();
  EXPECT_EQ(writer.available(), 11u);
  EXPECT_EQ(writer.write(std::as_bytes(std::span("abcde", 5))), 5u);
  EXPECT_EQ(guest.get_bytes(data + 100, 2), "ab");
  EXPECT_EQ(guest.get_bytes(data + 200, 3), "cde");
}

TEST_F(VirtqueueTest, available_counts_what_was_not_taken) {
  auto queue = driver.device_side();
  EXPECT_EQ(queue.available(), 0);
  driver.add({{data, 2, false}});
  driver.add({{data, 2, false}});
  EXPECT_EQ(queue.available(), 2);
  ASSERT_EQ(queue.pop(chain), true);
  EXPECT_EQ(queue.available(), 1);
  driver.add({{data, 2, false}});
  EXPECT_EQ(queue.available(), 2);
}

TEST_F(VirtqueueTest, push_is_visible_only_after_publish) {
  const auto head = driver.add({{data, 16, true}});
  auto queue = driver.device_side();
  ASSERT_EQ(queue.pop(chain), true);
  queue.push(chain.head(), 7);
  EXPECT_FALSE(driver.collect());
  EXPECT_TRUE(queue.publish());
  const auto used = driver.collect();
  ASSERT_TRUE(used);
  EXPECT_EQ(used->id, head);
  EXPECT_EQ(used->bytes, 7u);
  EXPECT_FALSE(queue.publish());
}

TEST_F(VirtqueueTest, undo_pop_gives_the_same_chain_again) {
  driver.add({{data, 1, false}});
  driver.add({{data, 2, false}});
  auto queue = driver.device_side();
  ASSERT_EQ(queue.pop(chain), true);
  queue.undo_pop();
  ASSERT_EQ(queue.pop(chain), true);
  EXPECT_EQ(chain.reader().available(), 1u);
  ASSERT_EQ(queue.pop(chain), true);
  EXPECT_EQ(chain.reader().available(), 2u);
}

TEST_F(VirtqueueTest, indices_wrap_after_65536_requests) {
  auto queue = driver.device_side();
  for (unsigned i = 0; i < 70'000; ++i) {
    driver.add_at(static_cast<std::uint16_t>(i % 8), {{data, i % 100 + 1, true}});
    ASSERT_EQ(queue.pop(chain), true);
    ASSERT_EQ(chain.writer().available(), i % 100 + 1);
    queue.push(chain.head(), i);
    ASSERT_TRUE(queue.publish());
    const auto used = driver.collect();
    ASSERT_TRUE(used && used->id == i % 8 && used->bytes == i);
  }
}

TEST_F(VirtqueueTest, whole_queue_available_at_once_is_allowed) {
  for (int i = 0; i < 8; ++i) driver.add({{data, 4, false}});
  auto queue = driver.device_side();
  for (int i = 0; i < 8; ++i) ASSERT_EQ(queue.pop(chain), true);
  EXPECT_EQ(queue.pop(chain), false);
}

TEST_F(VirtqueueTest, available_index_one_past_the_queue_is_an_error) {
  driver.set_available_index(9);
  EXPECT_EQ(violation(), Kind::AvailableIndexTooFar);
}

TEST_F(VirtqueueTest, available_index_behind_is_an_error) {
  driver.layout().next_index = 5;
  driver.set_available_index(4);
  EXPECT_EQ(violation(), Kind::AvailableIndexTooFar);
}

TEST_F(VirtqueueTest, head_out_of_range_is_an_error) {
  driver.offer(8);
  EXPECT_EQ(violation(), Kind::HeadOutOfRange);
}

TEST_F(VirtqueueTest, next_out_of_range_is_an_error) {
  driver.set_descriptor(0, data, 4, kNext, 8);
  driver.offer(0);
  EXPECT_EQ(violation(), Kind::NextOutOfRange);
}

TEST_F(VirtqueueTest, chain_that_loops_is_an_error) {
  driver.set_descriptor(0, data, 4, kNext, 1);
  driver.set_descriptor(1, data, 4, kNext, 0);
  driver.offer(0);
  EXPECT_EQ(violation(), Kind::ChainTooLong);
}

TEST_F(VirtqueueTest, chain_as_long_as_the_queue_is_allowed) {
  driver.add(std::vector<testing::Buffer>(8, {data, 1, false}));
  auto queue = driver.device_side();
  ASSERT_EQ(queue.pop(chain), true);
  EXPECT_EQ(chain.reader().available(), 8u);
}

TEST_F(VirtqueueTest, readable_after_writable_is_an_error) {
  driver.add({{data, 4, true}, {data, 4, false}});
  EXPECT_EQ(violation(), Kind::ReadableAfterWritable);
}

TEST_F(VirtqueueTest, unknown_flags_are_an_error) {
  driver.set_descriptor(0, data, 4, 8);
  driver.offer(0);
  EXPECT_EQ(violation(), Kind::UnknownFlags);
}

TEST_F(VirtqueueTest, buffer_one_byte_beyond_memory_is_an_error) {
  const std::uint64_t end = FakeGuest::kBase + guest.memory()->size_bytes();
  driver.add({{end - 4, 4, false}});
  driver.add({{end - 4, 5, false}});
  auto queue = driver.device_side();
  EXPECT_EQ(queue.pop(chain), true);
  EXPECT_EQ(queue.pop(chain).error().kind, Kind::BadAddress);
}

TEST_F(VirtqueueTest, buffer_that_wraps_the_address_space_is_an_error) {
  driver.add({{UINT64_MAX - 3, 8, false}});
  EXPECT_EQ(violation(), Kind::BadAddress);
}

TEST_F(VirtqueueTest, empty_buffer_says_nothing_whatever_its_address) {
  driver.add({{0xDEAD'0000'0000, 0, false}, {data, 3, false}});
  auto queue = driver.device_side();
  ASSERT_EQ(queue.pop(chain), true);
  EXPECT_EQ(chain.reader().available(), 3u);
}

TEST_F(VirtqueueTest, chain_of_more_than_4_gib_is_an_error) {
  // Never touched, so it costs only address space.
  constexpr std::size_t kBytes = std::size_t{3} << 30;
  FakeGuest large(kBytes);
  FakeQueue queue_in_large(large, 8);
  const auto bytes = static_cast<std::uint32_t>(kBytes);
  queue_in_large.add({{FakeGuest::kBase, bytes, true}, {FakeGuest::kBase, bytes, true}});
  auto queue = queue_in_large.device_side();
  EXPECT_EQ(queue.pop(chain).error().kind, Kind::ChainTooLarge);
}

struct IndirectTest : VirtqueueTest {
  std::uint64_t table = guest.allocate(16 * 16);
  void entry(std::uint64_t index, std::uint32_t bytes, std::uint16_t flags, std::uint16_t next = 0) {
    guest.put(table + 16 * index, abi::virtio::Descriptor{.addr = data, .len = bytes, .flags = flags, .next = next});
  }
  void offer_table(std::uint32_t bytes, std::uint16_t more_flags = 0) {
    driver.set_descriptor(0, table, bytes, static_cast<std::uint16_t>(kIndirect | more_flags), 1);
    driver.offer(0);
  }
};

TEST_F(IndirectTest, table_is_followed) {
  entry(0, 3, kNext, 2);
  entry(2, 5, kWrite);
  offer_table(48);
  auto queue = driver.device_side();
  ASSERT_EQ(queue.pop(chain), true);
  EXPECT_EQ(chain.reader().available(), 3u);
  EXPECT_EQ(chain.writer().available(), 5u);
}

TEST_F(IndirectTest, table_may_end_a_direct_chain) {
  entry(0, 3, 0);
  driver.set_descriptor(0, data, 2, kNext, 1);
  driver.set_descriptor(1, table, 16, kIndirect);
  driver.offer(0);
  auto queue = driver.device_side();
  ASSERT_EQ(queue.pop(chain), true);
  EXPECT_EQ(chain.reader().available(), 5u);
}

TEST_F(VirtqueueTest, writer_copies_what_a_span_shows_also_if_it_could_be_written) {
  // Regression: a span of non-const bytes was taken for a value, and the guest was given its pointer and length.
  driver.add({{data, 64, true}});
  auto queue = driver.device_side();
  ASSERT_EQ(queue.pop(chain), true);
  std::byte bytes[] = {std::byte{1}, std::byte{2}};
  Writer writer = chain.writer();
  EXPECT_EQ(writer.write(std::span<std::byte>(bytes)), 2u);
  EXPECT_EQ(writer.consumed(), 2u);
  EXPECT_EQ(guest.get_bytes(data, 2), "\x01\x02");
}

TEST_F(IndirectTest, write_flag_of_the_table_is_ignored) {
  entry(0, 3, 0);
  offer_table(16, kWrite);
  auto queue = driver.device_side();
  EXPECT_EQ(queue.pop(chain), true);
}

TEST_F(IndirectTest, not_negotiated_is_an_error) {
  driver.layout().indirect = false;
  entry(0, 3, 0);
  offer_table(16);
  EXPECT_EQ(violation(), Kind::IndirectNotNegotiated);
}

TEST_F(IndirectTest, table_in_a_table_is_an_error) {
  entry(0, 16, kIndirect);
  offer_table(16);
  EXPECT_EQ(violation(), Kind::IndirectNested);
}

TEST_F(IndirectTest, next_behind_a_table_is_an_error) {
  offer_table(16, kNext);
  EXPECT_EQ(violation(), Kind::IndirectWithNext);
}

TEST_F(IndirectTest, table_of_odd_length_is_an_error) {
  offer_table(24);
  EXPECT_EQ(violation(), Kind::IndirectBadLength);
}

TEST_F(IndirectTest, table_of_no_length_is_an_error) {
  offer_table(0);
  EXPECT_EQ(violation(), Kind::IndirectBadLength);
}

TEST_F(IndirectTest, table_beyond_memory_is_an_error) {
  driver.set_descriptor(0, FakeGuest::kBase + guest.memory()->size_bytes() - 16, 32, kIndirect);
  driver.offer(0);
  EXPECT_EQ(violation(), Kind::BadAddress);
}

TEST_F(IndirectTest, next_beyond_the_table_is_an_error) {
  entry(0, 1, kNext, 1);
  entry(1, 1, 0);
  offer_table(16);
  EXPECT_EQ(violation(), Kind::NextOutOfRange);
}

TEST_F(IndirectTest, loop_in_a_table_is_an_error) {
  entry(0, 1, kNext, 0);
  offer_table(16);
  EXPECT_EQ(violation(), Kind::ChainTooLong);
}

TEST_F(VirtqueueTest, publish_without_event_index_obeys_the_flag) {
  auto queue = driver.device_side();
  driver.add({{data, 1, true}});
  ASSERT_EQ(queue.pop(chain), true);
  driver.set_available_flags(abi::virtio::kAvailNoInterrupt);
  queue.push(chain.head(), 0);
  EXPECT_FALSE(queue.publish());
  EXPECT_TRUE(driver.collect());
}

TEST_F(VirtqueueTest, publish_with_event_index_interrupts_once_it_passes_the_event) {
  FakeQueue events(guest, 8, true);
  auto queue = events.device_side();
  events.set_used_event(1);  // "tell me when entry 1 is used"
  for (int i = 0; i < 3; ++i) events.add({{data, 1, true}});
  const auto use_one = [&] {
    EXPECT_EQ(queue.pop(chain), true);
    queue.push(chain.head(), 0);
    return queue.publish();
  };
  EXPECT_FALSE(use_one());
  EXPECT_TRUE(use_one());
  EXPECT_FALSE(use_one());
}

TEST_F(VirtqueueTest, enable_kicks_tells_of_what_came_meanwhile) {
  auto queue = driver.device_side();
  queue.disable_kicks();
  EXPECT_EQ(driver.used_flags(), abi::virtio::kUsedNoNotify);
  EXPECT_FALSE(queue.enable_kicks());
  EXPECT_EQ(driver.used_flags(), 0);
  driver.add({{data, 1, false}});
  EXPECT_TRUE(queue.enable_kicks());
}

TEST_F(VirtqueueTest, enable_kicks_with_event_index_names_the_next_entry) {
  FakeQueue events(guest, 8, true);
  auto queue = events.device_side();
  events.add({{data, 1, false}});
  ASSERT_EQ(queue.pop(chain), true);
  EXPECT_FALSE(queue.enable_kicks());
  EXPECT_EQ(events.avail_event(), 1);
}

TEST_F(VirtqueueTest, goes_on_where_another_stopped) {
  auto first = driver.device_side();
  driver.add({{data, 1, true}});
  driver.add({{data, 2, true}});
  ASSERT_EQ(first.pop(chain), true);
  first.push(chain.head(), 0);
  (void)first.publish();
  driver.layout().next_index = first.next_index();
  auto second = driver.device_side();
  ASSERT_EQ(second.pop(chain), true);
  EXPECT_EQ(chain.writer().available(), 2u);
  second.push(chain.head(), 9);
  (void)second.publish();
  EXPECT_EQ(driver.used_index(), 2);
}

TEST_F(VirtqueueTest, carried_over_requests_are_used_before_new_ones) {
  guest.put_bytes(data, "xyz");
  driver.add({{data, 1, false}});
  driver.add({{data + 1, 1, false}});
  driver.add({{data + 2, 1, false}});
  auto first = driver.device_side();
  ASSERT_EQ(first.pop(chain), true);
  ASSERT_EQ(first.pop(chain), true);
  const std::uint16_t head = chain.head();
  first.push(0, 0);
  (void)first.publish();
  driver.layout().next_index = first.next_index();
  auto second = driver.device_side();
  second.carry_over(1);
  ASSERT_TRUE(second.retake(head, chain));
  EXPECT_EQ(chain.reader().read<char>(), 'y');
  second.push(head, 0);
  (void)second.publish();
  EXPECT_EQ(driver.used_index(), 2);
  EXPECT_EQ(driver.collect()->id, 0u);
  EXPECT_EQ(driver.collect()->id, head);
  ASSERT_EQ(second.pop(chain), true);
  EXPECT_EQ(chain.reader().read<char>(), 'z');
}

TEST_F(VirtqueueTest, retake_checks_the_request_as_pop_does) {
  auto queue = driver.device_side();
  EXPECT_EQ(queue.retake(8, chain).error().kind, Kind::HeadOutOfRange);
  EXPECT_EQ(queue.retake(0, chain).error().kind, Kind::AlreadyBroken);
}

TEST_F(VirtqueueTest, create_refuses_bad_sizes_and_places) {
  const auto refused = [&](auto change) {
    QueueLayout layout = driver.layout();
    change(layout);
    return !Virtqueue::create(guest.memory(), layout).has_value();
  };
  EXPECT_FALSE(refused([](QueueLayout&) {}));
  EXPECT_TRUE(refused([](QueueLayout& l) { l.size = 0; }));
  EXPECT_TRUE(refused([](QueueLayout& l) { l.size = 6; }));
  EXPECT_TRUE(refused([](QueueLayout& l) { l.descriptors = *l.descriptors.plus(8); }));
  EXPECT_TRUE(refused([](QueueLayout& l) { l.available = *l.available.plus(1); }));
  EXPECT_TRUE(refused([](QueueLayout& l) { l.used = *l.used.plus(2); }));
  EXPECT_TRUE(refused([](QueueLayout& l) { l.used = Gpa(0); }));
  EXPECT_TRUE(refused([&](QueueLayout& l) { l.used = Gpa(FakeGuest::kBase + guest.memory()->size_bytes() - 64); }));
}

TEST_F(VirtqueueTest, move_to_memory_without_the_queue_breaks_it) {
  auto queue = driver.device_side();
  driver.add({{data, 1, false}});
  EXPECT_TRUE(queue.move_to(guest.memory()));
  EXPECT_FALSE(queue.move_to(std::make_shared<const GuestMemory>(std::move(*GuestMemory::create({})))));
  EXPECT_FALSE(queue.pop(chain).has_value());
}

TEST(slice_cursor, peek_io_stops_at_the_limit_and_at_full_ranges) {
  std::array<std::byte, 30> bytes{};
  const std::array slices{GuestSlice(bytes.data(), 10), GuestSlice(bytes.data() + 10, 10),
                          GuestSlice(bytes.data() + 20, 10)};
  Reader reader(slices);
  reader.skip(4);
  std::array<iovec, 8> ranges;
  ASSERT_EQ(reader.peek_io(ranges, 10), 2u);
  EXPECT_EQ(ranges[0].iov_len, 6u);
  EXPECT_EQ(ranges[1].iov_len, 4u);
  EXPECT_EQ(reader.peek_io(std::span(ranges).first(1), 26), 1u);
  EXPECT_EQ(reader.skip(100), 26u);
  EXPECT_EQ(reader.peek_io(ranges, 1), 0u);
  EXPECT_EQ(reader.read<std::uint8_t>(), std::nullopt);
}

}  // namespace
}  // namespace vmm::virtio
