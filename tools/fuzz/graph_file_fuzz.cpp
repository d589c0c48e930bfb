// A graph's file may hold anything: it stands for requests, or is refused with words.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tools/graph_file.hpp"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

/// What each request holds: texts and integers of its own graph, nothing nested.
void check(const sisctl::GraphRequests& made) {
  require(!made.requests.empty());
  for (const sisctl::Request& request : made.requests) {
    require(request.op.starts_with("graph "));
    for (const auto& [name, value] : request.args.items()) require(value.is_string() || value.is_number_unsigned());
    if (request.op != "graph schema") require(request.args.at("graph") == made.graph);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);  // bytes as text
  const auto made = sisctl::parse_graph(text);
  if (made) {
    check(*made);
  } else {
    require(made.error().exit_code == sisctl::ExitCode::Usage && !made.error().message.empty());
    // It is shown on a terminal.
    for (const char c : made.error().message) require(static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t');
  }
  return 0;
}
