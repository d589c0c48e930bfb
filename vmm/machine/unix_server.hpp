// Accepts connections on a Unix socket of the run directory.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm::machine {

/// Listens on the loop's thread. Out of descriptors, it waits instead of spinning.
class UnixServer {
 public:
  static Result<std::unique_ptr<UnixServer>> create(EventLoop& loop, const std::filesystem::path& path,
                                                    std::function<void(UniqueFd)> on_client);
  ~UnixServer();
  UnixServer(const UnixServer&) = delete;
  UnixServer& operator=(const UnixServer&) = delete;

 private:
  UnixServer(EventLoop& loop, UniqueFd listener, std::function<void(UniqueFd)> on_client);
  void accept();

  EventLoop& loop_;
  UniqueFd listener_;
  std::function<void(UniqueFd)> on_client_;
  EventLoop::TimerId retry_ = 0;
};

}  // namespace vmm::machine
