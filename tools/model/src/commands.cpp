#include "tools/model/commands.hpp"

#include <filesystem>

#include "files.hpp"
#include "guest/llm/package/verifier.hpp"
#include "keys.hpp"
#include "report.hpp"

namespace sis_model {
namespace {

namespace package = guest::llm::package;
namespace kernel = guest::kernel;

/// What a command has to say: a sentence, and the map that it is about.
struct Result {
  std::string text;
  Json json;
};

package::Digest digest_of(const std::string& bytes) {
  package::FileHash hash;
  hash.add(bytes_of(bytes));
  return hash.finish();
}

Outcome<Result> run(const Keygen& command) {
  const auto key = make_key_pair(command.name, command.force);
  if (!key) return std::unexpected(key.error());
  const std::string digits = hex_text(*key);
  return Result{
      .text = command.name + ".key: secret, keep it\n" + command.name + ".pub: " + digits + "\n",
      .json = {{"secret_key", command.name + ".key"}, {"public_key", command.name + ".pub"}, {"key", digits}}};
}

Outcome<Result> run(const Hash& command) {
  const auto bytes = read_model(command.file);
  if (!bytes) return std::unexpected(bytes.error());
  const std::string digits = hex_text(digest_of(*bytes));
  return Result{.text = digits + "  " + command.file + "\n",
                .json = {{"file", command.file}, {"size", bytes->size()}, {"sha256", digits}}};
}

/// What is given, or what can be made of the file's name.
Outcome<std::string> id_of(const std::string& given, const std::string& model) {
  std::string id = given.empty() ? stem_of(model) : given;
  if (!package::is_id(id)) {
    return unusable("id", model + ": its name without the ending is no id (1 to 32 of A-Z a-z 0-9 . _ -, the first a " +
                              "letter or a digit); --id gives one");
  }
  return id;
}

/// All that the model itself says, and what is given.
Outcome<package::Manifest> describe(const Sign& command, const std::string& bytes, const package::PublicKey& key) {
  const auto id = id_of(command.id, command.model);
  if (!id) return std::unexpected(id.error());
  const auto file = guest::gguf::File::open(bytes_of(bytes));
  if (!file) return refused(command.model, file.error());
  const auto facts = package::read_facts(*file);
  if (!facts) return refused(command.model, facts.error());
  const std::string_view own_name = file->text_or("general.name", "").value_or("");
  package::Manifest manifest;
  manifest.id.write(*id);
  manifest.name.write(!command.name.empty() ? command.name : package::is_name(own_name) ? own_name : *id);
  manifest.revision = command.revision;
  manifest.context = facts->context;
  manifest.vocabulary = facts->vocabulary;
  manifest.quantisation = facts->quantisation;
  manifest.size = bytes.size();
  manifest.wcet_cycles = command.wcet_cycles;
  manifest.sha256 = digest_of(bytes);
  manifest.key = key;
  return manifest;
}

std::string signed_text(const package::Manifest& manifest, const SecretKey& key) {
  kernel::FixedText<package::kMaxManifestBytes> text;
  package::write_signed_lines(text, manifest);
  const package::Signature signature = key.sign(std::string(text.view()));
  package::write_signature_line(text, signature);
  return std::string(text.view());
}

Outcome<Result> run(const Sign& command) {
  const auto key = read_secret_key(command.key);
  if (!key) return std::unexpected(key.error());
  const auto bytes = read_model(command.model);
  if (!bytes) return std::unexpected(bytes.error());
  const auto manifest = describe(command, *bytes, key->public_key());
  if (!manifest) return std::unexpected(manifest.error());
  const std::string path = command.output.empty() ? signature_path(command.model) : command.output;
  for (const std::string& needed : {command.model, command.key}) {
    std::error_code ignored;
    if (std::filesystem::equivalent(path, needed, ignored)) {
      return unusable("file", "the manifest would replace " + needed + "; --output says where it goes");
    }
  }
  if (auto written = write_whole(path, signed_text(*manifest, *key), command.force); !written) {
    return std::unexpected(std::move(written.error()));
  }
  const Json said = to_json(*manifest);
  return Result{.text = path + ": signed\n" + lines_of(said), .json = {{"file", path}, {"manifest", said}}};
}

Outcome<Result> run(const Verify& command) {
  const auto key = read_public_key(command.public_key);
  if (!key) return std::unexpected(key.error());
  const auto id = id_of(command.id, command.model);
  if (!id) return std::unexpected(id.error());
  const auto bytes = read_model(command.model);
  if (!bytes) return std::unexpected(bytes.error());
  const auto manifest = read_manifest(command.signature.empty() ? signature_path(command.model) : command.signature);
  if (!manifest) return std::unexpected(manifest.error());
  package::Revisions revisions;
  if (command.min_revision != 0) static_cast<void>(revisions.accept(*id, command.min_revision));  // it has room for one
  const package::Policy policy{.key = *key};
  if (const auto verdict = package::verify(policy, revisions, *id, bytes_of(*manifest), bytes_of(*bytes)); !verdict) {
    return refused(command.model, verdict.error());
  }
  const Json said = to_json(package::parse_manifest(bytes_of(*manifest))->manifest);
  return Result{.text = command.model + ": accepted\n" + lines_of(said),
                .json = {{"file", command.model}, {"manifest", said}}};
}

Outcome<Result> inspect_model(const std::string& path, const std::string& bytes) {
  const auto file = guest::gguf::File::open(bytes_of(bytes));
  if (!file) return refused(path, file.error());
  const auto facts = package::read_facts(*file);
  if (!facts) return refused(path, facts.error());
  Json said = to_json(*file, *facts);
  said["size"] = bytes.size();
  said["sha256"] = hex_text(digest_of(bytes));
  return Result{.text = path + ": a model\n" + lines_of(said), .json = {{"file", path}, {"model", said}}};
}

Outcome<Result> inspect_manifest(const std::string& path, const std::string& text) {
  const auto parsed = package::parse_manifest(bytes_of(text));
  if (!parsed) return refused(path, parsed.error());
  const bool good = package::is_signed_by(parsed->manifest.key, parsed->signed_bytes, parsed->signature);
  Json said = to_json(parsed->manifest);
  said["signature"] = good ? "of this key" : "not of this key";
  return Result{.text = path + ": a manifest\n" + lines_of(said), .json = {{"file", path}, {"manifest", said}}};
}

Outcome<Result> run(const Inspect& command) {
  const auto bytes = read_model(command.file);
  if (!bytes) return std::unexpected(bytes.error());
  return bytes->starts_with("GGUF") ? inspect_model(command.file, *bytes) : inspect_manifest(command.file, *bytes);
}

}  // namespace

abi::ExitCode run_command(const Options& options, std::ostream& out, std::ostream& err) {
  const auto result = std::visit([](const auto& command) { return run(command); }, options.command);
  if (result) {
    out << (options.json ? line_of(result->json) : result->text);
    return abi::ExitCode::Passed;
  }
  const Failure& failure = result.error();
  if (options.json) {
    out << line_of({{"error", {{"code", failure.code}, {"message", failure.message}}}});
  } else {
    const bool is_refusal = failure.exit_code == abi::ExitCode::Failed;
    err << "sis-model: " << (is_refusal ? failure.code + ": " : "") << failure.message << "\n";
  }
  return failure.exit_code;
}

}  // namespace sis_model
