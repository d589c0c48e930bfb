#include "llm_type.hpp"

#include <sodium/crypto_core_ed25519.h>
#include <sodium/utils.h>

#include <array>

#include "abi/boot_config.hpp"
#include "items.hpp"
#include "section.hpp"

namespace vmm::scenario {
namespace {

namespace names = abi::boot_config;

constexpr std::int64_t kMostRevision = 0xffff'ffff;

void check_llm(Problems& problems, const std::string& key, const Node& node, const Llm& llm) {
  if (!llm.public_key.empty() && !llm.public_key_file.empty()) {
    problems.add(place(node, "public_key_file"), key + ".public_key_file", "a key beside public_key", "one of the two");
  }
  if (!llm.public_key.empty()) {
    if (const std::string problem = public_key_problem(llm.public_key); !problem.empty()) {
      problems.add(place(node, "public_key"), key + ".public_key", problem, "a public key of Ed25519");
    }
  }
  if (!llm.models.empty() && llm.public_key.empty() && llm.public_key_file.empty() && !llm.allow_unsigned) {
    problems.add(node.at, key, "models, and nobody who may sign them",
                 "public_key, public_key_file, or allow_unsigned: true");
  }
}

TypePtr<Model> model_type() {
  return section<Model>({
      option("file", &Model::file, path(),
             "NAME.gguf, relative to the scenario's file, NAME being the id of the model. Its manifest NAME.sig lies "
             "beside "
             "it.",
             Presence::Required),
      option("min_revision", &Model::min_revision, maybe(integer<unsigned>(1, kMostRevision)),
             "Older revisions of the model are refused, whoever has signed them. Without it: any is accepted."),
  });
}

}  // namespace

std::string public_key_problem(const std::string& digits) {
  std::array<unsigned char, names::kPublicKeyBytes> key{};
  std::size_t size = 0;
  const char* end = nullptr;
  const bool is_hex = sodium_hex2bin(key.data(), key.size(), digits.data(), digits.size(), nullptr, &size, &end) == 0 &&
                      end == digits.data() + digits.size() && size == key.size();
  if (!is_hex) return std::to_string(digits.size()) + " bytes that are no 64 hexadecimal digits";
  return crypto_core_ed25519_is_valid_point(key.data()) == 1 ? "" : digits + ", which is none";
}

TypePtr<Llm> llm_type() {
  return section<Llm>(
      {
          option("public_key", &Llm::public_key,
                 text({.max_bytes = 2 * names::kPublicKeyBytes,
                       .pattern = "[0-9a-f]{64}",
                       .words = "a public key of Ed25519 as 64 hexadecimal digits in lower case"}),
                 "Of who signs models: sis-model keygen makes one. Without a key nobody is trusted."),
          option("public_key_file", &Llm::public_key_file, path(),
                 "A file with such a key instead, relative to the scenario's file."),
          option("allow_unsigned", &Llm::allow_unsigned, boolean(),
                 "Models without a signature are accepted, and without a public key those that anybody has signed."),
          option("models", &Llm::models, list(model_type(), 0, names::kMaxModels),
                 "Models that are put into the boot archive."),
      },
      check_llm);
}

}  // namespace vmm::scenario
