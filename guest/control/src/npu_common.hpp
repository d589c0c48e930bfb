// What several commands of the NPU need.
#pragma once

#include <optional>
#include <string_view>

#include "abi/npu.hpp"
#include "guest/control/command.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/npu/job.hpp"

namespace guest::control {

/// What the NPU or a network said, as the answer to a command: "npu-refused: ...".
std::unexpected<Refusal> refuse_npu(const kernel::NamedError& error);

/// Of a job that did not end well: `what` it was, and how it ended.
std::unexpected<Refusal> refuse_job(std::string_view what, const npu::JobEnd& end);

/// As the commands `npu power` and `npu reset` have left it; nobody else changes it.
abi::npu::Power npu_power();

/// One of the kernel's models by its name, which is valid for ever.
std::string_view model_name(std::string_view wanted);

/// Name of the server with this id, while there is one. In the loop.
std::optional<std::string_view> server_name(std::uint32_t id);

}  // namespace guest::control
