#include "boot_models.hpp"

#include "boot_error.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/llm/package/hex.hpp"

namespace guest {
namespace {

namespace package = llm::package;

constinit package::Trust trust;

}  // namespace

package::Trust& start_models(const kernel::LlmConfig& config) {
  if (config.public_key && !package::is_valid_key(*config.public_key)) {
    kernel::FixedText<64> digits;
    package::write_hex(digits, *config.public_key);
    refuse_boot(kernel::fail("llm-bad-key", "{} is no public key of Ed25519", digits.view()).error());
  }
  trust.policy = {.key = config.public_key, .allow_unsigned = config.allow_unsigned};
  for (const kernel::ModelConfig& model : config.models) {
    static_assert(package::Revisions::kMaxIds >= abi::boot_config::kMaxModels);
    if (model.min_revision != 0) {
      kernel::require(trust.revisions.accept(model.name.view(), model.min_revision), "no room for a model's revision");
    }
  }
  return trust;
}

}  // namespace guest
