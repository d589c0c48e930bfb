#include "vmm/machine/snapshot/sparse_file.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace vmm::snapshot {
namespace {

/// What is left out of a file if it is zero, and what holes consist of.
constexpr std::size_t kBlockBytes = 4096;
using Block = std::array<std::byte, kBlockBytes>;

bool is_zero(const Block& block) {
  return block[0] == std::byte{0} && std::memcmp(block.data(), block.data() + 1, block.size() - 1) == 0;
}

struct Range {
  std::size_t begin;
  std::size_t end;
};

/// The next part of the file, from `from` on, that is not a hole; of a file without holes the rest. Empty at the end.
Result<Range> next_data(const UniqueFd& file, std::size_t from, std::size_t size) {
  if (from == size) return Range{size, size};
  const off_t begin = ::lseek(file.get(), static_cast<off_t>(from), SEEK_DATA);
  if (begin < 0 && errno == ENXIO) return Range{size, size};
  const off_t end = begin < 0 ? -1 : ::lseek(file.get(), begin, SEEK_HOLE);
  if (end < 0) return fail_errno("cannot find the holes of the file");
  // Whole blocks: guest memory has no others.
  const auto first = static_cast<std::size_t>(begin) / kBlockBytes * kBlockBytes;
  const auto last = (static_cast<std::size_t>(end) + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  return Range{first, std::min(last, size)};
}

/// pread or pwrite of all of `part`, whose place in the file is `offset`.
template <typename Io>
Result<> move_all(Io io, const char* what, GuestSlice part, std::size_t offset) {
  for (std::size_t done = 0; done < part.size();) {
    const iovec rest = part.part(done).io();
    const ssize_t moved = io(rest, static_cast<off_t>(offset + done));
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0) return fail_errno(what);
    if (moved == 0) return fail(std::string(what) + ": the file has become shorter");
    done += static_cast<std::size_t>(moved);
  }
  return {};
}

Result<> write_part(const UniqueFd& to, GuestSlice memory, Range part) {
  const auto write = [&](iovec from, off_t offset) { return ::pwrite(to.get(), from.iov_base, from.iov_len, offset); };
  Block block;
  std::size_t begin = part.begin;  // of what is to be written in one go
  for (std::size_t at = part.begin; at < part.end; at += kBlockBytes) {
    memory.part(at, kBlockBytes).copy_out(block);
    if (!is_zero(block)) continue;
    if (auto done = move_all(write, "cannot write", memory.part(begin, at - begin), begin); !done) return done;
    begin = at + kBlockBytes;
  }
  return move_all(write, "cannot write", memory.part(begin, part.end - std::min(begin, part.end)), begin);
}

}  // namespace

Result<> write_sparse(GuestSlice memory, const UniqueFd& backing, const UniqueFd& to) {
  const std::string what = "cannot write the guest's memory";
  if (::ftruncate(to.get(), static_cast<off_t>(memory.size())) != 0) return fail_errno(what);
  for (std::size_t at = 0; at < memory.size();) {
    auto part = backing.valid() ? next_data(backing, at, memory.size()) : Result<Range>(Range{at, memory.size()});
    auto done = part ? write_part(to, memory, *part) : Result<>(std::unexpected(part.error()));
    if (!done) return std::unexpected(std::move(done.error()).because_of(what));
    at = part->end;
  }
  return {};
}

Result<> read_sparse(const UniqueFd& file, GuestSlice memory) {
  const auto read = [&](iovec to, off_t offset) { return ::pread(file.get(), to.iov_base, to.iov_len, offset); };
  for (std::size_t at = 0; at < memory.size();) {
    const auto part = next_data(file, at, memory.size());
    if (!part) return std::unexpected(part.error());
    if (auto done = move_all(read, "cannot read", memory.part(part->begin, part->end - part->begin), part->begin);
        !done) {
      return done;
    }
    at = part->end;
  }
  return {};
}

}  // namespace vmm::snapshot
