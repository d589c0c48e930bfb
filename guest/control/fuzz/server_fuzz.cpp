// A whole connection: bytes into the server with the command table and the shell behind it. The input is a list of
// steps; whatever they are, the server must stay within its bounds, answer every request once or lose it with its
// connection, and be as good as new for the next client.
//
//   step = kind, length, bytes     kind & 7: 0-3 bytes from the peer, 4 time passes and things happen that may be
//                                            watched, 5 the peer grants room, 6 the peer ends, 7 a connection more:
//                                            the third and the fourth come through the legacy socket, where the
//                                            development token counts
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "abi/control.hpp"
#include "guest/control/server.hpp"
#include "guest/control/testing/fake_machine.hpp"
#include "guest/control/testing/fake_stream.hpp"
#include "guest/graph/operators/builtin.hpp"
#include "guest/graph/run/graph_set.hpp"
#include "guest/shell/shell.hpp"

namespace {

using namespace guest::control;
using namespace guest::control::testing;

/// All-zero key; the token under it that gives all rights is in the corpus.
constexpr guest::security::Key kKey{};

struct Setup {
  FakeMachine machine{kKey};
  guest::shell::Shell shell{machine.services, nullptr, nullptr};
  Server server{machine.services, machine.work};
  Setup() {
    machine.services.shell = &shell;
    guest::graph::graph_set().kinds().add(guest::graph::builtin_kinds());
  }
};

/// Graphs are the process's.
void destroy_graphs() {
  guest::graph::GraphSet& set = guest::graph::graph_set();
  while (set.size() != 0) {
    if (!set.destroy(set.at(0).graph->name())) {
      std::abort();
    }
  }
}

void check(const FakeMachine& machine) {
  if (machine.counter("control_requests") != machine.counter("control_replies_ok") +
                                                 machine.counter("control_replies_error") +
                                                 machine.counter("control_unanswered") ||
      machine.counter("control_connections_open") != 0) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto* setup = new Setup;  // never freed: set-up costs more than a run
  FakeMachine& machine = setup->machine;
  FakeStream streams[4];
  std::size_t used = 0;
  streams[used++].connect(setup->server);
  std::size_t current = 0;
  auto input = std::as_bytes(std::span(data, size));
  while (input.size() >= 2) {
    const auto kind = std::to_integer<unsigned>(input[0]);
    const std::size_t length = std::min<std::size_t>(std::to_integer<std::size_t>(input[1]), input.size() - 2);
    const auto bytes = input.subspan(2, length);
    input = input.subspan(2 + length);
    FakeStream& stream = streams[current];
    switch (kind & 7U) {
      case 4:
        machine.log.error("a line");
        machine.trace.record(guest::kernel::TraceType::InterruptEnter, 1);
        machine.advance_ns(std::uint64_t{length} * 1'000'000);
        break;
      case 5:
        kind & 8U ? stream.set_room(0) : stream.grant(length * 16);
        break;
      case 6:
        kind & 8U ? stream.end_receiving() : stream.end_sending();
        break;
      case 7:
        if (used < std::size(streams)) {
          const bool legacy = used >= 2;
          streams[used++].connect(legacy ? setup->server.legacy_listener() : setup->server);
        }
        current = (kind >> 3) % used;
        break;
      default:
        if (stream.open() && !stream.closed && !stream.was_reset) {
          stream.deliver(bytes);
        }
        break;
    }
    machine.run();
    for (FakeStream& each : streams) {
      each.settle();
      each.take_sent();
    }
  }
  // What watches a graph outlives it, or not.
  if (size % 2 == 0) {
    destroy_graphs();
    machine.run();
  }
  for (FakeStream& each : streams) {
    each.disconnect();
  }
  destroy_graphs();
  machine.advance_ns(3'700'000'000'000);  // longer than the longest sleep, so that everything cancelled frees itself
  check(machine);
  // As new for the next input: the token in the corpus counts again.
  if (!machine.authority.rotate(kKey, 0) || !machine.authority.set_legacy(guest::security::Legacy::Admin, {}) ||
      !machine.authority.set_legacy(guest::security::Legacy::Submit, {})) {
    std::abort();
  }
  machine.run();
  machine.power.events.clear();
  machine.faults.provoked.clear();
  return 0;
}
