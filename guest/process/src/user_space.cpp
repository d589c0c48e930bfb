#include "guest/process/user_space.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "guest/kernel/panic.hpp"

namespace guest::process {
namespace {

using arch::Access;
using arch::kPageBytes;
using kernel::fail;
using kernel::Outcome;

constexpr std::uint64_t round_up(std::uint64_t value) { return (value + kPageBytes - 1) / kPageBytes * kPageBytes; }

static_assert(kUserHeapEnd % kPageBytes == 0 && kUserStackBottom % kPageBytes == 0 && kUserStackTop % kPageBytes == 0);

Outcome no_memory(const TaskPages& pages, std::string_view what) {
  return fail("task-no-memory", "{}: no more than {} of the {} pages that the task may have", what, pages.used(),
              pages.limit());
}

}  // namespace

std::optional<arch::Asid> AsidPool::take() {
  for (std::size_t i = 0; i < std::size(words_); ++i) {
    std::uint64_t taken = words_[i].load(std::memory_order_relaxed);
    while (~taken != 0) {
      const auto bit = static_cast<unsigned>(std::countr_one(taken));
      // Acquire pairs with the release in give_back(): what the last owner did with it is over.
      if (words_[i].compare_exchange_weak(taken, taken | std::uint64_t{1} << bit, std::memory_order_acquire,
                                          std::memory_order_relaxed)) {
        return arch::Asid{static_cast<std::uint8_t>(i * kBits + bit)};
      }
    }
  }
  return std::nullopt;
}

void AsidPool::give_back(arch::Asid asid) {
  const std::uint64_t bit = std::uint64_t{1} << (raw(asid) % kBits);
  const std::uint64_t before = words_[raw(asid) / kBits].fetch_and(~bit, std::memory_order_release);
  kernel::require(raw(asid) != 0 && (before & bit) != 0, "an address space identifier that nobody had is given back");
}

std::uint64_t TaskPages::allocate() {
  if (used() == limit_) {
    return 0;
  }
  const auto page = pages_.allocate(0);
  if (!page) {
    return 0;
  }
  used_.store(used() + 1, std::memory_order_relaxed);
  std::memset(pages_.map().pointer(*page), 0, kPageBytes);
  return kernel::raw(*page);
}

void TaskPages::free(std::uint64_t pa) {
  pages_.free(kernel::PhysAddr{pa});
  used_.store(used() - 1, std::memory_order_relaxed);
}

UserSpace::~UserSpace() {
  if (raw(asid_) != 0) {
    // Before the pages go to someone else, and before the identifier does.
    parts_.maintenance.forget(asid_);
    table_.clear();
    parts_.asids.give_back(asid_);
  }
}

/// A page of zeros at `va`; `page` is where the kernel reaches it. False: no memory, nothing changed.
bool UserSpace::map_new(std::uint64_t va, Access access, std::byte*& page) {
  const std::uint64_t pa = pages_.allocate();
  if (pa == 0) {
    return false;
  }
  if (const arch::MapStatus status = table_.map(va, pa, access); status != arch::MapStatus::Ok) {
    pages_.free(pa);
    kernel::require(status == arch::MapStatus::OutOfTables, "a page of a user task is where another one is");
    return false;
  }
  page = static_cast<std::byte*>(pages_.pointer(pa));
  return true;
}

bool UserSpace::load_segment(const ElfSegment& segment) {
  for (std::uint64_t va = segment.first_page(); va < segment.end_page(); va += kPageBytes) {
    std::byte* page = nullptr;
    if (!map_new(va, segment.access, page)) {
      return false;
    }
    // The part of the file's bytes that falls into this page.
    const std::uint64_t from = std::max(va, segment.address);
    const std::uint64_t to = std::min(va + kPageBytes, segment.address + segment.file.size());
    if (from < to) {
      std::memcpy(page + (from - va), segment.file.data() + (from - segment.address), to - from);
    }
    if (segment.access == Access::ReadExecute) {
      parts_.maintenance.write_back_code({page, kPageBytes});  // its zeros as well: an old line could be code
    }
  }
  return true;
}

bool UserSpace::map_stack(std::byte*& last_page) {
  for (std::uint64_t va = kUserStackBottom; va < kUserStackTop; va += kPageBytes) {
    if (!map_new(va, Access::ReadWrite, last_page)) {
      return false;
    }
  }
  return true;
}

/// Linux, fs/binfmt_elf.c, create_elf_tables(): from the stack pointer up argc, argv[], 0, envp[], 0, auxv[], then the
/// strings. Each of envp and auxv is empty here; an entry of auxv is two words.
Outcome UserSpace::push_arguments(std::byte* last_page, std::span<const std::string_view> arguments) {
  std::uint64_t string_bytes = 0;
  for (const std::string_view argument : arguments) {
    // Each is bounded before it is added, and a span has fewer elements than the bytes that they take.
    string_bytes += std::min<std::uint64_t>(argument.size(), kMaxArgumentBytes) + 1;
  }
  const std::uint64_t word_bytes = (1 + arguments.size() + 1 + 1 + 2) * sizeof(std::uint64_t);
  constexpr std::uint64_t kStackAlignment = 16;  // AAPCS64, "The Stack"
  if (arguments.size() > kMaxArgumentBytes || string_bytes > kMaxArgumentBytes ||
      word_bytes + string_bytes + kStackAlignment > kMaxArgumentBytes) {
    return fail("task-arguments-too-long", "{} arguments take {} bytes and {} for pointers, {} are the limit",
                arguments.size(), string_bytes, word_bytes + kStackAlignment, kMaxArgumentBytes);
  }
  std::uint64_t string_at = kUserStackTop - string_bytes;
  stack_pointer_ = (string_at - word_bytes) / kStackAlignment * kStackAlignment;
  const auto in_page = [last_page](std::uint64_t va) { return last_page + (va - (kUserStackTop - kPageBytes)); };
  std::uint64_t word_at = stack_pointer_;
  const auto put_word = [&](std::uint64_t word) {
    std::memcpy(in_page(word_at), &word, sizeof(word));
    word_at += sizeof(word);
  };
  put_word(arguments.size());
  for (const std::string_view argument : arguments) {
    put_word(string_at);
    std::memcpy(in_page(string_at), argument.data(), argument.size());
    string_at += argument.size() + 1;  // the page was zero: the string ends
  }
  return {};  // and so do the three vectors
}

Outcome UserSpace::load(std::span<const std::byte> file, std::span<const std::string_view> arguments) {
  kernel::require(raw(asid_) == 0, "an address space is loaded twice");
  ElfImage image;
  const ElfBounds bounds{.begin = kUserBegin, .end = kUserHeapEnd, .max_bytes = pages_.limit() * kPageBytes};
  if (Outcome outcome = read_elf(file, bounds, image); !outcome) {
    return outcome;
  }
  const auto asid = parts_.asids.take();
  if (!asid) {
    return fail("task-too-many", "all {} address space identifiers are taken", AsidPool::kAsids);
  }
  asid_ = *asid;
  for (const ElfSegment& segment : image.segments) {
    if (!load_segment(segment)) {
      return no_memory(pages_, "the program");
    }
    static_cast<void>(segments_.push_back({segment.first_page(), segment.end_page(), segment.access}));
  }
  std::byte* last_page = nullptr;
  if (!map_stack(last_page)) {
    return no_memory(pages_, "its stack");
  }
  if (Outcome outcome = push_arguments(last_page, arguments); !outcome) {
    return outcome;
  }
  heap_begin_ = image.segments[image.segments.size() - 1].end_page();
  heap_end_ = heap_begin_;
  entry_ = image.entry;
  parts_.maintenance.publish();
  parts_.maintenance.publish_code();
  return {};
}

void UserSpace::unmap(std::uint64_t begin, std::uint64_t end) {
  for (std::uint64_t va = begin; va < end; va += kPageBytes) {
    if (const std::uint64_t pa = table_.unmap(va); pa != 0) {
      parts_.maintenance.forget_page(asid_, va);
      pages_.free(pa);
    }
  }
}

std::uint64_t UserSpace::brk(std::uint64_t wanted) {
  if (wanted < heap_begin_ || wanted > kUserHeapEnd) {
    return heap_end_;
  }
  const std::uint64_t old_end = round_up(heap_end_);
  const std::uint64_t new_end = round_up(wanted);
  // Before the first page is cleared: a task that asks for far too much is not to keep the kernel busy.
  if (new_end > old_end && (new_end - old_end) / kPageBytes > pages_.limit() - pages_.used()) {
    return heap_end_;
  }
  for (std::uint64_t va = old_end; va < new_end; va += kPageBytes) {
    std::byte* page = nullptr;
    if (!map_new(va, Access::ReadWrite, page)) {
      unmap(old_end, va);  // a CPU may have looked at them already, on its own account
      return heap_end_;
    }
  }
  if (new_end > old_end) {
    parts_.maintenance.publish();
  }
  unmap(new_end, old_end);
  heap_end_ = wanted;
  return heap_end_;
}

std::string_view UserSpace::describe(std::uint64_t va) const {
  if (va < kUserBegin) {
    return "below any program, as a null pointer is";
  }
  if (va >= arch::kUserEnd) {
    return "not a user's";
  }
  for (const Range& range : segments_) {
    if (va >= range.begin && va < range.end) {
      return range.access == Access::ReadExecute ? "its code"
             : range.access == Access::ReadWrite ? "its data"
                                                 : "its constants";
    }
  }
  if (va >= heap_begin_ && va < round_up(heap_end_)) {
    return "its heap";
  }
  if (va >= kUserStackBottom && va < kUserStackTop) {
    return "its stack";
  }
  return va >= kUserHeapEnd && va < kUserStackBottom ? "the guard below its stack" : "no memory of its";
}

}  // namespace guest::process
