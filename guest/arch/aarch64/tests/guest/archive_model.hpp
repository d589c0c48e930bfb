// How test images come to a language model: the first one of the boot archive.
#pragma once

#include <algorithm>
#include <expected>
#include <memory>
#include <utility>

#include "guest/arch/mmu.hpp"
#include "guest/kernel/archive.hpp"
#include "guest/kernel/machine_info.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/ml/memory.hpp"
#include "guest/npu/npu.hpp"

namespace guest {

/// The value, or the end of the machine with the reason.
template <typename T>
T take(std::expected<T, kernel::NamedError> value) {
  if (!value) {
    kernel::panic_at(kernel::here(), "{}: {}", value.error().name, value.error().detail.view());
  }
  return std::move(*value);
}
inline void take(const kernel::Outcome& outcome) {
  if (!outcome) {
    kernel::panic_at(kernel::here(), "{}: {}", outcome.error().name, outcome.error().detail.view());
  }
}

/// The first model of the machine's archive, in memory of its own, as the NPU wants it. Panics if there is none.
inline std::unique_ptr<ml::Memory> load_model(const kernel::MachineInfo& machine) {
  static constinit kernel::Archive archive;
  take(archive.open({arch::direct(machine.initrd.begin()), machine.initrd.size}));
  const auto file = std::ranges::find_if(archive.files(),
                                         [](const kernel::ArchiveFile& each) { return each.name.ends_with(".gguf"); });
  kernel::require(file != archive.files().end(), "there is no model in the archive");
  auto memory = take(ml::Memory::make(file->data.size()));
  std::ranges::copy(file->data, memory->bytes().begin());
  take(memory->enlist(npu::npu(), ml::Memory::kConstant));
  return memory;
}

}  // namespace guest
