// The process's limit of open files.
#pragma once

namespace vmm {

/// Raises the limit to 8192 if it is lower: each connection of a vsock device is a descriptor, and many systems start a
/// process with 1024. Enough for every connection and client that the device allows, and for the rest of the monitor;
/// what the system grants, if that is less (accepting then pauses while there are none).
void raise_descriptor_limit();

}  // namespace vmm
