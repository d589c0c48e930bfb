// Packages of models in the boot archive: their hashes, and whether they are accepted (docs/models.md).
#include <algorithm>
#include <memory>
#include <new>

#include "abi/boot_config.hpp"
#include "background.hpp"
#include "guest/llm/package/hex.hpp"
#include "guest/llm/package/verifier.hpp"
#include "handlers.hpp"

namespace guest::control {

namespace error = abi::control::error;
namespace names = abi::boot_config;
namespace package = llm::package;

namespace {

using File = std::span<const std::byte>;

/// Read at a time, between two looks at whether the run is still wanted.
constexpr std::size_t kPieceBytes = 65'536;

/// There is one run at a time: each takes a thread, and all the time that it can get. Changed in the loop only.
constinit bool one_runs = false;

/// A package's error as a command's: its name is the code.
std::unexpected<Refusal> refuse_package(const kernel::NamedError& refused) {
  return refuse(refused.name, "", "{}", refused.detail.view());
}

void add_hex(ResultMap& result, std::string_view key, std::span<const std::uint8_t> bytes) {
  kernel::FixedText<64> digits;
  package::write_hex(digits, bytes);
  result.add(key, digits.view());
}

/// Looks at every byte of a file, in a thread.
class FileRun : public Background {
 public:
  explicit FileRun(File file) : Background(OnCancel::Flag), file_(file) { one_runs = true; }
  ~FileRun() override { one_runs = false; }

 protected:
  [[nodiscard]] File file() const { return file_; }
  /// Hands `take` piece after piece, until it refuses one or the run is cancelled.
  template <typename Take>
  kernel::Outcome each_piece(const Take& take) const {
    for (std::size_t at = 0; at < file_.size() && !cancelled(); at += kPieceBytes) {
      if (const kernel::Outcome taken = take(file_.subspan(at, std::min(kPieceBytes, file_.size() - at))); !taken) {
        return taken;
      }
    }
    return {};
  }

 private:
  const File file_;
};

class HashRun final : public FileRun {
 public:
  HashRun(std::string_view name, File file) : FileRun(file) { name_.write(name); }

 private:
  Done work() override {
    static_cast<void>(each_piece([this](File piece) {
      hash_.add(piece);
      return kernel::Outcome();
    }));
    digest_ = hash_.finish();
    return {};
  }
  void answer(ResultMap& result) const override {
    result.add("file", name_.view());
    result.add("size", file().size());
    add_hex(result, "sha256", digest_);
  }

  kernel::FixedText<names::kMaxNameBytes> name_;
  package::FileHash hash_;
  package::Digest digest_{};
};

class VerifyRun final : public FileRun {
 public:
  VerifyRun(const package::Trust& trust, File model)
      : FileRun(model), of_scenario_(trust.policy.key.has_value()), verifier_(trust.policy, trust.revisions) {}

  /// Before it is started: what the loop's thread alone may look at.
  kernel::Outcome begin(std::string_view id, std::optional<File> manifest) { return verifier_.begin(id, manifest); }

 private:
  Done work() override {
    kernel::Outcome outcome = each_piece([this](File piece) { return verifier_.add(piece); });
    if (outcome && !cancelled()) {
      outcome = verifier_.finish();
    }
    if (!outcome) {
      return refuse_package(outcome.error());
    }
    if (cancelled()) {
      return {};
    }
    const auto facts = verifier_.check_model(file());
    if (!facts) {
      return refuse_package(facts.error());
    }
    facts_ = *facts;
    return {};
  }

  void answer(ResultMap& result) const override {
    if (const auto& manifest = verifier_.manifest()) {
      result.add("id", manifest->id.view());
      result.add("name", manifest->name.view());
      result.add("revision", manifest->revision);
      result.add("wcet_cycles", manifest->wcet_cycles);
      add_hex(result, "key", manifest->key);
    }
    result.add("context", facts_.context);
    result.add("vocabulary", facts_.vocabulary);
    result.add("quantisation", to_string(facts_.quantisation));
    result.add("size", verifier_.size());
    add_hex(result, "sha256", verifier_.digest());
    ResultMap checks(result.key_for("checks"));
    add_checks(checks);
    checks.finish();
  }

  void add_checks(ResultMap& checks) const {
    if (!verifier_.manifest()) {
      checks.add("signature", "none, which the scenario allows");
    } else {
      checks.add("manifest", "ok");
      checks.add("id", "ok");
      checks.add("key", of_scenario_ ? "the scenario's" : "any, which the scenario allows");
      for (const std::string_view name : {"signature", "revision", "size", "sha256"}) {
        checks.add(name, "ok");
      }
    }
    checks.add("model", "ok");
  }

  const bool of_scenario_;
  package::Verifier verifier_;
  package::ModelFacts facts_;
};

/// Of the folder of models.
std::optional<File> find_file(const Services& services, std::string_view name, std::string_view ending) {
  kernel::FixedText<names::kMaxNameBytes> path;
  kernel::format_to(path, "{}{}{}", std::string_view(names::kModelsFolder), name, ending);
  const auto file = services.files.find(path.view());
  return file ? std::optional(file->data) : std::nullopt;
}

std::unexpected<Refusal> refuse_second() {
  return refuse(error::kBusy, "", "another 'llmhash' or 'llmverify' runs already");
}

}  // namespace

HandlerResult handle_llmhash(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  const std::string_view name = arguments.text("file");
  if (name == names::kScenarioFile) {
    return refuse(error::kBadArgument, "file", "'{}' holds the machine's secrets: nothing is said of it", name);
  }
  const auto file = services.files.find(name);
  if (!file) {
    return refuse(error::kNotFound, "file", "there is no '{}' in the boot archive", kernel::escaped(name));
  }
  if (one_runs) {
    return refuse_second();
  }
  return Background::start(std::unique_ptr<Background>(new (std::nothrow) HashRun(name, file->data)), "llmhash",
                           caller);
}

HandlerResult handle_llmverify(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  const std::string_view name = arguments.text("model");
  const auto model = find_file(services, name, names::kModelEnding);
  if (!model) {
    return refuse(error::kNotFound, "model", "there is no '{}{}{}' in the boot archive",
                  std::string_view(names::kModelsFolder), kernel::escaped(name), std::string_view(names::kModelEnding));
  }
  if (one_runs) {
    return refuse_second();
  }
  std::unique_ptr<VerifyRun> run(new (std::nothrow) VerifyRun(services.trust, *model));
  if (run != nullptr) {
    if (const auto begun = run->begin(name, find_file(services, name, names::kSignatureEnding)); !begun) {
      return refuse_package(begun.error());
    }
  }
  return Background::start(std::move(run), "llmverify", caller);
}

}  // namespace guest::control
