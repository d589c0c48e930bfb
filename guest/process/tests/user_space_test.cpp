#include "guest/process/user_space.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "elf_builder.hpp"
#include "guest/kernel/testing/arena.hpp"

namespace guest::process {
namespace {

using arch::Access;
using arch::kPageBytes;
using testing::ElfFile;

constexpr std::uint64_t kHeapBegin = 0x41'5000;  // behind ElfFile's data
/// Pages of a loaded ElfFile: segments, stack, and tables: the root, three for the program, three for the stack.
constexpr std::uint64_t kLoadedPages = 5 + kUserStackBytes / kPageBytes + 7;

/// Notes what the CPUs are told, and that nothing is given away before.
class FakeMaintenance final : public arch::TranslationMaintenance {
 public:
  void publish() override { ++published; }
  void write_back_code(std::span<const std::byte> written) override { written_back += written.size(); }
  void publish_code() override {
    ++code_published;
    written_back_before = written_back;
  }
  void forget_page(arch::Asid asid, std::uint64_t va) override { forgotten_pages.emplace_back(raw(asid), va); }
  void forget(arch::Asid asid) override {
    forgotten.push_back(raw(asid));
    pages_at_forget = pages->statistics().used_pages;
  }
  unsigned published = 0;
  unsigned code_published = 0;
  std::uint64_t written_back = 0;
  std::uint64_t written_back_before = 0;  ///< publish_code()
  std::vector<std::pair<std::uint64_t, std::uint64_t>> forgotten_pages;
  std::vector<std::uint64_t> forgotten;
  std::uint64_t pages_at_forget = 0;
  const kernel::PageAllocator* pages = nullptr;
};

class UserSpaceTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kBase = 0x4000'0000;
  static constexpr std::uint64_t kLimit = 100;

  void SetUp() override {
    const kernel::PhysRange memory[] = {arena.range()};
    // RAM is never zero by itself.
    std::memset(arena.map().pointer(kernel::PhysAddr{kBase}), 0xa5, 4 * 1024 * 1024);
    ASSERT_EQ(pages.add_memory(memory, {}), kernel::Status::Ok);
    maintenance.pages = &pages;
  }
  [[nodiscard]] std::uint64_t used() const { return pages.statistics().used_pages; }
  std::unique_ptr<UserSpace> make(std::uint64_t limit = kLimit) {
    return std::make_unique<UserSpace>(UserSpaceParts{pages, asids, maintenance}, limit);
  }
  std::unique_ptr<UserSpace> loaded(std::uint64_t limit = kLimit,
                                    const std::vector<std::string_view>& arguments = {"name"}) {
    auto space = make(limit);
    const kernel::Outcome outcome = space->load(bytes, arguments);
    EXPECT_TRUE(outcome) << outcome.error().name << ": " << outcome.error().detail.view();
    return space;
  }
  std::string load_error(UserSpace& space, const std::vector<std::string_view>& arguments = {"name"}) {
    const kernel::Outcome outcome = space.load(bytes, arguments);
    return outcome ? "ok" : std::string(outcome.error().name);
  }
  /// `count` bytes of the task at `va`, page by page.
  std::vector<std::byte> read(const UserSpace& space, std::uint64_t va, std::size_t count) {
    std::vector<std::byte> out;
    for (std::size_t i = 0; i < count; ++i) {
      const arch::Translation at = space.find(va + i);
      EXPECT_TRUE(at.valid) << std::hex << va + i;
      out.push_back(at.valid ? *arena.map().pointer<std::byte>(kernel::PhysAddr{at.pa}) : std::byte{});
    }
    return out;
  }
  std::uint64_t word(const UserSpace& space, std::uint64_t va) {
    std::uint64_t out = 0;
    std::memcpy(&out, read(space, va, sizeof(out)).data(), sizeof(out));
    return out;
  }

  kernel::testing::Arena arena{kBase, 4 * 1024 * 1024};
  kernel::PageAllocator pages{arena.map()};
  AsidPool asids;
  FakeMaintenance maintenance;
  std::vector<std::byte> bytes = ElfFile().bytes();
};

TEST_F(UserSpaceTest, segments_hold_the_file_and_zeros_behind_it) {
  const auto space = loaded();
  EXPECT_EQ(read(*space, 0x40'0000, 0x1000), std::vector(bytes.begin(), bytes.begin() + 0x1000));
  EXPECT_EQ(read(*space, 0x41'1ff8, 16), std::vector(bytes.begin() + 0x1ff8, bytes.end()));
  EXPECT_EQ(read(*space, 0x41'1000, 0xff8), std::vector<std::byte>(0xff8));
  EXPECT_EQ(read(*space, 0x41'2008, 0x2ff8), std::vector<std::byte>(0x2ff8));
  EXPECT_EQ(space->entry(), 0x40'0100U);
}

TEST_F(UserSpaceTest, pages_have_the_access_of_their_segment) {
  const auto space = loaded();
  EXPECT_EQ(space->find(0x40'0000).attributes, arch::user_memory(Access::ReadExecute));
  EXPECT_EQ(space->find(0x41'4000).attributes, arch::user_memory(Access::ReadWrite));
  EXPECT_EQ(space->find(kUserStackBottom).attributes, arch::user_memory(Access::ReadWrite));
  EXPECT_EQ(space->find(kUserStackTop - 1).attributes, arch::user_memory(Access::ReadWrite));
  for (const std::uint64_t va : {std::uint64_t{0}, std::uint64_t{0x40'1000}, std::uint64_t{0x41'0000}, kHeapBegin,
                                 kUserHeapEnd, kUserStackBottom - 1, kUserStackTop}) {
    EXPECT_FALSE(space->find(va).valid) << std::hex << va;
  }
}

TEST_F(UserSpaceTest, cpus_are_told_of_the_program_before_it_starts) {
  const auto space = loaded();
  EXPECT_EQ(maintenance.published, 1U);
  EXPECT_EQ(maintenance.code_published, 1U);
  EXPECT_EQ(maintenance.written_back_before, kPageBytes);
  EXPECT_NE(raw(space->asid()), 0U);
  EXPECT_NE(space->root_pa(), 0U);
}

TEST_F(UserSpaceTest, stack_is_as_linux_makes_it) {
  const auto space = loaded(kLimit, {"hello", "", "third argument"});
  const std::uint64_t sp = space->stack_pointer();
  EXPECT_EQ(sp % 16, 0U);
  EXPECT_EQ(word(*space, sp), 3U);
  const std::string_view expected[] = {"hello", "", "third argument"};
  for (std::uint64_t i = 0; i < 3; ++i) {
    const std::vector<std::byte> text = read(*space, word(*space, sp + 8 + 8 * i), expected[i].size() + 1);
    EXPECT_STREQ(reinterpret_cast<const char*>(text.data()), expected[i].data());
  }
  for (std::uint64_t i = 4; i < 8; ++i) {  // argv[argc], the end of envp, AT_NULL and its value
    EXPECT_EQ(word(*space, sp + 8 * i), 0U) << i;
  }
}

TEST_F(UserSpaceTest, program_without_arguments_has_argc_0) {
  const auto space = loaded(kLimit, {});
  EXPECT_EQ(word(*space, space->stack_pointer()), 0U);
  EXPECT_EQ(word(*space, space->stack_pointer() + 8), 0U);
}

TEST_F(UserSpaceTest, arguments_fill_at_most_a_page) {
  // One argument: 6 words, 16 for the alignment, and the end of the string.
  const std::string fits(kMaxArgumentBytes - 6 * 8 - 16 - 1, 'x');
  const auto space = loaded(kLimit, {fits});
  EXPECT_GE(space->stack_pointer(), kUserStackTop - kMaxArgumentBytes);
  EXPECT_EQ(word(*space, space->stack_pointer()), 1U);
  EXPECT_EQ(load_error(*make(), {fits + "y"}), "task-arguments-too-long");
  EXPECT_EQ(load_error(*make(), std::vector<std::string_view>(5000)), "task-arguments-too-long");
  EXPECT_EQ(load_error(*make(), {std::string(100'000, 'x')}), "task-arguments-too-long");
}

TEST_F(UserSpaceTest, every_page_comes_back_after_the_cpus_forgot) {
  auto space = loaded();
  EXPECT_EQ(used(), kLoadedPages);
  EXPECT_EQ(space->pages().used(), kLoadedPages);
  space->brk(kHeapBegin + 5 * kPageBytes);
  const std::uint64_t asid = raw(space->asid());
  space.reset();
  EXPECT_EQ(used(), 0U);
  EXPECT_EQ(maintenance.forgotten, std::vector{asid});
  EXPECT_EQ(maintenance.pages_at_forget, kLoadedPages + 5);
  EXPECT_EQ(raw(*asids.take()), asid);
}

// Each page that loading takes is the one that is missing once.
TEST_F(UserSpaceTest, running_into_the_limit_while_loading_loses_nothing) {
  for (std::uint64_t limit = 0; limit < kLoadedPages; ++limit) {
    auto space = make(limit);
    EXPECT_EQ(load_error(*space), limit < 5 ? "elf-too-large" : "task-no-memory") << limit;
    space.reset();
    EXPECT_EQ(used(), 0U) << limit;
  }
  EXPECT_EQ(load_error(*make(kLoadedPages)), "ok");
}

TEST_F(UserSpaceTest, running_out_of_memory_while_loading_loses_nothing) {
  std::vector<kernel::PhysAddr> taken;
  while (const auto page = pages.allocate(0)) {
    taken.push_back(*page);
  }
  const std::uint64_t all = used();
  for (std::uint64_t free = 0; free < kLoadedPages; ++free) {
    EXPECT_EQ(load_error(*make()), "task-no-memory") << free;
    EXPECT_EQ(used(), all - free);
    pages.free(taken[free]);
  }
  EXPECT_EQ(load_error(*make()), "ok");
}

TEST_F(UserSpaceTest, bad_program_is_refused_with_the_readers_error) {
  bytes[0] = std::byte{0};
  EXPECT_EQ(load_error(*make()), "elf-bad-magic");
  EXPECT_EQ(used(), 0U);
}

TEST_F(UserSpaceTest, program_may_not_lie_where_stack_and_guard_are) {
  ElfFile file;
  file.programs[1].align = 1;
  file.programs[1].vaddr = kUserHeapEnd - 0x2fff;
  bytes = file.bytes();
  EXPECT_EQ(load_error(*make()), "elf-out-of-range");
}

TEST_F(UserSpaceTest, no_more_than_255_spaces_have_an_identifier) {
  std::set<std::uint64_t> seen;
  while (const auto asid = asids.take()) {
    seen.insert(raw(*asid));
  }
  EXPECT_EQ(seen.size(), 255U);
  EXPECT_FALSE(seen.contains(0));
  EXPECT_EQ(load_error(*make()), "task-too-many");
  EXPECT_EQ(used(), 0U);
  asids.give_back(arch::Asid{200});
  EXPECT_EQ(raw(loaded()->asid()), 200U);
}

TEST_F(UserSpaceTest, heap_starts_empty_behind_the_program) {
  const auto space = loaded();
  EXPECT_EQ(space->brk(0), kHeapBegin);
  EXPECT_EQ(space->brk(kHeapBegin - 1), kHeapBegin);
  EXPECT_EQ(used(), kLoadedPages);
}

TEST_F(UserSpaceTest, heap_grows_by_pages_of_zeros_and_shrinks) {
  const auto space = loaded();
  EXPECT_EQ(space->brk(kHeapBegin + 1), kHeapBegin + 1);
  EXPECT_EQ(used(), kLoadedPages + 1);
  EXPECT_EQ(read(*space, kHeapBegin, kPageBytes), std::vector<std::byte>(kPageBytes));
  EXPECT_EQ(space->brk(kHeapBegin + 3 * kPageBytes), kHeapBegin + 3 * kPageBytes);
  EXPECT_EQ(used(), kLoadedPages + 3);
  EXPECT_EQ(maintenance.published, 3U);
  EXPECT_FALSE(space->find(kHeapBegin + 3 * kPageBytes).valid);
  EXPECT_EQ(space->brk(kHeapBegin + kPageBytes + 1), kHeapBegin + kPageBytes + 1);
  EXPECT_TRUE(space->find(kHeapBegin + kPageBytes).valid);
  EXPECT_FALSE(space->find(kHeapBegin + 2 * kPageBytes).valid);
  const std::pair forgotten{raw(space->asid()), kHeapBegin + 2 * kPageBytes};
  EXPECT_EQ(maintenance.forgotten_pages, std::vector{forgotten});
  EXPECT_EQ(used(), kLoadedPages + 2);
}

TEST_F(UserSpaceTest, heap_beyond_the_limit_is_refused_and_stays_as_it_was) {
  const auto space = loaded();
  const std::uint64_t most = kHeapBegin + (kLimit - kLoadedPages) * kPageBytes;
  EXPECT_EQ(space->brk(most + 1), kHeapBegin);
  EXPECT_EQ(space->brk(~std::uint64_t{0}), kHeapBegin);
  EXPECT_EQ(space->brk(0xffff'0000'0000'0000), kHeapBegin);
  EXPECT_EQ(space->brk(kUserHeapEnd), kHeapBegin);
  EXPECT_EQ(used(), kLoadedPages);
  EXPECT_EQ(space->brk(most), most);
  EXPECT_EQ(space->brk(most + 1), most);
  EXPECT_EQ(used(), kLimit);
}

// 2 MiB further on a new table is needed: the pages that were enough without it are not.
TEST_F(UserSpaceTest, heap_that_fails_half_way_gives_back_what_it_took) {
  constexpr std::uint64_t kToNextTable = (0x60'0000 - kHeapBegin) / kPageBytes;
  const auto space = loaded(kLoadedPages + kToNextTable + 1);
  EXPECT_EQ(space->brk(0x60'0000 + kPageBytes), kHeapBegin);
  EXPECT_EQ(used(), kLoadedPages);
  EXPECT_EQ(maintenance.forgotten_pages.size(), kToNextTable);
  EXPECT_EQ(space->brk(0x60'0000), 0x60'0000U);
}

TEST_F(UserSpaceTest, addresses_are_described) {
  const auto space = loaded();
  space->brk(kHeapBegin + 1);
  const std::pair<std::uint64_t, std::string_view> expected[] = {
      {0, "below any program, as a null pointer is"},
      {kUserBegin - 1, "below any program, as a null pointer is"},
      {kUserBegin, "no memory of its"},
      {0x40'0fff, "its code"},
      {0x40'1000, "no memory of its"},
      {0x41'1000, "its data"},
      {kHeapBegin + kPageBytes - 1, "its heap"},
      {kHeapBegin + kPageBytes, "no memory of its"},
      {kUserHeapEnd - 1, "no memory of its"},
      {kUserHeapEnd, "the guard below its stack"},
      {kUserStackBottom - 1, "the guard below its stack"},
      {kUserStackBottom, "its stack"},
      {kUserStackTop, "no memory of its"},
      {arch::kUserEnd, "not a user's"},
      {~std::uint64_t{0}, "not a user's"},
  };
  for (const auto& [address, text] : expected) {
    EXPECT_EQ(space->describe(address), text) << std::hex << address;
  }
}

using UserSpaceDeath = UserSpaceTest;

TEST_F(UserSpaceDeath, second_load_and_foreign_identifier_are_the_kernels_faults) {
  const auto space = loaded();
  EXPECT_DEATH(static_cast<void>(load_error(*space)), "loaded twice");
  EXPECT_DEATH(asids.give_back(arch::Asid{77}), "that nobody had");
  EXPECT_DEATH(asids.give_back(arch::Asid{0}), "that nobody had");
}

}  // namespace
}  // namespace guest::process
