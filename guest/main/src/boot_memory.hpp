// Direct map, pages, heap.
#pragma once

#include "guest/kernel/machine_info.hpp"

namespace guest {

/// Maps all RAM, gives what is free of it to the page allocator, makes the heap and tests it. Refuses the boot where
/// the machine's memory cannot be used.
void start_memory(const kernel::MachineInfo& info);

}  // namespace guest
