// Accepts the clients of a listening socket, some at a time.
#pragma once

#include <functional>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/devices/vsock/counters.hpp"
#include "vmm/devices/vsock/muxer.hpp"

namespace vmm::vsock {

class ClientListener {
 public:
  /// @param on_client gets each client, non-blocking; this is not to be destroyed in it
  /// @param counters  outlive it
  ClientListener(EventLoop& loop, UniqueFd listener, Counters& counters, std::function<void(UniqueFd)> on_client);
  ~ClientListener();
  ClientListener(const ClientListener&) = delete;
  ClientListener& operator=(const ClientListener&) = delete;

 private:
  void accept_some();
  void pause();

  EventLoop& loop_;
  UniqueFd listener_;
  Counters& counters_;
  std::function<void(UniqueFd)> on_client_;
  EventLoop::TimerId resume_timer_ = 0;
};

/// The process behind a socket, for the limit of each. All whose process is not known share one.
ClientId process_of(int fd);

}  // namespace vmm::vsock
