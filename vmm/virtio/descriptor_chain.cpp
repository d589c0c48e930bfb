#include "vmm/virtio/descriptor_chain.hpp"

#include <algorithm>

namespace vmm::virtio {

SliceCursor::SliceCursor(std::span<const GuestSlice> slices) : slices_(slices) {
  for (const GuestSlice& slice : slices_) available_ += slice.size();
}

GuestSlice SliceCursor::current() const { return slices_.empty() ? GuestSlice() : slices_.front().part(offset_); }

std::size_t SliceCursor::skip(std::size_t bytes) {
  bytes = std::min(bytes, available_);
  offset_ += bytes;
  while (!slices_.empty() && offset_ >= slices_.front().size()) {
    offset_ -= slices_.front().size();
    slices_ = slices_.subspan(1);
  }
  available_ -= bytes;
  consumed_ += bytes;
  return bytes;
}

std::size_t SliceCursor::peek_io(std::span<iovec> out, std::size_t max_bytes) const {
  std::size_t used = 0;
  std::size_t offset = offset_;
  for (const GuestSlice& slice : slices_) {
    if (used == out.size() || max_bytes == 0) break;
    const GuestSlice part = slice.part(offset, max_bytes);
    offset = 0;
    if (part.size() == 0) continue;
    out[used++] = part.io();
    max_bytes -= part.size();
  }
  return used;
}

std::size_t Reader::read(std::span<std::byte> to) {
  const std::size_t before = consumed();
  while (!to.empty() && available() != 0) {
    const std::size_t count = current().copy_out(to);
    skip(count);
    to = to.subspan(count);
  }
  return consumed() - before;
}

std::size_t Writer::write(std::span<const std::byte> from) {
  const std::size_t before = consumed();
  while (!from.empty() && available() != 0) {
    const std::size_t count = current().copy_in(from);
    skip(count);
    from = from.subspan(count);
  }
  return consumed() - before;
}

}  // namespace vmm::virtio
