// Who is trusted to sign models.
#pragma once

#include "guest/kernel/boot_config.hpp"
#include "guest/llm/package/verifier.hpp"

namespace guest {

/// Of the scenario. Refuses the boot where its key is none. Once, from a thread.
llm::package::Trust& start_models(const kernel::LlmConfig& config);

}  // namespace guest
