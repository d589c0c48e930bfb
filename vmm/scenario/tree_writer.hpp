// Writes flattened device trees.
#pragma once

#include <libfdt.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vmm::scenario {

/// libfdt's sequential writer, which keeps the first error: the calls after it do nothing.
class TreeWriter {
 public:
  explicit TreeWriter(std::vector<std::byte>& buffer) : tree_(buffer.data()) {
    step(fdt_create(tree_, static_cast<int>(buffer.size())));
    step(error_ == 0 ? fdt_finish_reservemap(tree_) : 0);
  }

  void begin(const char* name) { step(error_ == 0 ? fdt_begin_node(tree_, name) : 0); }
  void end() { step(error_ == 0 ? fdt_end_node(tree_) : 0); }
  void text(const char* name, const std::string& value) {
    bytes(name, std::as_bytes(std::span(value.c_str(), value.size() + 1)));
  }
  void u64(const char* name, std::uint64_t value) { step(error_ == 0 ? fdt_property_u64(tree_, name, value) : 0); }
  void u32(const char* name, std::uint32_t value) { step(error_ == 0 ? fdt_property_u32(tree_, name, value) : 0); }
  /// Several u32.
  void cells(const char* name, const std::vector<unsigned>& values) {
    std::vector<fdt32_t> cells(values.size());
    std::ranges::transform(values, cells.begin(), [](unsigned value) { return cpu_to_fdt32(value); });
    bytes(name, std::as_bytes(std::span(cells)));
  }
  void ns(const char* name, std::chrono::nanoseconds value) { u64(name, static_cast<std::uint64_t>(value.count())); }
  void bytes(const char* name, std::span<const std::byte> value) {
    step(error_ == 0 ? fdt_property(tree_, name, value.data(), static_cast<int>(value.size())) : 0);
  }

  /// Completes the tree. 0, or libfdt's error.
  int finish() {
    step(error_ == 0 ? fdt_finish(tree_) : 0);
    return error_;
  }

 private:
  void step(int result) {
    if (error_ == 0) error_ = result;
  }

  void* tree_;
  int error_ = 0;
};

}  // namespace vmm::scenario
