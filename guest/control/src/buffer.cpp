#include "guest/control/buffer.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace guest::control {

bool Buffer::reserve(std::size_t count) {
  if (count <= capacity_ - end_) {
    return true;
  }
  const std::size_t used = size();
  if (count <= capacity_ - used && start_ >= capacity_ / 2) {
    // Half of the memory lies unused in front: moving costs less than it freed.
    std::memmove(memory_.get(), memory_.get() + start_, used);
  } else {
    std::size_t capacity = std::max<std::size_t>(capacity_, 512);
    while (capacity - used < count) {
      capacity *= 2;
    }
    std::unique_ptr<std::byte[]> larger(new (std::nothrow) std::byte[capacity]);
    if (larger == nullptr) {
      return false;
    }
    if (used > 0) {
      std::memcpy(larger.get(), memory_.get() + start_, used);
    }
    memory_ = std::move(larger);
    capacity_ = capacity;
  }
  start_ = 0;
  end_ = used;
  return true;
}

bool Buffer::append(std::span<const std::byte> data) {
  if (!reserve(data.size())) {
    return false;
  }
  if (!data.empty()) {
    std::memcpy(memory_.get() + end_, data.data(), data.size());
    end_ += data.size();
  }
  return true;
}

void Buffer::consume(std::size_t count) {
  start_ += std::min(count, size());
  if (start_ == end_) {
    start_ = end_ = 0;
  }
}

void Buffer::clear() {
  memory_.reset();
  capacity_ = start_ = end_ = 0;
}

}  // namespace guest::control
