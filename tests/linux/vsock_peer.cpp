// The services of the SIS guest's test ports, for a Linux guest: what Linux's own vsock driver makes of our device.
//
//   7 echo, 9 discard, 19 chargen    as in the SIS guest (RFC 862, 863, 864)
//   5000                             accepts and holds, so that the monitor waits for its control server
//   1024                             connects back to the host's port 7000 and sends "hello from the guest"
//
// One process a connection. Prints "PEER READY" when all of them listen.
#include <sys/socket.h>

// Needs <sys/socket.h> before it.
#include <linux/vm_sockets.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr std::size_t kBlock = 65536;
std::array<char, kBlock> block;

const sockaddr* generic(const sockaddr_vm& address) { return reinterpret_cast<const sockaddr*>(&address); }

void must(bool condition, const char* what) {
  if (condition) return;
  std::perror(what);
  std::exit(1);
}

bool write_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t written = write(fd, data, size);
    if (written <= 0) return false;
    data += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

void echo(int fd) {
  ssize_t count = 0;
  while ((count = read(fd, block.data(), block.size())) > 0) {
    if (!write_all(fd, block.data(), static_cast<std::size_t>(count))) return;
  }
}

void discard(int fd) {
  while (read(fd, block.data(), block.size()) > 0) {
  }
}

void chargen(int fd) {
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>(' ' + i % 95);
  while (write_all(fd, block.data(), block.size())) {
  }
}

void hold(int fd) { discard(fd); }

void connect_back(int fd) {
  const int out = socket(AF_VSOCK, SOCK_STREAM, 0);
  sockaddr_vm host{};
  host.svm_family = AF_VSOCK;
  host.svm_cid = VMADDR_CID_HOST;
  host.svm_port = 7000;
  constexpr char kHello[] = "hello from the guest";
  const bool connected = connect(out, generic(host), sizeof(host)) == 0;
  if (connected) write_all(out, kHello, std::strlen(kHello));
  const char* const answer = connected ? "connected\n" : "refused\n";
  write_all(fd, answer, std::strlen(answer));
}

void serve(unsigned port, void (*service)(int)) {
  const int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = port;
  must(listener >= 0, "socket");
  must(bind(listener, generic(address), sizeof(address)) == 0, "bind");
  must(listen(listener, 256) == 0, "listen");
  if (fork() != 0) return;
  while (true) {
    const int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) continue;
    if (fork() == 0) {
      service(fd);
      std::exit(0);
    }
    close(fd);
  }
}

}  // namespace

int main() {
  signal(SIGCHLD, SIG_IGN);  // no zombies
  signal(SIGPIPE, SIG_IGN);
  serve(7, echo);
  serve(9, discard);
  serve(19, chargen);
  serve(1024, connect_back);
  serve(5000, hold);
  std::puts("PEER READY");
  std::fflush(stdout);
  pause();
}
