#include "vmm/machine/shutdown_request.hpp"

#include <utility>

namespace vmm::machine {

ShutdownRequest::ShutdownRequest(ControlAddress address, OnAnswer on_answer, sandbox::Sandbox sandbox)
    : address_(std::move(address)), on_answer_(std::move(on_answer)), thread_([this, sandbox] {
        sandbox.enter(sandbox::ThreadKind::Control);
        run();
      }) {}

ShutdownRequest::~ShutdownRequest() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ShutdownRequest::send(Clock::time_point deadline) {
  {
    const std::lock_guard lock(mutex_);
    deadline_ = deadline;
  }
  changed_.notify_all();
}

void ShutdownRequest::run() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return deadline_.has_value() || ending_; });
  if (!deadline_) return;
  const Clock::time_point deadline = *deadline_;
  lock.unlock();
  auto client = control::Client::connect(address_.socket.string(), address_.token, deadline);
  on_answer_(client ? client->call("shutdown", nlohmann::json::object(), deadline)
                    : control::ClientResult<nlohmann::json>(std::unexpected(client.error())));
}

}  // namespace vmm::machine
