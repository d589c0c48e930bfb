// The address space of a user task, and what it holds: program, heap, stack.
//
//   0x0000'0000'0001'0000   the program, at its own addresses; behind it the heap, which brk() moves the end of
//   0x0000'7fff'ffed'0000   nothing: the guard below the stack (1 MiB)
//   0x0000'7fff'fffd'0000   the stack (128 KiB), all of it there from the start
//   0x0000'7fff'ffff'0000   nothing
//   0x0000'8000'0000'0000   end (arch::kUserEnd)
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/arch/model/user_table.hpp"
#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/kernel/page_allocator.hpp"
#include "guest/process/elf.hpp"

namespace guest::process {

inline constexpr std::uint64_t kUserBegin = 0x1'0000;
inline constexpr std::uint64_t kUserStackTop = arch::kUserEnd - 0x1'0000;
inline constexpr std::uint64_t kUserStackBytes = 128 * 1024;
inline constexpr std::uint64_t kUserStackBottom = kUserStackTop - kUserStackBytes;
/// As Linux's gap (256 pages): no function's locals reach beyond it unnoticed.
inline constexpr std::uint64_t kUserGuardBytes = 1024 * 1024;
/// Programs and heaps end here.
inline constexpr std::uint64_t kUserHeapEnd = kUserStackBottom - kUserGuardBytes;
/// The arguments with all that belongs to them lie in the stack's topmost page.
inline constexpr std::uint64_t kMaxArgumentBytes = arch::kPageBytes;

/// The identifiers of all address spaces. From any CPU and any context.
class AsidPool {
 public:
  static constexpr std::size_t kAsids = 255;  ///< 0 belongs to no address space

  constexpr AsidPool() = default;
  AsidPool(const AsidPool&) = delete;
  AsidPool& operator=(const AsidPool&) = delete;

  /// None: all are taken.
  [[nodiscard]] std::optional<arch::Asid> take();
  /// No CPU remembers anything of it any more.
  void give_back(arch::Asid asid);

 private:
  static constexpr unsigned kBits = 64;
  /// A bit is set while its identifier is taken; number 0 always is.
  std::atomic<std::uint64_t> words_[(kAsids + 1) / kBits] = {1, 0, 0, 0};
};

/// The pages of one task, counted: tables and what they map.
class TaskPages final : public arch::PageSource {
 public:
  TaskPages(kernel::PageAllocator& pages, std::uint64_t limit) : pages_(pages), limit_(limit) {}

  std::uint64_t allocate() override;
  void free(std::uint64_t pa) override;
  [[nodiscard]] void* pointer(std::uint64_t pa) const override { return pages_.map().pointer(kernel::PhysAddr{pa}); }

  /// From any thread; the others are the owner's.
  [[nodiscard]] std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t limit() const { return limit_; }

 private:
  kernel::PageAllocator& pages_;
  std::uint64_t limit_;
  std::atomic<std::uint64_t> used_{0};
};

/// What address spaces share; outlives them.
struct UserSpaceParts {
  kernel::PageAllocator& pages;
  AsidPool& asids;
  arch::TranslationMaintenance& maintenance;
};

/// One caller at a time, from any CPU, not from interrupt handlers.
class UserSpace {
 public:
  /// An empty space of at most `max_pages` pages, tables included.
  UserSpace(const UserSpaceParts& parts, std::uint64_t max_pages)
      : parts_(parts), pages_(parts.pages, max_pages), table_(pages_) {}
  /// Gives everything back. No CPU uses the address space any more.
  ~UserSpace();
  UserSpace(const UserSpace&) = delete;
  UserSpace& operator=(const UserSpace&) = delete;

  /// Loads the program and puts `arguments` on its stack, as Linux does: argc, argv, no environment, no auxiliary
  /// vector. Once. After an error the space is good for nothing but to be destroyed. Errors, besides those of
  /// read_elf():
  ///   task-too-many              all address space identifiers are taken
  ///   task-no-memory             no more pages, or more than the task may have
  ///   task-arguments-too-long    they do not fit into a page
  kernel::Outcome load(std::span<const std::byte> file, std::span<const std::string_view> arguments);

  /// Where a loaded program starts, and its stack pointer then.
  [[nodiscard]] std::uint64_t entry() const { return entry_; }
  [[nodiscard]] std::uint64_t stack_pointer() const { return stack_pointer_; }
  /// For TTBR0_EL1, of a loaded program.
  [[nodiscard]] std::uint64_t root_pa() const { return table_.root_pa(); }
  [[nodiscard]] arch::Asid asid() const { return asid_; }

  /// Linux's brk(): moves the end of the heap to `wanted`, if that is possible, and returns where it is then. New
  /// memory is zero.
  std::uint64_t brk(std::uint64_t wanted);

  [[nodiscard]] const TaskPages& pages() const { return pages_; }
  [[nodiscard]] arch::Translation find(std::uint64_t va) const { return table_.find(va); }
  /// What lies at an address, for reports: "its stack", "the guard below its stack". Static storage.
  [[nodiscard]] std::string_view describe(std::uint64_t va) const;

 private:
  struct Range {
    std::uint64_t begin;
    std::uint64_t end;
    arch::Access access;
  };

  bool map_new(std::uint64_t va, arch::Access access, std::byte*& page);
  bool load_segment(const ElfSegment& segment);
  bool map_stack(std::byte*& last_page);
  kernel::Outcome push_arguments(std::byte* last_page, std::span<const std::string_view> arguments);
  void unmap(std::uint64_t begin, std::uint64_t end);

  UserSpaceParts parts_;
  TaskPages pages_;
  arch::UserTable table_;
  arch::Asid asid_{};
  kernel::BoundedArray<Range, ElfImage::kMaxSegments> segments_;
  std::uint64_t entry_ = 0;
  std::uint64_t stack_pointer_ = 0;
  std::uint64_t heap_begin_ = 0;
  std::uint64_t heap_end_ = 0;
};

}  // namespace guest::process
