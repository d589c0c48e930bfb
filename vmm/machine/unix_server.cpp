#include "unix_server.hpp"

#include "vmm/base/unix_socket.hpp"

namespace vmm::machine {

Result<std::unique_ptr<UnixServer>> UnixServer::create(EventLoop& loop, const std::filesystem::path& path,
                                                       std::function<void(UniqueFd)> on_client) {
  auto listener = listen_unix(path, 16);
  if (!listener) return fail_errno("cannot listen on " + path.string(), listener.error());
  return std::unique_ptr<UnixServer>(new UnixServer(loop, std::move(*listener), std::move(on_client)));
}

UnixServer::UnixServer(EventLoop& loop, UniqueFd listener, std::function<void(UniqueFd)> on_client)
    : loop_(loop), listener_(std::move(listener)), on_client_(std::move(on_client)) {
  loop_.add(listener_.get(), Interest::Read, [this](Events) { accept(); });
}

UnixServer::~UnixServer() {
  loop_.cancel_timer(retry_);
  loop_.remove(listener_.get());
}

void UnixServer::accept() {
  auto client = accept_unix(listener_);
  if (client) {
    on_client_(std::move(*client));
    return;
  }
  const int error = client.error();
  if (error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS) {
    // The client stays in the queue and the listener readable: look again later.
    loop_.modify(listener_.get(), Interest::None);
    retry_ = loop_.add_timer(std::chrono::seconds(1), [this] { loop_.modify(listener_.get(), Interest::Read); });
  }
}

}  // namespace vmm::machine
