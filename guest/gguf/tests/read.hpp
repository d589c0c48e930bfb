// Opening files in tests.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "guest/gguf/file.hpp"

namespace guest::gguf::testing {

/// A file in an allocation of exactly its bytes, so that AddressSanitizer sees the first byte beyond it.
class Memory {
 public:
  explicit Memory(const std::string& bytes) : bytes_(new std::byte[bytes.size()]), size_(bytes.size()) {
    std::memcpy(bytes_.get(), bytes.data(), size_);
  }
  [[nodiscard]] std::span<const std::byte> span() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_;
};

inline std::string describe(const kernel::NamedError& error) {
  return std::string(error.name) + ": " + std::string(error.detail.view());
}

/// What opening the file says; "opened" where it does.
inline std::string open_error(const std::string& bytes) {
  const Memory memory(bytes);
  const auto file = File::open(memory.span());
  return file ? "opened" : describe(file.error());
}

}  // namespace guest::gguf::testing
