#include "llm_type.hpp"

#include <sodium/crypto_core_ed25519.h>
#include <sodium/utils.h>

#include <algorithm>
#include <array>
#include <map>

#include "abi/boot_config.hpp"
#include "items.hpp"
#include "section.hpp"

namespace vmm::scenario {
namespace {

namespace names = abi::boot_config;

constexpr std::int64_t kMostRevision = 0xffff'ffff;

/// Nobody is in two classes.
void check_classes(Problems& problems, const std::string& key, const Node& node, const Llm& llm) {
  const std::vector<Node>& nodes = items_of(node, "classes");
  check_names(problems, key + ".classes", nodes, llm.classes);
  std::map<std::string, std::string> class_of;
  for (std::size_t i = 0; i < llm.classes.size(); ++i) {
    for (std::size_t j = 0; j < llm.classes[i].members.size(); ++j) {
      const auto [first, is_new] = class_of.try_emplace(llm.classes[i].members[j], llm.classes[i].name);
      if (!is_new) {
        problems.add(items_of(nodes[i], "members")[j].at, item_key(item_key(key + ".classes", i) + ".members", j),
                     quote(llm.classes[i].members[j]), "each in one class (it is in " + quote(first->second) + ")");
      }
    }
  }
}

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
  check_classes(problems, key, node, llm);
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
      option("load", &Model::load, boolean(),
             "The machine loads it before it answers anybody. false: when it is asked to (llmctl load)."),
  });
}

/// What a client of a class may be called.
TypePtr<std::string> member_type() {
  std::string kinds;
  for (const char* const kind : names::kMemberKinds) kinds += std::string(kind) + "|";
  return text({.max_bytes = names::kMaxMemberBytes,
               .pattern = kinds + "token:[!-~]{1,32}",
               .words = "shell, control, graphs, tasks, or token:NAME"});
}

TypePtr<LlmClass> class_type() {
  return section<LlmClass>({
      option("name", &LlmClass::name, item_name(names::kMaxClassName), "Name in reports, unique.", Presence::Required),
      option("tokens_per_period", &LlmClass::tokens_per_period,
             integer<std::uint64_t>(0, std::int64_t{names::kMaxTokensPerPeriod}),
             "Of its clients together; 0: the service's limit alone. Where the limits of all classes are together no "
             "more than the service's, each has its own whatever the others do."),
      option("in_flight", &LlmClass::in_flight, integer<unsigned>(0, names::kMaxRequests),
             "Of its requests, that run at a time; 0: the service's limit alone."),
      option(
          "members", &LlmClass::members, list(member_type(), 0, names::kMaxMembers),
          "shell: the console's. control: connections of the control server. graphs and tasks: those of the machine. "
          "token:NAME: connections with a token of this name (token new), whatever else they are."),
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
          option("server", &Llm::server, item_name(),
                 "Name of the server of scheduler.servers whose budget the models run on, of CPU and NPU, started or "
                 "not. Without it: best effort."),
          option("in_flight", &Llm::in_flight, integer<unsigned>(1, names::kMaxRequests),
                 "Requests that run at a time, a token of each in turn. Those that nobody reads do not count."),
          option("queue", &Llm::queue, integer<unsigned>(1, names::kMaxRequests), "Requests that may wait."),
          option("requests", &Llm::requests, integer<unsigned>(1, names::kMaxRequests),
                 "Requests that wait, run, or have a result that is kept. None of the limits above and below is more "
                 "than this."),
          option("requests_per_owner", &Llm::requests_per_owner, integer<unsigned>(1, names::kMaxRequests),
                 "Of them, those of one connection, graph, or task, or of the shell."),
          option("prompt_bytes", &Llm::prompt_bytes, size(1, names::kMaxPromptBytes, 1), "The longest prompt."),
          option("stream_chunks", &Llm::stream_chunks,
                 integer<unsigned>(names::kMinStreamChunks, names::kMaxStreamChunks),
                 "Pieces of an answer that wait for their reader; then the request waits, too."),
          option("step_tokens", &Llm::step_tokens, integer<unsigned>(1, names::kMaxStepTokens),
                 "Of a prompt that go through the model in one job."),
          option("sessions", &Llm::sessions, integer<unsigned>(0, names::kMaxSessions),
                 "Sessions that are open at a time; the one that was used longest ago makes room for another."),
          option("session_bytes", &Llm::session_bytes, size(0, names::kMaxSessionBytes, 1),
                 "Memory of all sessions together."),
          option("period", &Llm::period,
                 fine_duration(std::chrono::nanoseconds(names::kMinLlmPeriodNs),
                               std::chrono::nanoseconds(names::kMaxLlmPeriodNs)),
                 "How often the budgets come anew."),
          option("tokens_per_period", &Llm::tokens_per_period,
                 integer<std::uint64_t>(0, std::int64_t{names::kMaxTokensPerPeriod}),
                 "Tokens that come out in one period, never more; 0: any number. What does not fit is refused with the "
                 "time from which on it does."),
          option("cycles_per_period", &Llm::cycles_per_period,
                 integer<std::uint64_t>(0, std::int64_t{names::kMaxCyclesPerPeriod}),
                 "Cycles of the NPU's model (docs/npu.md) after which no step begins in a period; 0: any number."),
          option(
              "hold_periods", &Llm::hold_periods, integer<unsigned>(1, names::kMaxHoldPeriods),
              "Periods in which a request may use the tokens that it was promised, that of its submission included."),
          option("classes", &Llm::classes, list(class_type(), 0, names::kMaxClasses),
                 "Clients with limits of their own. The first class is that of all who are in no other."),
      },
      check_llm);
}

void check_llm_server(Problems& problems, const Node& root, const Scenario& scenario) {
  const std::string& server = scenario.llm.server;
  if (!server.empty() &&
      std::ranges::find(scenario.scheduler.servers, server, &Server::name) == scenario.scheduler.servers.end()) {
    problems.add(place(*value_of(root, "llm"), "server"), "llm.server", quote(server),
                 "the name of one of scheduler.servers");
  }
}

}  // namespace vmm::scenario
