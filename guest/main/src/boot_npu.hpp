// What runs the NPU's jobs.
#pragma once

namespace guest {

/// The CPU does, until a device is found. Before the first graph is built; once.
void start_npu();

}  // namespace guest
