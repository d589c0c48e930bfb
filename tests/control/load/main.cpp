// Puts the control server of a running machine under load: many clients, each of which does what it draws by lot, right
// and wrong (session.hpp), until so many requests have been answered. Checks every answer, and that each request has
// one.
//
// usage: control_load RUN_DIR REQUESTS CLIENTS SEED
//
// Prints a JSON object (Figures::report). Exit code: 0, or 1 if something was not as it should be.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <list>

#include "client.hpp"
#include "vmm/base/numbers.hpp"
#include "vmm/machine/registry.hpp"

namespace {

using namespace std::chrono_literals;

/// Emulation is slow on a loaded machine; a client that waits so long waits for ever.
constexpr auto kProgressLimit = 60s;
constexpr auto kRound = 1000ms;
/// Beyond 144 connections the guest sets time limits, which slow readers would meet.
constexpr std::uint64_t kMostClients = 140;

struct Options {
  load::Setting setting;
  unsigned clients = 0;
  std::uint64_t seed = 0;
};

[[noreturn]] void refuse(const std::string& what) {
  std::cerr << "control_load: " << what << "\nusage: control_load RUN_DIR REQUESTS CLIENTS SEED\n";
  std::exit(2);
}

std::uint64_t number(std::string_view name, std::string_view text, std::uint64_t most) {
  const auto value = vmm::parse_whole<std::uint64_t>(text);
  if (!value || *value > most) {
    refuse(std::string(name) + ": found '" + std::string(text) + "', allowed: 0 to " + std::to_string(most));
  }
  return *value;
}

Options parse(std::span<char*> words) {
  if (words.size() != 5) refuse("expected 4 arguments");
  const std::filesystem::path run_dir = words[1];
  const auto key = vmm::machine::read_control_key(run_dir / "control.key");
  if (!key) refuse(key.error().message);
  return {.setting = {.socket_path = run_dir / "vsock.sock",
                      .key = *key,
                      .requests = number("REQUESTS", words[2], 1'000'000'000)},
          .clients = static_cast<unsigned>(number("CLIENTS", words[3], kMostClients)),
          .seed = number("SEED", words[4], UINT32_MAX)};
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(std::span(argv, static_cast<std::size_t>(argc)));
  auto loop = vmm::EventLoop::create();
  if (!loop) refuse(loop.error().message);
  load::Figures figures;
  std::list<load::Client> clients;
  const auto began = std::chrono::steady_clock::now();
  for (unsigned i = 0; i < options.clients; ++i) {
    clients.emplace_back(**loop, options.setting, figures, i, options.seed * 1000 + i);
    clients.back().begin();
  }
  while (!std::ranges::all_of(clients, &load::Client::done)) {
    if (const auto round = (*loop)->run_once(kRound); !round) refuse(round.error().message);
    for (load::Client& client : clients) client.check_progress(kProgressLimit);
  }
  nlohmann::json report = figures.report();
  report["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::cout << report.dump() << "\n";
  return figures.failed() ? 1 : 0;
}
