// The machine's device tree: any bytes. What is accepted keeps the promises of MachineInfo.
#include <cstdint>
#include <cstdlib>

#include "aligned_copy.hpp"
#include "guest/kernel/machine_info.hpp"

namespace {
void promise(bool kept) {
  if (!kept) {
    std::abort();
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace guest::kernel;
  static MachineInfo info;
  const AlignedCopy copy(data, size);
  const Outcome outcome = read_machine_info(copy.span(), info);
  if (!outcome) {
    promise(!outcome.error().name.empty() && !outcome.error().detail.view().empty());
    return 0;
  }
  promise(info.gic.version == 2 || info.gic.version == 3);
  promise(info.virtual_timer.has_value() && !info.cpus.empty() && !info.memory.empty());
  for (std::size_t i = 0; i < info.memory.size(); ++i) {
    promise(info.memory[i].size != 0 && info.memory[i].end() <= (std::uint64_t{1} << 52));
    promise(i == 0 || info.memory[i - 1].end() <= info.memory[i].begin());
  }
  for (std::size_t i = 0; i < info.virtio.size(); ++i) {
    promise(i == 0 || info.virtio[i - 1].registers.end() <= info.virtio[i].registers.begin());
    promise(static_cast<std::uint32_t>(info.virtio[i].interrupt.id) < Interrupts::kMaxIds);
  }
  bool inside = info.initrd.size == 0;
  for (const PhysRange& range : info.memory) {
    inside = inside || range.contains(info.initrd);
  }
  promise(inside);
  return 0;
}
