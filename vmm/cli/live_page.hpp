// `run --web`: sis-web as a child, which serves the live page while the machine runs.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/subprocess.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm::cli {

/// Owns the child, which ends with this at the latest. For the main thread.
class LivePage {
 public:
  /// Listens on `address` and starts the child with that socket, and no other descriptor.
  /// @param address "127.0.0.1:PORT"; port 0: a free one @param run_dir of the machine that is about to start
  /// Errors: the address is another one or in use (ExitCode::Usage), there is no sis-web (HostLacks).
  static Result<std::unique_ptr<LivePage>> start(const std::string& address, const std::filesystem::path& run_dir,
                                                 const std::string& name);
  ~LivePage();
  LivePage(const LivePage&) = delete;
  LivePage& operator=(const LivePage&) = delete;

  /// "http://127.0.0.1:8080/".
  [[nodiscard]] const std::string& url() const { return url_; }

  /// Calls `on_gone` with a sentence if the child ends before this does. @param loop outlives this
  void watch(EventLoop& loop, std::function<void(const std::string&)> on_gone);

 private:
  LivePage(Subprocess child, std::string url) : child_(std::move(child)), url_(std::move(url)) {}

  Subprocess child_;
  std::string url_;
  EventLoop* loop_ = nullptr;  ///< where exit_fd is watched; null: nowhere
};

}  // namespace vmm::cli
