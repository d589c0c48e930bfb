// Manifests: what is written is read, in one way only.
#include "guest/llm/package/manifest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/llm/package/testing/package.hpp"

namespace guest::llm::package {
namespace {

using ::testing::AnyOf;
using testing::bytes_of;
using testing::manifest_of;
using testing::signed_text;
using ::testing::StartsWith;

std::string parse_error(const std::string& text) {
  // In an allocation of exactly its bytes, for AddressSanitizer.
  const std::vector<char> exact(text.begin(), text.end());
  const auto parsed = parse_manifest(std::as_bytes(std::span(exact)));
  return parsed ? "parsed" : testing::describe(std::unexpected(parsed.error()));
}

TEST(Manifest, is_written_as_the_page_says) {
  Manifest manifest = manifest_of("abc");
  manifest.key.fill(0xAB);
  testing::StringText text;
  write_signed_lines(text, manifest);
  Signature signature;
  signature.fill(0x0C);
  write_signature_line(text, signature);
  std::string twos;
  for (int i = 0; i < 64; ++i) {
    twos += "0c";
  }
  EXPECT_EQ(text.text(),
            "sis-model-package 1\nid: tiny\nname: A model of five tokens\nrevision: 3\ncontext: 16\nvocabulary: 5\n"
            "quantisation: Q8_0\nsize: 3\nwcet-cycles: 1200000\n"
            "sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"
            "key: abababababababababababababababababababababababababababababababab\nsignature: " +
                twos + "\n");
}

TEST(Manifest, of_largest_values_is_read_as_it_was_written) {
  Manifest manifest;
  manifest.id.write("A" + std::string(kMaxIdBytes - 1, '-'));
  manifest.name.write(std::string(kMaxNameBytes, '~'));
  manifest.revision = kMaxRevision;
  manifest.context = kMaxContext;
  manifest.vocabulary = kMaxVocabulary;
  manifest.quantisation = gguf::Type::Q4_0;
  manifest.size = kMaxModelBytes;
  manifest.wcet_cycles = kMaxWcetCycles;
  manifest.sha256.fill(0xFE);
  manifest.key = testing::kOurs.key;
  const std::string text = signed_text(manifest);
  EXPECT_LE(text.size(), kMaxManifestBytes);
  const auto parsed = parse_manifest(bytes_of(text));
  ASSERT_TRUE(parsed) << parse_error(text);
  const Manifest& read = parsed->manifest;
  EXPECT_EQ(signed_text(read), text);
  EXPECT_EQ(read.id.view(), manifest.id.view());
  EXPECT_EQ(read.wcet_cycles, kMaxWcetCycles);
  EXPECT_EQ(parsed->signed_bytes.size(), text.find("signature: "));
}

TEST(Manifest, that_ends_early_is_truncated) {
  const std::string text = signed_text(manifest_of("abc"));
  for (std::size_t bytes = 0; bytes < text.size(); ++bytes) {
    EXPECT_THAT(parse_error(text.substr(0, bytes)), StartsWith("package-truncated: ")) << bytes;
  }
}

TEST(Manifest, with_any_byte_changed_is_refused_or_is_written_so) {
  const std::string text = signed_text(manifest_of("abc"));
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (const char mask : {'\x01', '\x04', '\x20', '\x80'}) {
      std::string other = text;
      other[at] = static_cast<char>(other[at] ^ mask);
      const auto parsed = parse_manifest(bytes_of(other));
      if (!parsed) {
        EXPECT_THAT(parse_error(other), StartsWith("package-")) << at;
        continue;
      }
      testing::StringText again;
      write_signed_lines(again, parsed->manifest);
      write_signature_line(again, parsed->signature);
      EXPECT_EQ(again.text(), other) << at;
    }
  }
}

}  // namespace
}  // namespace guest::llm::package
