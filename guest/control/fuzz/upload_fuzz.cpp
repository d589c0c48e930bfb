// Models that come over connections, as any peers send them: the server with an LLM service behind it. (The other
// fuzzer of the server has none: there graphs may be started, which with threads run as long as they like.)
//
//   step = kind, number    kind & 7: 0 upload, of `number` bytes; 1 data of `number` bytes, at what has come before;
//                                    2 data at `number`; 3 end; 4 Cancel; 5 the connection ends and another begins;
//                                    6 the other connection's turn; 7 the key is rotated
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "abi/control.hpp"
#include "guest/control/frame.hpp"
#include "guest/control/server.hpp"
#include "guest/control/testing/fake_machine.hpp"
#include "guest/control/testing/fake_stream.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/kernel/work.hpp"
#include "guest/npu/cpu_accelerator.hpp"
#include "npu/kernels/kernels.hpp"

namespace {

using namespace guest::control;
using namespace guest::control::testing;
using guest::kernel::require;

constexpr guest::security::Key kKey{};
/// Under the key of zeros: all rights, for ever.
constexpr std::uint8_t kToken[] = {1,    7,    0,    0,    1,    0,    0,    0,    0,    0,    0,    0,
                                   0,    0,    0,    0,    0x4c, 0x77, 0xab, 0x2f, 0xd7, 0xab, 0x5a, 0x34,
                                   0x38, 0x49, 0x1f, 0x58, 0xdd, 0x9b, 0x0e, 0x44, 0x79, 0x24, 0xbf, 0x8f,
                                   0xa8, 0x73, 0x24, 0xb5, 0x87, 0xdd, 0x60, 0x37, 0xd8, 0x6f, 0xfb, 0x4f};
constexpr std::size_t kConnections = 6;  ///< more than there may be uploads

class NoAudit final : public guest::llm::Audit {
 public:
  void record(const guest::llm::AuditEntry& /*entry*/) override {}
};

struct Setup {
  FakeMachine machine{kKey};
  guest::npu::CpuAccelerator npu{npu::scalar_kernels()};
  NoAudit audit;
  guest::llm::Clients clients;
  LlmWaiters waiters;
  std::unique_ptr<guest::llm::Service> service =
      std::move(*guest::llm::Service::make(npu, {}, audit, &waiters.changed()));
  guest::llm::Catalog catalog{*service, machine.trust, machine.files};
  Llm desk{*service, catalog, clients, waiters};
  Server server{machine.services, machine.work};
  Setup() {
    guest::threads::start_cpus();
    machine.trust.policy.allow_unsigned = true;
    machine.services.llm = &desk;
  }
  void run_all() {
    for (bool ran = true; ran;) {
      guest::threads::run_until_idle();
      machine.run();
      ran = guest::kernel::work_queue().run_one();
    }
  }
};

struct Client {
  FakeStream stream;
  std::uint32_t id = 1;  ///< of the next request
  std::uint32_t upload = 0;
  std::uint64_t sent = 0;  ///< bytes of the upload
};

void send(Client& client, abi::control::Command command, const CborWriter& body) {
  std::array<std::byte, 2048> frame;
  write_frame_prefix(std::span(frame).first<kFramePrefixBytes>(), command, client.id++, body.written().size());
  std::ranges::copy(body.written(), frame.begin() + kFramePrefixBytes);
  client.stream.deliver(std::span(frame).first(kFramePrefixBytes + body.written().size()));
}

/// {op, args: {...}}: `add` writes the entries of args.
template <typename Add>
void call(Client& client, std::string_view op, std::size_t arguments, const Add& add) {
  std::array<std::byte, 1024> memory;
  CborWriter body(memory);
  body.map(2);
  body.entry("op", op);
  body.text("args");
  body.map(arguments);
  add(body);
  send(client, abi::control::Command::Call, body);
}

void connect(Setup& setup, Client& client) {
  client.stream.disconnect();
  client = Client();
  require(client.stream.connect(setup.server), "there is room for a connection");
  std::array<std::byte, 128> memory;
  CborWriter body(memory);
  body.map(1);
  body.text("token");
  body.bytes(std::as_bytes(std::span(kToken)));
  send(client, abi::control::Command::Hello, body);
}

void send_data(Client& client, std::uint64_t offset, std::uint8_t size) {
  const std::array<std::byte, 256> bytes{std::byte{'G'}, std::byte{'G'}, std::byte{'U'}, std::byte{'F'}, std::byte{3}};
  call(client, "llm upload-data", 2, [&](CborWriter& args) {
    args.entry("offset", offset);
    args.text("bytes");
    args.bytes(std::span(bytes).first(size));
  });
}

void step(Setup& setup, Client& client, std::uint8_t kind, std::uint8_t number) {
  switch (kind & 7U) {
    case 0:
      client.upload = client.id;
      client.sent = 0;
      return call(client, "llm upload", 2, [&](CborWriter& args) {
        args.entry("size", kind & 0x80U ? std::uint64_t{number} << 20 : number);
        args.entry("id", kind & 8U ? "a" : "b");
      });
    case 1:
      send_data(client, client.sent, number);
      client.sent += number;
      return;
    case 2:
      return send_data(client, number, 8);
    case 3:
      return call(client, "llm upload-end", 0, [](CborWriter&) {});
    case 4: {
      std::array<std::byte, 32> memory;
      CborWriter body(memory);
      body.map(1);
      body.entry("id", client.upload);
      return send(client, abi::control::Command::Cancel, body);
    }
    case 5:
      return connect(setup, client);
    default:
      require(setup.machine.authority.rotate(kKey, 0).has_value(), "the key is rotated");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto* setup = new Setup;  // never freed: set-up costs more than a run
  std::array<Client, kConnections> clients;
  for (Client& client : clients) {
    connect(*setup, client);
  }
  std::size_t current = 0;
  for (std::size_t i = 0; i + 2 <= size; i += 2) {
    if ((data[i] & 7U) == 6) {
      current = data[i + 1] % clients.size();
    } else if (clients[current].stream.open() && !clients[current].stream.closed) {
      step(*setup, clients[current], data[i], data[i + 1]);
    } else {
      connect(*setup, clients[current]);
    }
    if ((data[i] & 0x40U) == 0) {
      setup->run_all();
    }
    for (Client& client : clients) {
      client.stream.settle();
      client.stream.take_sent();
    }
  }
  for (Client& client : clients) {
    client.stream.disconnect();
  }
  setup->run_all();
  const FakeMachine& machine = setup->machine;
  require(machine.counter("control_connections_open") == 0, "a connection stays");
  require(machine.counter("control_requests") == machine.counter("control_replies_ok") +
                                                     machine.counter("control_replies_error") +
                                                     machine.counter("control_unanswered"),
          "a request is not answered once");
  // A new one finds a place: nobody holds one any more.
  Client last;
  connect(*setup, last);
  last.stream.take_sent();
  step(*setup, last, 0, 8);
  setup->run_all();
  require(last.stream.take_sent().empty(), "an upload is refused though there is none");
  last.stream.disconnect();
  setup->run_all();
  return 0;
}
