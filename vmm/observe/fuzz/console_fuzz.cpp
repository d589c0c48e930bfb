// The console of a hostile guest: whatever comes, lines are bounded, nothing is lost, and cutting the stream
// elsewhere finds the same.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "vmm/observe/console_parser.hpp"

namespace {

struct Recorder : vmm::observe::ConsoleSink {
  void on_line(std::string_view line, bool more) override {
    if (line.size() > vmm::observe::ConsoleParser::kMaxLineBytes) std::abort();
    found.push_back((more ? "+" : "=") + std::string(line));
    static_cast<void>(vmm::observe::printable(line));
  }
  void on_metric(std::string_view name, std::int64_t value) override {
    found.push_back("m" + std::string(name) + std::to_string(value));
  }
  void on_exit_record(vmm::observe::ExitRecord record) override {
    if (record.code < 0 || record.code > 255) std::abort();
    found.push_back(std::string("x") + to_string(record.kind) + std::to_string(record.code));
  }
  void on_malformed(std::string_view line) override { found.push_back("!" + std::string(line)); }

  std::vector<std::string> found;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // The same bytes; char may alias anything.
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Recorder whole;
  vmm::observe::ConsoleParser at_once(whole);
  at_once.feed(bytes);
  at_once.finish();
  Recorder cut;
  vmm::observe::ConsoleParser by_byte(cut);
  for (std::size_t i = 0; i < size; ++i) by_byte.feed(bytes.substr(i, 1));
  by_byte.finish();
  if (whole.found != cut.found) std::abort();
  return 0;
}
