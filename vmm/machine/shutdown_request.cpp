#include "vmm/machine/shutdown_request.hpp"

#include <utility>

namespace vmm::machine {

ShutdownRequest::ShutdownRequest(std::filesystem::path socket, OnAnswer on_answer, sandbox::Sandbox sandbox)
    : socket_(std::move(socket)), on_answer_(std::move(on_answer)), thread_([this, sandbox] {
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

void ShutdownRequest::send(Clock::time_point deadline, const abi::control::Token& token) {
  {
    const std::lock_guard lock(mutex_);
    deadline_ = deadline;
    token_ = token;
  }
  changed_.notify_all();
}

void ShutdownRequest::run() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return deadline_.has_value() || ending_; });
  if (!deadline_) return;
  const Clock::time_point deadline = *deadline_;
  const abi::control::Token token = token_;
  lock.unlock();
  auto client = control::Client::connect(socket_.string(), token, deadline);
  on_answer_(client ? client->call("shutdown", nlohmann::json::object(), deadline)
                    : control::ClientResult<nlohmann::json>(std::unexpected(client.error())));
}

}  // namespace vmm::machine
