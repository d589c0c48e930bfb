// SHA-256 and Ed25519 in the guest: the published vectors, by the code that checks packages. An image of its own, run
// by tests/guest/test_packages.py.
#include <array>

#include "abi/console.hpp"
#include "boot_console.hpp"
#include "boot_interrupts.hpp"
#include "boot_memory.hpp"
#include "checks.hpp"
#include "guest/arch/clock.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/kernel/machine_info.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/llm/package/hex.hpp"
#include "guest/llm/package/vectors/vectors.hpp"
#include "guest/llm/package/verifier.hpp"

namespace guest {
namespace {

namespace package = llm::package;
namespace vectors = llm::package::vectors;

constinit kernel::MachineInfo machine;

unsigned digests_are_those_of_fips_180_4() {
  for (const vectors::DigestVector& vector : vectors::kDigestVectors) {
    package::FileHash hash;
    for (unsigned i = 0; i < vector.times; ++i) {
      hash.add(std::as_bytes(std::span(vector.text)));
    }
    package::Digest wanted;
    EXPECT(package::read_hex(vector.digest, wanted));
    EXPECT(hash.finish() == wanted);
  }
  return 0;
}

/// Accepted as they are, refused with one bit of the message, the signature or the key changed.
unsigned signatures_are_those_of_rfc_8032() {
  for (const vectors::SignatureVector& vector : vectors::kSignatureVectors) {
    static std::array<std::uint8_t, vectors::kMaxMessageBytes> memory;
    const auto message = std::span(memory).first(vector.message.size() / 2);
    package::PublicKey key;
    package::Signature signature;
    EXPECT(package::read_hex(vector.key, key) && package::read_hex(vector.message, message) &&
           package::read_hex(vector.signature, signature));
    const auto accepted = [&] { return package::is_signed_by(key, std::as_bytes(message), signature); };
    EXPECT(package::is_valid_key(key) && accepted());
    if (!message.empty()) {
      message.back() ^= 1;
      EXPECT(!accepted());
      message.back() ^= 1;
    }
    signature[0] ^= 1;
    EXPECT(!accepted());
    signature[0] ^= 1;
    key[0] ^= 1;
    EXPECT(!accepted());
  }
  return 0;
}

constexpr NamedCheck kChecks[] = {
    {"digests_are_those_of_fips_180_4", digests_are_those_of_fips_180_4},
    {"signatures_are_those_of_rfc_8032", signatures_are_those_of_rfc_8032},
};

/// In instructions under -icount shift=0.
void measure() {
  static std::array<std::byte, 65'536> block;
  package::FileHash hash;
  const std::uint64_t start = arch::clock_now_ns();
  hash.add(block);
  const std::uint64_t middle = arch::clock_now_ns();
  package::PublicKey key;
  package::Signature signature;
  const vectors::SignatureVector& vector = vectors::kSignatureVectors[0];
  kernel::require(package::read_hex(vector.key, key) && package::read_hex(vector.signature, signature), "no vector");
  const std::uint64_t before = arch::clock_now_ns();
  kernel::require(package::is_signed_by(key, {}, signature), "a good signature is refused");
  kernel::log().metric("sha256_64k_ns", middle - start);
  kernel::log().metric("ed25519_check_ns", arch::clock_now_ns() - before);
}

}  // namespace

extern "C" [[noreturn]] void kernel_main() {
  kernel::require(arch::init_clock(0), "the clock does not run");
  kernel::require(kernel::read_machine_info(arch::dtb(), machine).has_value(), "the device tree is not readable");
  kernel::require(start_console(machine.console) != nullptr, "no console");
  start_memory(machine);
  start_interrupts(machine);
  const unsigned failures = run_checks(kChecks);
  measure();
  arch::exit_machine(abi::console::kKindShutdown, failures);
}

}  // namespace guest
