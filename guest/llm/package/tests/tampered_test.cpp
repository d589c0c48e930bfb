// Ways of tampering with a package, each refused with its reason.
#include <gtest/gtest.h>

#include <functional>
#include <ostream>

#include "guest/llm/package/testing/package.hpp"

namespace guest::llm::package {
namespace {

using testing::bytes_of;
using testing::kOthers;
using testing::kOurs;
using testing::signed_text;
using testing::with_signature;

/// What reaches the verifier.
struct Package {
  std::string id = "tiny";
  std::string model = testing::model_builder().bytes();
  std::string manifest = signed_text(testing::manifest_of(model));

  /// `before` of the signed lines becomes `after`, and the signature is made anew by who has the key.
  void change_signed(const std::string& before, const std::string& after) {
    std::string lines = manifest.substr(0, manifest.find("signature: "));
    const std::size_t at = lines.find(before);
    ASSERT_NE(at, std::string::npos) << before;
    lines.replace(at, before.size(), after);
    manifest = with_signature(lines, kOurs);
  }
  /// The same without another signature.
  void change(const std::string& before, const std::string& after) {
    const std::size_t at = manifest.find(before);
    ASSERT_NE(at, std::string::npos) << before;
    manifest.replace(at, before.size(), after);
  }
  void say(const std::function<void(Manifest&)>& what, const testing::KeyPair& by = kOurs) {
    Manifest said = testing::manifest_of(model);
    what(said);
    manifest = signed_text(said, by);
  }
};

struct Case {
  const char* what;
  std::function<void(Package&)> tamper;
  const char* error;  ///< begins so
};
void PrintTo(const Case& tampered, std::ostream* out) { *out << tampered.what; }

std::vector<Case> signatures() {
  return {
      {"a bit of the signature", [](Package& p) { p.manifest[p.manifest.size() - 2] ^= 1; },
       "package-wrong-signature: 'tiny': the signature is not that of key "},
      {"a signature of zeros",
       [](Package& p) { p.manifest.replace(p.manifest.size() - 129, 128, std::string(128, '0')); },
       "package-wrong-signature: "},
      {"a signature of another manifest",
       [](Package& p) {
         const std::string line = p.manifest.substr(p.manifest.find("signature: "));
         p.say([](Manifest& m) { m.revision = 4; });
         p.manifest.replace(p.manifest.find("signature: "), std::string::npos, line);
       },
       "package-wrong-signature: "},
      {"signed by others in our name", [](Package& p) { p.say([](Manifest&) {}, kOthers); },
       "package-wrong-signature: "},
      {"signed by others in theirs", [](Package& p) { p.say([](Manifest& m) { m.key = kOthers.key; }, kOthers); },
       "package-wrong-key: signed by "},
      {"a key of zeros", [](Package& p) { p.say([](Manifest& m) { m.key = {}; }); },
       "package-wrong-key: signed by 00000000"},
      {"another revision", [](Package& p) { p.change("revision: 3", "revision: 4"); }, "package-wrong-signature: "},
      {"another WCET", [](Package& p) { p.change("1200000", "1200001"); }, "package-wrong-signature: "},
      {"another hash",
       [](Package& p) {
         const std::size_t at = p.manifest.find("sha256: ") + 8;
         p.manifest[at] = p.manifest[at] == '0' ? '1' : '0';
       },
       "package-wrong-signature: "},
      {"another name", [](Package& p) { p.change("five", "nine"); }, "package-wrong-signature: "},
  };
}

std::vector<Case> manifests() {
  return {
      {"empty", [](Package& p) { p.manifest.clear(); }, "package-truncated: it ends at byte 0, in its first line"},
      {"its first line alone", [](Package& p) { p.manifest = "sis-model-package 1\n"; },
       "package-truncated: it ends at byte 20, where the line 'id' is expected"},
      {"another version", [](Package& p) { p.change_signed("package 1", "package 2"); },
       "package-bad-version: it begins with 'sis-model-package 2', expected 'sis-model-package 1' and a line feed"},
      {"another kind of file", [](Package& p) { p.manifest = "GGUF\x03"; },
       "package-bad-version: it begins with 'GGUF\\x03'"},
      {"lines of Windows", [](Package& p) { p.change_signed("1\n", "1\r\n"); },
       "package-bad-version: it begins with 'sis-model-package 1\\x0d'"},
      {"no last line feed", [](Package& p) { p.manifest.pop_back(); }, "package-truncated: it ends at byte "},
      {"half of the signature", [](Package& p) { p.manifest.resize(p.manifest.size() - 65); },
       "package-truncated: it ends at byte "},
      {"a short signature", [](Package& p) { p.manifest.erase(p.manifest.size() - 3, 2); },
       "package-bad-value: signature: found '"},
      {"something behind", [](Package& p) { p.manifest += "\n"; },
       "package-trailing-bytes: 1 bytes behind the signature, at byte 429"},
      {"a second signature", [](Package& p) { p.manifest += p.manifest.substr(p.manifest.find("signature: ")); },
       "package-trailing-bytes: 140 bytes"},
      {"a kilobyte behind", [](Package& p) { p.manifest += std::string(1024, ' '); },
       "package-too-long: a manifest of "},
      {"an unknown field", [](Package& p) { p.change_signed("context: ", "colour: red\ncontext: "); },
       "package-unknown-field: 'colour' at byte "},
      {"a field in capitals", [](Package& p) { p.change_signed("size: ", "Size: "); },
       "package-unknown-field: 'Size' at "},
      {"a field twice", [](Package& p) { p.change_signed("context: ", "revision: 4\ncontext: "); },
       "package-duplicate-field: 'revision' is there twice, at byte "},
      {"two fields swapped",
       [](Package& p) { p.change_signed("context: 16\nvocabulary: 5", "vocabulary: 5\ncontext: 16"); },
       "package-field-order: 'vocabulary' at byte 70, before 'context'"},
      {"no revision", [](Package& p) { p.change_signed("revision: 3\n", ""); },
       "package-missing-field: there is no 'revision': 'context' follows at byte 58"},
      {"no WCET", [](Package& p) { p.change_signed("wcet-cycles: 1200000\n", ""); },
       "package-missing-wcet: there is no 'wcet-cycles': 'sha256' follows at byte "},
      {"no signature", [](Package& p) { p.manifest.resize(p.manifest.find("signature: ")); },
       "package-truncated: it ends at byte 289, where the line 'signature' is expected"},
      {"an empty line", [](Package& p) { p.change_signed("size: ", "\nsize: "); },
       "package-bad-line: '' at byte 115, expected 'size: VALUE'"},
      {"no blank behind a colon", [](Package& p) { p.change_signed("size: ", "size:"); }, "package-bad-line: 'size:"},
      {"a comment", [](Package& p) { p.change_signed("size: ", "# more\nsize: "); },
       "package-bad-line: '# more' at byte "},
  };
}

std::vector<Case> values() {
  return {
      {"a revision of 0", [](Package& p) { p.change_signed("revision: 3", "revision: 0"); },
       "package-bad-value: revision: found '0', expected a decimal number from 1 to 4294967295"},
      {"a leading zero", [](Package& p) { p.change_signed("revision: 3", "revision: 03"); },
       "package-bad-value: revision: found '03', expected "},
      {"a sign", [](Package& p) { p.change_signed("revision: 3", "revision: +3"); },
       "package-bad-value: revision: found '+3', expected "},
      {"2^32", [](Package& p) { p.change_signed("revision: 3", "revision: 4294967296"); },
       "package-bad-value: revision: found '4294967296', expected "},
      {"2^64 + 3", [](Package& p) { p.change_signed("revision: 3", "revision: 18446744073709551619"); },
       "package-bad-value: revision: found '18446744073709551619', expected "},
      {"hexadecimal", [](Package& p) { p.change_signed("context: 16", "context: 0x10"); },
       "package-bad-value: context: found '0x10', expected a decimal number from 1 to 16777216"},
      {"a blank behind a number", [](Package& p) { p.change_signed("vocabulary: 5", "vocabulary: 5 "); },
       "package-bad-value: vocabulary: found '5 ', expected "},
      {"no number", [](Package& p) { p.change_signed("vocabulary: 5", "vocabulary: "); },
       "package-bad-value: vocabulary: found '', expected "},
      {"a quantisation that is not read", [](Package& p) { p.change_signed("Q8_0", "Q6_K"); },
       "package-bad-value: quantisation: found 'Q6_K', expected F32, F16, Q8_0 or Q4_0"},
      {"a WCET of 0", [](Package& p) { p.change_signed("1200000", "0"); },
       "package-bad-value: wcet-cycles: found '0', expected "},
      {"digits in capitals", [](Package& p) { p.change_signed("key: 8", "key: A"); },
       "package-bad-value: key: found 'A"},
      {"a hash too short",
       [](Package& p) {
         const std::size_t at = p.manifest.find("sha256: ");
         p.manifest.erase(at + 8, 2);
       },
       "package-bad-value: sha256: found '"},
      {"a path as id", [](Package& p) { p.change_signed("id: tiny", "id: ../tiny"); },
       "package-bad-value: id: found '../tiny', expected 1 to 32 of A-Z a-z 0-9 . _ -"},
      {"an id of 33 bytes", [](Package& p) { p.change_signed("id: tiny", "id: " + std::string(33, 'i')); },
       "package-bad-value: id: found 'iii"},
      {"control bytes in the name", [](Package& p) { p.change_signed("five", "\x1b[2Jfive"); },
       "package-bad-value: name: found 'A model of \\x1b[2Jfive tokens', expected "},
      {"a NUL in the name", [](Package& p) { p.change_signed("five", std::string(1, '\0')); },
       "package-bad-value: name: found 'A model of \\x00 tokens', expected "},
      {"a blank in front of the name", [](Package& p) { p.change_signed("name: A", "name:  A"); },
       "package-bad-value: name: found ' A model"},
  };
}

std::vector<Case> models() {
  return {
      {"loaded as something else", [](Package& p) { p.id = "other"; },
       "package-wrong-id: the manifest is that of 'tiny', expected 'other'"},
      {"a bit of its last byte", [](Package& p) { p.model.back() ^= 1; }, "package-wrong-hash: the model file has "},
      {"a bit of its first", [](Package& p) { p.model.front() ^= 1; }, "package-wrong-hash: the model file has "},
      {"its last byte cut off", [](Package& p) { p.model.pop_back(); },
       "package-model-truncated: the model file has 623 bytes, the manifest says 624"},
      {"nothing of it", [](Package& p) { p.model.clear(); },
       "package-model-truncated: the model file has 0 bytes, the manifest says 624"},
      {"a byte more", [](Package& p) { p.model += '\0'; },
       "package-wrong-size: the model file has more than the 624 bytes that the manifest says"},
      {"another model of the same size", [](Package& p) { p.model.assign(p.model.size(), 'x'); },
       "package-wrong-hash: "},
      {"a manifest of another context", [](Package& p) { p.say([](Manifest& m) { m.context = 32; }); },
       "package-wrong-context: the model has a context of 16 tokens, the manifest says 32"},
      {"of another vocabulary", [](Package& p) { p.say([](Manifest& m) { m.vocabulary = 6; }); },
       "package-wrong-vocabulary: the model has a vocabulary of 5 tokens, the manifest says 6"},
      {"of other weights", [](Package& p) { p.say([](Manifest& m) { m.quantisation = gguf::Type::F32; }); },
       "package-wrong-weights: the model's weights are Q8_0, the manifest says F32"},
      {"no model, but signed",
       [](Package& p) {
         p.model = "GGUF";
         p.say([](Manifest&) {});
       },
       "gguf-truncated: a version at byte 4"},
      {"an older revision", [](Package& p) { p.say([](Manifest& m) { m.revision = 1; }); },
       "package-replayed: 'tiny' is of revision 1, expected 2 or later"},
  };
}

class Tampered : public ::testing::TestWithParam<Case> {};
TEST_P(Tampered, is_refused_with_the_reason) {
  Package package;
  GetParam().tamper(package);
  Revisions revisions;
  ASSERT_TRUE(revisions.accept("tiny", 2));
  const Policy policy{.key = kOurs.key};
  const std::string verdict =
      testing::describe(verify(policy, revisions, package.id, bytes_of(package.manifest), bytes_of(package.model)));
  const std::string expected = GetParam().error;
  EXPECT_EQ(verdict.substr(0, expected.size()), expected) << verdict;
}
INSTANTIATE_TEST_SUITE_P(Signatures, Tampered, ::testing::ValuesIn(signatures()));
INSTANTIATE_TEST_SUITE_P(Manifests, Tampered, ::testing::ValuesIn(manifests()));
INSTANTIATE_TEST_SUITE_P(Values, Tampered, ::testing::ValuesIn(values()));
INSTANTIATE_TEST_SUITE_P(Models, Tampered, ::testing::ValuesIn(models()));

/// So that every one of them fits the audit log, and none is told in two ways.
TEST(Reasons, fit_an_audit_record) {
  for (const auto& cases : {signatures(), manifests(), values(), models()}) {
    for (const Case& tampered : cases) {
      const std::string error = tampered.error;
      EXPECT_LE(error.find(':'), 24U) << error;
    }
  }
}

}  // namespace
}  // namespace guest::llm::package
