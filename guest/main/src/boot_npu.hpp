// What runs the NPU's jobs.
#pragma once

#include "boot_virtio.hpp"

namespace guest {

/// The first NPU among `devices`, or the CPU where there is none or it does not start, which the log says. Before the
/// first graph is built, after the work thread; once.
void start_npu(const VirtioDevices& devices);

}  // namespace guest
