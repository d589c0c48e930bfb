#include "tools/model/options.hpp"

#include <CLI/CLI.hpp>

#include "guest/llm/package/manifest.hpp"

namespace sis_model {
namespace {

namespace package = guest::llm::package;
using abi::ExitCode;

constexpr char kDescription[] =
    "sis-model - signed packages of models\n"
    "\n"
    "A package is a model file NAME.gguf and its manifest NAME.sig, which says what the model is and is signed\n"
    "(docs/models.md). The guest checks it before it looks into the model.";

constexpr char kFooter[] =
    "Exit status:\n"
    "  0  done; the package is accepted\n"
    "  1  the package or the model is refused; the reason is printed, with its stable name\n"
    "  2  wrong arguments, a file that cannot be read or written, or a key that is none\n"
    "  7  internal error\n"
    "\n"
    "Examples:\n"
    "  sis-model keygen release                       release.key, which is secret, and release.pub\n"
    "  sis-model sign tiny.gguf --key release.key --revision 3 --wcet-cycles 1200000\n"
    "  sis-model verify tiny.gguf --public-key @release.pub\n"
    "  sis-model inspect tiny.sig --json\n";

std::string check_not_empty(const std::string& text) { return text.empty() ? "must not be empty" : ""; }

std::string check_id(const std::string& text) {
  return package::is_id(text) ? "" : "expected 1 to 32 of A-Z a-z 0-9 . _ -, the first a letter or a digit";
}

std::string check_name(const std::string& text) {
  return package::is_name(text) ? "" : "expected 1 to 64 printable characters of ASCII, without blanks at its ends";
}

CLI::Option* add_file(CLI::App& command, const char* name, std::string& out, const char* help) {
  return command.add_option(name, out, help)->required()->type_name("")->check(check_not_empty);
}

void add_keygen(CLI::App& app, Keygen& out) {
  auto* command = app.add_subcommand("keygen", "Make a key pair: NAME.key, secret, of mode 0600, and NAME.pub");
  add_file(*command, "NAME", out.name, "Path of the two files without their endings");
  command->add_flag("--force", out.force, "Replace files that are there");
}

void add_hash(CLI::App& app, Hash& out) {
  auto* command = app.add_subcommand("hash", "Print the SHA-256 of a file");
  add_file(*command, "FILE", out.file, "The file");
}

void add_sign(CLI::App& app, Sign& out) {
  auto* command = app.add_subcommand("sign", "Write and sign the manifest of a model file");
  add_file(*command, "MODEL", out.model, "The model, a GGUF file");
  command->add_option("--key", out.key, "The secret key, as keygen wrote it")
      ->required()
      ->type_name("FILE")
      ->check(check_not_empty);
  command->add_option("--revision", out.revision, "Counts up: a machine refuses an older one than it has accepted")
      ->required()
      ->type_name("N")
      ->check(CLI::Range(std::uint32_t{1}, std::uint32_t{package::kMaxRevision}).description(""));
  command->add_option("--wcet-cycles", out.wcet_cycles, "NPU cycles that a token takes at most")
      ->required()
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{1}, package::kMaxWcetCycles).description(""));
  command->add_option("--id", out.id, "What the model is; default: its file's name without the ending")
      ->type_name("ID")
      ->check(check_id);
  command
      ->add_option("--name", out.name, "For people; default: general.name of the model where it can be one, or the id")
      ->type_name("TEXT")
      ->check(check_name);
  command->add_option("-o,--output", out.output, "The manifest; default: beside the model, with the ending .sig")
      ->type_name("FILE")
      ->check(check_not_empty);
  command->add_flag("--force", out.force, "Replace a manifest that is there");
  command->footer("Context, vocabulary, quantisation, size and SHA-256 are those of the model.");
}

void add_verify(CLI::App& app, Verify& out) {
  auto* command = app.add_subcommand("verify", "Check a package as the guest does");
  add_file(*command, "MODEL", out.model, "The model, a GGUF file");
  command
      ->add_option("--public-key", out.public_key, "The key that must have signed it: 64 hexadecimal digits, or a file")
      ->required()
      ->type_name("HEX|@FILE")
      ->check(check_not_empty);
  command->add_option("--signature", out.signature, "The manifest; default: beside the model, with the ending .sig")
      ->type_name("FILE")
      ->check(check_not_empty);
  command->add_option("--id", out.id, "What it must be; default: the model file's name without the ending")
      ->type_name("ID")
      ->check(check_id);
  command->add_option("--min-revision", out.min_revision, "Refuse an older one")
      ->type_name("N")
      ->check(CLI::Range(std::uint32_t{1}, std::uint32_t{package::kMaxRevision}).description(""));
}

void add_inspect(CLI::App& app, Inspect& out) {
  auto* command = app.add_subcommand("inspect", "Print what a manifest or a model file says of itself");
  add_file(*command, "FILE", out.file, "A manifest (.sig) or a model (.gguf)");
  command->footer("Nothing of it is trusted: `verify` checks who has signed it.");
}

Parsed usage_error(const std::string& message) {
  return {.options = {}, .text = "sis-model: " + message + "\nTry `sis-model --help`.\n", .exit_code = ExitCode::Usage};
}

/// What to say when no command was recognised.
std::string missing_command(const CLI::App& app) {
  std::string known;
  for (const auto* command : app.get_subcommands(nullptr)) known += (known.empty() ? "" : ", ") + command->get_name();
  const auto words = app.remaining();
  return (words.empty() ? "a command is missing" : "unknown command '" + words.front() + "'") + ", allowed: " + known;
}

}  // namespace

Parsed parse_options(int argc, const char* const* argv) {
  Options options;
  Keygen keygen;
  Hash hash;
  Sign sign;
  Verify verify;
  Inspect inspect;
  CLI::App app(kDescription, "sis-model");
  app.footer(kFooter);
  app.get_formatter()->column_width(26);
  app.fallthrough();
  app.require_subcommand(1);
  app.add_flag("--json", options.json, "Print the result as JSON, and errors as {\"error\": {...}} too");
  app.set_version_flag("--version", "sis-model " SIS_VERSION);
  add_keygen(app, keygen);
  add_hash(app, hash);
  add_sign(app, sign);
  add_verify(app, verify);
  add_inspect(app, inspect);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const auto chosen = app.get_subcommands();
    return {.options = {}, .text = chosen.empty() ? app.help() : chosen.front()->help()};
  } catch (const CLI::CallForVersion& version) {
    return {.options = {}, .text = std::string(version.what()) + "\n"};
  } catch (const CLI::ParseError& error) {
    const bool no_command = app.get_subcommands().empty() && dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
    return usage_error(no_command ? missing_command(app) : error.what());
  }
  if (app.got_subcommand("keygen")) options.command = std::move(keygen);
  if (app.got_subcommand("hash")) options.command = std::move(hash);
  if (app.got_subcommand("sign")) options.command = std::move(sign);
  if (app.got_subcommand("verify")) options.command = std::move(verify);
  if (app.got_subcommand("inspect")) options.command = std::move(inspect);
  return {.run = true, .options = std::move(options), .text = {}};
}

}  // namespace sis_model
