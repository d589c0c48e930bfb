#include "guest/graph/tensor.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

#include "arena_fixture.hpp"
#include "guest/kernel/host_cpu.hpp"

namespace guest::graph {
namespace {

using kernel::Status;

Shape shape(std::initializer_list<std::uint32_t> dims) { return shape_of({dims.begin(), dims.size()}); }

TEST(DType, names_and_sizes_belong_together) {
  for (std::uint8_t i = 0; i < kDTypes; ++i) {
    const DType dtype{i};
    EXPECT_EQ(find_dtype(to_string(dtype)), dtype);
    EXPECT_EQ(std::to_string(8 * size_of(dtype)), to_string(dtype).substr(1));
  }
  EXPECT_EQ(size_of(DType{kDTypes}), 0U);
  EXPECT_EQ(to_string(DType{kDTypes}), "?");
  EXPECT_EQ(find_dtype("F32"), std::nullopt);
}

TEST(TensorSize, is_the_product_of_the_dimensions_and_the_size_of_an_element) {
  EXPECT_EQ(bytes_of(DType::F32, shape({})), 4U);
  EXPECT_EQ(bytes_of(DType::F16, shape({3, 5, 7, 11})), 2310U);
  EXPECT_EQ(bytes_of(DType::U64, shape({5, 0, 7})), 0U);
  EXPECT_EQ(bytes_of(DType::U8, shape({0xFFFF'FFFF, 0xFFFF'FFFF})), 0xFFFF'FFFE'0000'0001U);
}

TEST(TensorSize, that_does_not_fit_64_bits_is_an_error) {
  EXPECT_EQ(bytes_of(DType::U16, shape({0xFFFF'FFFF, 0xFFFF'FFFF})).error(), Status::OutOfRange);
  EXPECT_EQ(bytes_of(DType::U8, shape({0x8000'0000, 0x8000'0000, 4})).error(), Status::OutOfRange);
  // 2^64: a check of the result alone would take it for 0.
  EXPECT_EQ(bytes_of(DType::U8, shape({0x1'0000, 0x1'0000, 0x1'0000, 0x1'0000})).error(), Status::OutOfRange);
  EXPECT_EQ(bytes_of(DType::F64, shape({0x8000'0000, 0x4000'0000})).error(), Status::OutOfRange);
  EXPECT_EQ(bytes_of(DType::U8, shape({0xFFFF'FFFF, 0xFFFF'FFFF, 0xFFFF'FFFF, 0})), 0U);
}

TEST(TensorSize, of_what_is_no_type_or_no_shape_is_an_error) {
  EXPECT_EQ(bytes_of(DType{kDTypes}, shape({1})).error(), Status::Invalid);
  EXPECT_EQ(bytes_of(DType::U8, Shape{.rank = 5, .dims = {1, 1, 1, 1}}).error(), Status::Invalid);
}

TEST(TensorArena, a_tensor_has_what_was_asked_for) {
  ArenaFixture with(4, 4096);
  const TensorInfo info{.dtype = DType::F32,
                        .shape = shape({2, 3}),
                        .schema = 2000,
                        .origin = 17,
                        .sequence = 5,
                        .timestamp_ns = 123'456};
  auto tensor = with.arena.allocate(info);
  ASSERT_TRUE(tensor);
  EXPECT_TRUE(tensor->unique());
  EXPECT_NE(tensor->handle(), TensorHandle::None);
  EXPECT_EQ(tensor->info().dtype, DType::F32);
  EXPECT_EQ(tensor->info().shape, info.shape);
  EXPECT_EQ(tensor->info().schema, 2000U);
  EXPECT_EQ(tensor->info().origin, 17U);
  EXPECT_EQ(tensor->info().sequence, 5U);
  EXPECT_EQ(tensor->info().timestamp_ns, 123'456U);
  EXPECT_EQ(tensor->data().size(), 24U);
}

TEST(TensorArena, data_are_aligned_and_do_not_overlap_wherever_the_memory_begins) {
  for (const std::size_t offset : {0U, 1U, 63U}) {
    std::vector<std::byte> memory(TensorArena::memory_for(8, 8 * 128) + 64);
    TensorArena arena;
    ASSERT_EQ(arena.start(std::span(memory).subspan(offset), 8), Status::Ok);
    std::vector<TensorRef> tensors;
    for (std::uint8_t i = 0; i < 8; ++i) {
      auto tensor = arena.allocate({.shape = shape({65U + i})});
      ASSERT_TRUE(tensor);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor->data().data()) % TensorArena::kDataAlignment, 0U);
      std::ranges::fill(tensor->writable(), std::byte{i});
      tensors.push_back(std::move(*tensor));
    }
    for (std::uint8_t i = 0; i < 8; ++i) {
      EXPECT_EQ(std::ranges::count(tensors[i].data(), std::byte{i}), 65 + i);
    }
  }
}

TEST(TensorArena, start_refuses_what_is_no_arena) {
  std::vector<std::byte> memory(1 << 20);
  TensorArena arena;
  EXPECT_EQ(arena.start(memory, 0), Status::Invalid);
  EXPECT_EQ(arena.start(memory, TensorArena::kMaxTensors + 1), Status::Invalid);
  EXPECT_EQ(arena.start(memory, TensorArena::kMaxTensors), Status::NoMemory);
  EXPECT_EQ(arena.start({}, 1), Status::NoMemory);
  EXPECT_EQ(TensorArena::memory_for(0, 64), 0U);
  EXPECT_EQ(TensorArena::memory_for(TensorArena::kMaxTensors + 1, 64), 0U);
  EXPECT_EQ(TensorArena::memory_for(1, ~std::uint64_t{0}), 0U);
  EXPECT_EQ(arena.start(memory, 16), Status::Ok);
  EXPECT_DEATH((void)arena.start(memory, 16), "started twice");
}

TEST(TensorArena, of_the_smallest_memory_has_one_piece_of_data) {
  std::vector<std::byte> memory(TensorArena::memory_for(1, 1));
  TensorArena arena;
  ASSERT_EQ(arena.start(memory, 1), Status::Ok);
  EXPECT_GE(arena.statistics().memory_bytes, 64U);
  EXPECT_TRUE(arena.allocate({.shape = shape({64})}));
}

TEST(TensorArena, that_has_no_descriptor_or_no_memory_left_says_so_and_goes_on) {
  ArenaFixture with(2, 1024);
  TensorRef first = with.bytes(512);
  EXPECT_EQ(with.arena.allocate({.shape = shape({1024})}).error(), Status::NoMemory);
  EXPECT_EQ(with.arena.allocate({.shape = shape({0xFFFF'FFFF, 0xFFFF'FFFF})}).error(), Status::NoMemory);
  EXPECT_EQ(with.arena.allocate({.dtype = DType::U64, .shape = shape({0xFFFF'FFFF, 0xFFFF'FFFF})}).error(),
            Status::OutOfRange);
  TensorRef second = with.bytes(1);
  EXPECT_EQ(with.arena.allocate({}).error(), Status::NoMemory);
  const TensorStatistics statistics = with.arena.statistics();
  EXPECT_EQ(statistics.refused_no_memory, 2U);
  EXPECT_EQ(statistics.refused_no_descriptor, 1U);
  first.reset();
  EXPECT_TRUE(with.arena.allocate({.shape = shape({512})}));
}

TEST(TensorArena, memory_of_small_tensors_that_are_gone_serves_a_large_one) {
  ArenaFixture with(8, 1024);
  for (int round = 0; round < 3; ++round) {
    {
      std::vector<TensorRef> small;
      for (int i = 0; i < 8; ++i) {
        small.push_back(with.bytes(128));
      }
      EXPECT_EQ(with.arena.statistics().used_bytes, 1024U);
    }
    EXPECT_EQ(with.arena.statistics().used_bytes, 0U);
    const TensorRef large = with.bytes(1024);
    EXPECT_EQ(with.arena.statistics().used_bytes, 1024U);
  }
  EXPECT_EQ(with.arena.statistics().refused_no_memory, 0U);
}

TEST(TensorArena, counts_what_lives_what_it_takes_and_the_most_of_both) {
  ArenaFixture with(8, 4096);
  {
    const TensorRef one = with.bytes(1);
    const TensorRef two = with.bytes(65);
    const TensorRef none = with.bytes(0);
    EXPECT_TRUE(none.data().empty());
    const TensorStatistics statistics = with.arena.statistics();
    EXPECT_EQ(statistics.capacity, 8U);
    EXPECT_EQ(statistics.live, 3U);
    EXPECT_EQ(statistics.used_bytes, 3 * 64U);
  }
  const TensorStatistics statistics = with.arena.statistics();
  EXPECT_EQ(statistics.live, 0U);
  EXPECT_EQ(statistics.peak_live, 3U);
  EXPECT_EQ(statistics.allocated, 3U);
  EXPECT_EQ(statistics.used_bytes, 0U);
  EXPECT_EQ(statistics.peak_used_bytes, 3 * 64U);
  EXPECT_EQ(statistics.bytes_copied, 0U);
}

TEST(TensorRef, the_last_owner_frees) {
  ArenaFixture with(2, 1024);
  TensorRef one = with.bytes(8);
  TensorRef two = one.share();
  EXPECT_EQ(one.handle(), two.handle());
  EXPECT_EQ(one.data().data(), two.data().data());
  EXPECT_FALSE(one.unique());
  one.reset();
  EXPECT_FALSE(one);
  EXPECT_TRUE(two.unique());
  EXPECT_EQ(with.arena.statistics().live, 1U);
  two = TensorRef();
  EXPECT_EQ(with.arena.statistics().live, 0U);
}

TEST(TensorRef, moving_moves_the_reference) {
  ArenaFixture with(2, 1024);
  TensorRef one = with.bytes(8);
  const TensorHandle handle = one.handle();
  TensorRef two = std::move(one);
  EXPECT_FALSE(one);  // NOLINT(bugprone-use-after-move): what is left of it is the question
  EXPECT_EQ(two.handle(), handle);
  TensorRef other = with.bytes(8);
  other = std::move(two);
  EXPECT_EQ(other.handle(), handle);
  EXPECT_EQ(with.arena.statistics().live, 1U);
  TensorRef& itself = other;
  other = std::move(itself);
  EXPECT_TRUE(other.unique());
}

TEST(TensorRef, what_is_shared_is_not_written_and_what_is_none_not_used) {
  ArenaFixture with(2, 1024);
  TensorRef one = with.bytes(8);
  const TensorRef two = one.share();
  EXPECT_DEATH((void)one.writable(), "several owners");
  EXPECT_DEATH(one.stamp(0, 0, 0, 0), "several owners");
  EXPECT_DEATH((void)one.reshape(DType::U8, shape({1})), "several owners");
  TensorRef none;
  EXPECT_DEATH((void)none.info(), "no tensor");
  EXPECT_DEATH((void)none.data(), "no tensor");
  EXPECT_DEATH((void)none.share(), "gone");
}

TEST(TensorRef, stamp_and_reshape_change_a_tensor_in_place) {
  ArenaFixture with(2, 1024);
  TensorRef tensor = with.bytes(100);
  const std::byte* const data = tensor.data().data();
  tensor.stamp(1001, 4, 99, 5);
  EXPECT_EQ(tensor.reshape(DType::F32, shape({5, 5})), Status::Ok);
  EXPECT_EQ(tensor.info().schema, 1001U);
  EXPECT_EQ(tensor.info().origin, 4U);
  EXPECT_EQ(tensor.info().sequence, 99U);
  EXPECT_EQ(tensor.info().timestamp_ns, 5U);
  EXPECT_EQ(tensor.data().data(), data);
  EXPECT_EQ(tensor.data().size(), 100U);
  EXPECT_EQ(tensor.reshape(DType::U8, shape({128})), Status::Ok) << "what the piece has room for";
  EXPECT_EQ(tensor.reshape(DType::U8, shape({129})), Status::OutOfRange);
  EXPECT_EQ(tensor.reshape(DType{99}, shape({1})), Status::Invalid);
  EXPECT_EQ(tensor.info().shape, shape({128}));
  EXPECT_EQ(with.arena.statistics().bytes_copied, 0U);
}

TEST(TensorHandles, of_a_tensor_that_is_gone_are_stale_and_counted) {
  ArenaFixture with(1, 1024);
  TensorRef one = with.bytes(8);
  const TensorHandle old = one.handle();
  one.reset();
  EXPECT_FALSE(with.arena.share(old));
  EXPECT_FALSE(with.arena.adopt(old));
  const TensorRef next = with.bytes(8);  // the only descriptor, again
  EXPECT_NE(next.handle(), old);
  EXPECT_FALSE(with.arena.share(old));
  EXPECT_TRUE(with.arena.share(next.handle()));
  EXPECT_FALSE(with.arena.share(TensorHandle::None));
  EXPECT_FALSE(with.arena.share(TensorHandle{0xFFFF'FFFF}));
  EXPECT_EQ(with.arena.statistics().stale_handles, 5U);
  EXPECT_TRUE(next.unique());
}

TEST(TensorHandles, generations_of_a_descriptor_go_around_without_one_that_is_none) {
  ArenaFixture with(1, 64);
  std::set<TensorHandle> handles;
  for (int i = 0; i < 65'535; ++i) {
    handles.insert(with.bytes(1).handle());
  }
  EXPECT_EQ(handles.size(), 65'535U);
  EXPECT_FALSE(handles.contains(TensorHandle::None));
  EXPECT_TRUE(handles.contains(with.bytes(1).handle()));
}

TEST(TensorHandles, that_are_detached_are_owned_by_who_adopts_them) {
  ArenaFixture with(1, 64);
  const TensorHandle handle = with.bytes(1).detach();
  EXPECT_EQ(with.arena.statistics().live, 1U);
  {
    const auto owner = with.arena.adopt(handle);
    ASSERT_TRUE(owner);
    EXPECT_TRUE(owner->unique());
  }
  EXPECT_EQ(with.arena.statistics().live, 0U);
}

TEST(TensorHandles, a_release_too_many_panics) {
  ArenaFixture with(1, 64);
  const TensorHandle handle = with.bytes(1).detach();
  with.arena.adopt_held(handle).reset();
  EXPECT_DEATH(with.arena.adopt_held(handle).reset(), "gone");
}

TEST(TensorCopies, are_counted) {
  ArenaFixture with(4, 4096);
  TensorRef from = with.bytes(100, 7);
  std::ranges::fill(from.writable(), std::byte{42});
  const auto copy = with.arena.clone(from);
  ASSERT_TRUE(copy);
  EXPECT_NE(copy->data().data(), from.data().data());
  EXPECT_TRUE(std::ranges::equal(copy->data(), from.data()));
  EXPECT_EQ(copy->info().sequence, 7U);
  EXPECT_EQ(with.arena.statistics().bytes_copied, 100U);
  const std::byte bytes[] = {std::byte{1}, std::byte{2}};
  EXPECT_EQ(with.arena.write(from, 98, bytes), Status::Ok);
  EXPECT_EQ(from.data()[99], std::byte{2});
  EXPECT_EQ(with.arena.write(from, 99, bytes), Status::OutOfRange);
  EXPECT_EQ(with.arena.write(from, ~std::uint64_t{0}, bytes), Status::OutOfRange);
  EXPECT_EQ(with.arena.write(from, 100, {}), Status::Ok);
  EXPECT_EQ(with.arena.statistics().bytes_copied, 102U);
}

/// Four CPUs allocate, share, pass on and free; each tensor says whose it is, so a piece with two owners is seen.
TEST(TensorArena, many_cpus_at_a_time_get_tensors_of_their_own) {
  constexpr std::uint32_t kCpus = 4;
  ArenaFixture with(32, 32 * 64);
  std::atomic<std::uint32_t> wrong{0};
  std::vector<std::thread> threads;
  for (std::uint32_t cpu = 0; cpu < kCpus; ++cpu) {
    threads.emplace_back([&, cpu] {
      const kernel::HostCpu identity(cpu);
      std::vector<TensorRef> mine;
      for (std::uint32_t i = 0; i < 5'000; ++i) {
        if (i % 7 < 4) {
          auto tensor = with.arena.allocate({.shape = shape({48}), .origin = cpu, .sequence = i});
          if (tensor) {
            std::ranges::fill(tensor->writable(), static_cast<std::byte>(cpu));
            mine.push_back(tensor->share());
          }
        } else if (!mine.empty()) {
          const TensorRef& last = mine.back();
          wrong += last.unique() && last.info().origin == cpu &&
                           std::ranges::count(last.data(), static_cast<std::byte>(cpu)) == 48
                       ? 0
                       : 1;
          mine.pop_back();
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0U);
  EXPECT_EQ(with.arena.statistics().live, 0U);
  EXPECT_EQ(with.arena.statistics().used_bytes, 0U);
}

/// One owner lets go while another one asks for a reference by the handle: it gets the tensor or is told that it is
/// gone, and nothing is freed twice or lives on.
TEST(TensorArena, a_handle_is_never_shared_after_the_last_owner_let_go) {
  ArenaFixture with(2, 128);
  std::atomic<std::uint32_t> handle{0};
  std::atomic<bool> done{false};
  std::atomic<std::uint32_t> wrong{0};
  std::thread sharer([&] {
    const kernel::HostCpu identity(1);
    while (!done) {
      const TensorHandle seen{handle.load()};
      if (const auto tensor = with.arena.share(seen)) {
        wrong += tensor->handle() == seen && tensor->info().origin == 3 ? 0 : 1;
      }
    }
  });
  for (int i = 0; i < 10'000; ++i) {
    if (auto tensor = with.arena.allocate({.shape = shape({8}), .origin = 3})) {
      handle = static_cast<std::uint32_t>(tensor->handle());
    }
  }
  done = true;
  sharer.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_EQ(with.arena.statistics().live, 0U);
}

}  // namespace
}  // namespace guest::graph
