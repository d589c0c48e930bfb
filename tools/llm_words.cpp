#include "tools/llm_words.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "tools/text.hpp"

namespace sisctl {
namespace {

struct Action {
  const char* name;
  /// The guest's command, and its first word if that has one.
  const char* command;
  const char* first_word = nullptr;
  bool slow = false;  ///< a model runs, or each byte of one is looked at
};
constexpr Action kActions[] = {
    {.name = "audit", .command = "llmctl", .first_word = "audit"},
    {.name = "budget", .command = "llmctl", .first_word = "budget"},
    {.name = "cancel", .command = "llmcancel"},
    {.name = "graph", .command = "llmgraph", .slow = true},
    {.name = "hash", .command = "llmhash", .slow = true},
    {.name = "infer", .command = "llminfer", .slow = true},
    {.name = "json", .command = "llmjson"},
    {.name = "list", .command = "llmctl", .first_word = "list"},
    {.name = "load", .command = "llmctl", .first_word = "load", .slow = true},
    {.name = "load-pkg", .command = nullptr},
    {.name = "poll", .command = "llmpoll"},
    {.name = "release", .command = "llmrelease"},
    {.name = "stats", .command = "llmstats"},
    {.name = "status", .command = "llmctl", .first_word = "status"},
    {.name = "stream", .command = "llmstream", .slow = true},
    {.name = "summary", .command = "llmsummary"},
    {.name = "unload", .command = "llmctl", .first_word = "unload"},
    {.name = "verify", .command = "llmverify", .slow = true},
};

/// Takes `flag` out of the words before "--". Whether it was there.
bool take_flag(std::vector<std::string>& words, const std::string& flag) {
  const auto end = std::ranges::find(words, "--");
  const auto found = std::find(words.begin(), end, flag);
  if (found == end) return false;
  words.erase(found);
  return true;
}

std::expected<LoadPackage, std::string> read_load_package(std::vector<std::string> words) {
  LoadPackage command;
  CLI::App app;
  app.set_help_flag();
  app.add_option("FILE", command.file)->required();
  app.add_option("--manifest", command.manifest);
  app.add_option("--id", command.id);
  std::ranges::reverse(words);  // as the parser wants them
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    return std::unexpected("llm load-pkg: " + printable(error.what()));
  }
  for (const auto& [name, value] :
       {std::pair{"FILE", &command.file}, std::pair{"--manifest", &command.manifest}, std::pair{"--id", &command.id}}) {
    if (value->empty() && app.count(name) != 0)
      return std::unexpected(std::string("llm load-pkg: ") + name + ": must not be empty");
  }
  return command;
}

}  // namespace

std::string llm_actions() {
  std::string all;
  for (const Action& action : kActions) all += (all.empty() ? "" : " ") + std::string(action.name);
  return all;
}

std::expected<void, std::string> read_llm_words(const std::vector<std::string>& words, Options& options,
                                                std::chrono::milliseconds slow_timeout) {
  const auto* const action =
      words.empty() ? std::end(kActions)
                    : std::ranges::find_if(kActions, [&](const Action& each) { return words.front() == each.name; });
  if (action == std::end(kActions)) {
    return std::unexpected(
        (words.empty() ? "llm: an action is missing" : "llm: unknown action '" + printable(words.front()) + "'") +
        ", allowed: " + llm_actions());
  }
  std::vector<std::string> rest(words.begin() + 1, words.end());
  options.json = take_flag(rest, "--json") || options.json;
  if (action->command == nullptr) {
    auto command = read_load_package(std::move(rest));
    if (!command) return std::unexpected(command.error());
    options.command = std::move(*command);
    return {};
  }
  if (action->slow) options.timeout = slow_timeout;
  const bool stream = std::string_view(action->name) == "infer" && take_flag(rest, "--stream");
  GuestCommand command{.words = {stream ? "llmstream" : action->command}, .stdin_argument = "prompt"};
  if (action->first_word != nullptr) command.words.emplace_back(action->first_word);
  command.words.insert(command.words.end(), rest.begin(), rest.end());
  options.command = std::move(command);
  return {};
}

}  // namespace sisctl
